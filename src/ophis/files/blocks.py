"""Rows of large arrays, some at a time: what does not fit in memory stays in its file."""

from __future__ import annotations

import mmap
import os
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from numpy.typing import DTypeLike, NDArray

BLOCK_BYTES = 2 << 20  # fits the caches of a core: a second look at a block is nearly free

_HUGE_PAGE = 2 << 20  # one look may map so much around it


def mapped(
    path: Path, dtype: DTypeLike, *, shape: tuple[int, ...], offset: int = 0
) -> NDArray[Any]:
    """An array that stays in its file, to read only; a part is loaded when it is looked at."""
    if 0 in shape:  # nothing cannot be mapped
        return np.zeros(shape, dtype)
    return np.memmap(path, dtype, mode="r", offset=offset, shape=shape).view(np.ndarray)


def row_blocks(array: NDArray[Any]) -> Iterator[slice]:
    """Slices of rows, about 2 MiB each, one after the other.

    What was looked at of a mapped array leaves this process' memory before the next one comes.
    """
    for rows in _slices(array):
        yield rows
        _let_go(array, rows)


def for_each_block(array: NDArray[Any], work: Callable[[slice], None]) -> None:
    """Call ``work`` with the same slices, as many at once as there are processor cores.

    For work that NumPy does outside the interpreter's lock, each block by itself.
    """

    def one(rows: slice) -> None:
        work(rows)
        _let_go(array, rows)

    with ThreadPoolExecutor(os.cpu_count() or 1, thread_name_prefix="ophis-block") as pool:
        for _ in pool.map(one, _slices(array)):  # whatever one of them raises is raised here
            pass


def _slices(array: NDArray[Any]) -> Iterator[slice]:
    rows = max(1, BLOCK_BYTES // max(1, array[:1].nbytes))
    for start in range(0, len(array), rows):
        yield slice(start, min(start + rows, len(array)))


def _let_go(array: NDArray[Any], rows: slice) -> None:
    """Tell the system that a mapped array's pages may go; they come back from the file."""
    base: object = array
    while isinstance(base, np.ndarray):
        base = base.base
    if isinstance(base, mmap.mmap) and hasattr(mmap, "MADV_DONTNEED"):  # not on Windows
        part = array[rows]
        first = part.ctypes.data - np.frombuffer(base, np.uint8).ctypes.data
        start = first // _HUGE_PAGE * _HUGE_PAGE
        stop = -(-(first + part.nbytes) // _HUGE_PAGE) * _HUGE_PAGE
        # Only what is near: other threads are looking at other rows.
        base.madvise(mmap.MADV_DONTNEED, start, min(stop, len(base)) - start)
