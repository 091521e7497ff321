"""Selection of a bundle's prior: cross-validated log loss on validation scores."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from functools import partial
from typing import TYPE_CHECKING

import numpy as np

from ophis.errors import InputError
from ophis.priors.bayes import BayesPrior, Settings
from ophis.priors.range_maps import RangeMapPrior
from ophis.priors.smoothing import LogLoss, fit_bayes
from ophis.scores.cross_validation import CLEAR_GAIN, FOLDS, folds, mean_gain
from ophis.scores.validation import MIN_FITTING_PHOTOS

if TYPE_CHECKING:
    from collections.abc import Callable

    from ophis.priors.country_counts import CountryPrior
    from ophis.priors.overrides import Override
    from ophis.priors.prior import Prior
    from ophis.priors.range_maps import RangeMap
    from ophis.scores.scores import Scores

    # A candidate fitted on scores: the prior, or None, and the temperature of the image's logits.
    Candidate = Callable[[Scores], tuple[Prior | None, float]]

ABSENT_FACTORS = (0.3, 0.1, 0.03, 0.01, 0.003, 0.001)
IMAGE, MAP, BAYES = "image alone", "range map", "Bayes' rule, smoothed"
PRODUCT = "the paper's product"


@dataclass(frozen=True)
class PriorChoice:
    """Prior chosen on validation scores.

    Attributes:
        prior: the chosen prior; None for the image alone.
        losses: cross-validated mean of -log p(true species) of each candidate, each with its own
            temperature; infinite if it excludes a true species. Empty with too few photos.
        gains: loss of the calibrated image minus that of each other candidate, and the standard
            error of this gain over observations.
        photos: number of photos of a known species.
    """

    prior: Prior | None
    losses: dict[str, float]
    photos: int
    gains: dict[str, tuple[float, float]] = field(default_factory=dict)


def default_prior(
    counts: CountryPrior,
    validation: Scores | None,
    *,
    range_map: RangeMap | None = None,
    overrides: tuple[Override, ...] = (),
    only_bayes: bool = False,
) -> Prior | None:
    """Return the prior of a new bundle: that of `choose_prior`, or the default of Bayes' rule.

    Args:
        counts: training photos by country and species.
        validation: scores of photos that are not trained on, or None.
        range_map: countries of each species, or None.
        overrides: values of p(species | country) that replace fitted ones.
        only_bayes: see `choose_prior`.

    Raises:
        InputError: the species of counts and scores differ in name or order.
    """
    if validation is None or not (validation.truth >= 0).any():
        if validation is not None:
            counts.require_species(validation)
        return BayesPrior(counts, Settings(), range_map, overrides)
    return choose_prior(
        counts, validation, range_map=range_map, overrides=overrides, only_bayes=only_bayes
    ).prior


def choose_prior(
    counts: CountryPrior,
    validation: Scores,
    *,
    range_map: RangeMap | None = None,
    overrides: tuple[Override, ...] = (),
    only_bayes: bool = False,
) -> PriorChoice:
    """Choose the prior by cross-validation over observations.

    Candidates are the image alone, the range map if there is one, and Bayes' rule. Each has its own
    temperature, and all is fitted on four fifths of the observations and evaluated on the last
    fifth, in turn. A prior replaces the image alone only if its log loss is smaller by more than
    two standard errors; of two such priors, that with the smaller loss is chosen and fitted on all
    photos. The paper's product (Eq. 2) is evaluated too and never chosen, because it has exact
    zeros. With overrides or ``only_bayes`` the choice is always Bayes' rule, because no other prior
    supports overrides or is the base of `LocationPrior`. With fewer than 50 photos of a known
    species or 5 observations it is Bayes' rule with default settings.

    Raises:
        InputError: no validation photo has a known species, a photo's scores exclude its species,
            or the species of counts and scores differ in name or order.
    """
    counts.require_species(validation)
    known = validation.take(validation.truth >= 0)
    if not len(known):
        raise InputError("no validation photo has a known species; a prior is fitted on some")
    if len(known) < MIN_FITTING_PHOTOS or len(set(known.observations)) < FOLDS:
        return PriorChoice(BayesPrior(counts, Settings(), range_map, overrides), {}, len(known))
    candidates = _candidates(counts, range_map, overrides)
    losses, gains = _cross_validated(candidates, known)
    clear = [
        name
        for name, (gain, error) in gains.items()
        if name != PRODUCT and gain > CLEAR_GAIN * error
    ]
    only_bayes |= bool(overrides)
    best = BAYES if only_bayes else min(clear, key=losses.__getitem__, default=IMAGE)
    return PriorChoice(candidates[best](known)[0], losses, len(known), gains)


def _cross_validated(
    candidates: dict[str, Candidate], known: Scores
) -> tuple[dict[str, float], dict[str, tuple[float, float]]]:
    """Return the mean loss of each candidate, and its gain over the image with standard error."""
    fold = folds(known.observations)
    losses = {name: np.empty(len(known)) for name in candidates}
    for number in range(FOLDS):
        fitting, tested = known.take(fold != number), LogLoss(known.take(fold == number))
        for name, candidate in candidates.items():
            losses[name][fold == number] = tested(*candidate(fitting))
    gains = {
        name: mean_gain(losses[IMAGE] - own, known.observations)
        if np.isfinite(own).all()
        else (-np.inf, np.inf)
        for name, own in losses.items()
        if name != IMAGE
    }
    return {name: float(own.mean()) for name, own in losses.items()}, gains


def _candidates(
    counts: CountryPrior, range_map: RangeMap | None, overrides: tuple[Override, ...]
) -> dict[str, Candidate]:
    """Return the candidates by name, to be fitted on scores of photos of a known species."""

    def fitted(scores: Scores) -> tuple[Prior, float]:
        prior = fit_bayes(counts, scores, range_map=range_map, overrides=overrides)
        return prior, prior.temperature

    candidates: dict[str, Candidate] = {IMAGE: partial(_tempered, None)}
    if range_map:
        candidates[MAP] = partial(_fitted_map, RangeMapPrior(counts.species, range_map))
    return candidates | {BAYES: fitted, PRODUCT: partial(_tempered, counts)}


def _tempered(prior: Prior | None, scores: Scores) -> tuple[Prior | None, float]:
    return prior, LogLoss(scores).temperature(prior)


def _fitted_map(prior: RangeMapPrior, scores: Scores) -> tuple[Prior, float]:
    loss = LogLoss(scores)
    tried = [replace(prior, absent=factor) for factor in ABSENT_FACTORS]
    tried = [replace(one, temperature=loss.temperature(one)) for one in tried]
    best = min(tried, key=lambda one: loss(one).mean())
    return best, best.temperature
