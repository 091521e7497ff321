"""Gain in recall of model B over model A by species, and its trend over the training photos."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from ophis.evaluation.intervals import PERCENTILES, Interval, percentile_interval
from ophis.evaluation.metrics import predictions

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

    from ophis.scores.scores import Scores


@dataclass(frozen=True)
class SpeciesGain:
    """Results of models A and B on the photos of one species."""

    species: str
    training_photos: int | None
    photos: int
    recall_a: float
    recall_b: float
    f1_a: float
    f1_b: float

    @property
    def gain(self) -> float:
        """Recall of B less that of A."""
        return self.recall_b - self.recall_a


@dataclass(frozen=True)
class Trend:
    """Regression line of the species' gains over log10 of their training photos.

    Attributes:
        slope: gain in recall for ten times the training photos; negative if rare species gain most.
        photos: training photos at which the line is evaluated.
        line, low, high: the line and its pointwise 95 % band.
    """

    slope: Interval
    photos: NDArray[np.float64]
    line: NDArray[np.float64]
    low: NDArray[np.float64]
    high: NDArray[np.float64]


def species_gains(
    a: Scores, b: Scores, training_photos: Mapping[str, int] | None
) -> tuple[SpeciesGain, ...]:
    """Return a row for each species that occurs, in the order of the species list."""
    length, truth = len(a.species), a.truth
    photos = np.bincount(truth, minlength=length)
    recall_a, f1_a = _recall_and_f1(truth, predictions(a), length)
    recall_b, f1_b = _recall_and_f1(truth, predictions(b), length)
    return tuple(
        SpeciesGain(
            species=a.species[s],
            training_photos=None
            if training_photos is None
            else training_photos.get(a.species[s], 0),
            photos=int(photos[s]),
            recall_a=float(recall_a[s]),
            recall_b=float(recall_b[s]),
            f1_a=float(f1_a[s]),
            f1_b=float(f1_b[s]),
        )
        for s in np.flatnonzero(photos)
    )


def _recall_and_f1(
    truth: NDArray[np.int64], answer: NDArray[np.int64], length: int
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Recall and F1 of each species, [species]; 0 where a species does not occur."""
    photos = np.bincount(truth, minlength=length)
    hit = np.bincount(truth[truth == answer], minlength=length)
    answered = np.bincount(answer, minlength=length)
    return hit / np.maximum(photos, 1), 2 * hit / np.maximum(photos + answered, 1)


def fit_trend(rows: tuple[SpeciesGain, ...], *, resamples: int, seed: int) -> Trend | None:
    """Fit the gains over log10(training photos) by least squares, with equal weight of species.

    The interval comes from a bootstrap over species.

    Returns:
        The trend, or None if fewer than three different numbers of training photos are known.
    """
    rows = tuple(row for row in rows if row.training_photos)
    if len({row.training_photos for row in rows}) < 3:
        return None
    x = np.log10([float(row.training_photos or 0) for row in rows])
    y = np.array([row.gain for row in rows])
    at = np.linspace(x.min(), x.max(), 50)
    rng = np.random.default_rng(seed)
    weights = rng.multinomial(len(x), np.full(len(x), 1 / len(x)), size=resamples)
    slopes, offsets = _lines(x, y, np.concatenate([np.ones((1, len(x))), weights]))
    resampled = offsets[1:, None] + slopes[1:, None] * at
    # A resample of a single species has no slope.
    resampled = resampled[np.isfinite(resampled).all(axis=1)]
    low, high = np.percentile(resampled, PERCENTILES, axis=0)
    return Trend(
        slope=percentile_interval(slopes[0], slopes[1:][np.isfinite(slopes[1:])]),
        photos=10**at,
        line=offsets[0] + slopes[0] * at,
        low=low,
        high=high,
    )


def _lines(
    x: NDArray[np.float64], y: NDArray[np.float64], weights: NDArray[np.float64]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return slopes and offsets of weighted least squares, one line for each row of weights."""
    total = weights.sum(axis=1)
    mean_x, mean_y = weights @ x / total, weights @ y / total
    covariance = weights @ (x * y) / total - mean_x * mean_y
    variance = weights @ (x * x) / total - mean_x**2
    slopes = np.full(len(total), np.nan)
    np.divide(covariance, variance, out=slopes, where=variance > 1e-12)
    return slopes, mean_y - slopes * mean_x
