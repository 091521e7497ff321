"""Calibration errors in bins, with the value that chance alone gives them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

_REPEATS = 100


def bin_of(p: NDArray[np.float64], bins: int) -> NDArray[np.int64]:
    """Return the bin of equal width of each probability."""
    return np.minimum((p * bins).astype(np.int64), bins - 1)


def calibration_error(p: NDArray[np.float64], happened: NDArray[np.float64], bins: int) -> float:
    """Return the mean over photos of |mean p - fraction right| of their bin (ECE)."""
    gaps = np.bincount(bin_of(p, bins), weights=p - happened, minlength=bins)
    return float(np.abs(gaps).sum() / len(p))


def calibration_error_floor(p: NDArray[np.float64], bins: int) -> float:
    """Return the mean ECE of perfectly calibrated probabilities on so many photos.

    The ECE is biased: a mean of absolute values is above 0 for any finite number of photos. Answers
    are drawn from the probabilities themselves, 100 times with a fixed seed.

    Args:
        p: [photos], probability of the first answer.
        bins: of equal width.
    """
    rng, place = np.random.default_rng(0), bin_of(p, bins)
    expected = np.bincount(place, weights=p, minlength=bins)
    gaps = [
        np.abs(expected - np.bincount(place[rng.random(len(p)) < p], minlength=bins)).sum()
        for _ in range(_REPEATS)
    ]
    return float(np.mean(gaps) / len(p))


def rms_calibration_error(
    p: NDArray[np.float64], happened: NDArray[np.float64], bins: int
) -> float:
    """Return the debiased root mean square calibration error (Kumar et al. 2019, section 5).

    The variance of the fraction right is subtracted from the squared gap of each bin. A bin of one
    photo counts 0, and a negative sum is 0.
    """
    place = bin_of(p, bins)
    photos = np.bincount(place, minlength=bins)
    several = photos > 1
    n = photos[several]
    right = np.bincount(place, weights=happened, minlength=bins)[several] / n
    gap = np.bincount(place, weights=p, minlength=bins)[several] / n - right
    square = (n * (gap**2 - right * (1 - right) / (n - 1))).sum() / len(p)
    return float(np.sqrt(max(square, 0.0)))
