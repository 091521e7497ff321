"""Selection of a bundle's prior: the smallest log loss on validation scores."""

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

ABSENT_FACTORS = (0.3, 0.1, 0.03, 0.01, 0.003, 0.001)
GRIDS: dict[str, Sequence[float]] = {
    "temperature": tuple(np.geomspace(0.25, 4, 17).tolist()),
    "world_exponent": (1.0, 0.0, 0.25, 0.5, 0.75),
    "country_photos": (1.0, 3.0, 10.0, 30.0, 100.0, 300.0, 1000.0),
    "continent_photos": (1.0, 10.0, 100.0, 1000.0),
    "wrong_country_fraction": (0.01, 0.03, 0.1, 0.2),
    "range_map_photos": (0.0, 0.01, 0.03, 0.1, 0.3, 1.0, 3.0),
}


def fit_bayes(
    counts: CountryPrior,
    validation: Scores,
    *,
    range_map: RangeMap | None = None,
    overrides: tuple[Override, ...] = (),
) -> BayesPrior:
    """Fit the settings of Bayes' rule by log loss on validation scores.

    Coordinate descent over `GRIDS`, two passes. The photos of ``validation`` are neither those of
    the counts nor those that the result is evaluated on.

    Raises:
        InputError: no validation photo has a known species, or the species of counts and scores
            differ in name or order.
    """
    known = validation.take(validation.truth >= 0)
    if not len(known):
        raise InputError("no validation photo has a known species; a prior is fitted on some")
    loss = LogLoss(known)
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
class PriorChoice:
    """Prior chosen on validation scores.

    Attributes:
        prior: the prior with the smallest loss; None for the image alone.
        losses: mean -log p(true species) of each candidate; infinite if it excludes a true species.
        photos: number of photos of a known species.
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
    """Return the prior of a new bundle: that of `choose_prior`, with enough photos to choose on.

    Args:
        counts: training photos by country and species.
        validation: scores of photos that are not trained on, or None.
        range_map: countries of each species, or None.
        overrides: values of p(species | country) that replace fitted ones.

    Raises:
        InputError: the species of counts and scores differ in name or order.
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
) -> PriorChoice:
    """Choose the prior with the smallest log loss on validation scores.

    Candidates are the image alone, the range map if there is one, and Bayes' rule with fitted
    settings. The paper's product (Eq. 2) is evaluated too and never chosen, because it has exact
    zeros. With overrides the choice is always Bayes' rule: no other prior supports them.

    Raises:
        InputError: no validation photo has a known species, or the species of counts and scores
            differ in name or order.
    """
    fitted = fit_bayes(counts, validation, range_map=range_map, overrides=overrides)
    known = validation.take(validation.truth >= 0)
    loss = LogLoss(known)
    candidates: dict[str, Prior | None] = {"image alone": None}
    if range_map:
        maps = [RangeMapPrior(counts.species, range_map, factor) for factor in ABSENT_FACTORS]
        candidates["range map"] = min(maps, key=loss)
    candidates["Bayes' rule, smoothed"] = fitted
    losses = {name: loss(prior) for name, prior in candidates.items()}
    best = "Bayes' rule, smoothed" if overrides else min(losses, key=losses.__getitem__)
    losses["the paper's product"] = loss(counts)
    return PriorChoice(candidates[best], losses, len(known))


class LogLoss:
    """Mean of -log p(true species | photo, country) as a function of the prior.

    Args:
        scores: scores of photos of a known species.
    """

    def __init__(self, scores: Scores) -> None:
        self._scores = scores
        # float32 is enough for six digits, and a fit evaluates a hundred priors.
        self._logits = log_probabilities(scores.logits).astype(np.float32)
        self._countries = scores.countries
        self._own = (np.arange(len(scores)), scores.truth)

    def __call__(self, prior: Prior | None) -> float:
        """Return the loss with a prior, or of the image alone; infinite if it excludes the truth.

        Raises:
            InputError: the species of prior and scores differ in name or order.
        """
        joint = self._logits
        if prior:
            prior.require_species(self._scores)
            factors, _ = prior.factors_of(self._countries)
            joint = joint / np.float32(prior.temperature) + factors.astype(np.float32)
        highest = joint.max(axis=1, keepdims=True)
        if np.isneginf(highest).any():
            return np.inf
        total = np.exp(joint - highest).sum(axis=1, dtype=np.float64)
        return float((np.log(total) + highest[:, 0] - joint[self._own]).mean(dtype=np.float64))
