"""Loops over 8-bit pixels that NumPy has no fast word for, compiled by numba when imported.

Weighted sums of rows and of columns are what a resize is made of; see `ophis.images.resampling`.
Whole numbers only: weights of 22 bits times bytes, summed in 32 bits, rounded once. So neither the
order of the sums nor the processor's vector instructions can change a pixel. Pixels have four
bytes, the fourth without meaning: four at a time are moved and added faster than three.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numba
import numpy as np

from ophis.images.resampling import BITS

if TYPE_CHECKING:
    from collections.abc import Callable

STRIP = 16  # rows that are turned on their side at once: they and their sums stay in the cache
_HALF = STRIP // 2  # of them at once: the lines of more rows would push each other out of it
_PLACES = numba.int64[::1]
_BYTES, _FOURS = numba.uint8[:, ::1], numba.uint32[:, ::1]
_INPUT, _INPUT_FOURS = _BYTES.copy(readonly=True), _FOURS.copy(readonly=True)  # either will do
_WEIGHTS = (_PLACES, _PLACES, numba.int32[:, ::1])
_SUMS, _PIXELS = numba.int32[::1], numba.uint8[:, :, ::1]


def _compiled(*types: object) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """For arguments of these types, outside the interpreter's lock, kept beside the `.pyc`."""

    def decorator(function: Callable[..., None]) -> Callable[..., None]:
        try:
            return numba.njit(numba.void(*types), nogil=True, cache=True)(function)
        except RuntimeError:  # no folder that can be written to: compiled anew in each process
            return numba.njit(numba.void(*types), nogil=True)(function)

    return decorator


@_compiled(_INPUT, *_WEIGHTS, _SUMS, _BYTES)
def rows(pixels, first, count, values, sums, out):  # noqa: ANN001, ANN201
    """Each row of ``out`` is a weighted sum of rows of ``pixels``; ``sums`` is as long as a row."""
    width = out.shape[1]
    for y in range(out.shape[0]):
        for x in range(width):
            sums[x] = 1 << (BITS - 1)
        k, here = 0, first[y]
        while k + 4 <= count[y]:  # four at once: sums are fetched and put back as seldom as can be
            a, b, c, d = values[y, k], values[y, k + 1], values[y, k + 2], values[y, k + 3]
            one, two = pixels[here + k], pixels[here + k + 1]
            three, four = pixels[here + k + 2], pixels[here + k + 3]
            for x in range(width):
                sums[x] += (np.int32(one[x]) * a + np.int32(two[x]) * b) + (
                    np.int32(three[x]) * c + np.int32(four[x]) * d
                )
            k += 4
        while k + 2 <= count[y]:
            a, b, one, two = values[y, k], values[y, k + 1], pixels[here + k], pixels[here + k + 1]
            for x in range(width):
                sums[x] += np.int32(one[x]) * a + np.int32(two[x]) * b
            k += 2
        if k < count[y]:
            a, one = values[y, k], pixels[here + k]
            for x in range(width):
                sums[x] += np.int32(one[x]) * a
        for x in range(width):
            out[y, x] = min(sums[x] >> BITS, 255)  # of very many weights the sum may exceed 1


@_compiled(_INPUT_FOURS, *_WEIGHTS, _FOURS, _BYTES, _FOURS, _BYTES, _SUMS, _FOURS)
def columns(pixels, first, count, values, turned, turned_bytes, done, done_bytes, sums, out):  # noqa: ANN001, ANN201
    """Each column of ``out`` is a weighted sum of columns of ``pixels``: `rows`, strip by strip.

    ``turned`` and ``done`` hold a strip on its side; their bytes are views of the same memory.
    """
    for strip in range(0, pixels.shape[0], STRIP):
        top = min(strip, pixels.shape[0] - STRIP)  # the last strip may do some rows again
        for half in range(0, STRIP, _HALF):
            for x in range(pixels.shape[1]):
                for y in range(_HALF):
                    turned[x, half + y] = pixels[top + half + y, x]
        rows(turned_bytes, first, count, values, sums, done_bytes)
        for half in range(0, STRIP, _HALF):
            for x in range(out.shape[1]):
                for y in range(_HALF):
                    out[top + half + y, x] = done[x, half + y]


@_compiled(_PIXELS.copy(readonly=True), _PIXELS)
def three_of_four(pixels, out):  # noqa: ANN001, ANN201
    """Pixels without their fourth byte: NumPy's own copy takes seven times as long."""
    for y in range(out.shape[0]):
        for x in range(out.shape[1]):
            for channel in range(3):
                out[y, x, channel] = pixels[y, x, channel]


@_compiled(
    numba.uint8[:, :, :].copy(readonly=True),
    numba.float32[:, ::1].copy(readonly=True),
    numba.float32[:, :, ::1],
)
def looked_up(pixels, table, out):  # noqa: ANN001, ANN201
    """The number of each byte, [rows, columns, 3]; ``pixels`` may be a view, of a crop or mirrored.

    ``table``: [3, 256], the numbers of each channel.
    """
    for y in range(out.shape[0]):
        for x in range(out.shape[1]):
            for channel in range(3):
                out[y, x, channel] = table[channel, pixels[y, x, channel]]
