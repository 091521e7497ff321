"""Decision about one observation: the photos of one snake, and its place."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from ophis.decision.decision import Decision, State, no_name
from ophis.decision.rule import decide_without_rule
from ophis.decision.verdict import Verdict
from ophis.inference.answer import Guess, LeftOut, SeenPhoto
from ophis.priors.effect import PriorEffect, PriorUse
from ophis.scores.aggregation import aggregate_observations
from ophis.scores.scores import ranked

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ophis.geography.location import Place
    from ophis.inference.bundles.bundle import Bundle
    from ophis.inference.photo import Photo
    from ophis.priors.prior import Prior
    from ophis.priors.records import Nearby
    from ophis.scores.scores import Scores


def seen_photos(bundle: Bundle, photos: Sequence[Photo], raw: Scores) -> tuple[SeenPhoto, ...]:
    """Return the photos with the reason for which some of them are excluded.

    Args:
        bundle: its rule has the limit of the OOD score.
        photos: photos of one snake.
        raw: a row of scores for each photo.
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
) -> tuple[Decision, PriorEffect, tuple[Guess, ...]]:
    """Combine the photos of one snake and its place into one decision.

    The danger is assessed for each photo by itself too, because the guarantee that few venomous
    snakes go without the warning holds for single photos. A warning from any photo, also an
    excluded one, stands, with and without the place. Photos that do not fit one snake are not
    combined: no species is named, and all that fit any of them are possible.

    Args:
        bundle: its calibration, prior and rule.
        raw: scores of each photo, without the place.
        seen: the photos, with the excluded ones marked.
        place: place of the snake.
        top: number of guesses.

    Returns:
        The decision, the effect of the place, and the most probable species when a name is given.
    """
    kept = np.array([not photo.left_out for photo in seen])
    # When all photos are excluded, the answer still reports the effect of the place.
    one = _one(raw.take(kept) if kept.any() else raw)
    here = bundle.prior.at(place) if bundle.prior else None
    scores, effects = _adjusted(bundle, one, here, place)
    if kept.sum() > 1 and _contradict(bundle, raw.take(kept)):
        each = _each(bundle, raw, *_adjusted(bundle, raw, here, place), here)
        possible = {c for row in np.flatnonzero(kept) for c in each[row].species}
        columns = tuple(c for c in ranked(scores.logits[0], bundle.species) if c in possible)
        decision = Decision(
            State.UNIDENTIFIED, None, columns, Verdict.MAY_BE_VENOMOUS, contradicting=True
        )
    elif kept.any():
        (decision,) = _each(bundle, one, scores, effects, here)
        if decision.verdict is not Verdict.MAY_BE_VENOMOUS:
            each = _each(bundle, raw, *_adjusted(bundle, raw, here, place), here)
            if any(alone.verdict is Verdict.MAY_BE_VENOMOUS for alone in each):
                decision = replace(decision, verdict=Verdict.MAY_BE_VENOMOUS)
    else:
        unlike = any(photo.left_out is LeftOut.UNLIKE for photo in seen)
        decision = no_name(State.NO_SNAKE if unlike else State.UNUSABLE)
    named = decision.species and not decision.contradicting
    nearby = bundle.prior.nearby(place) if bundle.prior else None
    effect = replace(effects[0], records=nearby.total if nearby else None)
    return decision, effect, _guesses(bundle, scores, top, nearby) if named else ()


def _contradict(bundle: Bundle, raw: Scores) -> bool:
    """Return True if two photos cannot show one snake by the image alone.

    Their conformal sets of names are disjoint. Each holds the species of its photo with 95 %, so
    those of one snake are disjoint in at most 10 % of pairs. Without a rule there are no sets: the
    most probable species differ.
    """
    image = _calibrated(bundle, raw)
    if bundle.rule is None:
        return len({ranked(row, bundle.species)[0] for row in image.logits}) > 1
    sets = bundle.rule.image.names.sets(image).astype(np.int64)
    return bool((sets @ sets.T == 0).any())


def _one(scores: Scores) -> Scores:
    """Return the rows of one snake as one row."""
    return aggregate_observations(replace(scores, observations=("",) * len(scores)))


def _adjusted(
    bundle: Bundle, raw: Scores, here: Prior | None, place: Place
) -> tuple[Scores, tuple[PriorEffect, ...]]:
    """Apply the prior of the place, or without one the calibration of the image."""
    if here:
        return here.adjust_with_effect(raw)
    use = PriorUse.NO_PRIOR if place.weights else PriorUse.NO_COUNTRY
    return _calibrated(bundle, raw), (PriorEffect(use),) * len(raw)


def _calibrated(bundle: Bundle, raw: Scores) -> Scores:
    """Apply the calibration of the image."""
    return bundle.calibration.apply(raw) if bundle.calibration else raw


def _each(
    bundle: Bundle,
    raw: Scores,
    scores: Scores,
    effects: Sequence[PriorEffect],
    here: Prior | None,
) -> list[Decision]:
    """Decide about each row by itself, given the arguments and the result of `_adjusted`."""
    if bundle.rule is None:
        return decide_without_rule(scores)
    tested = here is bundle.prior  # the guarantee on the names holds for single countries
    return bundle.rule.decide(
        _calibrated(bundle, raw),
        is_ood=np.zeros(len(raw), np.bool_),
        adjusted=scores if here else None,
        of_country=np.array([tested and effect.of_country for effect in effects], np.bool_),
    )


def _guesses(bundle: Bundle, scores: Scores, top: int, nearby: Nearby | None) -> tuple[Guess, ...]:
    """Return the most probable species, with their records around the position."""
    (probabilities,) = scores.probabilities()
    # As in `Decision.species`: rounding of the sum can make different logits equally probable.
    best = ranked(scores.logits[0], bundle.species)[:top]
    names = [bundle.species[column] for column in best]
    return tuple(
        Guess(name, float(probabilities[column]), bundle.danger(name), *_records(nearby, column))
        for name, column in zip(names, best, strict=True)
    )


def _records(nearby: Nearby | None, column: int) -> tuple[int | None, int | None]:
    """Return the records of a species within 100 km, and the whole kilometres to the nearest."""
    if nearby is None or not nearby.known[column]:
        return None, None
    nearest_km = nearby.nearest_km[column]
    return int(nearby.records[column]), round(nearest_km) if np.isfinite(nearest_km) else None
