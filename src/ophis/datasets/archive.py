"""Zip archives from elsewhere: looked through before anything is read, unpacked to one folder."""

from __future__ import annotations

import re
import stat
import zipfile
import zlib
from contextlib import contextmanager
from pathlib import Path
from typing import IO, TYPE_CHECKING

from ophis.datasets.image_folder import SUFFIXES
from ophis.errors import InputError
from ophis.files.atomic import ZIP_DAMAGE, whole_file
from ophis.taxonomy.species_list import UNWRITABLE

if TYPE_CHECKING:
    from collections.abc import Generator

MOST_BYTES = 2 << 30  # of all members, unpacked
MOST_RATIO = 100  # unpacked to packed; text of tables comes to 20
_PIECE = 1 << 20


def is_archive(path: Path) -> bool:
    """Whether the name says a zip archive."""
    return path.suffix.lower() == ".zip"


@contextmanager
def open_archive(path: Path) -> Generator[zipfile.ZipFile]:
    """An archive of which every member was looked at.

    Refused are names that lead out of a folder on any system, links and other things that are no
    files, members with a password, names that stand twice, more than 100 bytes out of one, and
    more than 2 GiB in all. The sizes are those that the archive gives; no member yields more.

    Raises:
        InputError: naming the archive and the member; also for damage that shows while reading.
    """
    try:
        # The file by itself: a member that a failure left open would hold it open too.
        with path.open("rb") as file, zipfile.ZipFile(file) as archive:
            _refuse_members(path, archive.infolist())
            yield archive
    except FileNotFoundError:
        raise InputError(f"{path}: there is no such file or folder") from None
    except (*ZIP_DAMAGE, OSError) as error:
        raise _damaged(path, error) from None


def unpack_photos(path: str | Path, folder: str | Path) -> int:
    """Write the photos among an archive's members to a folder, each whole or not at all.

    A photo that is there already, with the same bytes, is left alone.

    Returns:
        How many photos the archive holds.

    Raises:
        InputError: naming the member that the guard of `open_archive` refuses, that a link in the
            folder would lead elsewhere, or that would replace another file.
    """
    path, folder = Path(path), Path(folder)
    number = 0
    with open_archive(path) as archive:
        for member in archive.infolist():
            if member.is_dir() or Path(member.filename).suffix.lower() not in SUFFIXES:
                continue
            _unpack(path, archive, member, folder)
            number += 1
    return number


def _unpack(path: Path, archive: zipfile.ZipFile, member: zipfile.ZipInfo, folder: Path) -> None:
    photo = folder / member.filename
    if photo.is_symlink() or not photo.resolve().is_relative_to(folder.resolve()):
        raise InputError(f"{path}: member {member.filename!r} would follow a link out of {folder}")
    if photo.exists():
        if not photo.is_file() or _checksum(photo) != member.CRC:
            raise InputError(f"{photo}: is there already and differs; unpack to another folder")
        return
    with (
        archive.open(member) as packed,
        whole_file(photo, synced=False) as temporary,
        temporary.open("wb") as file,
    ):
        while piece := _read(path, packed):
            file.write(piece)


def _read(path: Path, packed: IO[bytes]) -> bytes:
    """A piece of a member: what fails here is the archive's, not the place that is written to."""
    try:
        return packed.read(_PIECE)
    except (*ZIP_DAMAGE, OSError) as error:
        raise _damaged(path, error) from None


def _damaged(path: Path, error: Exception) -> InputError:
    return InputError(f"{path}: cannot be read as zip: {error}; get it again")


def _checksum(photo: Path) -> int:
    checksum = 0
    with photo.open("rb") as file:
        while piece := file.read(_PIECE):
            checksum = zlib.crc32(piece, checksum)
    return checksum


def _refuse_members(path: Path, members: list[zipfile.ZipInfo]) -> None:
    total, names = 0, set()
    for member in members:
        total += member.file_size
        if wrong := _wrong(member) or (total > MOST_BYTES and "goes beyond 2 GiB unpacked"):
            raise InputError(f"{path}: member {member.filename!r} {wrong}; the archive is refused")
        if member.filename in names:
            raise InputError(f"{path}: member {member.filename!r} stands twice; get another copy")
        names.add(member.filename)


def _wrong(member: zipfile.ZipInfo) -> str | None:
    """What is wrong with a member, if anything."""
    name, kind = member.filename, stat.S_IFMT(member.external_attr >> 16)
    # `orig_filename`: zipfile itself cuts a name at a NUL and turns the system's separator.
    wrongs = {
        "is an absolute path or has a backslash": "\\" in member.orig_filename
        or re.match(r"/|~|[A-Za-z]:", name),
        "leads out of the folder": not name or {".", ".."} & set(name.split("/")),
        "has a control character in its name": UNWRITABLE.search(member.orig_filename),
        "is a link or no plain file": kind not in (0, stat.S_IFREG, stat.S_IFDIR),
        "has a password": member.flag_bits & 1,
        f"unpacks to more than {MOST_RATIO} times its size": member.file_size
        > MOST_RATIO * member.compress_size,
    }
    return next((words for words, is_so in wrongs.items() if is_so), None)


def open_member(path: Path, archive: zipfile.ZipFile, name: str) -> IO[bytes]:
    """A member to read from.

    Raises:
        InputError: naming the member that the archive lacks.
    """
    try:
        return archive.open(name)
    except KeyError:
        raise InputError(f"{path}: member {name!r} is missing; get the archive again") from None
