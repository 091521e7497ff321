"""Split conformal prediction: sets of species with a guaranteed coverage of the true one.

The threshold is fitted on photos that neither training nor another fit uses; the set of a photo
holds every species below it. The guarantee holds for any network, a bad one has larger sets. It is
about photos of the same distribution, not about a single photo.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from ophis.errors import InputError
from ophis.scores.scores import log_probabilities
from ophis.taxonomy.species_list import require_same_species

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from ophis.scores.scores import Scores
    from ophis.taxonomy.species_list import SpeciesList

# Penalty of each rank beyond the free ones; it keeps the sets of ambiguous photos small.
PENALTY, FREE_RANKS = 0.01, 5
# A threshold equals one of the sums that are compared with it, and the last digits of sums differ
# between processors and browsers.
ROUNDING = 1e-9


@dataclass(frozen=True, eq=False)
class PredictionSets:
    """Conformal sets; see `fit_sets`.

    Attributes:
        species: species list of the fit.
        coverage: least probability that the set holds the true species.
        thresholds: [species], highest nonconformity in the set; inf with too few photos for the
            guarantee, so that the species is in every set.
        photos: number of photos of the fit.
    """

    species: SpeciesList
    coverage: float
    thresholds: NDArray[np.float64]
    photos: int

    def __post_init__(self) -> None:
        if self.thresholds.shape != (len(self.species),):
            raise InputError(f"{self.thresholds.size} thresholds for {len(self.species)} species")
        if np.isnan(self.thresholds).any():
            raise InputError("a threshold is NaN")

    def sets(self, scores: Scores) -> NDArray[np.bool_]:
        """Return the set of each photo, [photos, species]; no set is empty.

        Raises:
            InputError: the scores are of other species, or in another order.
        """
        require_same_species(
            scores.species,
            self.species,
            names=("the scores", "what the sets were fitted on"),
            fix="fit them on scores of this model",
        )
        found = nonconformity(scores) <= self.thresholds + ROUNDING
        found[np.arange(len(scores)), scores.logits.argmax(axis=1)] = True
        return found


def nonconformity(scores: Scores) -> NDArray[np.float64]:
    """Return the nonconformity of each species, [photos, species].

    The probability of all species that are more probable (Romano et al. 2020), plus a
    penalty for each rank beyond the fifth (Angelopoulos et al. 2021); 0 for the most probable
    species. There is no randomisation, so that the answer to a photo is deterministic. The sum
    excludes the species itself, which would make sets several times as large. Equally probable
    species have the same value.
    """
    p = np.exp(log_probabilities(scores.logits))
    order = np.argsort(-p, axis=1, kind="stable")
    places = np.arange(p.shape[1])
    sorted_p = np.take_along_axis(p, order, axis=1)
    ranked = sorted_p.cumsum(axis=1) - sorted_p
    ranked += PENALTY * np.maximum(places + 1 - FREE_RANKS, 0)
    lower = np.diff(sorted_p, axis=1, prepend=np.inf) < 0
    first = np.maximum.accumulate(np.where(lower, places, 0), axis=1)
    ranked = np.take_along_axis(ranked, first, axis=1)
    result = np.empty_like(p)
    np.put_along_axis(result, order, ranked, axis=1)
    return result


def fit_sets(
    scores: Scores, *, coverage: float = 0.9, groups: NDArray[np.int64] | None = None
) -> PredictionSets:
    """Fit the threshold, or one for each group of species.

    Args:
        scores: of photos that no other fit uses; those of unknown species are ignored.
        coverage: least probability that a set holds the true species, in (0, 1).
        groups: [species], numbers. The guarantee then holds within each group, such as the
            venomous species.

    Raises:
        InputError: no photo has a known species, or coverage is not between 0 and 1.
    """
    if not 0 < coverage < 1:
        raise InputError(f"coverage = {coverage} should lie between 0 and 1")
    known = scores.take(scores.truth >= 0)
    if not len(known):
        raise InputError("no photo has a known species, so no threshold can be fitted; label some")
    own = nonconformity(known)[np.arange(len(known)), known.truth]
    groups = np.zeros(len(scores.species), np.int64) if groups is None else groups
    thresholds = np.empty(len(groups))
    for group in np.unique(groups):
        thresholds[groups == group] = conformal_threshold(
            own[groups[known.truth] == group], coverage
        )
    return PredictionSets(scores.species, coverage, thresholds, len(known))


def conformal_threshold(values: NDArray[np.float64], coverage: float) -> float:
    """Return the k-th smallest of n values, k = ceil((n + 1) coverage); infinite for k > n."""
    k = int(np.ceil((len(values) + 1) * coverage - 1e-9))  # (9 + 1) * 0.9 is 9, not 9.000000001
    return float(np.sort(values)[k - 1]) if k <= len(values) else np.inf
