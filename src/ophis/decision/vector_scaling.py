"""A factor and an offset for each species, where one temperature for all is clearly too little.

Vector scaling (Guo et al. 2017), held back towards the temperature, and the choice between the two.
NumPy only; SciPy is the tests' oracle.
"""

from __future__ import annotations

import zlib
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from ophis.decision.calibration import Calibration, fit_temperature
from ophis.scores.scores import log_probabilities
from ophis.scores.validation import MIN_FITTING_PHOTOS

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    from ophis.scores.scores import Scores

# What is believed before any photo is seen: factors lie about so far from the temperature's (as a
# share of it) and offsets so far from 0 (in units of a logit). One photo says next to nothing
# against that, some dozens of a species outweigh it, and with many it is forgotten.
FACTOR_SPREAD, OFFSET_SPREAD = 0.25, 0.5
FOLDS = 5
VECTOR_PHOTOS = 100  # with fewer, the choice itself is a matter of luck
CLEARLY = 2.0  # standard errors that the vector must win by
NEWTON_STEPS, GRADIENT_STEPS = 50, 200
PRECISE = 1e-13  # a gain that is none, as a share of the loss


@dataclass(frozen=True)
class CalibrationChoice:
    """What `choose_calibration` found.

    Attributes:
        calibration: the vector where it won clearly, else the temperature.
        gain: mean log loss with the temperature less that with the vector, of photos that neither
            was fitted on; -inf where there were too few photos or observations to tell.
        error: standard error of the gain, over observations.
        photos: that were judged.
    """

    calibration: Calibration
    gain: float
    error: float
    photos: int


def default_calibration(validation: Scores | None) -> Calibration | None:
    """What a bundle gets: `choose_calibration`, given validation photos enough to fit on."""
    if validation is None or (validation.truth >= 0).sum() < MIN_FITTING_PHOTOS:
        return None
    return choose_calibration(validation).calibration


def choose_calibration(scores: Scores) -> CalibrationChoice:
    """A temperature, or a vector where it has the clearly smaller log loss on photos held out.

    Both are fitted on four fifths of the observations and judged on the last fifth, in turn; photos
    of one observation stay together, and which fifth is theirs follows from the names alone. The
    vector must win by more than two standard errors, because it has many numbers that can go wrong
    on other photos, and may change which species comes first. It is not tried on fewer than 100
    photos or 5 observations.

    Raises:
        InputError: when no photo has a known species, or a true species is impossible.
    """
    temperature = fit_temperature(scores)
    known = scores.take(scores.truth >= 0)
    fold, observation = _folds(known.observations)
    if len(known) < VECTOR_PHOTOS or observation.max() + 1 < FOLDS:
        return CalibrationChoice(temperature, -np.inf, np.inf, len(known))
    gains = np.empty(len(known))
    for held in range(FOLDS):
        fitting, judged = known.take(fold != held), known.take(fold == held)
        one = fit_temperature(fitting)
        vector = _fit_around(one, fitting)
        gains[fold == held] = _losses(one, judged) - _losses(vector, judged)
    gain = float(gains.mean())
    # Photos of one snake are right and wrong together: what varies is an observation's sum.
    sums = np.bincount(observation, gains - gain)
    error = float(np.sqrt(sums @ sums) / len(known))
    clearly = gain > CLEARLY * error
    best = _fit_around(temperature, known) if clearly else temperature
    return CalibrationChoice(best, gain, error, len(known))


def _folds(observations: tuple[str, ...]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Which fold each photo is in, and which observation it is of; both [photos]."""
    names, of_photo = np.unique(np.array(observations, dtype=object), return_inverse=True)
    # Dealt out in an order that has nothing to do with what the names mean.
    order = sorted(range(len(names)), key=lambda n: (zlib.crc32(names[n].encode()), names[n]))
    fold = np.empty(len(names), np.int64)
    fold[order] = np.arange(len(names)) % FOLDS
    return fold[of_photo], of_photo


def _losses(calibration: Calibration, scores: Scores) -> NDArray[np.float64]:
    """-log p(true species), [photos]."""
    logs = log_probabilities(calibration.apply(scores).logits)
    return -logs[np.arange(len(scores)), scores.truth]


def fit_vector(scores: Scores) -> Calibration:
    """A factor above 0 and an offset for each species, by log loss (Guo et al. 2017).

    Held back: with t the fitted temperature and r = factor * t, the sum of -log p(true species)
    plus, for each species, (r - 1 - log r) / 0.25^2 + offset^2 / (2 * 0.5^2) is smallest. That is
    a gamma distribution around the temperature and a normal one around 0; the whole is convex, has
    one minimum, and no factor can reach 0. Without it a species with a few photos would get any
    factor, and one whose photos are all right an infinite one.

    A species without a photo keeps the temperature. It is left out of the probabilities that the
    others are fitted by: that it was never the true one here must not push it down.

    Raises:
        InputError: when no photo has a known species, or a true species is impossible.
    """
    return _fit_around(fit_temperature(scores), scores.take(scores.truth >= 0))


def _fit_around(temperature: Calibration, known: Scores) -> Calibration:
    """The vector, held back towards a temperature; every photo has a known species."""
    seen, truth = np.unique(known.truth, return_inverse=True)
    scale = np.full(len(known.species), float(temperature.scale))
    offset = np.zeros(len(known.species))
    ratios, offset[seen] = _minimum(_Loss(known.logits[:, seen] * temperature.scale, truth))
    scale[seen] *= ratios
    return replace(temperature, scale=scale, offset=offset, species=known.species)


class _Loss:
    """What `fit_vector` makes small, with its first and second derivatives.

    Points, slopes and directions are [2, species]: ratios to the temperature, then offsets.

    Args:
        logits: [photos, species], divided by the temperature.
        truth: [photos], columns.
    """

    def __init__(self, logits: NDArray[np.float64], truth: NDArray[np.int64]) -> None:
        self._possible = np.isfinite(logits)
        self._logits = np.where(self._possible, logits, 0)
        self._own = (np.arange(len(truth)), truth)
        hits = (np.bincount(truth, logits[self._own]), np.bincount(truth))
        self._hits = np.array(hits, np.float64)  # what the true species sum up to
        self.start = np.array([np.ones(logits.shape[1]), np.zeros(logits.shape[1])])

    def __call__(self, point: NDArray[np.float64]) -> tuple[float, NDArray[np.float64]]:
        """The loss, infinite where a ratio is not above 0, and the probabilities."""
        ratio, offset = point
        if (ratio <= 0).any():
            return np.inf, self._logits
        logs = log_probabilities(np.where(self._possible, self._logits * ratio + offset, -np.inf))
        held = ((ratio - 1 - np.log(ratio)) / FACTOR_SPREAD**2).sum()
        held += (offset**2).sum() / (2 * OFFSET_SPREAD**2)
        return float(held - logs[self._own].sum()), np.exp(logs)

    def slope(self, point: NDArray[np.float64], p: NDArray[np.float64]) -> NDArray[np.float64]:
        """First derivative."""
        ratio, offset = point
        held = ((1 - 1 / ratio) / FACTOR_SPREAD**2, offset / OFFSET_SPREAD**2)
        return self._summed(p) - self._hits + np.array(held)

    def bend(
        self, point: NDArray[np.float64], p: NDArray[np.float64]
    ) -> tuple[Callable[[NDArray[np.float64]], NDArray[np.float64]], NDArray[np.float64]]:
        """Second derivative, as what it makes of a direction, and its diagonal."""
        held = np.array(
            [1 / (point[0] * FACTOR_SPREAD) ** 2, np.full(p.shape[1], OFFSET_SPREAD**-2)]
        )
        spread = p * (1 - p)
        diagonal = np.array([(spread * self._logits**2).sum(axis=0), spread.sum(axis=0)])

        def product(direction: NDArray[np.float64]) -> NDArray[np.float64]:
            change = self._logits * direction[0] + direction[1]
            change = p * (change - (p * change).sum(axis=1, keepdims=True))
            return self._summed(change) + held * direction

        return product, diagonal + held

    def _summed(self, weights: NDArray[np.float64]) -> NDArray[np.float64]:
        return np.array([(weights * self._logits).sum(axis=0), weights.sum(axis=0)])


def _minimum(loss: _Loss) -> NDArray[np.float64]:
    """Where a convex loss is smallest: Newton's steps, each halved until it gains enough."""
    point = loss.start
    value, p = loss(point)
    for _ in range(NEWTON_STEPS):
        slope = loss.slope(point, p)
        step = _solution(*loss.bend(point, p), -slope)
        gain = -float((slope * step).sum())
        share, tried = 1.0, loss(point + step)
        slack = PRECISE * (1 + value)  # the last steps gain less than the loss can be computed to
        while tried[0] > value - 0.25 * share * gain + slack:
            share /= 2
            tried = loss(point + share * step)
        point = point + share * step
        value, p = tried
        if gain <= slack:
            break
    return point


def _solution(
    product: Callable[[NDArray[np.float64]], NDArray[np.float64]],
    diagonal: NDArray[np.float64],
    wanted: NDArray[np.float64],
) -> NDArray[np.float64]:
    """What gives ``wanted``, nearly: conjugate gradients, preconditioned by the diagonal."""
    found, rest = np.zeros_like(wanted), wanted
    direction = rest / diagonal
    size = float((rest * direction).sum())
    enough = size * min(0.01, size)
    for _ in range(GRADIENT_STEPS):
        if size <= enough:
            break
        image = product(direction)
        share = size / float((direction * image).sum())
        found = found + share * direction
        rest = rest - share * image
        straight = rest / diagonal
        before, size = size, float((rest * straight).sum())
        direction = straight + size / before * direction
    return found
