"""Temperature of logits, fitted by log loss (Guo et al. 2017)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from ophis.errors import InputError

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from ophis.scores.scores import Scores

LOWEST, HIGHEST = 1e-3, 1e3  # of a temperature


def best_temperature(
    scores: Scores,
    factors: NDArray[np.floating[Any]] | float = 0.0,
    *,
    tolerance: float = 1e-12,
) -> float:
    """Return the temperature with the least log loss; it divides logits, not probabilities.

    The loss is convex in 1 / temperature: its slope has one zero, found by bisection, which needs
    no SciPy and no sign change.

    Args:
        scores: scores of photos of a known species.
        factors: added to the divided logits, [photos, species]: the logarithms of a prior, finite
            at the true species.
        tolerance: of the temperature, relative.

    Raises:
        InputError: a true species has a logit of -inf.
    """
    rows = np.arange(len(scores))
    own = scores.logits[rows, scores.truth]
    if np.isneginf(own).any():
        row = int(np.isneginf(own).argmax())
        raise InputError(
            f"photo {scores.photo_ids[row]!r}: the scores exclude its true species;"
            " calibrate the scores of the image, before any prior"
        )
    # A constant subtracted from a row changes nothing; each row has a finite logit.
    logits = scores.logits - scores.logits.max(axis=1, keepdims=True)
    finite = np.where(np.isneginf(logits), 0, logits)
    own = logits[rows, scores.truth]

    def slope(scale: float) -> float:
        joint = scale * logits + factors
        p = np.exp(joint - joint.max(axis=1, keepdims=True))
        expected = np.einsum("ps,ps->p", p, finite) / p.sum(axis=1)
        return float((expected - own).mean(dtype=np.float64))

    low, high = -np.log(HIGHEST), -np.log(LOWEST)
    while high - low > tolerance:
        middle = (low + high) / 2
        low, high = (middle, high) if slope(float(np.exp(middle))) < 0 else (low, middle)
    return float(np.exp(-(low + high) / 2))
