"""Percentile bootstrap over observations."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from numpy.typing import NDArray

CONFIDENCE = 0.95
PERCENTILES = (50 * (1 - CONFIDENCE), 50 * (1 + CONFIDENCE))


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


def bootstrap_observations(
    observations: Sequence[str],
    metrics: Callable[[NDArray[np.float64]], Sequence[float]],
    *,
    resamples: int,
    seed: int,
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Compute metrics on resamples of whole observations.

    Photos of one observation show the same snake and are not independent, so they are drawn
    together.

    Args:
        observations: observation of each photo.
        metrics: computes the metrics from the weight of each photo, [photos].
        resamples: number of resamples.
        seed: of the resampling.

    Returns:
        The metrics with weights of one, [metrics], and those of each resample,
        [resamples, metrics].
    """
    number = np.unique(observations, return_inverse=True)[1]
    count = int(number.max()) + 1
    rng, uniform = np.random.default_rng(seed), np.full(count, 1 / count)
    whole = np.array(metrics(np.ones(len(number))))
    resampled = np.array(
        [
            metrics(rng.multinomial(count, uniform)[number].astype(np.float64))
            for _ in range(resamples)
        ]
    )
    return whole, resampled
