"""95 % intervals: delete-one jackknife over observations, and percentiles of resamples.

A bootstrap resample lacks a third of the species that have one photo, so that the label set of
macro F1, and with it the bias, changes from resample to resample. The jackknife leaves out one
observation at a time. Its variance is biased upwards (Efron and Stein 1981), so its intervals are
rather too wide than too narrow; `benchmarks/intervals.py` measures their coverage.
"""

from __future__ import annotations

from dataclasses import dataclass
from statistics import NormalDist
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

CONFIDENCE = 0.95
PERCENTILES = (50 * (1 - CONFIDENCE), 50 * (1 + CONFIDENCE))
MAX_GROUPS = 1000


@dataclass(frozen=True)
class Interval:
    """Value with the bounds of its 95 % interval."""

    value: float
    low: float
    high: float


def percentile_interval(value: float, resampled: NDArray[np.float64]) -> Interval:
    """Return a value between the percentiles of its resamples, [resamples]."""
    low, high = np.percentile(resampled, PERCENTILES)
    return Interval(float(value), float(low), float(high))


def jackknife_groups(observations: Sequence[str]) -> NDArray[np.int64]:
    """Return the group of each photo, [photos], from 0; a group is left out as a whole.

    Photos of one observation show the same snake and are not independent, so an observation is in
    one group. Up to 1,000 observations are a group each, more are divided at random with a fixed
    seed.
    """
    number = np.unique(observations, return_inverse=True)[1].astype(np.int64)
    count = int(number.max()) + 1
    if count <= MAX_GROUPS:
        return number
    return (np.random.default_rng(0).permutation(count) % MAX_GROUPS)[number]


def jackknife_interval(
    value: float,
    left_out: NDArray[np.float64],
    *,
    limits: tuple[float, float] = (-np.inf, np.inf),
) -> Interval:
    """Return a value with its 95 % interval: t quantile times the jackknife's standard error.

    Args:
        value: of all photos.
        left_out: [groups], the value without the photos of each group of `jackknife_groups`.
        limits: of possible values. One group shows no spread: its interval is the limits. Where all
            answers are right, or all wrong, the interval is the exact binomial one of the groups.
    """
    groups = len(left_out)
    if groups < 2:
        return Interval(float(value), *map(float, limits))
    deviations = left_out - left_out.mean()
    half = t_quantile(groups - 1) * np.sqrt((groups - 1) / groups * (deviations**2).sum())
    if half < 1e-12 and value in limits:  # limits that a value reaches are finite
        half = (1 - ((1 - CONFIDENCE) / 2) ** (1 / groups)) * (limits[1] - limits[0])
    low, high = np.clip((value - half, value + half), *limits)
    return Interval(float(value), float(low), float(high))


def t_quantile(freedom: int) -> float:
    """Return the 97.5 % quantile of Student's t within 0.2 % (Abramowitz and Stegun 26.7.5).

    Evaluation works without SciPy, which only the extra `train` installs.
    """
    z = NormalDist().inv_cdf((1 + CONFIDENCE) / 2)
    if freedom < 3:  # closed forms
        p = (1 + CONFIDENCE) / 2
        if freedom == 1:
            return float(np.tan(np.pi * (p - 0.5)))
        return float((2 * p - 1) * np.sqrt(2 / (4 * p * (1 - p))))
    terms = (
        np.polyval([1, 0, 1, 0], z) / 4,
        np.polyval([5, 0, 16, 0, 3, 0], z) / 96,
        np.polyval([3, 0, 19, 0, 17, 0, -15, 0], z) / 384,
        np.polyval([79, 0, 776, 0, 1482, 0, -1920, 0, -945, 0], z) / 92160,
    )
    return float(z + sum(term / freedom**n for n, term in enumerate(terms, start=1)))
