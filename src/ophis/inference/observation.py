"""From what the networks of a bundle saw in the photos of one snake to what is said of it."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from ophis.decision.decision import Decision, State, no_name
from ophis.decision.rule import decide_without_rule
from ophis.decision.verdict import Verdict
from ophis.inference.answer import Guess, LeftOut, SeenPhoto
from ophis.priors.mixture import MixedPrior
from ophis.priors.prior import PriorEffect, PriorUse
from ophis.scores.aggregation import aggregate_observations
from ophis.scores.scores import ranked
from ophis.taxonomy.danger import danger

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ophis.geography.location import Place
    from ophis.inference.bundles.bundle import Bundle
    from ophis.inference.photo import Photo
    from ophis.scores.scores import Scores


@dataclass(frozen=True)
class Decided:
    """What is said of one snake.

    Attributes:
        decision: the state, the species that cannot be excluded, and the danger.
        effect: what the country did.
        guesses: the most probable species, where a name is given; else none.
    """

    decision: Decision
    effect: PriorEffect
    guesses: tuple[Guess, ...]


def seen_photos(bundle: Bundle, photos: Sequence[Photo], raw: Scores) -> tuple[SeenPhoto, ...]:
    """Which photos have a say, and why others have none.

    Args:
        bundle: whose rule knows what is unlike all that was learned.
        photos: of one snake.
        raw: a row of scores for each.
    """
    is_ood = bundle.rule.is_ood(raw) if bundle.rule else np.zeros(len(raw), dtype=np.bool_)
    return tuple(
        SeenPhoto(
            photo.name, photo.sha256, photo.pixels.why or (LeftOut.UNLIKE if unlike else None)
        )
        for photo, unlike in zip(photos, is_ood, strict=True)
    )


def decide(
    bundle: Bundle, raw: Scores, seen: Sequence[SeenPhoto], place: Place, *, top: int
) -> Decided:
    """Weigh the photos of one snake, and the country, into one decision.

    The danger is also that of each photo by itself: the promise that nearly no venomous snake goes
    without the warning was made for single photos, whatever they show. A warning from any of them,
    also one that had no say in the name, keeps it, however many there are.

    Args:
        bundle: its calibration, prior and rule.
        raw: the scores of each photo, without the country.
        seen: which of them have a say.
        place: where the snake was seen.
        top: how many guesses.
    """
    kept = np.array([not photo.left_out for photo in seen])
    # Of photos that all had no say, the country's is still told to programs.
    one = _one(raw.take(kept) if kept.any() else raw)
    scores, effect = _adjusted(bundle, one, place)
    if kept.any():
        (decision,) = _each(bundle, one, scores, place)
        if decision.verdict is not Verdict.MAY_BE_VENOMOUS:
            each = _each(bundle, raw, _adjusted(bundle, raw, place)[0], place)
            if any(alone.verdict is Verdict.MAY_BE_VENOMOUS for alone in each):
                decision = replace(decision, verdict=Verdict.MAY_BE_VENOMOUS)
    else:
        unlike = any(photo.left_out is LeftOut.UNLIKE for photo in seen)
        decision = no_name(State.NO_SNAKE if unlike else State.UNUSABLE)
    guesses = _guesses(bundle, scores, top) if decision.species else ()
    return Decided(decision, effect, guesses)


def _one(scores: Scores) -> Scores:
    """The rows of one snake as one."""
    return aggregate_observations(replace(scores, observations=("",) * len(scores)))


def _adjusted(bundle: Bundle, raw: Scores, place: Place) -> tuple[Scores, PriorEffect]:
    """Scores with the country's say, else with the calibration of the image's own."""
    if place.shares and bundle.prior:
        here = bundle.prior
        if len(place.shares) > 1:
            here = MixedPrior(bundle.prior, place.shares)
        scores, (effect, *_) = here.adjust_with_effect(raw)
        return scores, effect
    use = PriorUse.NO_PRIOR if place.shares else PriorUse.NO_COUNTRY
    return _calibrated(bundle, raw), PriorEffect(use)


def _calibrated(bundle: Bundle, raw: Scores) -> Scores:
    """What the image alone says."""
    return bundle.calibration.apply(raw) if bundle.calibration else raw


def _each(bundle: Bundle, raw: Scores, scores: Scores, place: Place) -> list[Decision]:
    """What is said of each row by itself, given raw and adjusted."""
    if bundle.rule is None:
        return decide_without_rule(scores)
    heard = bool(place.shares and bundle.prior)
    return bundle.rule.decide(
        scores,
        is_ood=np.zeros(len(raw), np.bool_),
        image=_calibrated(bundle, raw) if heard else None,
    )


def _guesses(bundle: Bundle, scores: Scores, top: int) -> tuple[Guess, ...]:
    (probabilities,) = scores.probabilities()
    best = ranked(probabilities, bundle.species)[:top]
    names = [bundle.species[column] for column in best]
    return tuple(
        Guess(name, float(probabilities[column]), danger(name))
        for name, column in zip(names, best, strict=True)
    )
