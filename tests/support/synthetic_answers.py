"""Synthetic answers of each kind, with the sentences of Python, without a network."""

import hashlib
from itertools import cycle
from typing import Any

import numpy as np

from ophis.decision.decision import Decision, State
from ophis.decision.verdict import Verdict
from ophis.errors import PhotoFailure, Reason
from ophis.geography.location import Place, Source
from ophis.inference.answer import Answer, Guess, LeftOut, SeenPhoto
from ophis.inference.answer_lines import sentences
from ophis.locales import read_sentences
from ophis.priors.effect import PriorEffect, PriorUse
from ophis.taxonomy.danger import Danger
from tests.support.classifiers import RULE

SPECIES = (
    ("Bothrops atrox", Danger.VENOMOUS),
    ("Bothrops asper", Danger.VENOMOUS),
    ("Leptodeira polysticta", Danger.UNKNOWN),
    ("Coronella austriaca", Danger.NOT_KNOWN_DANGEROUS),
    ("Eirenis decemlineatus", Danger.UNKNOWN),
)
SURE, UNSURE = (0.931, 0.041, 0.0278, 0.0001, 0.0001), (0.524, 0.331, 0.083, 0.0412, 0.0204)
# Records within 100 km, and kilometres to the nearest one.
RECORDS = ((41, 3), (1, 87), (0, 230), (0, None), (None, None))
NO_RECORDS = ((None, None),) * len(SPECIES)
LISTED = (Guess("Coronella austriaca", 0.9992, Danger.NOT_KNOWN_DANGEROUS),)
NAMES = {State.SPECIES: "Bothrops atrox", State.GENUS: "Bothrops", State.FAMILY: "Viperidae"}
LEFT = {State.SPECIES: 1, State.GENUS: 2, State.FAMILY: 2, State.UNIDENTIFIED: 3}

# Names of all answers.
KINDS = (
    *State, "listed", "not evaluated", "contradicts", "position", "border", "left out",
    "one unread", "two snakes", "place",
)  # fmt: skip


def made_answer(kind: str, photos: tuple[bytes, ...], language: str = "en") -> dict[str, Any]:
    """Return an answer as JSON, with evidence for each photo that counts."""
    if kind == "two snakes":
        return _two_snakes(photos, language)
    state = State(kind) if kind in [*State] else State.SPECIES
    unseen = state in (State.NO_SNAKE, State.UNUSABLE)
    evaluated = kind != "not evaluated"
    if not evaluated:
        state = State.UNIDENTIFIED
    probabilities = SURE if state is State.SPECIES else UNSURE
    found = RECORDS if kind == "place" else NO_RECORDS
    made = tuple(
        Guess(name, p, danger, *records)
        for (name, danger), p, records in zip(SPECIES, probabilities, found, strict=True)
    )
    guesses = LISTED if kind == "listed" else () if unseen else made
    left = len(guesses) if not evaluated else LEFT.get(state, 0)
    name = guesses[0].species if kind == "listed" else NAMES.get(state)
    verdict = Verdict.NOT_KNOWN_DANGEROUS if kind == "listed" else Verdict.MAY_BE_VENOMOUS
    place = _place(kind)
    effect = PriorEffect(
        PriorUse.WEIGHED if place.source else PriorUse.NO_COUNTRY, contradicts=kind == "contradicts"
    )
    if kind == "place":
        effect = PriorEffect(PriorUse.PLACE, records=1204)
    seen = _seen(kind, photos, state)
    failures = (PhotoFailure("photo 2", "photo 2: damaged or cut short", Reason.DAMAGED),)
    words = read_sentences(language)
    decision = Decision(state, name, (), verdict)
    answer = Answer(
        photos=seen, failures=failures if kind == "one unread" else (), state=state, name=name,
        verdict=verdict, evaluated=evaluated, possible=tuple(g.species for g in guesses[:left]),
        guesses=guesses, country=place.country, countries=place.weights, source=place.source,
        prior=effect.use, contradicts=effect.contradicts, overridden=False,
        place_records=effect.records,
        joined=False, danger_guaranteed=evaluated, bundle="0123456789ab", language=language,
        lines=sentences(
            words, decision, place, effect=effect, photos=seen, rule=RULE if evaluated else None,
        ),
    )  # fmt: skip
    evidence = [None if unseen or photo.left_out else _evidence() for photo in seen]
    return answer.as_dict() | {"evidence": evidence}


def _two_snakes(photos: tuple[bytes, ...], language: str) -> dict[str, Any]:
    """Return the answer to photos that do not fit one snake; the kinds of their answers rotate."""
    kinds = cycle(("species", "listed", "genus"))
    each = [made_answer(kind, (data,), language) for kind, data in zip(kinds, photos, strict=False)]
    common = made_answer("unidentified", photos, language)
    common["lines"][1] = read_sentences(language).text("photo", "contradicting")
    return common | {"guesses": [], "evidence": [None] * len(photos), "each": each}


def _seen(kind: str, photos: tuple[bytes, ...], state: State) -> tuple[SeenPhoto, ...]:
    whys: list[LeftOut | None] = [None] * len(photos)
    if state is State.NO_SNAKE:
        whys = [LeftOut.UNLIKE] * len(photos)
    elif state is State.UNUSABLE:
        whys = [LeftOut.FLAT] * len(photos)
    elif kind == "left out":
        whys[-1] = LeftOut.SMALL
    seen = tuple(
        SeenPhoto(f"{number}.jpg", hashlib.sha256(data).hexdigest(), why)
        for number, (data, why) in enumerate(zip(photos, whys, strict=True), start=1)
    )
    return seen[:1] + seen[2:] if kind == "one unread" else seen


def _place(kind: str) -> Place:
    if kind == "position":
        return Place({"br": 1.0}, Source.POSITION)
    if kind == "border":
        return Place({"br": 0.7, "co": 0.3}, Source.BORDER)
    if kind == "place":
        return Place({"br": 1.0}, Source.GIVEN_POSITION)
    if kind == "not evaluated":
        return Place({}, None)
    return Place({"br": 1.0}, Source.GIVEN)


def _evidence() -> dict[str, Any]:
    """Return a map with a maximum at the lower left of the middle."""
    y, x = np.mgrid[0:14, 0:14] / 13
    hill = np.exp(-((y - 0.62) ** 2 + (x - 0.42) ** 2) / 0.045)
    hill = np.maximum(hill - 0.08, 0)
    values = (hill / hill.max()).ravel().round(3).tolist()
    return {"species": "Bothrops atrox", "rows": 14, "columns": 14, "values": values}
