"""What is said of a photo, or of several photos of one snake."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Any

from ophis.decision.decision import State
from ophis.geography.countries import UNKNOWN, country_code, country_name
from ophis.geography.country_names import name_in

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from ophis.decision.decision import Decision
    from ophis.decision.verdict import Verdict
    from ophis.errors import PhotoFailure
    from ophis.geography.location import Place, Source
    from ophis.inference.evidence import Evidence
    from ophis.locales import Sentences
    from ophis.priors.prior import PriorEffect, PriorUse
    from ophis.taxonomy.danger import Danger


class LeftOut(StrEnum):
    """Why a photo had no say in an answer; the words for it are in `words`."""

    SMALL = "small"
    FLAT = "flat"
    UNLIKE = "unlike"


@dataclass(frozen=True)
class SeenPhoto:
    """A photo that was read.

    Attributes:
        name: as it was given.
        sha256: digest of its bytes.
        left_out: why it had no say; None where it had.
    """

    name: str
    sha256: str
    left_out: LeftOut | None = None


@dataclass(frozen=True)
class Guess:
    """A species with its probability in [0, 1]."""

    species: str
    probability: float
    danger: Danger


@dataclass(frozen=True)
class Answer:
    """What is said of one snake; iterating over it gives the guesses, best first.

    Attributes:
        photos: those that were read, in the order given; most answers have one, and where nothing
            could be read there is none.
        failures: those that could not be read, and why.
        state: how far the answer goes: to a species, a genus, a family, or not at all.
        name: that species, genus or family, else None.
        verdict: on the danger, from every species that cannot be excluded.
        judged: whether the bundle was ever judged on photos; if not, it excludes no species, and
            its guesses are for trying out only.
        possible: the species that cannot be excluded, the most probable first; empty when no snake
            is seen.
        guesses: the most probable species, best first; empty when no snake is seen.
        country: key of the country that was used, as the prior spells it, that with the largest
            share of several; "UNKNOWN" when none is known.
        countries: share of each country that the snake may be from, the largest first; more than
            one near a border, or when several were given.
        source: where they came from: given, or a photo's own position, which itself stands
            nowhere; None when nobody said anything.
        prior: what the country did to the probabilities; None where no photo could be read.
        contradicts: whether the photo looks like species that are hardly expected there.
        overridden: whether a person's rules for the country count in the probabilities.
        bundle: version of the bundle that answers.
        language: of the lines; the rest is the same in all languages.
        lines: all that in sentences for people: that the bundle was never judged, if so; the
            danger, what it is, the country, and what holds whatever the snake is.
        evidence: where asked for, of each photo: what in it speaks for the best guess; None where
            that is not known, or nothing was guessed.
    """

    photos: tuple[SeenPhoto, ...]
    failures: tuple[PhotoFailure, ...]
    state: State
    name: str | None
    verdict: Verdict
    judged: bool
    possible: tuple[str, ...]
    guesses: tuple[Guess, ...]
    country: str
    countries: Mapping[str, float]
    source: Source | None
    prior: PriorUse | None
    contradicts: bool
    overridden: bool
    bundle: str
    language: str
    lines: tuple[str, ...]
    evidence: tuple[Evidence | None, ...] = ()

    def __iter__(self) -> Iterator[Guess]:
        return iter(self.guesses)

    def __len__(self) -> int:
        return len(self.guesses)

    def __getitem__(self, place: int) -> Guess:
        return self.guesses[place]

    def as_dict(self) -> dict[str, Any]:
        """The answer as JSON has it."""
        return json.loads(json.dumps(asdict(self)))

    def to_json(self) -> str:
        """The same in one line."""
        return json.dumps(self.as_dict(), ensure_ascii=False)

    def _repr_html_(self) -> str:
        """What a notebook shows."""
        from ophis.inference.notebook import answer_html  # noqa: PLC0415 - only a notebook asks

        return answer_html(self)

    def _repr_markdown_(self) -> str:
        """What a notebook shows where it cannot show HTML."""
        from ophis.inference.notebook import answer_markdown  # noqa: PLC0415

        return answer_markdown(self)


def sentences(
    words: Sentences,
    decision: Decision,
    place: Place,
    *,
    effect: PriorEffect | None,
    photos: Sequence[SeenPhoto],
    judged: bool,
) -> tuple[str, ...]:
    """The answer in sentences; an answer that names no snake does not speak of the country."""
    why = photos[0].left_out if photos else "unread"
    filled = {"name": decision.name or "", "why": words.text("why", why) if why else ""}
    lines = [
        *(() if judged else (words.text("bundle", "never_judged"),)),
        words.text("verdict", decision.verdict),
        words.text("state", decision.state, **filled),
    ]
    if effect and decision.state not in (State.NO_SNAKE, State.UNUSABLE):
        if place.source:
            lines.append(words.text("place", place.source, countries=_named(place.shares, words)))
        lines.append(words.text("prior", effect.use))
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


def _named(shares: Mapping[str, float], words: Sentences) -> str:
    """Countries as people read them, several with their shares."""
    names = {_name(key, words): share for key, share in shares.items()}
    several = len(names) > 1
    return ", ".join(f"{name} {share:.0%}" if several else name for name, share in names.items())


def _name(key: str, words: Sentences) -> str:
    if key == UNKNOWN:
        return words.text("place", "unknown")
    code = country_code(key)
    return name_in(code, words.language) if code else country_name(key)
