"""Split conformal prediction: sets of species with a guaranteed coverage of the true one.

The threshold is fitted on photos that neither training nor another fit uses; the set of a photo
holds every species below it. The guarantee holds for any network, a bad one has larger sets. It is
about photos of the same distribution, not about a single photo.

Rows should be independent: one photo of each observation (`aggregation.one_photo_each`). There are
two kinds of guarantee. Without a confidence, the coverage holds on average over fits (Vovk et al.
2005). With a confidence, it holds for this fit with that probability (Vovk 2012; the nonparametric
tolerance limit of Wilks 1941), which needs more observations.
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
        thresholds: [species], highest nonconformity in the set; inf with too few observations for
            the guarantee, so that the species is in every set.
        observations: [species], int64, observations of the species' group in the fit.
        confidence: probability that this fit has the coverage; None: on average over fits.

    Raises:
        InputError: there are not as many numbers as species, or one is impossible.
    """

    species: SpeciesList
    coverage: float
    thresholds: NDArray[np.float64]
    observations: NDArray[np.int64]
    confidence: float | None = None

    def __post_init__(self) -> None:
        for name in ("thresholds", "observations"):
            numbers = getattr(self, name)
            if numbers.shape != (len(self.species),):
                raise InputError(f"{numbers.size} {name} for {len(self.species)} species")
        if np.isnan(self.thresholds).any():
            raise InputError("a threshold is NaN")
        needed = least_observations(self.coverage, self.confidence)
        if (few := np.isfinite(self.thresholds) & (self.observations < needed)).any():
            column = int(few.argmax())
            raise InputError(
                f"the threshold of {self.species[column]!r} is finite with"
                f" {self.observations[column]} observations; it needs {needed}"
            )

    @property
    def guaranteed(self) -> bool:
        """True if every threshold is finite."""
        return bool(np.isfinite(self.thresholds).all())

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
    scores: Scores,
    *,
    coverage: float = 0.9,
    confidence: float | None = None,
    groups: NDArray[np.int64] | None = None,
) -> PredictionSets:
    """Fit the threshold, or one for each group of species.

    Args:
        scores: of photos that no other fit uses, one of each observation; those of unknown species
            are ignored.
        coverage: least probability that a set holds the true species, in (0, 1).
        confidence: probability that the fit has this coverage, in (0, 1); None: on average.
        groups: [species], numbers. The guarantee then holds within each group, such as the
            venomous species.

    Raises:
        InputError: no photo has a known species, or a probability is not between 0 and 1.
    """
    known = scores.take(scores.truth >= 0)
    if not len(known):
        raise InputError("no photo has a known species, so no threshold can be fitted; label some")
    groups = np.zeros(len(scores.species), np.int64) if groups is None else groups
    return fit_known(known, coverage=coverage, confidence=confidence, groups=groups)


def fit_known(
    known: Scores, *, coverage: float, confidence: float | None, groups: NDArray[np.int64]
) -> PredictionSets:
    """Fit thresholds as `fit_sets` does; every photo has a known species, and there may be none."""
    own = nonconformity(known)[np.arange(len(known)), known.truth]
    thresholds, observations = np.empty(len(groups)), np.empty(len(groups), np.int64)
    for group in np.unique(groups):
        values = own[groups[known.truth] == group]
        thresholds[groups == group] = conformal_threshold(values, coverage, confidence=confidence)
        observations[groups == group] = len(values)
    return PredictionSets(known.species, coverage, thresholds, observations, confidence)


def conformal_threshold(
    values: NDArray[np.float64], coverage: float, *, confidence: float | None = None
) -> float:
    """Return the k-th smallest of n values, k of `conformal_rank`; infinite for k > n."""
    k = conformal_rank(len(values), coverage, confidence)
    return float(np.sort(values)[k - 1]) if k <= len(values) else np.inf


def conformal_rank(observations: int, coverage: float, confidence: float | None = None) -> int:
    """Return the rank of the value that is the threshold; n + 1 if there is none.

    On average over fits, k = ceil((n + 1) coverage). With a confidence, the smallest k from there
    on with P(Binomial(n, coverage) <= k - 1) >= confidence: the probability that the k-th smallest
    of n values is at least the true quantile. A low confidence lowers no threshold.

    Raises:
        InputError: a probability is not between 0 and 1.
    """
    least_observations(coverage, confidence)  # checks the probabilities
    # The product of 9 + 1 and 0.9 is 9, not 9.000000001.
    average = min(int(np.ceil((observations + 1) * coverage - ROUNDING)), observations + 1)
    if confidence is None:
        return average
    hits = np.arange(observations + 1)
    factorial = np.cumsum(np.log(np.maximum(hits, 1)))  # logarithms
    chance = factorial[-1] - factorial - factorial[::-1]
    chance += hits * np.log(coverage) + (observations - hits) * np.log1p(-coverage)
    below = np.exp(chance).cumsum()
    rank = min(int(np.searchsorted(below, confidence - ROUNDING)) + 1, observations + 1)
    return max(average, rank)


def least_observations(coverage: float, confidence: float | None = None) -> int:
    """Return the fewest observations that give a finite threshold.

    Raises:
        InputError: a probability is not between 0 and 1.
    """
    for name, value in (("coverage", coverage), ("confidence", confidence)):
        if value is not None and not 0 < value < 1:
            raise InputError(f"{name} = {value} should lie between 0 and 1")
    needed = coverage / (1 - coverage)
    if confidence is not None:
        needed = max(needed, np.log1p(-confidence) / np.log(coverage))
    return int(np.ceil(needed - ROUNDING))
