"""Example photos of a report: discrepancies with saliency maps, and a mixup of two photos."""

from __future__ import annotations

import base64
import io
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from matplotlib import colormaps
from PIL import Image

from ophis.errors import PhotoError
from ophis.images.decode import read_photo
from ophis.images.preprocessing import resize

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from numpy.typing import NDArray

    from ophis.datasets.manifest import Manifest
    from ophis.datasets.shards.reader import PackedPhoto
    from ophis.evaluation.comparison import Comparison, Discrepancy
    from ophis.evaluation.run import ScoredRun

PICTURE_PIXELS = 160
MAX_DISCREPANCIES = 12  # of each model


@dataclass(frozen=True)
class SaliencyMaps:
    """Saliency of models A and B for one photo.

    Attributes:
        maps: of A and of B, [rows, columns], at least 0.
        concentration: of each map, in [0, 1]; 0 if all pixels are equal, 1 for a single pixel.
        inside: fraction of each map's sum inside the snake's box; None without a box.
    """

    maps: tuple[NDArray[np.float32], NDArray[np.float32]]
    concentration: tuple[float, float]
    inside: tuple[float, float] | None = None


@dataclass(frozen=True)
class Example:
    """Labelled pictures, as data: URLs, under one caption."""

    caption: str
    pictures: tuple[tuple[str, str], ...]


@dataclass(frozen=True)
class DiscrepancyCard:
    """Discrepancy with its labelled pictures, as data: URLs."""

    discrepancy: Discrepancy
    pictures: tuple[tuple[str, str], ...] = ()
    concentration: tuple[float, float] | None = None
    inside: tuple[float, float] | None = None


def discrepancy_cards(
    comparison: Comparison, photos: Manifest | None, maps: Mapping[str, SaliencyMaps]
) -> list[tuple[str, list[DiscrepancyCard]]]:
    """Return the largest discrepancies of both models under a title each."""
    paths: dict[str, Path | PackedPhoto] = {}
    if photos is not None:
        paths = dict(zip(photos.table["photo_id"], photos.photos(), strict=True))
    a, b = comparison.names
    lists = (
        (f"{b} is right; lowest probability by {a} first", comparison.gains_of_b),
        (f"{a} is right; lowest probability by {b} first", comparison.gains_of_a),
    )
    return [
        (
            title,
            [
                _card(x, comparison.names, paths.get(x.photo_id), maps.get(x.photo_id))
                for x in found[:MAX_DISCREPANCIES]
            ],
        )
        for title, found in lists
    ]


def _card(
    discrepancy: Discrepancy,
    names: Sequence[str],
    path: Path | PackedPhoto | None,
    maps: SaliencyMaps | None,
) -> DiscrepancyCard:
    if path is None:
        return DiscrepancyCard(discrepancy)
    try:
        photo = resize(read_photo(path), PICTURE_PIXELS)
    except PhotoError:  # deleted after scoring: the numbers are complete without it
        return DiscrepancyCard(discrepancy)
    pictures = [("photo", data_url(photo))]
    if maps is None:
        return DiscrepancyCard(discrepancy, tuple(pictures))
    pictures += [
        (name, data_url(overlay(photo, own))) for name, own in zip(names, maps.maps, strict=True)
    ]
    return DiscrepancyCard(discrepancy, tuple(pictures), maps.concentration, maps.inside)


def mixup_example(runs: tuple[ScoredRun, ScoredRun], photos: Manifest) -> Example | None:
    """Return two photos of different species and their mixup, as in figure 3 of the paper."""
    alpha = next((s.recipe.mixup_alpha for s in runs if s.recipe and s.recipe.mixup_alpha), None)
    species = photos.table["species"].to_list()
    other = next((row for row, name in enumerate(species) if name != species[0]), None)
    if alpha is None or other is None:
        return None
    try:
        pair = [resize(read_photo(photos.photos()[n]), PICTURE_PIXELS) for n in (0, other)]
    except PhotoError:
        return None
    weights = np.random.default_rng(0).beta(alpha, alpha, 10)
    weight = float(weights[np.abs(weights - 0.5).argmin()])
    mixed = (weight * pair[0] + (1 - weight) * pair[1]).astype(np.uint8)
    return Example(
        f"Two photos and their mixup, with the most even of ten weights drawn from Beta({alpha:g},"
        f" {alpha:g}): {weight:.2f} for the first. Both species are targets, with these weights.",
        (
            (species[0], data_url(pair[0])),
            (species[other], data_url(pair[1])),
            (f"{weight:.2f} : {1 - weight:.2f}", data_url(mixed)),
        ),
    )


def overlay(photo: NDArray[np.uint8], saliency: NDArray[np.float32]) -> NDArray[np.uint8]:
    """Draw a saliency map over a dark grey copy of its photo, both square.

    Values are clipped at the 99th percentile, so that a single pixel does not hide the others.
    """
    side = photo.shape[0]
    small = Image.fromarray(saliency).resize((side, side), Image.Resampling.BOX)
    strength = np.asarray(small) / max(float(np.percentile(np.asarray(small), 99)), 1e-12)
    strength = np.clip(strength, 0, 1)[..., None]
    colour = colormaps["inferno"](strength[..., 0])[..., :3] * 255
    grey = photo.mean(axis=2, keepdims=True) * 0.45
    return (grey * (1 - strength) + colour * strength).astype(np.uint8)


def data_url(picture: NDArray[np.uint8]) -> str:
    """Return a picture as a data: URL."""
    file = io.BytesIO()
    Image.fromarray(picture).save(file, "WEBP", quality=70, method=6)
    return f"data:image/webp;base64,{base64.b64encode(file.getvalue()).decode()}"
