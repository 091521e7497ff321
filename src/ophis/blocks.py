"""Rows of large arrays, some at a time: what does not fit in memory stays in its file."""

from __future__ import annotations

import mmap
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from numpy.typing import DTypeLike, NDArray

BLOCK_BYTES = 2 << 20  # fits the caches of a core: a second look at a block is nearly free


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
    rows = max(1, BLOCK_BYTES // max(1, array[:1].nbytes))
    for start in range(0, len(array), rows):
        yield slice(start, min(start + rows, len(array)))
        _let_go(array)


def _let_go(array: NDArray[Any]) -> None:
    """Tell the system that a mapped array's pages may go; they come back from the file."""
    base: object = array
    while isinstance(base, np.ndarray):
        base = base.base
    if isinstance(base, mmap.mmap) and hasattr(mmap, "MADV_DONTNEED"):  # not on Windows
        base.madvise(mmap.MADV_DONTNEED)
