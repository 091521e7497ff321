"""Blocks of rows of arrays that are memory-mapped because they do not fit in memory."""

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

BLOCK_BYTES = 2 << 20  # fits the caches of a core: a second pass over a block is nearly free

_HUGE_PAGE = 2 << 20  # one access may map this much around it


def mapped(
    path: Path, dtype: DTypeLike, *, shape: tuple[int, ...], offset: int = 0
) -> NDArray[Any]:
    """Map an array in a file, read-only; a part is loaded when it is accessed."""
    if 0 in shape:  # an empty array cannot be mapped
        return np.zeros(shape, dtype)
    return np.memmap(path, dtype, mode="r", offset=offset, shape=shape).view(np.ndarray)


def row_blocks(array: NDArray[Any]) -> Iterator[slice]:
    """Yield slices of rows of about 2 MiB.

    The pages of a mapped array are released before the next slice.
    """
    for rows in _slices(array):
        yield rows
        _release_pages(array, rows)


def for_each_block(array: NDArray[Any], work: Callable[[slice], None]) -> None:
    """Call ``work`` with slices of rows of about 2 MiB, in one thread a processor core.

    For NumPy operations that release the interpreter's lock.
    """

    def one(rows: slice) -> None:
        work(rows)
        _release_pages(array, rows)

    with ThreadPoolExecutor(os.cpu_count() or 1, thread_name_prefix="ophis-block") as pool:
        for _ in pool.map(one, _slices(array)):  # raises the exceptions of the threads
            pass


def _slices(array: NDArray[Any]) -> Iterator[slice]:
    rows = max(1, BLOCK_BYTES // max(1, array[:1].nbytes))
    for start in range(0, len(array), rows):
        yield slice(start, min(start + rows, len(array)))


def _release_pages(array: NDArray[Any], rows: slice) -> None:
    """Release the pages of a mapped array; the next access reads them from the file."""
    base: object = array
    while isinstance(base, np.ndarray):
        base = base.base
    if isinstance(base, mmap.mmap) and hasattr(mmap, "MADV_DONTNEED"):  # not on Windows
        part = array[rows]
        first = part.ctypes.data - np.frombuffer(base, np.uint8).ctypes.data
        start = first // _HUGE_PAGE * _HUGE_PAGE
        stop = -(-(first + part.nbytes) // _HUGE_PAGE) * _HUGE_PAGE
        # Only the pages of these rows: other threads access other rows.
        base.madvise(mmap.MADV_DONTNEED, start, min(stop, len(base)) - start)
