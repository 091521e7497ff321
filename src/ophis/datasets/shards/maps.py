"""Shards mapped into memory: a bounded number at a time, shared by threads."""

from __future__ import annotations

import mmap
import os
from collections import OrderedDict
from threading import Lock
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

MOST_OPEN = 64  # each holds one descriptor; many systems allow a process 256


class Maps:
    """The files that were read last, mapped.

    A map that is pushed out stays until the last view of it is gone.
    """

    def __init__(self, sizes: Mapping[Path, int], *, most_open: int = MOST_OPEN) -> None:
        self._sizes = sizes
        self._most_open = most_open
        self._open: OrderedDict[Path, mmap.mmap] = OrderedDict()
        self._lock = Lock()

    def read(self, path: Path) -> memoryview:
        """All bytes of a file.

        Raises:
            OSError: when it cannot be opened, or is no longer as long as it was: to touch a page
                behind the end of a file would end the process.
        """
        with self._lock:
            mapped = self._open.pop(path, None) or self._map(path)
            self._open[path] = mapped
            if len(self._open) > self._most_open:
                self._open.popitem(last=False)
        if mapped.size() != self._sizes[path]:
            raise OSError("was changed since it was opened")
        return memoryview(mapped)

    @staticmethod
    def _map(path: Path) -> mmap.mmap:
        with path.open("rb") as file:
            if not os.fstat(file.fileno()).st_size:
                raise OSError("is empty")
            return mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
