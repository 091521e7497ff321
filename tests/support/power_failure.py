"""Possible contents of a folder after a power failure during a write."""

import os
from collections.abc import Callable, Generator, Iterator
from contextlib import contextmanager
from itertools import product
from pathlib import Path
from unittest.mock import patch

Names = dict[str, int]  # name of a file to its inode
Step = tuple[str, str]  # rename from, to; from "" for a new file


class Disk:
    """Record of what has reached the disk of a folder.

    Names reach the disk with an fsync of the folder, contents with an fsync of the file. Until then
    each new name and each rename may be present or absent, and a file may be empty or incomplete.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.names, self.synced = self._names(), self._contents()
        self.unsure: list[Step] = []
        self.seen: Names = dict(self.names)
        self.moments: list[tuple[Names, list[Step], Names, dict[int, bytes], dict[int, bytes]]] = []

    def _names(self) -> Names:
        return {path.name: path.stat().st_ino for path in self.folder.iterdir()}

    def _contents(self) -> dict[int, bytes]:
        return {path.stat().st_ino: path.read_bytes() for path in self.folder.iterdir()}

    def remember(self) -> None:
        """Record the present state as a possible moment of the failure."""
        now = self._names()
        for name in now.keys() - self.seen.keys() - {new for _, new in self.unsure}:
            self.unsure.append(("", name))
        self.seen |= now
        self.moments.append(
            (dict(self.names), list(self.unsure), now | self.seen, dict(self.synced),
             self._contents())
        )  # fmt: skip

    @contextmanager
    def watched(self) -> Generator[None]:
        """Record every fsync and rename inside the context."""
        fsync, replace = os.fsync, os.replace

        def watched_fsync(handle: int) -> None:
            self.remember()
            fsync(handle)
            inode = os.fstat(handle).st_ino
            if inode == self.folder.stat().st_ino:
                self.names, self.unsure = self._names(), []
            else:
                self.synced[inode] = self._contents()[inode]
            self.remember()

        def watched_replace(old: Path, new: Path) -> None:
            self.remember()
            replace(old, new)
            self.unsure.append((Path(old).name, Path(new).name))
            self.remember()

        with patch("os.fsync", watched_fsync), patch("os.replace", watched_replace):
            yield
        self.remember()

    def states(self) -> Iterator[tuple[int, dict[str, bytes]]]:
        """Yield the number of each recorded moment and a possible state after a failure then."""
        for number, (names, unsure, inodes, synced, contents_then) in enumerate(self.moments):
            for kept in product((False, True), repeat=len(unsure)):
                found = dict(names)
                for (old, new), there in zip(unsure, kept, strict=True):
                    if there and not old:
                        found[new] = inodes[new]
                    elif there and old in found:
                        found[new] = found.pop(old)
                for fraction in (0.0, 0.5, 1.0):
                    contents = {
                        i: data[: int(fraction * len(data))] for i, data in contents_then.items()
                    }
                    contents |= synced
                    yield number, {name: contents[inode] for name, inode in found.items()}


def states_of(folder: Path, write: Callable[[], object]) -> list[tuple[bool, dict[str, bytes]]]:
    """Return every possible state of the folder; True where the write was complete."""
    disk = Disk(folder)
    with disk.watched():
        write()
    last = len(disk.moments) - 1
    return [(number == last, state) for number, state in disk.states()]
