"""A folder that one process writes and no other."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

from ophis.errors import InputError

try:
    import fcntl
except ImportError:  # not on Windows: two packers there write the same bytes twice
    fcntl = None

if TYPE_CHECKING:
    from collections.abc import Generator
    from pathlib import Path


@contextmanager
def held(folder: Path, *, may_hold: str) -> Generator[None]:
    """Make a folder if need be, and keep other processes out of it until the end.

    The system lets go of it when the process dies, however it dies.

    Args:
        folder: to write to.
        may_hold: the file by which a folder that is not empty shows that it is the right one.

    Raises:
        InputError: when it holds other things, cannot be written, or another process holds it.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        others = [path for path in folder.iterdir() if not path.name.startswith(".")]
        if others and not (folder / may_hold).is_file():
            raise InputError(
                f"{folder}: holds other files, such as {others[0].name}; name a new one"
            )
        with (folder / ".lock").open("wb") as file:
            if fcntl:
                try:
                    fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                except BlockingIOError:
                    raise InputError(f"{folder}: is being written by another process") from None
            yield
    except OSError as error:
        reason = error.strerror or error
        raise InputError(f"{folder}: cannot be written: {reason}; write elsewhere") from None
