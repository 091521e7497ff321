"""Sets of species that hold the true one as often as promised: split conformal prediction.

From photos that neither training nor any fit has seen follows a threshold; a new photo of the same
kind then gets every species below it. The promise holds for any network, however bad: a bad one
gets large sets. It is a promise about photos like those, not about any single one.
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

# Species beyond this rank count as so much less likely: it keeps sets of doubtful photos short.
PENALTY, FREE_RANKS = 0.01, 5
# A threshold is one of the sums that it is compared with, and where a country excludes species many
# photos have the same one. Processors and browsers add up with other last digits.
ROUNDING = 1e-9


@dataclass(frozen=True, eq=False)
class PredictionSets:
    """What `fit_sets` found.

    Attributes:
        species: what it was fitted on.
        coverage: how often the set holds the true species, at least.
        thresholds: [species], what its nonconformity may be; inf where there were too few photos
            for the promise: then the species is always in.
        photos: that it was fitted on.
    """

    species: SpeciesList
    coverage: float
    thresholds: NDArray[np.float64]
    photos: int

    def __post_init__(self) -> None:
        if self.thresholds.shape != (len(self.species),):
            raise InputError(f"{self.thresholds.size} thresholds for {len(self.species)} species")
        if np.isnan(self.thresholds).any():
            raise InputError("a threshold is no number (NaN)")

    def sets(self, scores: Scores) -> NDArray[np.bool_]:
        """Which species are in the set of each photo, [photos, species]; never none of them.

        Raises:
            InputError: when it was fitted on other species, or in another order.
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
    """How unlike the network's opinion each species would be, [photos, species].

    The probability of all species that are more probable (Romano et al. 2020), and a little more
    for each rank beyond the fifth (Angelopoulos et al. 2021): 0 for the most probable, which is in
    every set for that. Without their randomisation, so that one photo has one answer; with the
    species' own probability in the sum, sets would hold more than promised and be several times
    as large. Of equally probable species each has the first one's value: their order says nothing.
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
    """Find the threshold, or one for each group of species.

    Args:
        scores: of photos that nothing was fitted on; those of unknown species are left out.
        coverage: how often sets are to hold the true species, in (0, 1).
        groups: [species], numbers. The promise then holds within each group by itself: of the
            venomous snakes, too, so many sets hold the true species.

    Raises:
        InputError: when no photo has a known species, or coverage is not between 0 and 1.
    """
    if not 0 < coverage < 1:
        raise InputError(f"coverage = {coverage} should lie between 0 and 1")
    known = scores.take(scores.truth >= 0)
    if not len(known):
        raise InputError("no photo has a known species, so no set can be promised; label some")
    own = nonconformity(known)[np.arange(len(known)), known.truth]
    groups = np.zeros(len(scores.species), np.int64) if groups is None else groups
    thresholds = np.empty(len(groups))
    for group in np.unique(groups):
        thresholds[groups == group] = conformal_threshold(
            own[groups[known.truth] == group], coverage
        )
    return PredictionSets(scores.species, coverage, thresholds, len(known))


def conformal_threshold(values: NDArray[np.float64], coverage: float) -> float:
    """The k-th smallest of n values, k = (n + 1) coverage rounded up; infinite when k > n."""
    k = int(np.ceil((len(values) + 1) * coverage - 1e-9))  # (9 + 1) * 0.9 is 9, not 9.000000001
    return float(np.sort(values)[k - 1]) if k <= len(values) else np.inf
