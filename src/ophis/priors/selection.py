"""Which prior a bundle gets: the one with the smallest log loss on validation scores."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from ophis.errors import InputError
from ophis.priors.bayes import BayesPrior, Settings
from ophis.priors.range_maps import RangeMapPrior
from ophis.scores.scores import log_probabilities
from ophis.scores.validation import MIN_FITTING_PHOTOS

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ophis.priors.country_counts import CountryPrior
    from ophis.priors.overrides import Override
    from ophis.priors.prior import Prior
    from ophis.priors.range_maps import RangeMap
    from ophis.scores.scores import Scores

ABSENT = (0.3, 0.1, 0.03, 0.01, 0.003, 0.001)
GRIDS: dict[str, Sequence[float]] = {
    "temperature": tuple(np.geomspace(0.25, 4, 17).tolist()),
    "divide": (1.0, 0.0, 0.25, 0.5, 0.75),
    "country_photos": (1.0, 3.0, 10.0, 30.0, 100.0, 300.0, 1000.0),
    "continent_photos": (1.0, 10.0, 100.0, 1000.0),
    "wrong_countries": (0.01, 0.03, 0.1, 0.2),
    "range_map_photos": (0.0, 0.01, 0.03, 0.1, 0.3, 1.0, 3.0),
}


def fit_bayes(
    counts: CountryPrior,
    validation: Scores,
    *,
    range_map: RangeMap | None = None,
    overrides: tuple[Override, ...] = (),
) -> BayesPrior:
    """Choose the smoothing with the smallest log loss on validation scores.

    One setting after the other, twice around; the photos of ``validation`` must be neither those
    of the counts nor those that judge the result.

    Raises:
        InputError: when no validation photo has a known species, or the species of counts and
            scores differ, in name or order.
    """
    known = validation.take(validation.truth >= 0)
    if not len(known):
        raise InputError("no validation photo has a known species; a prior is fitted on some")
    loss = Loss(known)
    best = BayesPrior(counts, Settings(), range_map, overrides)
    least = loss(best)
    for _ in range(2):
        for name, grid in GRIDS.items():
            if name == "range_map_photos" and range_map is None:
                continue
            for value in grid:
                tried = replace(best, settings=replace(best.settings, **{name: value}))
                if (tried_loss := loss(tried)) < least - 1e-6:
                    best, least = tried, tried_loss
    return best


@dataclass(frozen=True)
class Choice:
    """What won on validation.

    Attributes:
        prior: the winner; None when the image alone did.
        losses: mean -log p of the true species, by what it was judged with; infinite where one
            excludes the truth.
        photos: that it was judged on.
    """

    prior: Prior | None
    losses: dict[str, float]
    photos: int


def default_prior(
    counts: CountryPrior,
    validation: Scores | None,
    *,
    range_map: RangeMap | None = None,
    overrides: tuple[Override, ...] = (),
) -> Prior | None:
    """What a bundle gets when nobody says otherwise: `choose_prior`, given enough to choose on.

    Args:
        counts: training photos by country and species.
        validation: scores of photos that were not learned from, or None.
        range_map: who lives where, if anybody said.
        overrides: of the user.

    Raises:
        InputError: when the species of counts and scores differ, in name or order.
    """
    if validation is not None:
        counts.require_species(validation)
    if validation is None or (validation.truth >= 0).sum() < MIN_FITTING_PHOTOS:
        return BayesPrior(counts, Settings(), range_map, overrides)
    return choose_prior(counts, validation, range_map=range_map, overrides=overrides).prior


def choose_prior(
    counts: CountryPrior,
    validation: Scores,
    *,
    range_map: RangeMap | None = None,
    overrides: tuple[Override, ...] = (),
) -> Choice:
    """The prior with the smallest log loss on validation scores; never one with an exact zero.

    Compared are the image alone, the range map where one is given, and Bayes' rule with
    fitted smoothing; the paper's product is judged beside them and never chosen. With overrides
    it is always Bayes' rule, because no other prior supports them.

    Raises:
        InputError: when no validation photo has a known species, or the species of counts and
            scores differ, in name or order.
    """
    fitted = fit_bayes(counts, validation, range_map=range_map, overrides=overrides)
    known = validation.take(validation.truth >= 0)
    loss = Loss(known)
    candidates: dict[str, Prior | None] = {"image alone": None}
    if range_map:
        lists = [RangeMapPrior(counts.species, range_map, absent) for absent in ABSENT]
        candidates["range map"] = min(lists, key=loss)
    candidates["Bayes' rule, smoothed"] = fitted
    losses = {name: loss(prior) for name, prior in candidates.items()}
    best = "Bayes' rule, smoothed" if overrides else min(losses, key=losses.__getitem__)
    losses["the paper's product"] = loss(counts)
    return Choice(candidates[best], losses, len(known))


class Loss:
    """Mean of -log p(true species | photo, country) over the photos of scores.

    Args:
        scores: of photos whose species is known.
    """

    def __init__(self, scores: Scores) -> None:
        self._scores = scores
        # In float32: a fit asks a hundred times, and a loss needs no more than six digits.
        self._logits = log_probabilities(scores.logits).astype(np.float32)
        self._countries = scores.countries
        self._own = (np.arange(len(scores)), scores.truth)

    def __call__(self, prior: Prior | None) -> float:
        """The loss with a prior, without one for None; infinite where it excludes the truth.

        Raises:
            InputError: when the species of the prior are not those of the scores, in order.
        """
        joint = self._logits
        if prior:
            prior.require_species(self._scores)
            factors, _ = prior.factors_of(self._countries)
            joint = joint / np.float32(prior.temperature) + factors.astype(np.float32)
        most = joint.max(axis=1, keepdims=True)
        if np.isneginf(most).any():
            return np.inf
        total = np.exp(joint - most).sum(axis=1, dtype=np.float64)
        return float((np.log(total) + most[:, 0] - joint[self._own]).mean(dtype=np.float64))
