"""Atomic writes, opening of regular files only, and the exceptions of damaged zip files."""

from __future__ import annotations

import errno
import lzma
import os
import stat
import struct
import zipfile
import zlib
from contextlib import contextmanager
from pathlib import Path
from typing import IO, TYPE_CHECKING

from ophis.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Generator

# Exceptions of zipfile on damage in its own structures and in compressed data.
ZIP_DAMAGE = (
    zipfile.BadZipFile, zlib.error, lzma.LZMAError, struct.error, EOFError, NotImplementedError,
    UnicodeDecodeError,
)  # fmt: skip
NO_PLAIN_FILE = "no plain file (a pipe, a socket or a device)"
_NO_SUCH_CALL = (errno.EINVAL, errno.ENOTSUP)  # on network disks that cannot sync a folder


def plain_file(path: Path) -> IO[bytes]:
    """Open a regular file to read its bytes.

    Opening a pipe blocks, and a device never ends. So the path is opened without blocking and
    checked after opening, when it can no longer be replaced.

    Raises:
        OSError: when it cannot be opened, or is no regular file.
    """
    handle = os.open(path, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0))
    if stat.S_ISREG(os.fstat(handle).st_mode):
        return os.fdopen(handle, "rb")
    os.close(handle)
    raise OSError(errno.EINVAL, f"is {NO_PLAIN_FILE}")


@contextmanager
def whole_file(path: str | Path, *, synced: bool = True) -> Generator[Path]:
    """Yield a temporary path beside ``path``; on leaving without an error it replaces ``path``.

    Missing folders are created. An existing file stays until the new file is complete.

    Args:
        path: the file.
        synced: wait until content and name are on the disk, so that the file is complete after a
            power failure, too. Too slow for thousands of files that can be rebuilt.

    Raises:
        InputError: naming the path when it cannot be written.
    """
    path = Path(path)
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            yield temporary
            if synced:
                sync(temporary)
            temporary.replace(path)
            if synced:
                sync_folder(path.parent)
        finally:
            temporary.unlink(missing_ok=True)
    except OSError as error:
        reason = error.strerror or error
        raise InputError(f"{path}: cannot be written: {reason}; write elsewhere") from None


def require_writable(path: str | Path) -> None:
    """Refuse a path at which no file can be written, before the work on its content.

    Raises:
        InputError: naming the path, when it is a folder or its folder cannot be made or written.
    """
    path = Path(path)
    folder = next(parent for parent in path.absolute().parents if parent.exists())
    if path.is_dir():
        raise InputError(f"{path}: is a folder; name a file")
    if not folder.is_dir():
        raise InputError(f"{path}: cannot be written: {folder} is a file; write elsewhere")
    if not os.access(folder, os.W_OK):
        raise InputError(f"{path}: cannot be written: no permission in {folder}; write elsewhere")


def sync(path: Path) -> None:
    """Wait until the content of a file is on the disk."""
    handle = os.open(path, os.O_RDWR)  # Windows syncs only writable handles
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def sync_folder(folder: Path) -> None:
    """Wait until the names in a folder, such as that of a renamed file, are on the disk."""
    if os.name != "posix":  # Windows cannot open a folder
        return
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    except OSError as error:
        if error.errno not in _NO_SUCH_CALL:
            raise
    finally:
        os.close(handle)
