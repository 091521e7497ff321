"""Out-of-distribution (OOD) detection: OOD scores, and how well they separate OOD photos.

NumPy only. The Mahalanobis distance is an output of the network, see `train.out_of_distribution`.
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

PASSING = 0.9  # fraction of in-distribution photos that are not to be rejected


def ood_scores(scores: Scores) -> NDArray[np.float64]:
    """Return the OOD score of each photo, [photos]: the network's own, else the energy.

    The energy is -log sum exp of the raw logits (Liu et al. 2020), which every network has.
    """
    if scores.ood_score is not None:
        return scores.ood_score.astype(np.float64)
    highest = scores.logits.max(axis=1).astype(np.float64)
    return -highest - np.log(np.exp(scores.logits - highest[:, None]).sum(axis=1))


@dataclass(frozen=True)
class OodDetection:
    """Results of OOD detection.

    Attributes:
        auroc: probability that an OOD photo has a higher OOD score than a photo of a snake.
        low, high: 95 % confidence interval of the AUROC (DeLong et al. 1988).
        rejected: fraction of OOD photos rejected at the threshold that a fraction `PASSING` of the
            photos of snakes pass.
    """

    auroc: float
    low: float
    high: float
    rejected: float

    def as_dict(self) -> dict[str, float]:
        """Return the results by name."""
        return {
            "ood_rejected": self.rejected,
            "auroc": self.auroc,
            "auroc_low": self.low,
            "auroc_high": self.high,
        }


def ood_detection(snakes: Scores, others: Scores, *, passing: float = PASSING) -> OodDetection:
    """Evaluate OOD detection on photos that the model was not trained on.

    Args:
        snakes: scores of photos of snakes, in distribution.
        others: scores of OOD photos.
        passing: fraction of ``snakes`` that the threshold lets pass.

    Raises:
        InputError: one of the two has fewer than two photos, only one has OOD scores, or their
            species differ, because the scores are of different models.
    """
    require_same_species(
        snakes.species,
        others.species,
        names=("the scores of snakes", "those of OOD photos"),
        fix="score both with the same bundle",
    )
    if (snakes.ood_score is None) != (others.ood_score is None):
        raise InputError(
            "only one of the two scores files holds OOD scores; score both with the same bundle"
        )
    if min(len(snakes), len(others)) < 2:
        raise InputError("OOD detection needs two photos or more of snakes and of other things")
    inside, outside = ood_scores(snakes), ood_scores(others)
    below = _fractions_below(outside, inside)  # [OOD photos]
    above = 1 - _fractions_below(inside, outside)  # [photos of snakes]
    auroc = float(below.mean())
    error = float(np.sqrt(below.var(ddof=1) / len(others) + above.var(ddof=1) / len(snakes)))
    limit = conformal_threshold(inside, passing)
    return OodDetection(
        auroc=auroc,
        low=max(0.0, auroc - 1.96 * error),
        high=min(1.0, auroc + 1.96 * error),
        rejected=float((outside > limit).mean()),
    )


def _fractions_below(
    values: NDArray[np.float64], among: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Return the fraction of ``among`` below each value; ties count as halves."""
    ordered = np.sort(among)
    below, through = (np.searchsorted(ordered, values, side) for side in ("left", "right"))
    return (below + through) / 2 / len(among)
