"""Decisions of the page against Python, field by field, for equal logits and countries."""

import hashlib
import json
from typing import Any

import numpy as np
import pytest

from ophis.decision.decision import State
from ophis.geography.countries import iso_codes
from ophis.geography.location import place_of
from ophis.locales import languages
from ophis.priors.prior import PriorUse
from ophis.web.facts import as_json, facts_of
from tests.support.decision_bundles import (
    BUNDLES,
    FILES,
    Told,
)
from tests.support.web_pages import opened_modules

CASES = 60  # a bundle
DECIDE = """async ([facts, table, cases, languages]) => {
  const {Decider} = await import(`${location.origin}/decision.js`);
  const sections = {};
  for (const language of languages) {
    sections[language] = await (await fetch(`sentences/${language}.json`)).json();
  }
  const decider = new Decider(facts, Float64Array.from(table, (x) => x ?? -Infinity));
  return cases.map(({photos, failures, place, top, language}) => decider.answer(
    photos.map((photo) => ({...photo, logits: Float64Array.from(photo.logits)})),
    failures, place, {top, sections: sections[language]}));
}"""


@pytest.fixture(scope="module")
def page(browser, tmp_path_factory):
    with opened_modules(browser, tmp_path_factory.mktemp("page")) as page:
        yield page


def country(chance, told) -> str | dict[str, float] | None:
    """Return a random country: none, a code, a spelling of the table, or several."""
    spelled = [key for key in told if len(key) > 2]
    kind = chance.integers(5)
    if kind == 0:
        return None
    if kind == 1:
        return str(chance.choice(["IN", "KE", "NP", "MX", "BS", "US"]))
    if kind == 2:
        return str(chance.choice(spelled))
    if kind == 3:
        return str(chance.choice(iso_codes()))
    several = chance.choice([*iso_codes(), "IN", "KE", "NP"], chance.integers(2, 4), replace=False)
    return {str(code): float(chance.choice([1, 2, 4, 8, 29, 57])) for code in several}


def case(told: Told, number: int, facts: dict[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return a request with random photos for the page, and Python's answer."""
    chance = np.random.default_rng([6, number])
    photos, species = int(chance.choice([1, 1, 2, 3])), told.bundle.species
    why = chance.choice([None, None, None, "small", "flat"], photos).tolist()
    logits = chance.normal(0, 1, (photos, len(species)))
    shared = chance.choice(len(species), photos if number % 3 else 1)
    logits[np.arange(photos), shared] += chance.choice([0, 3, 6, 9])
    if number % 5 == 0:  # nobody tells them apart: of one genus, or of two families
        alike = [[5, 6], [7, 9]][number // 5 % 2] if len(species) > 3 else [0, 1]
        logits[:, alike] += 12
    if number % 6 == 1 and len(species) > 3:  # what a country may exclude, and another in mind
        logits[:, [int(chance.choice(7)), 9]] += [20, 14]
    if number % 7 == 0:
        logits = logits.round()  # many are equally probable
    told.logits = logits.astype(np.float32)
    told.ood_score = chance.gamma(2.0, size=photos).astype(np.float32)
    given, top = country(chance, facts["countries"]), int(chance.integers(1, 8))
    if number % 12 == 1:
        given = "KE"
    language = str(chance.choice(languages()))
    broken = [b""] * int(chance.integers(2))
    data = [*broken, *(FILES[reason] for reason in why)]
    answer = told.identify(data, country=given, top=top, language=language).as_dict()
    place = {"weights": [], "source": None}
    if given is not None:
        place = {"weights": list(place_of(given).weights.items()), "source": "given"}
    seen = [
        {
            "name": found["name"], "why": reason, "logits": told.logits[row].tolist(),
            "ood_score": float(told.ood_score[row]),
            "sha256": hashlib.sha256(FILES[reason]).hexdigest(),
        }
        for row, (found, reason) in enumerate(zip(answer["photos"], why, strict=True))
    ]  # fmt: skip
    question = {
        "photos": seen, "failures": answer["failures"], "place": place, "top": top,
        "language": language,
    }  # fmt: skip
    return question, answer


def decided(page, told: Told, numbers: range) -> list[tuple[dict[str, Any], dict[str, Any]]]:
    """Return the answers of the page and of Python to the same requests."""
    facts, table = facts_of(told.bundle)
    facts = json.loads(as_json(facts))
    cases = [case(told, number, facts) for number in numbers]
    numbers_or_none = [x if np.isfinite(x) else None for x in np.frombuffer(table).tolist()]
    found = page.evaluate(
        DECIDE, [facts, numbers_or_none, [question for question, _ in cases], languages()]
    )
    return [(here, there) for here, (_, there) in zip(found, cases, strict=True)]


@pytest.mark.parametrize("name", BUNDLES)
def test_page_decides_like_python(page, name):
    for here, there in decided(page, Told(BUNDLES[name]), range(CASES)):
        guesses = [(guess.pop("probability"), guess) for guess in here["guesses"]]
        expected = [(guess.pop("probability"), guess) for guess in there["guesses"]]
        assert [p for p, _ in guesses] == pytest.approx([p for p, _ in expected], abs=1e-12)
        assert here.pop("countries") == pytest.approx(there.pop("countries"), abs=1e-15)
        assert here == there


def test_cases_cover_all_results():
    """The cases above produce every state, verdict and reason."""
    states, uses, verdicts, left_out, overridden, odd = set(), set(), set(), set(), set(), set()
    for made in BUNDLES.values():
        told = Told(made)
        facts, _ = facts_of(made)
        for number in range(CASES):
            _, answer = case(told, number, facts)
            states.add(answer["state"])
            uses.add(answer["prior"])
            verdicts.add((answer["judged"], answer["verdict"]))
            left_out |= {photo["left_out"] for photo in answer["photos"]}
            overridden.add(answer["overridden"])
            odd.add(answer["contradicts"])
    assert states == set(State)
    assert uses == set(PriorUse) - {PriorUse.EXCLUDED}  # no network says "impossible"; see below
    assert len(verdicts) == 3  # what was never judged always warns
    assert left_out == {None, "small", "flat", "unlike"}
    assert overridden == odd == {False, True}


def test_country_without_species_keeps_the_image_probabilities(page):
    found = page.evaluate("""async () => {
      const {Prior} = await import(`${location.origin}/prior.js`);
      const countries = {ke: {factors: 0, ratios: 1, use: "applied", overridden: false}};
      const prior = new Prior(2, countries, Float64Array.of(-Infinity, -Infinity, 1, 1), 2);
      const place = {weights: [["ke", 1]], source: "given"};
      const [[row], effect] = prior.adjusted([Float64Array.of(4, 2)], place);
      return [Array.from(row), effect];
    }""")
    assert found == [[2, 1], {"use": "excluded", "contradicts": False, "overridden": False}]


def test_half_per_cent_is_rounded_like_python(page):
    shares = [0.125, 0.375, 0.005, 0.285, 0.545, 1 / 3, 0.995]
    found = page.evaluate(
        """async (shares) => {
          const {answerLines} = await import(`${location.origin}/answer_lines.js`);
          const sections = await (await fetch("sentences/en.json")).json();
          const countries = {in: {code: "IN"}, np: {code: "NP"}};
          const decision = {state: "species", name: "x", species: [0], verdict: "may be venomous"};
          return shares.map((share) => answerLines(sections, decision,
            {weights: [["in", share], ["np", 1 - share]], source: "given"},
            {effect: {use: "weighed"}, photos: [{left_out: null}], judged: true, countries})[2]);
        }""",
        shares,
    )
    assert found == [
        f"The country, as given: India {share:.0%}, Nepal {1 - share:.0%}." for share in shares
    ]
