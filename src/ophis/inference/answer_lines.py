"""Sentences of an answer."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ophis.decision.decision import State
from ophis.geography.countries import UNKNOWN, country_code, country_name
from ophis.geography.country_names import name_in

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from ophis.decision.decision import Decision
    from ophis.decision.rule import DecisionRule
    from ophis.geography.location import Place
    from ophis.inference.answer import SeenPhoto
    from ophis.locales import Sentences
    from ophis.priors.effect import PriorEffect


def sentences(
    words: Sentences,
    decision: Decision,
    place: Place,
    *,
    effect: PriorEffect | None,
    photos: Sequence[SeenPhoto],
    rule: DecisionRule | None,
) -> tuple[str, ...]:
    """Return the answer in sentences; without a name they do not mention the place."""
    why = photos[0].left_out if photos else "unread"
    filled = {"name": decision.name or "", "why": words.text("why", why) if why else ""}
    lines = [
        *(() if rule else (words.text("bundle", "not_evaluated"),)),
        words.text("verdict", decision.verdict),
        words.text("photo", "contradicting")
        if decision.contradicting
        else words.text("state", decision.state, **filled),
    ]
    if effect and decision.state not in (State.NO_SNAKE, State.UNUSABLE):
        if rule and not rule.image.danger_guaranteed:
            lines.append(words.text("bundle", "few_dangerous"))
        if place.source:
            lines.append(words.text("place", place.source, countries=_named(place.weights, words)))
        lines.append(words.text("prior", effect.use))
        if effect.records is not None:
            lines.append(words.text("records", "total", number=f"{effect.records:,}"))
        if decision.joined:
            lines.append(words.text("country", "joined"))
        if effect.overridden:
            lines.append(words.text("country", "overridden"))
        if effect.contradicts:
            lines.append(words.text("country", "contradicts"))
        lines += [
            words.text("photo", "left_out", name=photo.name, why=words.text("why", photo.left_out))
            for photo in photos
            if photo.left_out
        ]
    return (*lines, words.text("advice", "emergency"))


def _named(weights: Mapping[str, float], words: Sentences) -> str:
    """Return the names of the countries, several with their weights."""
    names = {_name(key, words): weight for key, weight in weights.items()}
    several = len(names) > 1
    return ", ".join(f"{name} {weight:.0%}" if several else name for name, weight in names.items())


def _name(key: str, words: Sentences) -> str:
    if key == UNKNOWN:
        return words.text("place", "unknown")
    code = country_code(key)
    return name_in(code, words.language) if code else country_name(key)
