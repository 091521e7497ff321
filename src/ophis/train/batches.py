"""Training batches: order of the photos, augmentation and mixup.

Every random number is a pure function of the seed and of a position in the run. It depends neither
on earlier draws nor on the number of workers or processes. A run that resumes therefore sees the
same photos and crops, and several processes together see those of one.
"""

from __future__ import annotations

from collections import deque
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import KW_ONLY, dataclass
from enum import IntEnum
from functools import lru_cache
from typing import TYPE_CHECKING

import numpy as np
import torch
from PIL import Image, ImageEnhance

from ophis.images.preprocessing import resize
from ophis.train.pixels import normalise_into, read_resized

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from numpy.typing import NDArray

    from ophis.datasets.shards.reader import PackedPhoto
    from ophis.datasets.training_photos import Digests
    from ophis.recipe import Recipe


class RngKey(IntEnum):
    """Keys of the independent random generators of a run."""

    ORDER = 0
    PIXELS = 1
    MIXUP = 2
    PARTNERS = 3
    DROPOUT = 4


@dataclass(frozen=True)
class MicroBatch:
    """Part of an optimiser step that goes through the network at once.

    Attributes:
        step: optimiser step, from 0.
        number: index among the step's micro-batches, from 0.
        pixels: [photos, 3, crop_pixels, crop_pixels], float32, normalised; channels last in memory.
        truth: [photos], int64.
    """

    step: int
    number: int
    pixels: torch.Tensor
    truth: torch.Tensor


def rng_at(seed: int, key: RngKey, *position: int) -> np.random.Generator:
    """Return the random generator of a position of the run."""
    return np.random.default_rng([seed, key, *position])


@lru_cache(maxsize=2)
def _epoch_order(seed: int, epoch: int, photos: int) -> NDArray[np.int64]:
    return rng_at(seed, RngKey.ORDER, epoch).permutation(photos)


def photo_at(position: int, *, photos: int, seed: int) -> int:
    """Return the row of the photo at a position; each epoch is a permutation of all rows."""
    return int(_epoch_order(seed, position // photos, photos)[position % photos])


def mixup_coefficient(recipe: Recipe, step: int) -> float:
    """Return the weight of the first photo of each pair: Beta(alpha, alpha), one number a step.

    BiT draws one coefficient a step for all of its micro-batches.
    """
    if recipe.mixup_alpha == 0:
        return 1.0
    rng = rng_at(recipe.seed, RngKey.MIXUP, step)
    return float(rng.beta(recipe.mixup_alpha, recipe.mixup_alpha))


def mix(pixels: torch.Tensor, coefficient: float, partners: torch.Tensor) -> torch.Tensor:
    """Mix each photo with its partner (mixup, Zhang et al. 2018); the shape stays."""
    if coefficient == 1:
        return pixels
    return coefficient * pixels + (1 - coefficient) * pixels[partners]


def mixup_partners(recipe: Recipe, batch: MicroBatch) -> torch.Tensor:
    """Return each photo's mixup partner, [photos], int64: a permutation of the micro-batch."""
    rng = rng_at(recipe.seed, RngKey.PARTNERS, batch.step, batch.number)
    return torch.from_numpy(rng.permutation(len(batch.truth)))


def dropout_seed(recipe: Recipe, batch: MicroBatch) -> int:
    """Return the seed of torch's generators for a micro-batch; dropout layers draw from them."""
    rng = rng_at(recipe.seed, RngKey.DROPOUT, batch.step, batch.number)
    return int(rng.integers(2**63))


def augment(photo: Image.Image, recipe: Recipe, rng: np.random.Generator) -> NDArray[np.uint8]:
    """Resize, rotate, crop, zoom, flip, jitter: [crop_pixels, crop_pixels, 3], uint8."""
    return augment_resized(resize(photo, recipe.resize_pixels), recipe, rng)


def augment_resized(
    pixels: NDArray[np.uint8], recipe: Recipe, rng: np.random.Generator
) -> NDArray[np.uint8]:
    """Augment a photo that is resized already; the result may be a view of it.

    All numbers are drawn whether used or not, so that one more key of the recipe leaves the crops
    and flips of the others unchanged.
    """
    turn, left, top, flip, area = rng.random(5)
    jitter = 1 + recipe.colour_jitter * rng.uniform(-1, 1, size=3)
    if recipe.rotation_degrees:
        angle = (2 * turn - 1) * recipe.rotation_degrees
        rotated = Image.fromarray(pixels).rotate(angle, Image.Resampling.BILINEAR)
        pixels = np.asarray(rotated)
    fraction = recipe.least_area + area * (1 - recipe.least_area)
    window = round(recipe.crop_pixels * fraction**0.5)
    offsets = recipe.resize_pixels - window + 1
    x, y = int(left * offsets), int(top * offsets)
    pixels = pixels[y : y + window, x : x + window]
    if window != recipe.crop_pixels:
        pixels = resize(Image.fromarray(pixels), recipe.crop_pixels)
    if flip < recipe.flip_probability:
        pixels = pixels[:, ::-1]
    return jittered(pixels, jitter) if recipe.colour_jitter else pixels


def jittered(pixels: NDArray[np.uint8], factors: NDArray[np.float64]) -> NDArray[np.uint8]:
    """Multiply brightness, contrast and saturation by three factors."""
    photo = Image.fromarray(pixels)
    kinds = (ImageEnhance.Brightness, ImageEnhance.Contrast, ImageEnhance.Color)
    for kind, factor in zip(kinds, factors, strict=True):
        photo = kind(photo).enhance(float(factor))
    return np.asarray(photo)


@dataclass(frozen=True, eq=False)
class Batches:
    """Reader of a run's micro-batches, ahead of time and in threads.

    Threads and not processes: decoding, resizing and normalising release the interpreter's lock.
    Nothing is pickled or forked, and each photo is written once, to its part of the micro-batch.

    Attributes:
        recipe: of the run.
        photos: to learn from.
        truth: [photos], column of the species.
        digests: [photos], of the files; by default they are not compared.
        workers: threads that read photos.
        rank: of this process.
        processes: of the run.
    """

    recipe: Recipe
    photos: Sequence[Path | PackedPhoto]
    truth: NDArray[np.int64]
    digests: Digests | None = None
    _: KW_ONLY
    workers: int
    rank: int = 0
    processes: int = 1

    def micro_batches(self, first_step: int) -> Iterator[MicroBatch]:
        """Yield the micro-batches of this process from a step to the end of the run.

        Of several processes each takes every n-th micro-batch of a step.

        Raises:
            PhotoError: naming the photo that cannot be read, or whose file has changed.
        """
        numbers = (
            (step, number)
            for step in range(first_step, self.recipe.steps)
            for number in range(self.rank, self.recipe.micro_batches, self.processes)
        )
        pool = ThreadPoolExecutor(self.workers, thread_name_prefix="ophis-photo")
        reading: deque[_Reading] = deque()
        ahead = 2 + 2 * self.workers // self.recipe.micro_batch_photos
        try:
            for step, number in numbers:
                reading.append(self._start(pool, step, number))
                if len(reading) > ahead:
                    yield reading.popleft().result()
            while reading:
                yield reading.popleft().result()
        finally:
            pool.shutdown(wait=True, cancel_futures=True)

    def _positions(self, step: int, number: int) -> range:
        size = self.recipe.micro_batch_photos
        first = step * self.recipe.batch_photos + number * size
        return range(first, first + size)

    def _start(self, pool: ThreadPoolExecutor, step: int, number: int) -> _Reading:
        positions, side = self._positions(step, number), self.recipe.crop_pixels
        pixels = np.empty((len(positions), side, side, 3), np.float32)
        photos = [pool.submit(self._photo, *each) for each in zip(positions, pixels, strict=True)]
        return _Reading(step, number, pixels, photos)

    def _photo(self, position: int, out: NDArray[np.float32]) -> int:
        """Write a photo to ``out``, [crop_pixels, crop_pixels, 3]; return its species' column."""
        row = photo_at(position, photos=len(self.photos), seed=self.recipe.seed)
        rng = rng_at(self.recipe.seed, RngKey.PIXELS, position)
        digest = None if self.digests is None else int(self.digests[row])
        resized = read_resized(self.photos[row], self.recipe.resize_pixels, digest)
        pixels = augment_resized(resized, self.recipe, rng)
        normalise_into(pixels, self.recipe.preprocessing, out)
        return int(self.truth[row])


@dataclass(frozen=True, eq=False)
class _Reading:
    """A micro-batch whose photos are being written to ``pixels``."""

    step: int
    number: int
    pixels: NDArray[np.float32]
    photos: list[Future[int]]

    def result(self) -> MicroBatch:
        """Wait for all photos and return the micro-batch."""
        truth = torch.tensor([photo.result() for photo in self.photos])
        pixels = torch.from_numpy(self.pixels).permute(0, 3, 1, 2)
        return MicroBatch(self.step, self.number, pixels, truth)
