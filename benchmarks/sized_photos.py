"""Photos of a given size, like those of cameras: JPEG of quality 90, 4:2:0, with noise."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image

from ophis import read_manifest
from ophis.datasets.synthetic.camera import photograph
from ophis.datasets.synthetic.population import sightings
from ophis.images.decode import decode, read_photo

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

NOISE = 4.0  # std, of 255: replaces the noise lost by enlarging, so that files keep their size


def sized_photos(
    count: int, size: tuple[int, int], *, manifest: Path | None = None, seed: int = 0
) -> list[bytes]:
    """Return JPEG files of ``size``, (width, height): synthetic, or resized from a manifest."""
    rng = np.random.default_rng(seed)
    return [_as_taken(photo, size, rng) for photo in _originals(count, manifest, seed)]


def _originals(count: int, manifest: Path | None, seed: int) -> Iterator[Image.Image]:
    if manifest:
        paths = read_manifest(manifest).paths()
        chosen = np.random.default_rng(seed).permutation(len(paths))[:count]
        yield from (read_photo(paths[row]) for row in chosen)
    else:
        for sighting in sightings(max(count, 36), seed=seed)[:count]:
            yield decode(photograph(sighting, seed=seed).data)


def _as_taken(photo: Image.Image, size: tuple[int, int], rng: np.random.Generator) -> bytes:
    large = np.asarray(photo.resize(size, Image.Resampling.BICUBIC), np.float32)
    noisy = large + rng.normal(0, NOISE, large.shape).astype(np.float32)
    file = io.BytesIO()
    picture = Image.fromarray(np.clip(noisy + 0.5, 0, 255).astype(np.uint8))
    picture.save(file, "JPEG", quality=90, subsampling="4:2:0")
    return file.getvalue()
