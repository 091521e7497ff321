"""Untrusted zip archives: every member is checked before any is read or unpacked."""

from __future__ import annotations

import re
import stat
import zipfile
import zlib
from contextlib import contextmanager
from pathlib import Path, PurePosixPath
from typing import IO, TYPE_CHECKING

from ophis.errors import InputError
from ophis.files.atomic import ZIP_DAMAGE, whole_file
from ophis.images.formats import SIGNATURE_BYTES, is_picture
from ophis.images.photo_files import SUFFIXES
from ophis.taxonomy.species_list import UNWRITABLE

if TYPE_CHECKING:
    from collections.abc import Generator

MAX_BYTES = 2 << 30  # of all members, unpacked
MAX_RATIO = 100  # unpacked size / packed size; tables reach 20
MAX_DEPTH = 100  # folders around a member
_CHUNK_BYTES = 1 << 20
_HEADER_BYTES = 30  # of a member, before its name


def is_archive(path: Path) -> bool:
    """Return True for a path with the suffix .zip."""
    return path.suffix.lower() == ".zip"


@contextmanager
def open_archive(path: Path, *, max_bytes: int | None = None) -> Generator[zipfile.ZipFile]:
    """Open an archive after a check of every member.

    Refused are paths that leave the folder on any system, links and special files, encrypted
    members, duplicate names, members that share bytes, a compression ratio above 100 of a member,
    and so of the archive, and more than ``max_bytes`` in all, 2 GiB by default. The sizes are those
    of the archive's directory; zipfile reads no more than that.

    Raises:
        InputError: naming the archive and the member; also for damage found while reading.
    """
    try:
        # The file is opened here, because an open member would otherwise keep it open.
        with path.open("rb") as file, zipfile.ZipFile(file) as archive:
            _refuse_members(path, archive.infolist(), max_bytes or MAX_BYTES)
            _refuse_overlap(path, archive)
            yield archive
    except FileNotFoundError:
        raise InputError(f"{path}: there is no such file or folder") from None
    except (*ZIP_DAMAGE, OSError) as error:
        raise _damaged(path, error) from None


def unpack_photos(path: str | Path, folder: str | Path) -> int:
    """Unpack the photos of an archive to a folder, each atomically.

    A photo that exists with the same checksum is kept.

    Returns:
        The number of photos in the archive.

    Raises:
        InputError: naming the member that `open_archive` refuses, that follows a link out of the
            folder, or that would replace another file.
    """
    path, folder = Path(path), Path(folder)
    number = 0
    with open_archive(path) as archive:
        for member in archive.infolist():
            if member.is_dir() or not _is_photo(path, archive, member):
                continue
            _unpack(path, archive, member, folder)
            number += 1
    return number


def _is_photo(path: Path, archive: zipfile.ZipFile, member: zipfile.ZipInfo) -> bool:
    """Return True for a photo by suffix or first bytes, as `photo_files.is_photo`."""
    name = PurePosixPath(member.filename)
    if name.parts[0] == "__MACOSX":  # marks of another file under its name
        return False
    if name.suffix.lower() in SUFFIXES:
        return True
    with archive.open(member) as packed:
        return is_picture(_read(path, packed, SIGNATURE_BYTES))


def _unpack(path: Path, archive: zipfile.ZipFile, member: zipfile.ZipInfo, folder: Path) -> None:
    photo = folder / member.filename
    if photo.is_symlink() or not photo.resolve().is_relative_to(folder.resolve()):
        raise InputError(f"{path}: member {member.filename!r} would follow a link out of {folder}")
    if photo.exists():
        if not photo.is_file() or _checksum(photo) != member.CRC:
            raise InputError(f"{photo}: exists and differs; unpack to another folder")
        return
    with (
        archive.open(member) as packed,
        whole_file(photo, synced=False) as temporary,
        temporary.open("wb") as file,
    ):
        while chunk := _read(path, packed):
            file.write(chunk)


def _read(path: Path, packed: IO[bytes], size: int | None = None) -> bytes:
    """Read a chunk of a member; errors name the archive, not the file that is written."""
    try:
        return packed.read(size or _CHUNK_BYTES)
    except (*ZIP_DAMAGE, OSError) as error:
        raise _damaged(path, error) from None


def _damaged(path: Path, error: Exception) -> InputError:
    return InputError(f"{path}: cannot be read as zip: {error}; download it again")


def _checksum(photo: Path) -> int:
    checksum = 0
    with photo.open("rb") as file:
        while chunk := file.read(_CHUNK_BYTES):
            checksum = zlib.crc32(chunk, checksum)
    return checksum


def _refuse_members(path: Path, members: list[zipfile.ZipInfo], max_bytes: int) -> None:
    total, names = 0, set()
    too_large = f"goes beyond {max_bytes:,} bytes unpacked"
    for member in members:
        total += member.file_size
        if wrong := _wrong(member) or (total > max_bytes and too_large):
            raise InputError(f"{path}: member {member.filename!r} {wrong}; the archive is refused")
        if member.filename in names:
            raise InputError(f"{path}: member {member.filename!r} is there twice; get another copy")
        names.add(member.filename)


def _refuse_overlap(path: Path, archive: zipfile.ZipFile) -> None:
    """Refuse members that share bytes, which unpack to a multiple of their ratio.

    zipfile does so only from Python 3.11.8.
    """
    members = sorted(archive.infolist(), key=lambda member: member.header_offset)
    starts = [member.header_offset for member in members[1:]]
    for member, end in zip(members, [*starts, archive.start_dir], strict=False):
        if member.header_offset + _HEADER_BYTES + member.compress_size > end:
            raise InputError(
                f"{path}: member {member.filename!r} shares bytes with another; the archive is"
                " refused"
            )


def _wrong(member: zipfile.ZipInfo) -> str | None:
    """Return the reason to refuse a member, or None."""
    name, kind = member.filename, stat.S_IFMT(member.external_attr >> 16)
    # `orig_filename`: zipfile cuts a name at NUL and replaces the system's separator.
    reasons = {
        "is an absolute path or has a backslash": "\\" in member.orig_filename
        or re.match(r"/|~|[A-Za-z]:", name),
        "leaves the folder": not name or {".", ".."} & set(name.split("/")),
        f"is more than {MAX_DEPTH} folders deep": name.count("/") > MAX_DEPTH,
        "has a control character in its name": UNWRITABLE.search(member.orig_filename),
        "is a link or no plain file": kind not in (0, stat.S_IFREG, stat.S_IFDIR),
        "has a password": member.flag_bits & 1,
        f"unpacks to more than {MAX_RATIO} times its size": member.file_size
        > MAX_RATIO * member.compress_size,
    }
    return next((words for words, applies in reasons.items() if applies), None)


def open_member(path: Path, archive: zipfile.ZipFile, name: str) -> IO[bytes]:
    """Open a member.

    Raises:
        InputError: naming the missing member.
    """
    try:
        return archive.open(name)
    except KeyError:
        raise InputError(f"{path}: member {name!r} is missing; get the archive again") from None
