"""Answer about the photos of one snake, as a record, HTML and Markdown."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from enum import StrEnum
from html import escape
from typing import TYPE_CHECKING, Any

from ophis.decision.verdict import Verdict
from ophis.files.markup import HTML_CELL, escape_markdown
from ophis.locales import read_sentences

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from ophis.decision.decision import State
    from ophis.errors import PhotoFailure
    from ophis.geography.location import Source
    from ophis.inference.evidence import Evidence
    from ophis.locales import Sentences
    from ophis.priors.effect import PriorUse
    from ophis.taxonomy.danger import Danger

# Text takes the colour of the page, light or dark. No green: no answer is an all-clear.
_BOX = "padding:.4em .7em;border-radius:.3em;color:#fff;font-weight:bold;background:"
_BACKGROUND = {Verdict.MAY_BE_VENOMOUS: "#a40e26", Verdict.NOT_KNOWN_DANGEROUS: "#505a66"}
_CAUTION = "border-left:.3em solid #b35900;padding-left:.6em;font-weight:bold"
_TRACK = "display:inline-block;width:10em;height:.8em;border:1px solid currentColor;opacity:.85"
_FILLED = "display:block;height:100%;background:#3b82c4;width:"


class LeftOut(StrEnum):
    """Reason for which a photo is excluded; its words are in `ophis.locales`."""

    SMALL = "small"
    FLAT = "flat"
    UNLIKE = "unlike"


@dataclass(frozen=True)
class SeenPhoto:
    """A photo that could be read.

    Attributes:
        name: its path, or its number among the photos of a request.
        sha256: digest of its bytes.
        left_out: reason for which it is excluded; None when it is included.
    """

    name: str
    sha256: str
    left_out: LeftOut | None = None


@dataclass(frozen=True)
class Guess:
    """A species with its probability in [0, 1].

    Attributes:
        species: name.
        probability: with the place applied.
        danger: danger of the species, see `Bundle.danger`.
        records: its records within 100 km of the position; None without a position, or where the
            bundle has no record of it at all.
        nearest_km: whole kilometres to its nearest record; None without one within 500 km.
    """

    species: str
    probability: float
    danger: Danger
    records: int | None = None
    nearest_km: int | None = None


@dataclass(frozen=True)
class Answer:
    """Answer about one snake; iterating over it gives the guesses, best first.

    Attributes:
        photos: the photos that could be read, in the order given.
        failures: the photos that could not be read, with the reason.
        state: rank of the name: species, genus, family or none.
        name: the species, genus or family, else None.
        verdict: danger verdict, from every species that cannot be excluded.
        evaluated: whether the bundle was evaluated on photos; if not, it excludes no species.
        possible: the species that cannot be excluded, the most probable first; empty when no snake
            is detected.
        guesses: the most probable species, best first; empty when no snake is detected.
        country: key of the country that was used, as the prior spells it; the one with the
            largest weight of several; "UNKNOWN" when none is known.
        countries: weight of each country that the snake may be from, the largest first; more than
            one near a border, or when several were given.
        source: origin of the countries: given, or a position, which the answer does not contain;
            None without a country.
        prior: effect of the place on the probabilities; None where no photo could be read.
        contradicts: whether the photo shows species that are improbable at the place.
        overridden: whether prior overrides of the country apply.
        place_records: records of all species within 100 km of the position; None without a
            position, or where the bundle has no records.
        joined: whether species that fit the photo alone are kept beside those of the country,
            because the bundle was not tested on enough snakes for this use of a place.
        danger_guaranteed: whether the bundle was tested on enough snakes that may be dangerous to
            leave the warning out.
        bundle: version of the bundle that answers.
        language: language of the lines; the rest is the same in all languages.
        lines: the answer in sentences: that the bundle was not evaluated, if so; the danger, the
            name, limits of the bundle, the place, and the advice that holds for every snake.
        evidence: for each photo the evidence map of the best guess, on request; None when the
            network has none, or nothing was guessed.
        each: the answer to each photo by itself, where the photos do not fit one snake; then this
            answer has no name and no guesses, and ``possible`` holds the species that fit any of
            them. Else empty.
    """

    photos: tuple[SeenPhoto, ...]
    failures: tuple[PhotoFailure, ...]
    state: State
    name: str | None
    verdict: Verdict
    evaluated: bool
    possible: tuple[str, ...]
    guesses: tuple[Guess, ...]
    country: str
    countries: Mapping[str, float]
    source: Source | None
    prior: PriorUse | None
    contradicts: bool
    overridden: bool
    place_records: int | None
    joined: bool
    danger_guaranteed: bool
    bundle: str
    language: str
    lines: tuple[str, ...]
    evidence: tuple[Evidence | None, ...] = ()
    each: tuple[Answer, ...] = ()

    def __iter__(self) -> Iterator[Guess]:
        return iter(self.guesses)

    def __len__(self) -> int:
        return len(self.guesses)

    def __getitem__(self, place: int) -> Guess:
        return self.guesses[place]

    def as_dict(self) -> dict[str, Any]:
        """Return the answer as plain dictionaries, lists and numbers."""
        return json.loads(json.dumps(asdict(self)))

    def to_json(self) -> str:
        """Return the answer as JSON in one line; bytes of a name that are no UTF-8 are escaped."""
        text = json.dumps(self.as_dict(), ensure_ascii=False)
        return text.encode(errors="backslashreplace").decode()

    def _repr_html_(self) -> str:
        """Return the answer for a notebook."""
        return answer_html(self)

    def _repr_markdown_(self) -> str:
        """Return the answer for a notebook that cannot show HTML."""
        return answer_markdown(self)


def answer_html(answer: Answer, common: Answer | None = None) -> str:
    """Return an answer as HTML without script: danger, name, guesses with bars, other lines.

    ``common`` is the answer to all photos if this one is in its ``each``.
    """
    words = read_sentences(answer.language)
    caution, verdict, state, more, emergency = lines_by_kind(answer, words, common)
    parts = [
        f'<p style="opacity:.8">{escape(", ".join(_photos(answer)))}</p>',
        f'<p style="{_CAUTION}">{escape(caution)}</p>' if caution else "",
        f'<p style="{_BOX}{_BACKGROUND[answer.verdict]}">{escape(verdict)}</p>',
        f"<p>{escape(state)}</p>",
        *(_list_html(h, guesses, words, answer) for h, guesses in _lists(answer, words)),
        *(f'<p style="opacity:.8">{escape(line)}</p>' for line in more),
        *("<hr>" + answer_html(alone, answer) for alone in answer.each),
        f"<p><strong>{escape(emergency)}</strong></p>" if emergency else "",
    ]
    return f'<div lang="{escape(answer.language)}">{"".join(parts)}</div>'


def answer_markdown(answer: Answer, common: Answer | None = None) -> str:
    """Return an answer as Markdown; ``common`` as for `answer_html`."""
    words = read_sentences(answer.language)
    caution, verdict, state, more, emergency = lines_by_kind(answer, words, common)
    parts = [] if common is None else [escape_markdown(", ".join(_photos(answer)))]
    parts += [f"**{escape_markdown(line)}**" for line in (caution, verdict) if line]
    parts.append(escape_markdown(state))
    for heading, guesses in _lists(answer, words):
        parts.append(escape_markdown(heading))
        if guesses:
            parts.append(_table_markdown(guesses, words, answer))
    parts += [escape_markdown(line) for line in more]
    parts += ["---\n\n" + answer_markdown(alone, answer) for alone in answer.each]
    return "\n\n".join([*parts, f"**{escape_markdown(emergency)}**"] if emergency else parts)


def _table_markdown(guesses: Sequence[Guess], words: Sentences, answer: Answer) -> str:
    rows = [
        [
            f"*{escape_markdown(guess.species)}*",
            f"{guess.probability:.1%}",
            *(escape_markdown(text) for text in _about(guess, words, answer)),
        ]
        for guess in guesses
    ]
    columns = len(rows[0])
    head = ["| " * columns + "|", "|---|---:|" + "---|" * (columns - 2)]
    return "\n".join(head + [f"| {' | '.join(row)} |" for row in rows])


def _about(guess: Guess, words: Sentences, answer: Answer) -> list[str]:
    """Return the danger of a species, and its records around a position."""
    danger = words.text("danger", guess.danger)
    return [danger] if answer.place_records is None else [danger, recorded(guess, words)]


def lines_by_kind(
    answer: Answer, words: Sentences, common: Answer | None = None
) -> tuple[str, str, str, list[str], str]:
    """Return the caution about the bundle, danger, state, other lines with the bundle, advice.

    The caution is empty for an evaluated bundle. With the answer ``common`` to all photos, danger
    and state are the only lines that are repeated.
    """
    lines = list(answer.lines)
    caution = "" if answer.evaluated else lines.pop(0)
    verdict, state, *more, emergency = lines
    if common is not None:
        return "", verdict, state, [line for line in more if line not in common.lines], ""
    version = words.text("bundle", "version", version=answer.bundle[:12])
    return caution, verdict, state, [*more, version], emergency


def recorded(guess: Guess, words: Sentences) -> str:
    """Return the records of a species around the position in words; for an answer with records."""
    if guess.records is None:
        return words.text("records", "no_records")
    if guess.nearest_km is None:
        return words.text("records", "none")
    km = f"{guess.nearest_km:,}"
    if guess.records == 0:
        return words.text("records", "far", km=km)
    if guess.records == 1:
        return words.text("records", "one", km=km)
    return words.text("records", "near", number=f"{guess.records:,}", km=km)


def _photos(answer: Answer) -> list[str]:
    return [p.name for p in answer.photos] or [f.photo_id for f in answer.failures]


def _lists(answer: Answer, words: Sentences) -> list[tuple[str, list[Guess]]]:
    """Return the guesses by heading; of a bundle without evaluation all have one heading."""
    if not answer.guesses:
        return []
    if not answer.evaluated:
        return [(words.text("list", "guesses"), list(answer))]
    left = [guess for guess in answer if guess.species in answer.possible]
    others = [guess for guess in answer if guess.species not in answer.possible]
    lists = [(words.text("list", "possible"), left)] if left else []
    if further := len(answer.possible) - len(left):
        lists.append((words.text("list", "further", number=f"{further:,}"), []))
    return [*lists, (words.text("list", "others"), others)] if others else lists


def _list_html(heading: str, guesses: Sequence[Guess], words: Sentences, answer: Answer) -> str:
    rows = "".join(_row_html(guess, words, answer) for guess in guesses)
    table = f"<table><tbody>{rows}</tbody></table>" if rows else ""
    return f"<p>{escape(heading)}</p>{table}"


def _row_html(guess: Guess, words: Sentences, answer: Answer) -> str:
    share = f"{guess.probability:.1%}"
    filled = f'<span style="{_FILLED}{share}"></span>'
    track = f'<span style="{_TRACK}" aria-hidden="true">{filled}</span>'
    cells = [
        f"<em>{escape(guess.species)}</em>",
        share,
        *([track] if answer.evaluated else []),
        *map(escape, _about(guess, words, answer)),
    ]
    return "<tr>" + "".join(f'<td style="{HTML_CELL}">{cell}</td>' for cell in cells) + "</tr>"
