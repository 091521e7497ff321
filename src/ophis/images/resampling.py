"""Pillow's antialiased bilinear resize, with its very pixels, several times as fast.

Pillow sums bytes times weights of 22 bits, row by row and then column by column, each rounded to
a byte (Pillow, src/libImaging/Resample.c; `weights` is its formula). torch's own resize of bytes
rounds the weights to 16 bits and differs by 1 of 255 in up to a twentieth of the pixels of common
sizes; so the same whole numbers are summed here, in vectors, by `ophis.images.pixel_kernels`.

Without numba, or should a Pillow resize in another way, there is nothing here to be used, and
whoever asks takes Pillow: the pixels are the same.
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from functools import lru_cache
from importlib import import_module
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image

if TYPE_CHECKING:
    from types import ModuleType

    from numpy.typing import NDArray


@dataclass(frozen=True)
class Turn:
    """How stored pixels become upright: perhaps mirrored, then perhaps rows become columns."""

    rows_mirrored: bool = False
    columns_mirrored: bool = False
    swapped: bool = False

    def upright(self, pixels: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """A view of stored pixels [rows, columns, ...]."""
        found = pixels[:: -1 if self.rows_mirrored else 1, :: -1 if self.columns_mirrored else 1]
        return found.swapaxes(0, 1) if self.swapped else found


AS_STORED = Turn()
BITS = 22  # of a weight's fraction: with 8 of a byte and 2 to spare they fill 32


@dataclass(frozen=True, eq=False)
class Weights:
    """Of what each place along a side is the sum: ``count`` neighbours from ``first`` on.

    Attributes:
        first: [places], int64.
        count: [places], int64.
        values: [places, most neighbours], int32, in 2**-22.
    """

    first: NDArray[np.int64]
    count: NDArray[np.int64]
    values: NDArray[np.int32]

    @property
    def parts(self) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int32]]:
        """All three, as the kernels take them."""
        return self.first, self.count, self.values


@lru_cache(maxsize=256)  # the sides of a data set's photos; some 40 kB each
def weights(size: int, places: int, *, mirrored: bool = False) -> Weights:
    """Pillow's weights from ``size`` pixels to ``places``; mirrored: of a side stored backwards."""
    scale = size / places
    support = max(scale, 1.0)
    centre = (np.arange(places) + 0.5) * scale
    first = np.maximum((centre - support + 0.5).astype(np.int64), 0)
    count = np.minimum((centre + support + 0.5).astype(np.int64), size) - first
    neighbour = np.arange(int(np.ceil(support)) * 2 + 1)
    inside = neighbour < count[:, None]
    distance = np.abs((neighbour + first[:, None] - centre[:, None] + 0.5) * (1 / support))
    share = np.where(inside, np.maximum(1 - distance, 0), 0)
    total = np.add.accumulate(share, axis=1)[:, -1:]  # one after the other, as Pillow does
    values = (share / total * 2**BITS + 0.5).astype(np.int32)
    if mirrored:
        first = size - first - count
        other_end = np.maximum(count[:, None] - 1 - neighbour, 0)
        values = np.where(inside, np.take_along_axis(values, other_end, 1), 0)
        first, count, values = first[::-1], count[::-1], values[::-1]
    return Weights(*map(np.ascontiguousarray, (first, count, values)))


@dataclass(frozen=True)
class Resampler:
    """The compiled passes, and the order in which the Pillow at hand takes them.

    Attributes:
        kernels: `ophis.images.pixel_kernels`.
        height_first: whether it begins with the height where that shrinks by more than twice as
            many pixels as the width: since version 13.
    """

    kernels: ModuleType
    height_first: bool

    def squeezed(self, pixels: NDArray[np.uint8], side: int, turn: Turn) -> NDArray[np.uint8]:
        """Stored pixels as an upright square, with the pixels that Pillow's resize would give it.

        Args:
            pixels: [rows, columns, 4], uint8, in one piece: RGB and a byte without meaning.
            side: pixels of the square; this and the sides of the photo 16 or more.
            turn: how they become upright. Only the square is turned: until then weights are
                mirrored and passes change places, so that the sums are those of the upright photo.

        Returns:
            [side, side, 3], uint8.

        Raises:
            ValueError: for a smaller side; the kernels do not look where they write.
        """
        if min(side, *pixels.shape[:2]) < self.kernels.STRIP:
            raise ValueError(f"{pixels.shape} to {side}: no side may be below {self.kernels.STRIP}")
        height, width = pixels.shape[1::-1] if turn.swapped else pixels.shape[:2]
        tall = height > side and height - side > 2 * (width - side)
        if (tall and self.height_first) != turn.swapped:
            pixels = self._columns(self._rows(pixels, side, turn), side, turn)
        else:
            pixels = self._rows(self._columns(pixels, side, turn), side, turn)
        upright = np.ascontiguousarray(turn.upright(pixels.view(np.uint32))).view(np.uint8)
        square = np.empty((side, side, 3), np.uint8)
        self.kernels.three_of_four(upright, square)
        return square

    def _rows(self, pixels: NDArray[np.uint8], places: int, turn: Turn) -> NDArray[np.uint8]:
        height, width, _ = pixels.shape
        if height == places:
            return pixels
        out = np.empty((places, width, 4), np.uint8)
        sums = np.empty(width * 4, np.int32)
        parts = weights(height, places, mirrored=turn.rows_mirrored).parts
        self.kernels.rows(pixels.reshape(height, -1), *parts, sums, out.reshape(places, -1))
        return out

    def _columns(self, pixels: NDArray[np.uint8], places: int, turn: Turn) -> NDArray[np.uint8]:
        height, width, _ = pixels.shape
        if width == places:
            return pixels
        out = np.empty((height, places, 4), np.uint8)
        strip = self.kernels.STRIP
        turned, done = (np.empty((side, strip), np.uint32) for side in (width, places))
        self.kernels.columns(
            pixels.view(np.uint32)[..., 0],
            *weights(width, places, mirrored=turn.columns_mirrored).parts,
            turned,
            turned.view(np.uint8),
            done,
            done.view(np.uint8),
            np.empty(strip * 4, np.int32),
            out.view(np.uint32)[..., 0],
        )
        return out


def resampler_once_worthwhile() -> Resampler | None:
    """`resampler`, from the 200th time on that somebody asks; None until then.

    Loading it takes a second or two, as long as Pillow takes for some hundred photos.
    """
    if next(_ASKED) < _PHOTOS_WORTH_COMPILING and not resampler.cache_info().currsize:
        return None
    return resampler()


_ASKED = itertools.count(1)
_PHOTOS_WORTH_COMPILING = 200


@lru_cache(maxsize=1)
def resampler() -> Resampler | None:
    """What gives the pixels of the Pillow at hand, tried on a wide and a tall picture.

    None without numba, or should Pillow resize in another way than any that is known here.
    """
    try:
        kernels = import_module("ophis.images.pixel_kernels")
    except ImportError:  # numba comes with the extra `train`
        return None
    chance = np.random.default_rng(0)
    pictures = [chance.integers(0, 256, (*shape, 4), np.uint8) for shape in ((51, 93), (97, 40))]
    squares = [_by_pillow(picture, 32) for picture in pictures]
    for height_first in (True, False):
        found = Resampler(kernels, height_first)
        mine = [found.squeezed(picture, 32, AS_STORED) for picture in pictures]
        if np.array_equal(mine, squares):
            return found
    return None


def _by_pillow(pixels: NDArray[np.uint8], side: int) -> NDArray[np.uint8]:
    photo = Image.fromarray(np.ascontiguousarray(pixels[..., :3]))
    return np.asarray(photo.resize((side, side), Image.Resampling.BILINEAR))
