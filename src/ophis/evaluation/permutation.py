"""Exact sign-flip permutation test of paired differences."""

from __future__ import annotations

from math import lgamma, log
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray


def sign_flip_test(differences: NDArray[np.int64]) -> float:
    """Return the two-sided p of no difference: that of the sum under random signs.

    Under the null hypothesis each difference is as probable as its negative. The distribution of
    the sum is a convolution of binomial ones, so p is exact up to rounding. If all differences are
    -1, 0 or 1, this is McNemar's exact test (McNemar 1947, exact form), a binomial test.

    Args:
        differences: integers of independent units, such as the difference of two models in correct
            photos of each observation.
    """
    observed, most = abs(int(differences.sum())), int(np.abs(differences).sum())
    # For many photos the far tails are dropped, which changes p by less than 1e-30.
    least = 0.0 if most < 20_000 else 1e-40
    sizes, counts = np.unique(np.abs(differences[differences != 0]), return_counts=True)
    first, probabilities = 0, np.ones(1)  # of the sums first, first + 1, ...
    for size, count in zip(sizes.tolist(), counts.tolist(), strict=True):
        below, heads = _trimmed(_binomial(count), least)
        signs = np.zeros(2 * size * (len(heads) - 1) + 1)
        signs[:: 2 * size] = heads
        first += size * (2 * below - count)
        below, probabilities = _trimmed(np.convolve(probabilities, signs), least)
        first += below
    sums = np.arange(first, first + len(probabilities))
    return min(1.0, float(probabilities[np.abs(sums) >= observed].sum()))


def _trimmed(probabilities: NDArray[np.float64], least: float) -> tuple[int, NDArray[np.float64]]:
    """Return the number of leading values of at most ``least``, and the values between the ends."""
    inside = np.flatnonzero(probabilities > least)
    return int(inside[0]), probabilities[inside[0] : inside[-1] + 1]


def _binomial(count: int) -> NDArray[np.float64]:
    """Return the probabilities of 0 to ``count`` heads of a fair coin."""
    logs = np.array([lgamma(n + 1) for n in range(count + 1)])
    return np.exp(logs[-1] - logs - logs[::-1] - count * log(2))
