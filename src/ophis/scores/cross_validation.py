"""Cross-validation over observations, and the gain of one model over another."""

from __future__ import annotations

from hashlib import sha256
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

FOLDS = 5
CLEAR_GAIN = 2.0  # standard errors by which a more complex model has to win


def folds(observations: Sequence[str]) -> NDArray[np.int64]:
    """Return the fold of each photo, [photos], from 0 to 4.

    Photos of one observation share a fold, and folds have equal numbers of observations. The order
    by digest is independent of the meaning of the names.
    """
    names, of_photo = np.unique(np.array(observations, dtype=object), return_inverse=True)
    order = sorted(range(len(names)), key=lambda n: sha256(names[n].encode()).digest())
    fold = np.empty(len(names), np.int64)
    fold[order] = np.arange(len(names)) % FOLDS
    return fold[of_photo]


def mean_gain(gains: NDArray[np.floating], observations: Sequence[str]) -> tuple[float, float]:
    """Return the mean of paired gains and its standard error over observations.

    Photos of one observation are correlated, so the error is over sums of observations; it is
    infinite for a single one.

    Args:
        gains: loss of one model minus that of the other, [photos].
        observations: of the photos.
    """
    _, of_photo = np.unique(np.array(observations, dtype=object), return_inverse=True)
    gain = float(gains.mean(dtype=np.float64))
    sums = np.bincount(of_photo, gains - gain)
    return gain, float(np.sqrt(sums @ sums) / len(gains)) if len(sums) > 1 else np.inf
