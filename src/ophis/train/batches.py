"""Training batches: which photos make a step, and what is done to their pixels.

Everything random here is a pure function of (seed, step, position in the run), never of what a
generator drew before, of the number of workers or of processes. So a run that was stopped goes on
with the same photos and the same crops, and many processes see what one would have seen.
"""

from __future__ import annotations

from collections import deque
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from enum import IntEnum
from functools import lru_cache
from typing import TYPE_CHECKING

import numpy as np
import torch
from PIL import Image, ImageEnhance

from ophis.datasets.resized import look_up, read_square
from ophis.images.preprocessing import resize

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from numpy.typing import NDArray

    from ophis.datasets.shards.reader import PackedPhoto
    from ophis.recipe import Recipe


class Stream(IntEnum):
    """Independent sources of chance of one run."""

    ORDER = 0
    PIXELS = 1
    MIXUP = 2
    PARTNERS = 3
    DROPOUT = 4


@dataclass(frozen=True)
class MicroBatch:
    """One piece of an optimiser step.

    Attributes:
        step: optimiser step, from 0.
        number: place among the step's pieces, from 0.
        pixels: [photos, 3, crop_pixels, crop_pixels], float32, normalised; channels last in memory.
        truth: [photos], int64.
    """

    step: int
    number: int
    pixels: torch.Tensor
    truth: torch.Tensor


def generator(seed: int, stream: Stream, *place: int) -> np.random.Generator:
    """The generator of one place of the run."""
    return np.random.default_rng([seed, stream, *place])


@lru_cache(maxsize=2)
def _epoch_order(seed: int, epoch: int, photos: int) -> NDArray[np.int64]:
    return generator(seed, Stream.ORDER, epoch).permutation(photos)


def photo_at(position: int, *, photos: int, seed: int) -> int:
    """Row of the photo at a position of the run: each epoch is one permutation of all rows."""
    return int(_epoch_order(seed, position // photos, photos)[position % photos])


def mixup_share(recipe: Recipe, step: int) -> float:
    """Share of the first photo in a mixture: Beta(alpha, alpha), one number an optimiser step.

    BiT draws one coefficient a step and shares it among the step's micro-batches; so do we.
    """
    if recipe.mixup_alpha == 0:
        return 1.0
    chance = generator(recipe.seed, Stream.MIXUP, step)
    return float(chance.beta(recipe.mixup_alpha, recipe.mixup_alpha))


def mix(pixels: torch.Tensor, share: float, partners: torch.Tensor) -> torch.Tensor:
    """Mixup (Zhang et al. 2018): share of each photo, the rest from its partner. Shapes stay."""
    return pixels if share == 1 else share * pixels + (1 - share) * pixels[partners]


def mixup_partners(recipe: Recipe, batch: MicroBatch) -> torch.Tensor:
    """Whom each photo of a piece is mixed with, [photos], int64: a permutation of the piece."""
    chance = generator(recipe.seed, Stream.PARTNERS, batch.step, batch.number)
    return torch.from_numpy(chance.permutation(len(batch.truth)))


def dropout_seed(recipe: Recipe, batch: MicroBatch) -> int:
    """What torch's own generators start from at a piece: of them layers draw what they drop."""
    chance = generator(recipe.seed, Stream.DROPOUT, batch.step, batch.number)
    return int(chance.integers(2**63))


def augment(photo: Image.Image, recipe: Recipe, chance: np.random.Generator) -> NDArray[np.uint8]:
    """Squeeze, turn, crop, zoom, flip, jitter: [crop_pixels, crop_pixels, 3], uint8."""
    return augment_square(resize(photo, recipe.resize_pixels), recipe, chance)


def augment_square(
    square: NDArray[np.uint8], recipe: Recipe, chance: np.random.Generator
) -> NDArray[np.uint8]:
    """What `augment` does to a photo that is squeezed already; perhaps a view of it.

    All numbers are drawn whether used or not, so that switching one key on leaves the crops and
    flips of the others as they were.
    """
    turn, left, top, flip, area = chance.random(5)
    jitter = 1 + recipe.colour_jitter * chance.uniform(-1, 1, size=3)
    if recipe.rotation_degrees:
        angle = (2 * turn - 1) * recipe.rotation_degrees
        turned = Image.fromarray(square).rotate(angle, Image.Resampling.BILINEAR)
        square = np.asarray(turned)
    share = recipe.least_area + area * (1 - recipe.least_area)
    window = round(recipe.crop_pixels * share**0.5)
    room = recipe.resize_pixels - window + 1
    x, y = int(left * room), int(top * room)
    square = square[y : y + window, x : x + window]
    if window != recipe.crop_pixels:
        square = resize(Image.fromarray(square), recipe.crop_pixels)
    if flip < recipe.flip_probability:
        square = square[:, ::-1]
    return jittered(square, jitter) if recipe.colour_jitter else square


def jittered(square: NDArray[np.uint8], factors: NDArray[np.float64]) -> NDArray[np.uint8]:
    """Brightness, contrast and saturation times three factors."""
    photo = Image.fromarray(square)
    kinds = (ImageEnhance.Brightness, ImageEnhance.Contrast, ImageEnhance.Color)
    for kind, factor in zip(kinds, factors, strict=True):
        photo = kind(photo).enhance(float(factor))
    return np.asarray(photo)


class Batches:
    """Reads and prepares the pieces of each step ahead of time, in threads.

    Threads and not processes: decoding, resizing and looking up numbers release the interpreter's
    lock, so they run side by side; nothing is pickled or forked, and each photo's numbers are
    written once, where its piece has its place for them.
    """

    def __init__(
        self,
        recipe: Recipe,
        photos: Sequence[Path | PackedPhoto],
        truth: NDArray[np.int64],
        *,
        workers: int,
        rank: int = 0,
        processes: int = 1,
    ) -> None:
        self._recipe = recipe
        self._photos = photos
        self._truth = truth
        self._workers = workers
        self._rank = rank
        self._processes = processes

    def pieces(self, first_step: int) -> Iterator[MicroBatch]:
        """The pieces of this process, from the first piece of a step to the end of the run.

        With several processes each takes every n-th piece of a step.

        Raises:
            PhotoError: naming the photo that cannot be read.
        """
        places = (
            (step, number)
            for step in range(first_step, self._recipe.steps)
            for number in range(self._rank, self._recipe.micro_batches, self._processes)
        )
        pool = ThreadPoolExecutor(self._workers, thread_name_prefix="ophis-photo")
        waiting: deque[_Begun] = deque()
        ahead = 2 + 2 * self._workers // self._recipe.micro_batch_photos
        try:
            for step, number in places:
                waiting.append(self._begun(pool, step, number))
                if len(waiting) > ahead:
                    yield waiting.popleft().piece()
            while waiting:
                yield waiting.popleft().piece()
        finally:
            pool.shutdown(wait=True, cancel_futures=True)

    def _positions(self, step: int, number: int) -> range:
        size = self._recipe.micro_batch_photos
        first = step * self._recipe.batch_photos + number * size
        return range(first, first + size)

    def _begun(self, pool: ThreadPoolExecutor, step: int, number: int) -> _Begun:
        positions, side = self._positions(step, number), self._recipe.crop_pixels
        pixels = np.empty((len(positions), side, side, 3), np.float32)
        photos = [pool.submit(self._photo, *place) for place in zip(positions, pixels, strict=True)]
        return _Begun(step, number, pixels, photos)

    def _photo(self, position: int, out: NDArray[np.float32]) -> int:
        """Write the photo of a position to ``out``, [crop_pixels, crop_pixels, 3]; its species."""
        row = photo_at(position, photos=len(self._photos), seed=self._recipe.seed)
        chance = generator(self._recipe.seed, Stream.PIXELS, position)
        square = read_square(self._photos[row], self._recipe.resize_pixels)
        look_up(augment_square(square, self._recipe, chance), self._recipe.preprocessing, out)
        return int(self._truth[row])


@dataclass(frozen=True, eq=False)
class _Begun:
    """A piece whose photos are being read: each writes to its place in ``pixels``."""

    step: int
    number: int
    pixels: NDArray[np.float32]
    photos: list[Future[int]]

    def piece(self) -> MicroBatch:
        """The piece, once all its photos are there."""
        truth = torch.tensor([photo.result() for photo in self.photos])
        return MicroBatch(
            self.step, self.number, torch.from_numpy(self.pixels).permute(0, 3, 1, 2), truth
        )
