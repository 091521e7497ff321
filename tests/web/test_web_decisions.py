"""Decisions of the page against Python, field by field, for equal logits and countries."""

import hashlib
import json
from typing import Any

import numpy as np
import pytest

from ophis.decision.decision import State
from ophis.geography.countries import iso_codes
from ophis.geography.location import Position, place_of
from ophis.locales import languages
from ophis.priors.effect import PriorUse
from ophis.web.facts import as_json, facts_of, records_of
from tests.support.decision_bundles import (
    BUNDLES,
    FILES,
    LogitsClassifier,
)
from tests.support.web_pages import encoded, opened_modules

CASES = 60  # a bundle
DECIDE = """async ([facts, table, records, cases, languages]) => {
  const {Decider} = await import(`${location.origin}/decision.js`);
  const sections = {};
  for (const language of languages) {
    sections[language] = await (await fetch(`sentences/${language}.json`)).json();
  }
  const rows = Uint8Array.from(atob(records), (letter) => letter.charCodeAt(0)).buffer;
  const decider = new Decider(facts, Float64Array.from(table, (x) => x ?? -Infinity), rows);
  return cases.map(({photos, failures, place, top, language}) => decider.answer(
    photos.map((photo) => ({...photo, logits: Float64Array.from(photo.logits)})),
    failures, place, {top, sections: sections[language]}));
}"""


@pytest.fixture(scope="module")
def page(browser, tmp_path_factory):
    with opened_modules(browser, tmp_path_factory.mktemp("page")) as page:
        yield page


def country(rng, countries) -> str | dict[str, float] | None:
    """Return a random country: none, a code, a spelling of the table, or several."""
    spelled = [key for key in countries if len(key) > 2]
    kind = rng.integers(5)
    if kind == 0:
        return None
    if kind == 1:
        return str(rng.choice(["IN", "KE", "NP", "MX", "BS", "US"]))
    if kind == 2:
        return str(rng.choice(spelled))
    if kind == 3:
        return str(rng.choice(iso_codes()))
    several = rng.choice([*iso_codes(), "IN", "KE", "NP"], rng.integers(2, 4), replace=False)
    return {str(code): float(rng.choice([1, 2, 4, 8, 29, 57])) for code in several}


def position(rng) -> Position | None:
    """Return a random position or none: near records, near a border, far at sea, anywhere."""
    if rng.random() < 0.3:
        return None
    centres = [(27, 85), (20, 78), (-1, 37), (26.5, 86.75), (66, 180), (90, 0), (-20, 75)]
    latitude, longitude = rng.choice(centres) + rng.normal(0, 2, 2)
    if rng.random() < 0.1:
        latitude, longitude = rng.uniform(-90, 90), rng.uniform(-180, 180)
    turned = (longitude + 180) % 360 - 180
    return Position(
        float(np.clip(latitude, -90, 90)), float(turned), float(rng.choice([0.02, 1, 60]))
    )


def case(
    classifier: LogitsClassifier, number: int, facts: dict[str, Any]
) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return a request with random photos for the page, and Python's answer."""
    rng = np.random.default_rng([6, number])
    photos, species = int(rng.choice([1, 1, 2, 3])), classifier.bundle.species
    why = rng.choice([None, None, None, "small", "flat"], photos).tolist()
    logits = rng.normal(0, 1, (photos, len(species)))
    shared = rng.choice(len(species), photos if number % 3 else 1)
    logits[np.arange(photos), shared] += rng.choice([0, 3, 6, 9])
    if number % 5 == 0:  # equal logits: of one genus, of one family, or of two families
        alike = [[5, 6], [9, 11], [7, 9]][number // 5 % 3] if len(species) > 3 else [0, 1]
        logits[:, alike] += 12
    if (
        number % 6 == 1 and len(species) > 3
    ):  # a species that a country may exclude, and a second one
        logits[:, [int(rng.choice(7)), 9]] += [20, 14]
    if number % 7 == 0:
        logits = logits.round()  # many are equally probable
    classifier.logits = logits.astype(np.float32)
    classifier.ood_score = rng.gamma(2.0, size=photos).astype(np.float32)
    given, top = country(rng, facts["countries"]), int(rng.integers(1, 8))
    if number % 12 == 1:
        given = "KE"
    at = position(rng) if classifier.bundle.prior and facts["prior"]["location"] else None
    language = str(rng.choice(languages()))
    broken = [b""] * int(rng.integers(2))
    data = [*broken, *(FILES[reason] for reason in why)]
    if at and (not isinstance(given, str) or place_of(None, at=at).weights):
        given = None  # a country goes with a position at sea only; it may contradict others
    answer = classifier.identify(data, country=given, at=at, top=top, language=language).as_dict()
    place: dict[str, Any] = {"weights": [], "source": None}
    if given is not None or at:
        found = place_of(given, at=at)
        place = {"weights": list(found.weights.items()), "source": found.source}
    if at:
        place["position"] = vars(at)
    seen = [
        {
            "name": found["name"], "why": reason, "logits": classifier.logits[row].tolist(),
            "ood_score": float(classifier.ood_score[row]),
            "sha256": hashlib.sha256(FILES[reason]).hexdigest(),
        }
        for row, (found, reason) in enumerate(zip(answer["photos"], why, strict=True))
    ]  # fmt: skip
    request = {
        "photos": seen, "failures": answer["failures"], "place": place, "top": top,
        "language": language,
    }  # fmt: skip
    return request, answer


def decided(
    page, classifier: LogitsClassifier, numbers: range
) -> list[tuple[dict[str, Any], dict[str, Any]]]:
    """Return the answers of the page and of Python to the same requests."""
    facts, table = facts_of(classifier.bundle)
    facts = json.loads(as_json(facts))
    cases = [case(classifier, number, facts) for number in numbers]
    numbers_or_none = [x if np.isfinite(x) else None for x in np.frombuffer(table).tolist()]
    found = page.evaluate(
        DECIDE,
        [
            facts,
            numbers_or_none,
            encoded(records_of(classifier.bundle)),
            [request for request, _ in cases],
            languages(),
        ],
    )
    return [(here, there) for here, (_, there) in zip(found, cases, strict=True)]


@pytest.mark.parametrize("name", BUNDLES)
def test_page_decides_like_python(page, name):
    for here, there in decided(page, LogitsClassifier(BUNDLES[name]), range(CASES)):
        for found, expected in zip([here, *here["each"]], [there, *there["each"]], strict=True):
            probabilities = [guess.pop("probability") for guess in expected["guesses"]]
            assert [guess.pop("probability") for guess in found["guesses"]] == pytest.approx(
                probabilities, abs=1e-12
            )
            assert found.pop("countries") == pytest.approx(expected.pop("countries"), abs=1e-15)
        assert here == there


def test_cases_cover_all_results():
    """The cases above produce every state, verdict and reason."""
    states, uses, verdicts, left_out, overridden, odd = set(), set(), set(), set(), set(), set()
    limits, alone = set(), set()
    for made in BUNDLES.values():
        classifier = LogitsClassifier(made)
        facts, _ = facts_of(made)
        for number in range(CASES):
            _, answer = case(classifier, number, facts)
            states.add(answer["state"])
            uses.add(answer["prior"])
            verdicts.add((answer["evaluated"], answer["verdict"]))
            left_out |= {photo["left_out"] for photo in answer["photos"]}
            overridden.add(answer["overridden"])
            odd.add(answer["contradicts"])
            alone.add((answer["evaluated"], bool(answer["each"])))
            limits.add((answer["evaluated"], answer["joined"], answer["danger_guaranteed"]))
    assert states == set(State)
    assert uses == set(PriorUse) - {PriorUse.EXCLUDED}  # tested below
    assert len(verdicts) == 3  # a bundle without evaluation always warns
    assert len(alone) == 4  # also photos of several snakes
    assert left_out == {None, "small", "flat", "unlike"}
    assert overridden == odd == {False, True}
    assert {joined for evaluated, joined, _ in limits if evaluated} == {False, True}
    assert {guaranteed for evaluated, _, guaranteed in limits if evaluated} == {False, True}


def test_country_without_species_keeps_the_image_probabilities(page):
    found = page.evaluate("""async () => {
      const {Prior} = await import(`${location.origin}/prior.js`);
      const countries = {ke: {factors: 0, ratios: 1, use: "applied", overridden: false}};
      const prior = new Prior(2, countries, Float64Array.of(-Infinity, -Infinity, 1, 1), 2);
      const place = {weights: [["ke", 1]], source: "given"};
      const [row, effect] = prior.adjusted(Float64Array.of(4, 2), place);
      return [Array.from(row), effect];
    }""")
    effect = {"contradicts": False, "overridden": False, "of_country": False}
    assert found == [[2, 1], {"use": "excluded"} | effect]


def test_half_per_cent_is_rounded_like_python(page):
    fractions = [0.125, 0.375, 0.005, 0.285, 0.545, 1 / 3, 0.995]
    found = page.evaluate(
        """async (fractions) => {
          const {answerLines} = await import(`${location.origin}/answer_lines.js`);
          const sections = await (await fetch("sentences/en.json")).json();
          const countries = {in: {code: "IN"}, np: {code: "NP"}};
          const decision = {state: "species", name: "x", species: [0], verdict: "may be venomous"};
          return fractions.map((fraction) => answerLines(sections, decision,
            {weights: [["in", fraction], ["np", 1 - fraction]], source: "given"},
            {effect: {use: "weighed"}, photos: [{left_out: null}], evaluated: true,
             danger_guaranteed: true, countries})[2]);
        }""",
        fractions,
    )
    assert found == [
        f"The country, as given: India {fraction:.0%}, Nepal {1 - fraction:.0%}."
        for fraction in fractions
    ]
