"""Split of validation scores: one half to fit on, one half to calibrate guarantees on."""

from __future__ import annotations

import zlib
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from ophis.scores.scores import Scores

MIN_FITTING_PHOTOS = (
    50  # labelled photos; with fewer, a bundle's calibration and prior keep defaults
)


def validation_halves(scores: Scores) -> tuple[Scores, Scores]:
    """Return one half to fit calibration and prior on, and one half to fit the guarantees on.

    A guarantee does not hold on photos that the calibration or the prior is fitted on. Photos of
    one observation stay in one half, which depends on the observation's name only.
    """
    first = np.array([zlib.crc32(name.encode()) % 2 == 0 for name in scores.observations], bool)
    return scores.take(first), scores.take(~first)
