"""Vector scaling: a factor and an offset for each species (Guo et al. 2017).

The vector is regularised towards the fitted temperature, and replaces it only where it has clearly
the smaller log loss in cross-validation.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from ophis.decision.calibration import Calibration, fit_temperature
from ophis.scores.cross_validation import CLEAR_GAIN, FOLDS, folds, mean_gain
from ophis.scores.scores import log_probabilities
from ophis.scores.validation import MIN_FITTING_PHOTOS

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from ophis.scores.scores import Scores

# Standard deviations of the priors: of a factor, as a fraction of the temperature's, and of an
# offset, in units of a logit. One photo of a species hardly moves its numbers; some dozens do.
FACTOR_SPREAD, OFFSET_SPREAD = 0.25, 0.5
MIN_VECTOR_PHOTOS = 100  # with fewer, the comparison of the two kinds is noise


@dataclass(frozen=True)
class CalibrationChoice:
    """Calibration chosen by cross-validation.

    Attributes:
        calibration: the vector if its gain is clear, else the temperature.
        gain: mean log loss with the temperature minus that with the vector, on photos that neither
            is fitted on; -inf with too few photos or observations.
        error: standard error of the gain, over observations.
        photos: number of photos of a known species.
    """

    calibration: Calibration
    gain: float
    error: float
    photos: int


def default_calibration(validation: Scores | None) -> Calibration | None:
    """Return the calibration of a new bundle, None with too few validation photos."""
    if validation is None or (validation.truth >= 0).sum() < MIN_FITTING_PHOTOS:
        return None
    return choose_calibration(validation).calibration


def choose_calibration(scores: Scores) -> CalibrationChoice:
    """Choose between a temperature and a vector by cross-validation over observations.

    Both are fitted on four fifths of the observations and evaluated on the last fifth, in turn
    (`scores.cross_validation.folds`). The vector has to win by more than two standard
    errors, because it has many parameters and can change the order of species. With fewer than 100
    photos or 5 observations the temperature is returned.

    Raises:
        InputError: no photo has a known species, or a true species has a logit of -inf.
    """
    temperature = fit_temperature(scores)
    known = scores.take(scores.truth >= 0)
    if len(known) < MIN_VECTOR_PHOTOS or len(set(known.observations)) < FOLDS:
        return CalibrationChoice(temperature, -np.inf, np.inf, len(known))
    gains, fold = np.empty(len(known)), folds(known.observations)
    for number in range(FOLDS):
        fitting, tested = known.take(fold != number), known.take(fold == number)
        one = fit_temperature(fitting)
        vector = _fit_around(one, fitting)
        gains[fold == number] = _losses(one, tested) - _losses(vector, tested)
    gain, error = mean_gain(gains, known.observations)
    clearly = gain > CLEAR_GAIN * error
    best = _fit_around(temperature, known) if clearly else temperature
    return CalibrationChoice(best, gain, error, len(known))


def _losses(calibration: Calibration, scores: Scores) -> NDArray[np.float64]:
    """Return -log p(true species), [photos]."""
    logs = log_probabilities(calibration.apply(scores).logits)
    return -logs[np.arange(len(scores)), scores.truth]


def fit_vector(scores: Scores) -> Calibration:
    """Fit a factor above 0 and an offset for each species by regularised log loss.

    With t the fitted temperature and r = factor * t, the fit minimises the sum of
    -log p(true species) plus, for each species, (r - 1 - log r) / 0.25^2 + offset^2 / (2 * 0.5^2):
    a gamma prior around the temperature and a normal prior around 0. The sum is strictly convex, so
    it has one minimum, and no factor reaches 0. Without the priors, a species whose few photos are
    all right would get an infinite factor.

    A species without a photo keeps the temperature. The fit leaves it out of the softmax, because
    its absence from these photos is no evidence against it.

    Raises:
        InputError: no photo has a known species, or a true species has a logit of -inf.
    """
    return _fit_around(fit_temperature(scores), scores.take(scores.truth >= 0))


def _fit_around(temperature: Calibration, known: Scores) -> Calibration:
    """Fit the vector regularised towards a temperature; every photo has a known species."""
    seen, truth = np.unique(known.truth, return_inverse=True)
    scale = np.full(len(known.species), float(temperature.scale))
    offset = np.zeros(len(known.species))
    ratios, offset[seen] = _minimum(_Loss(known.logits[:, seen] * temperature.scale, truth))
    scale[seen] *= ratios
    return replace(temperature, scale=scale, offset=offset, species=known.species)


class _Loss:
    """Regularised log loss of `fit_vector` and its gradient, as functions of [2, species].

    The first row holds the ratios to the temperature, the second the offsets.

    Args:
        logits: [photos, species], divided by the temperature.
        truth: [photos], columns.
    """

    def __init__(self, logits: NDArray[np.float64], truth: NDArray[np.int64]) -> None:
        self._possible = np.isfinite(logits)
        self._logits = np.where(self._possible, logits, 0)
        self._own = (np.arange(len(truth)), truth)
        own_sums = (np.bincount(truth, logits[self._own]), np.bincount(truth))
        self._own_sums = np.array(own_sums, np.float64)
        self.species = logits.shape[1]

    def __call__(self, point: NDArray[np.float64]) -> tuple[float, NDArray[np.float64]]:
        """Return the loss and its gradient; ratios are above 0."""
        ratio, offset = point.reshape(2, -1)
        logs = log_probabilities(np.where(self._possible, self._logits * ratio + offset, -np.inf))
        penalty = ((ratio - 1 - np.log(ratio)) / FACTOR_SPREAD**2).sum()
        penalty += (offset**2).sum() / (2 * OFFSET_SPREAD**2)
        loss = float(penalty - logs[self._own].sum())
        p = np.exp(logs, out=logs)
        gradient = np.array([np.einsum("ps,ps->s", p, self._logits), p.sum(axis=0)])
        gradient += ((1 - 1 / ratio) / FACTOR_SPREAD**2, offset / OFFSET_SPREAD**2)
        return loss, (gradient - self._own_sums).ravel()


def _minimum(loss: _Loss) -> NDArray[np.float64]:
    """Return ratios and offsets where the convex loss is smallest, [2, species]."""
    from scipy.optimize import minimize  # noqa: PLC0415 - an answer loads no SciPy

    start = np.concatenate([np.ones(loss.species), np.zeros(loss.species)])
    bounds = [(1e-6, None)] * loss.species + [(None, None)] * loss.species
    # Without `ftol` the search ends at the gradient or at the precision of the loss.
    options = {"ftol": 0.0, "gtol": 1e-6, "maxcor": 20, "maxiter": 1000, "maxfun": 10_000}
    found = minimize(loss, start, jac=True, method="L-BFGS-B", bounds=bounds, options=options)
    return found.x.reshape(2, -1)
