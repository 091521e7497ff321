"""Lock of a folder that one process writes over a long time."""

from __future__ import annotations

import os
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from ophis.errors import InputError

try:
    import fcntl
except ImportError:  # Windows: folders are not locked
    fcntl = None

if TYPE_CHECKING:
    from collections.abc import Generator

LOCK = ".lock"


@dataclass(frozen=True)
class LockedFolder:
    """A folder that no other process writes.

    Attributes:
        folder: its path.
        handle: of the file in it that is locked; None in processes that only read the folder.
    """

    folder: Path
    handle: int | None = None

    def require_in_place(self) -> None:
        """Refuse to go on when the folder was moved, removed or replaced.

        Raises:
            InputError: naming the folder.
        """
        if not self.in_place():
            raise InputError(
                f"{self.folder}: was moved or removed while it was written; put it back, and the"
                " same command goes on from what it holds"
            )

    def in_place(self) -> bool:
        """Return False when the folder was moved, removed or replaced."""
        if self.handle is None:
            return True
        try:
            return os.path.samestat(os.fstat(self.handle), (self.folder / LOCK).lstat())
        except OSError:
            return False


@contextmanager
def locked_folder(folder: str | Path, *, writes: bool = True) -> Generator[LockedFolder]:
    """Create a folder where it is missing, and lock it against other processes.

    The system releases the lock when the process ends, also when it is killed. On leaving, folders
    that were created here and are empty are removed.

    Args:
        folder: its path.
        writes: False in a process that only reads it, beside the one that writes it.

    Raises:
        InputError: when another process holds the lock, or the folder cannot be written.
    """
    folder = Path(folder)
    if not writes:
        yield LockedFolder(folder)
        return
    missing = [path for path in (folder, *folder.parents) if not path.exists()]
    try:
        folder.mkdir(parents=True, exist_ok=True)
        # No other file is followed, emptied or waited for, whatever has this name.
        flags = os.O_RDWR | os.O_CREAT
        flags |= getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0)
        handle = os.open(folder / LOCK, flags, 0o666)
    except OSError as error:
        reason = error.strerror or error
        raise InputError(f"{folder}: cannot be written: {reason}; write elsewhere") from None
    locked = LockedFolder(folder, handle)
    try:
        _lock(handle, locked)
        try:
            yield locked
        finally:
            if locked.in_place():  # else the file at this path is another process's
                with suppress(OSError):
                    (folder / LOCK).unlink()
    finally:
        os.close(handle)
        for path in missing:
            with suppress(OSError):  # not empty
                path.rmdir()


def _lock(handle: int, locked: LockedFolder) -> None:
    """Lock the file; refuse if another process holds it, or removed it a moment ago."""
    if not fcntl:
        return
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        held = True
    except OSError:  # a network file system without locks
        held = False
    else:
        held = not locked.in_place()
    if held:
        raise InputError(
            f"{locked.folder}: another process is writing there; wait for it or end it, or write"
            " elsewhere"
        )
