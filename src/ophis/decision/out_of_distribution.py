"""Is it like the photos that were learned from: a measure, and how well it tells other things.

NumPy only. The distance itself comes out of the network; see `train/familiarity.py`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from ophis.decision.conformal import conformal_threshold
from ophis.errors import InputError
from ophis.taxonomy.species_list import require_same_species

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from ophis.scores.scores import Scores

PASSING = 0.9  # how many photos of real snakes are not to be refused


def strangeness(scores: Scores) -> NDArray[np.float64]:
    """How unlike the photos learned from each is, [photos]: novelty, else the energy.

    The energy is -log sum exp of the raw logits (Liu et al. 2020), which any network has.
    """
    if scores.novelty is not None:
        return scores.novelty.astype(np.float64)
    highest = scores.logits.max(axis=1).astype(np.float64)
    return -highest - np.log(np.exp(scores.logits - highest[:, None]).sum(axis=1))


@dataclass(frozen=True)
class Separation:
    """How well strangeness tells other things from snakes.

    Attributes:
        auroc: chance that a photo of another thing is stranger than one of a snake.
        low, high: its 95 % interval (DeLong et al. 1988).
        refused: share of other things refused when `PASSING` of these snakes pass.
    """

    auroc: float
    low: float
    high: float
    refused: float

    def as_dict(self) -> dict[str, float]:
        """The figures by name."""
        return {
            "others refused": self.refused,
            "AUROC": self.auroc,
            "AUROC low": self.low,
            "AUROC high": self.high,
        }


def separation(snakes: Scores, others: Scores, *, passing: float = PASSING) -> Separation:
    """Judge the refusal of other things; neither part was learned from.

    Raises:
        InputError: when either has fewer than two photos, only one has novelty, or they are of
            different species: then they are not of the same model.
    """
    require_same_species(
        snakes.species,
        others.species,
        names=("the scores of snakes", "those of other things"),
        mend="score both with the same bundle",
    )
    if (snakes.novelty is None) != (others.novelty is None):
        raise InputError(
            "only one of the two scores files holds novelty; score both with the same bundle"
        )
    if min(len(snakes), len(others)) < 2:
        raise InputError("two photos or more of snakes and of other things are needed")
    inside, outside = strangeness(snakes), strangeness(others)
    beaten = _placements(outside, inside)  # of each other thing: share of snakes less strange
    ahead = 1 - _placements(inside, outside)
    auroc = float(beaten.mean())
    error = float(np.sqrt(beaten.var(ddof=1) / len(others) + ahead.var(ddof=1) / len(snakes)))
    limit = conformal_threshold(inside, passing)
    return Separation(
        auroc=auroc,
        low=max(0.0, auroc - 1.96 * error),
        high=min(1.0, auroc + 1.96 * error),
        refused=float((outside > limit).mean()),
    )


def _placements(values: NDArray[np.float64], among: NDArray[np.float64]) -> NDArray[np.float64]:
    """Share of ``among`` below each value, ties as halves."""
    ordered = np.sort(among)
    below, through = (np.searchsorted(ordered, values, side) for side in ("left", "right"))
    return (below + through) / 2 / len(among)
