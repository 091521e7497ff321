"""Files written whole or not at all; and what damage to a zip shows itself by."""

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

# What zipfile raises on damage, from its own structures to those of the compressions.
ZIP_DAMAGE = (
    zipfile.BadZipFile, zlib.error, lzma.LZMAError, struct.error, EOFError, NotImplementedError,
    UnicodeDecodeError,
)  # fmt: skip
NO_PLAIN_FILE = "no plain file (a pipe, a socket or a device)"
_NO_SUCH_CALL = (errno.EINVAL, errno.ENOTSUP)  # of network disks that cannot wait for a folder


def plain_file(path: Path) -> IO[bytes]:
    """Open a file to read its bytes; nothing else, whatever lies there by now.

    A pipe keeps whoever opens it waiting, and a device never ends: so it is opened without
    waiting, and looked at once it is open, when nobody can put another thing in its place.

    Raises:
        OSError: when it cannot be opened, or is no plain file.
    """
    handle = os.open(path, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0))
    if stat.S_ISREG(os.fstat(handle).st_mode):
        return os.fdopen(handle, "rb")
    os.close(handle)
    raise OSError(errno.EINVAL, f"is {NO_PLAIN_FILE}")


@contextmanager
def whole_file(path: str | Path, *, synced: bool = True) -> Generator[Path]:
    """Yield a temporary file beside ``path``; on leaving without an error it takes its name.

    Folders on the way are made. What stood at ``path`` stays until the new file is complete.

    Args:
        path: the file.
        synced: whether it is on the disk, name and all, before the caller goes on, so that a
            power failure leaves it whole too. It costs a wait: not for thousands of files that
            can be had again.

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


def sync(path: Path) -> None:
    """Wait until what was written to a file is on the disk."""
    handle = os.open(path, os.O_RDWR)  # Windows syncs only what may be written
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def sync_folder(folder: Path) -> None:
    """Wait until the names in a folder are on the disk; after a rename both are the new file's."""
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
