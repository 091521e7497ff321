"""What the page decides, against Python: the same logits, countries and words, field by field."""

import hashlib
import io
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from ophis import CountryPrior, SpeciesList
from ophis.decision.calibration import Calibration
from ophis.decision.conformal import PredictionSets
from ophis.decision.guarantees import Promises
from ophis.decision.rule import State, fit_rule
from ophis.geography.countries import iso_codes
from ophis.geography.location import place_of
from ophis.images.preprocessing import Preprocessing
from ophis.inference.bundles.bundle import Bundle, Member
from ophis.inference.classifier import Classifier
from ophis.inference.test_time_augmentation import WHOLE
from ophis.locales import languages
from ophis.priors.bayes import BayesPrior
from ophis.priors.bayes import Settings as Smoothing
from ophis.priors.overrides import Rule
from ophis.priors.prior import PriorUse
from ophis.priors.range_maps import PresenceMap, PresencePrior
from ophis.scores.scores import Scores
from ophis.taxonomy.species_list import species_key
from ophis.web.facts import as_json, facts_of
from tests.support.web_pages import opened_modules

SPECIES = SpeciesList(
    (
        "Naja naja", "Naja kaouthia", "Naja sp.", "Bungarus caeruleus", "Daboia russelii",
        "Crotalus atrox", "Crotalus horridus", "Charina bottae", "Python regius",
        "Pantherophis guttatus", "Pantherophis obsoletus", "Thamnophis sirtalis", "Natrix natrix",
        "Lampropeltis getula", "water snake", "Drawn red snake",
    )
)  # fmt: skip
HARMLESS = SpeciesList(("Pantherophis guttatus", "Pantherophis obsoletus", "Thamnophis sirtalis"))
CASES = 60  # a bundle
DECIDE = """async ([facts, table, cases, languages]) => {
  const {Decider} = await import(`${location.origin}/decision.js`);
  const words = {};
  for (const language of languages) {
    words[language] = await (await fetch(`words/${language}.json`)).json();
  }
  const decider = new Decider(facts, Float64Array.from(table, (x) => x ?? -Infinity));
  return cases.map(({photos, failures, place, top, language}) => decider.answer(
    photos.map((photo) => ({...photo, logits: Float64Array.from(photo.logits)})),
    failures, place, {top, words: words[language]}));
}"""


def png(photo: Image.Image) -> bytes:
    buffer = io.BytesIO()
    photo.save(buffer, "PNG")
    return buffer.getvalue()


def noise(width: int, height: int, seed: int) -> bytes:
    chance = np.random.default_rng(seed)
    return png(Image.fromarray(chance.integers(0, 256, (height, width, 3), np.uint8)))


# Photos by what is said of them: None where they can be used.
FILES = {None: noise(70, 70, 1), "small": noise(40, 90, 2), "flat": png(Image.new("L", (70, 70)))}


class Told(Classifier):
    """A classifier whose network says what it was told to."""

    logits: np.ndarray[Any, Any]
    novelty: np.ndarray[Any, Any]

    def __init__(self, bundle):
        self.bundle = bundle

    def _look(self, photos, place, *, evidence):
        names = tuple(photo.name for photo in photos)
        scores = Scores(
            logits=self.logits, species=self.bundle.species, photo_ids=names,
            truth=np.full(len(names), -1), countries=(place.country,) * len(names),
            observations=names, novelty=self.novelty,
        )  # fmt: skip
        return scores, ((),) * len(names)


def counts(species: SpeciesList) -> CountryPrior:
    """Of two names of one country, of nobody's country, and of species that are nowhere."""
    chance = np.random.default_rng(3)
    countries = ("UNKNOWN", "atlantis", "bahamas", "india", "kenya", "mexico", "nepal",
                 "the-bahamas", "united-states-of-america")  # fmt: skip
    table = chance.poisson(2.0, (len(countries), len(species))) * chance.integers(
        0, 2, len(species)
    )
    table[:, 0] += 1
    return CountryPrior(species, countries, table)


def presence(species: SpeciesList) -> PresenceMap:
    chance = np.random.default_rng(4)
    codes = ("BS", "IN", "KE", "MX", "NP", "TH", "US")
    places = {
        species_key(name): frozenset(code for code in codes if chance.random() < 0.4)
        for name in list(species)[:-1]
    }
    return PresenceMap(places, frozenset(codes))


def validation(species: SpeciesList, *, novelty: bool) -> Scores:
    chance = np.random.default_rng(5)
    truth = chance.integers(0, len(species), 900)
    logits = chance.normal(0, 1.5, (900, len(species)))
    logits[np.arange(900), truth] += 5
    names = tuple(map(str, range(900)))
    return Scores(
        logits=logits.astype(np.float32), species=species, photo_ids=names, truth=truth,
        countries=tuple(chance.choice(["india", "kenya", "nepal", "UNKNOWN"], 900).tolist()),
        observations=names,
        novelty=chance.gamma(2.0, size=900).astype(np.float32) if novelty else None,
    )  # fmt: skip


def bundle(species, *, prior=None, rule="", calibration=None) -> Bundle:
    """`rule`: what photos are refused by, or none."""
    learned = validation(species, novelty=rule == "feature distance")
    member = Member(Path("none"), species, Preprocessing(32, (0.5,) * 3, (0.5,) * 3), None)
    return Bundle(
        Path("none"), "0123456789ab", species, (member,), WHOLE, calibration, prior,
        fit_rule(learned, calibration=calibration, prior=prior) if rule else None,
    )  # fmt: skip


def sure(species: SpeciesList) -> Bundle:
    """Of small sets, and a country that excludes most that is venomous."""
    table = np.ones((2, len(species)), np.int64)
    table[0, :7] = 0
    sets = PredictionSets(species, 0.95, np.full(len(species), 0.8), 900)
    promises = Promises(names=sets, danger=sets)
    made = bundle(species, prior=CountryPrior(species, ("kenya", "india"), table), rule="energy")
    assert made.rule
    return replace(made, rule=replace(made.rule, image=promises, country=promises))


def bundles() -> dict[str, Bundle]:
    paper = counts(SPECIES)
    rules = (Rule("india", "Naja naja", 0.5), Rule("KE", "Naja naja", 0.0),
             Rule("TH", "Python regius", None))  # fmt: skip
    smoothing = Smoothing(presence_photos=0.3, temperature=1.7, divide=0.75, wrong_countries=0.1)
    bayes = BayesPrior(paper, smoothing, presence(SPECIES), rules)
    excluding = BayesPrior(
        paper, Smoothing(wrong_countries=0.0), rules=tuple(Rule("KE", s, 0.0) for s in SPECIES[:9])
    )
    listed = PresencePrior(SPECIES, presence(SPECIES))
    by_species = Calibration(
        np.linspace(0.5, 1.5, len(SPECIES)), np.linspace(-1, 1, len(SPECIES)), SPECIES
    )
    warm = Calibration(np.array(0.8), np.array(0.0))
    return {
        "image": bundle(SPECIES),
        "image, judged": bundle(SPECIES, rule="energy", calibration=warm),
        "counts": bundle(SPECIES, prior=paper),
        "counts, judged": bundle(SPECIES, prior=paper, rule="feature distance"),
        "counts, sure": sure(SPECIES),
        "bayes": bundle(SPECIES, prior=bayes, calibration=warm),
        "bayes, judged": bundle(SPECIES, prior=bayes, rule="feature distance"),
        "bayes, excluding": bundle(SPECIES, prior=excluding, rule="energy", calibration=by_species),
        "presence": bundle(SPECIES, prior=listed, calibration=by_species),
        "presence, judged": bundle(SPECIES, prior=listed, rule="energy", calibration=by_species),
        "harmless": bundle(HARMLESS, prior=counts(HARMLESS), rule="energy"),
    }


BUNDLES = bundles()


@pytest.fixture(scope="module")
def page(browser, tmp_path_factory):
    with opened_modules(browser, tmp_path_factory.mktemp("page")) as page:
        yield page


def country(chance, told) -> str | dict[str, float] | None:
    """A country as somebody gives it: none, a code, a spelling of the table, or several."""
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
    """A question of random photos: as the page gets it, and Python's answer."""
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
    told.novelty = chance.gamma(2.0, size=photos).astype(np.float32)
    given, top = country(chance, facts["countries"]), int(chance.integers(1, 8))
    if number % 12 == 1:
        given = "KE"
    language = str(chance.choice(languages()))
    broken = [b""] * int(chance.integers(2))
    data = [*broken, *(FILES[reason] for reason in why)]
    answer = told.identify(data, country=given, top=top, language=language).as_dict()
    place = {"shares": [], "source": None}
    if given is not None:
        place = {"shares": list(place_of(given).shares.items()), "source": "given"}
    seen = [
        {
            "name": found["name"], "why": reason, "logits": told.logits[row].tolist(),
            "novelty": float(told.novelty[row]),
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
    """Answers of the page and of Python to the same questions."""
    facts, table = facts_of(told.bundle)
    facts = json.loads(as_json(facts))
    cases = [case(told, number, facts) for number in numbers]
    numbers_or_none = [x if np.isfinite(x) else None for x in np.frombuffer(table).tolist()]
    found = page.evaluate(
        DECIDE, [facts, numbers_or_none, [question for question, _ in cases], languages()]
    )
    return [(here, there) for here, (_, there) in zip(found, cases, strict=True)]


@pytest.mark.parametrize("name", BUNDLES)
def test_the_page_decides_as_python_does(page, name):
    for here, there in decided(page, Told(BUNDLES[name]), range(CASES)):
        guesses = [(guess.pop("probability"), guess) for guess in here["guesses"]]
        expected = [(guess.pop("probability"), guess) for guess in there["guesses"]]
        assert [p for p, _ in guesses] == pytest.approx([p for p, _ in expected], abs=1e-12)
        assert here.pop("countries") == pytest.approx(there.pop("countries"), abs=1e-15)
        assert here == there


def test_everything_that_can_be_said_was_said():
    """Of the cases above; else they would prove less than they seem to."""
    states, uses, verdicts, left_out, ruled, odd = set(), set(), set(), set(), set(), set()
    for made in BUNDLES.values():
        told = Told(made)
        facts, _ = facts_of(made)
        for number in range(CASES):
            _, answer = case(told, number, facts)
            states.add(answer["state"])
            uses.add(answer["prior"])
            verdicts.add((answer["judged"], answer["verdict"]))
            left_out |= {photo["left_out"] for photo in answer["photos"]}
            ruled.add(answer["ruled"])
            odd.add(answer["contradicts"])
    assert states == set(State)
    assert uses == set(PriorUse) - {PriorUse.EXCLUDED}  # no network says "impossible"; see below
    assert len(verdicts) == 3  # what was never judged always warns
    assert left_out == {None, "small", "flat", "unlike"}
    assert ruled == odd == {False, True}


def test_a_country_that_leaves_no_species_leaves_the_image(page):
    found = page.evaluate("""async () => {
      const {Prior} = await import(`${location.origin}/prior.js`);
      const countries = {ke: {factors: 0, ratios: 1, use: "applied", ruled: false}};
      const prior = new Prior(2, countries, Float64Array.of(-Infinity, -Infinity, 1, 1), 2);
      const place = {shares: [["ke", 1]], source: "given"};
      const [[row], effect] = prior.adjusted([Float64Array.of(4, 2)], place);
      return [Array.from(row), effect];
    }""")
    assert found == [[2, 1], {"use": "excluded", "contradicts": False, "ruled": False}]


def test_a_half_per_cent_is_rounded_as_python_does(page):
    shares = [0.125, 0.375, 0.005, 0.285, 0.545, 1 / 3, 0.995]
    found = page.evaluate(
        """async (shares) => {
          const {sentences} = await import(`${location.origin}/sentences.js`);
          const words = await (await fetch("words/en.json")).json();
          const countries = {in: {code: "IN"}, np: {code: "NP"}};
          const decision = {state: "species", name: "x", species: [0], verdict: "may be venomous"};
          return shares.map((share) => sentences(words, decision,
            {shares: [["in", share], ["np", 1 - share]], source: "given"},
            {effect: {use: "weighed"}, photos: [{left_out: null}], judged: true, countries})[2]);
        }""",
        shares,
    )
    assert found == [
        f"The country, as given: India {share:.0%}, Nepal {1 - share:.0%}." for share in shares
    ]
