"""Fit of the settings of Bayes' rule by log loss on validation scores."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from ophis.errors import InputError
from ophis.priors.bayes import BayesPrior, Settings
from ophis.scores.cross_validation import mean_gain
from ophis.scores.scores import log_probabilities
from ophis.scores.temperature import best_temperature

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from ophis.priors.country_counts import CountryPrior
    from ophis.priors.overrides import Override
    from ophis.priors.prior import Prior
    from ophis.priors.range_maps import RangeMap
    from ophis.scores.scores import Scores

# `continent_photos` is not fitted: between seeds the best value was 1 or 1,000, and neither had a
# smaller loss on other photos (docs/log.md, 2026-11-30).
GRIDS: dict[str, Sequence[float]] = {
    "world_exponent": (0.0, 0.25, 0.5, 0.75, 1.0),
    "country_photos": (1.0, 3.0, 10.0, 30.0, 100.0, 300.0, 1000.0),
    "wrong_country_fraction": (0.01, 0.03, 0.1, 0.2),
    "range_map_photos": (0.0, 0.01, 0.03, 0.1, 0.3, 1.0, 3.0),
}
MIN_STANDARD_ERRORS = 1.0  # gain of another value over the default
_TOLERANCE = 0.003  # of a temperature: changes the loss by less than 1e-5


class LogLoss:
    """-log p(true species | photo, country) of each photo as a function of the prior.

    Args:
        scores: scores of photos of a known species.
    """

    def __init__(self, scores: Scores) -> None:
        # float32 is enough for six digits, and a fit evaluates a hundred priors.
        logits = log_probabilities(scores.logits).astype(np.float32)
        self.scores = replace(scores, logits=logits)
        self._own = (np.arange(len(scores)), scores.truth)

    def __call__(
        self, prior: Prior | None = None, temperature: float | None = None
    ) -> NDArray[np.float64]:
        """Return the loss of each photo, [photos]; infinite if the prior excludes its species.

        Args:
            prior: the prior; None for the image alone.
            temperature: of the logits of the image; by default that of the prior, or 1.

        Raises:
            InputError: the species of prior and scores differ in name or order.
        """
        if temperature is None:
            temperature = prior.temperature if prior else 1.0
        image = self.scores.logits / np.float32(temperature)
        joint = image + self._factors(prior)
        excluded = np.isneginf(joint.max(axis=1))
        joint[excluded] = image[excluded]  # as `Prior.adjust`
        joint -= joint.max(axis=1, keepdims=True)
        own = joint[self._own].astype(np.float64)
        return np.log(np.exp(joint).sum(axis=1, dtype=np.float64)) - own

    def temperature(self, prior: Prior | None = None) -> float:
        """Return the temperature with the least loss of the photos that the prior allows.

        Raises:
            InputError: the species of prior and scores differ, or the scores of the image exclude
                a true species.
        """
        if prior is None:
            return best_temperature(self.scores, tolerance=_TOLERANCE)
        factors = self._factors(prior)
        allowed = np.isfinite(factors[self._own])
        if not allowed.any():
            return 1.0
        allowed_scores = self.scores.take(allowed)
        return best_temperature(allowed_scores, factors[allowed], tolerance=_TOLERANCE)

    def _factors(self, prior: Prior | None) -> NDArray[np.float32]:
        if prior is None:
            return np.zeros((1, 1), np.float32)
        prior.require_species(self.scores)
        return prior.factors_of(self.scores.countries)[0].astype(np.float32)


def fit_bayes(
    counts: CountryPrior,
    validation: Scores,
    *,
    range_map: RangeMap | None = None,
    overrides: tuple[Override, ...] = (),
) -> BayesPrior:
    """Fit the settings of Bayes' rule by log loss on validation scores.

    Settings are fitted in turn, the temperature before and after them. Another value of `GRIDS`
    replaces the default only if it has the smaller loss by more than one standard error over
    observations: settings that the photos do not identify keep their defaults. The photos of
    ``validation`` are neither those of the counts nor those that the result is evaluated on.

    Raises:
        InputError: no validation photo has a known species, a photo's scores exclude its species,
            or the species of counts and scores differ in name or order.
    """
    known = validation.take(validation.truth >= 0)
    if not len(known):
        raise InputError("no validation photo has a known species; a prior is fitted on some")
    loss, prior = LogLoss(known), BayesPrior(counts, Settings(), range_map, overrides)
    prior = _with(prior, "temperature", loss.temperature(prior))
    for name in GRIDS:
        if name != "range_map_photos" or range_map is not None:
            prior = _fitted(prior, name, loss)
    return _with(prior, "temperature", loss.temperature(prior))


def _fitted(prior: BayesPrior, name: str, loss: LogLoss) -> BayesPrior:
    """Return the prior with the best value of a setting, or its default."""
    default = loss(prior)
    allowed = np.isfinite(default)  # an override may exclude the truth, with all values
    if not allowed.any():
        return prior
    others = [value for value in GRIDS[name] if value != getattr(prior.settings, name)]
    gains = [default[allowed] - loss(_with(prior, name, value))[allowed] for value in others]
    best = int(np.argmax([values.mean() for values in gains]))
    observations = np.array(loss.scores.observations, dtype=object)[allowed]
    gain, error = mean_gain(gains[best], observations)
    return _with(prior, name, others[best]) if gain > MIN_STANDARD_ERRORS * error else prior


def _with(prior: BayesPrior, name: str, value: float) -> BayesPrior:
    return replace(prior, settings=replace(prior.settings, **{name: value}))
