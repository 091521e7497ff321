"""Properties of answers for arbitrary logits."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ophis import CountryPrior, Manifest, Scores, SpeciesList, load, read_manifest
from ophis.decision.calibration import Calibration
from ophis.decision.conformal import PredictionSets
from ophis.decision.decision import State
from ophis.decision.guarantees import Guarantees
from ophis.decision.rule import DecisionRule, fit_rule
from ophis.decision.verdict import Verdict
from ophis.geography.countries import country_key, iso_codes
from ophis.inference.answer import Answer
from ophis.inference.bundles.bundle import Bundle
from ophis.inference.classifier import Classifier
from ophis.locales import languages
from ophis.priors.bayes import BayesPrior, Settings
from ophis.priors.location import LocationPrior
from ophis.priors.overrides import Override
from ophis.priors.prior import Prior
from ophis.taxonomy.danger import dangerous
from tests.support.all_clear import ALL_CLEAR
from tests.support.decision_bundles import BUNDLES, LogitsClassifier
from tests.support.made_bundle import write_made_bundle
from tests.support.photos import photo

TOLERANCE = 1e-6
# Bundles of each kind of prior, rule and calibration, as in the tests of the page.
EVALUATED = {name: bundle for name, bundle in BUNDLES.items() if bundle.rule}
EVALUATED_IMAGE = EVALUATED["image, evaluated"]
SPECIES = EVALUATED_IMAGE.species
COUNTRIES = st.sampled_from([None, "IN", "KE", "NP", "MX", "UNKNOWN", {"IN": 0.6, "NP": 0.4}])
POSITIONS = st.sampled_from([(27.7, 85.3), (19.0, 73.0), (-1.3, 36.8), (-40.0, -20.0)])
PLACES = st.one_of(COUNTRIES.map(lambda c: {"country": c}), POSITIONS.map(lambda p: {"at": p}))
PHOTO = photo()


def logits_of(species: int, photos: int = 1) -> st.SearchStrategy[np.ndarray]:
    """Return a strategy of logits, some of them equal."""
    numbers = st.one_of(st.floats(-30, 30, width=32), st.integers(-3, 3).map(float))
    rows = st.lists(numbers, min_size=species * photos, max_size=species * photos)
    return rows.map(lambda row: np.array(row, np.float32).reshape(photos, species))


def answer_of(bundle: Bundle, logits: np.ndarray, **options: Any) -> Answer:
    """Return the answer of a classifier whose network gives these logits."""
    classifier = LogitsClassifier(bundle)
    classifier.logits = logits
    classifier.ood_score = np.zeros(len(logits), np.float32)
    return classifier.identify([PHOTO] * len(logits), **options)


def require_same(a: Answer, b: Answer) -> None:
    """Check that two answers are equal, their probabilities within the tolerance."""
    mine, others = ({g.species: g.probability for g in answer} for answer in (a, b))
    assert list(mine) == list(others)
    assert list(mine.values()) == pytest.approx(list(others.values()), abs=TOLERANCE)
    assert replace(a, guesses=(), bundle="", each=()) == replace(b, guesses=(), bundle="", each=())
    for one, other in zip(a.each, b.each, strict=True):
        require_same(replace(one, photos=()), replace(other, photos=()))


# --- order of species, rows and photos


def reordered(bundle: Bundle, order: list[int]) -> Bundle:
    """Return the bundle with its species in another order."""
    species = SpeciesList(tuple(bundle.species[column] for column in order))
    return replace(
        bundle,
        species=species,
        members=tuple(replace(member, species=species) for member in bundle.members),
        calibration=_calibration(bundle.calibration, species, order),
        prior=_prior(bundle.prior, species, order),
        rule=_rule(bundle.rule, species, order),
    )


def _calibration(
    calibration: Calibration | None, species: SpeciesList, order: list[int]
) -> Calibration | None:
    if calibration is None or calibration.species is None:
        return calibration
    return Calibration(calibration.scale[order], calibration.offset[order], species)


def _prior(prior: Prior | None, species: SpeciesList, order: list[int]) -> Prior | None:
    if isinstance(prior, CountryPrior):
        return CountryPrior(species, prior.countries, prior.counts[:, order])
    if isinstance(prior, LocationPrior):
        base, new = _prior(prior.base, species, order), np.argsort(order)
        assert isinstance(base, BayesPrior)
        column = new[prior.records.column].astype(np.uint16)
        records = replace(prior.records, species=species, column=column)
        return LocationPrior(base, records, prior.settings)
    if isinstance(prior, BayesPrior):
        counts = CountryPrior(species, prior.counts.countries, prior.counts.counts[:, order])
        return BayesPrior(counts, prior.settings, prior.range_map, prior.overrides)
    return replace(prior, species=species) if prior else None


def _rule(rule: DecisionRule | None, species: SpeciesList, order: list[int]) -> DecisionRule | None:
    def turned(sets: PredictionSets) -> PredictionSets:
        numbers = {"thresholds": sets.thresholds[order], "observations": sets.observations[order]}
        return replace(sets, species=species, **numbers)

    if rule is None:
        return None
    image = Guarantees(**{name: turned(sets) for name, sets in vars(rule.image).items()})
    return replace(rule, image=image, country=turned(rule.country) if rule.country else None)


@pytest.mark.parametrize("name", [name for name in BUNDLES if name != "harmless"])
@settings(max_examples=30)
@given(data=st.data())
def test_order_of_species_changes_no_answer(name, data):
    order = data.draw(st.permutations(range(len(SPECIES))))
    logits = data.draw(logits_of(len(SPECIES), data.draw(st.integers(1, 2))))
    options = data.draw(PLACES) | {"top": 5}
    bundle = BUNDLES[name]
    require_same(
        answer_of(bundle, logits, **options),
        answer_of(reordered(bundle, order), logits[:, order], **options),
    )


def test_order_of_species_changes_no_answer_where_rounding_makes_ties():
    """Two logits differ by less than the sum of the softmax resolves."""
    bundle, order = BUNDLES["image"], [*range(14), 15, 14]
    row = [0, 0, 0, 0, 0, -3.4005329608917236, -2, -3, 0, 0, 0, 0, 0, 2**-52, 1, -2]
    logits = np.array([row], np.float32)
    require_same(
        answer_of(bundle, logits, top=5),
        answer_of(reordered(bundle, order), logits[:, order], top=5),
    )


@pytest.mark.parametrize("name", EVALUATED)
@settings(max_examples=30)
@given(data=st.data())
def test_order_of_rows_changes_no_decision(name, data):
    bundle = BUNDLES[name]
    rule, species = bundle.rule, bundle.species
    assert rule
    places = st.sampled_from(["india", "kenya", "nepal"])
    scores = Scores(
        logits=data.draw(logits_of(len(species), 4)),
        species=species,
        photo_ids=tuple("abcd"),
        truth=np.full(4, -1),
        countries=tuple(data.draw(st.lists(places, min_size=4, max_size=4))),
        observations=tuple("abcd"),
        ood_score=np.zeros(4, np.float32),
    )

    def decided(rows: list[int]) -> list[Any]:
        part = scores.take(np.array(rows))
        image = bundle.calibration.apply(part) if bundle.calibration else part
        adjusted, effects = part, ()
        if bundle.prior:
            adjusted, effects = bundle.prior.adjust_with_effect(part)
        decisions = rule.decide(
            image,
            is_ood=rule.is_ood(part),
            adjusted=adjusted if bundle.prior else None,
            of_country=np.array([effect.of_country for effect in effects]) if effects else None,
        )
        return list(zip(decisions, adjusted.probabilities(), strict=True))

    whole = decided([0, 1, 2, 3])
    rows = data.draw(st.lists(st.integers(0, 3), min_size=1, unique=True))
    for (decision, p), row in zip(decided(rows), rows, strict=True):
        assert decision == whole[row][0]
        np.testing.assert_allclose(p, whole[row][1], rtol=0, atol=TOLERANCE)


@settings(max_examples=30)
@given(data=st.data())
def test_order_of_photos_changes_no_answer(data):
    logits = data.draw(logits_of(len(SPECIES), 3))
    order = data.draw(st.permutations(range(3)))
    country = data.draw(COUNTRIES)
    bundle = BUNDLES["bayes, evaluated"]
    answer, other = (answer_of(bundle, rows, country=country) for rows in (logits, logits[order]))
    each = tuple(other.each[order.index(row)] for row in range(3)) if other.each else ()
    require_same(answer, replace(other, each=each))


# --- photos in one batch


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Ten photos of two sizes, a bad one, and a bundle of a linear network."""
    place = tmp_path_factory.mktemp("beside")
    for number in range(10):
        (place / f"{number}.png").write_bytes(photo(number, 64 + 32 * (number % 2)))
    (place / "bad.png").write_bytes(photo()[:-900])
    write_made_bundle(place / "bundle", SPECIES, rule=EVALUATED_IMAGE.rule)
    return place


def table(folder: Path, names: list[str]) -> Manifest:
    path = folder / "photos.csv"
    path.write_text("photo,species\n" + "".join(f"{name},\n" for name in names))
    return read_manifest(path)


@pytest.fixture(scope="module", params=["made", "imagenet17"])
def classifier(request, folder) -> Classifier:
    """Classifier of a linear network, and of a real one, whose kernels depend on the batch size."""
    if request.param == "made":
        return load(folder / "bundle")
    return request.getfixturevalue("imagenet17")


def by_name(classifier: Classifier, folder: Path, names: list[str]) -> dict[str, np.ndarray]:
    scores = classifier.score(table(folder, names))
    return dict(zip(scores.photo_ids, scores.probabilities(), strict=True))


def test_batch_size_and_order_change_no_answer(classifier, folder, figure, monkeypatch):
    names = [f"{number}.png" for number in range(10)]
    alone = {name: by_name(classifier, folder, [name])[name] for name in names}
    most = 0.0
    for batch, order in (
        (2, names),
        (2, names[::-1]),
        (5, names[3:] + names[:3]),
        (2, ["bad.png", *names]),
        (5, [*names[:4], "bad.png", *names[4:]]),
    ):
        monkeypatch.setattr("ophis.inference.network.BATCH_PHOTOS", batch)
        found = by_name(classifier, folder, order)
        assert list(found) == [name for name in order if name != "bad.png"]
        for name, p in found.items():
            most = max(most, float(np.abs(p - alone[name]).max()))
    assert most <= TOLERANCE
    figure(f"{len(classifier.bundle.species)} species: at most {most:.1g}")


def test_number_of_threads_changes_no_answer(classifier, folder, figure):
    names = [f"{number}.png" for number in range(4)]
    first, *others = (
        by_name(load(classifier.bundle.folder, threads=threads), folder, names)
        for threads in (1, 2, 3)
    )
    most = max(float(np.abs(first[name] - other[name]).max()) for other in others for name in names)
    assert most <= TOLERANCE
    figure(f"{len(classifier.bundle.species)} species, 1 to 3 threads: at most {most:.1g}")


def test_bad_photo_changes_no_answer_of_good_ones(classifier):
    good, bad = [photo(1), photo(2)], [b"", b"no photo", photo()[:-900], PHOTO[:40]]
    alone = classifier.identify(good)
    for place, one in enumerate(bad):
        beside = classifier.identify([*good[: place % 3], one, *good[place % 3 :]])
        assert len(beside.failures) == 1
        assert [photo.sha256 for photo in beside.photos] == [photo.sha256 for photo in alone.photos]
        require_same(replace(alone, photos=()), replace(beside, photos=(), failures=()))


# --- content of answers


@pytest.mark.parametrize("name", BUNDLES)
@settings(max_examples=40)
@given(data=st.data())
def test_answer_contains_top_species_and_no_all_clear(name, data):
    bundle = BUNDLES[name]
    logits = data.draw(logits_of(len(bundle.species), data.draw(st.integers(1, 2))))
    language = data.draw(st.sampled_from(languages()))
    answer = answer_of(bundle, logits, country=data.draw(COUNTRIES), language=language)
    for one in answer.each or (answer,):
        if one.state is not State.NO_SNAKE:
            assert one.possible[0] == one.guesses[0].species
    for text in (*answer.lines, answer.to_json(), answer._repr_html_(), answer._repr_markdown_()):
        assert not ALL_CLEAR.search(text), text
    if answer.verdict is not Verdict.MAY_BE_VENOMOUS:
        assert answer.evaluated
        assert answer.state in (State.SPECIES, State.GENUS, State.FAMILY)
        assert not dangerous(SpeciesList(answer.possible)).any()


@pytest.mark.parametrize("name", EVALUATED)
@settings(max_examples=40)
@given(data=st.data())
def test_country_removes_no_warning(name, data):
    bundle = BUNDLES[name]
    logits = data.draw(logits_of(len(bundle.species), data.draw(st.integers(1, 2))))
    if answer_of(bundle, logits).verdict is Verdict.MAY_BE_VENOMOUS:
        answer = answer_of(bundle, logits, country=data.draw(COUNTRIES))
        assert answer.verdict is Verdict.MAY_BE_VENOMOUS


def test_prediction_set_contains_top_species_at_any_threshold():
    assert EVALUATED_IMAGE.rule
    size = len(SPECIES)
    nothing = PredictionSets(SPECIES, 0.5, np.full(size, -1.0), np.full(size, 9))
    rule = replace(EVALUATED_IMAGE.rule, image=Guarantees(names=nothing, danger=nothing))
    logits = np.zeros((1, len(SPECIES)), np.float32)
    logits[0, 3] = 5
    assert answer_of(replace(EVALUATED_IMAGE, rule=rule), logits).possible == (SPECIES[3],)


# --- a venomous species in every country


COBRA, *OTHERS = COBRAS = SpeciesList(
    (
        "Naja naja", "Pantherophis guttatus", "Pantherophis obsoletus", "Lampropeltis getula",
        "Python regius", "Crotalus atrox",
    )
)  # fmt: skip
WORLD = (*tuple(dict.fromkeys(map(country_key, iso_codes())))[:187], "UNKNOWN")
# Only one country has photos of the cobra; each has many photos of the others.
COUNTS = CountryPrior(
    COBRAS, WORLD, np.array([[100] * 6, *[[0, 100, 100, 100, 100, 100]] * (len(WORLD) - 1)])
)
PRIORS: dict[str, Prior] = {
    "the paper's": COUNTS,
    "Bayes'": BayesPrior(COUNTS, Settings(wrong_country_fraction=0.0)),
    "overrides that exclude it": BayesPrior(
        COUNTS, Settings(), overrides=tuple(Override(country, COBRA, 0.0) for country in WORLD[1:])
    ),
}


def learned() -> Scores:
    """Return scores of an accurate network on enough photos for every guarantee."""
    rng, photos = np.random.default_rng(3), 3000
    truth = rng.integers(0, len(COBRAS), photos)
    logits = rng.normal(0, 1, (photos, len(COBRAS)))
    logits[np.arange(photos), truth] += 9
    ids = tuple(map(str, range(photos)))
    # Cobras come from the first country only, as in the training photos.
    where = tuple(WORLD[0 if kind == 0 else n % len(WORLD)] for n, kind in enumerate(truth))
    return Scores(logits.astype(np.float32), COBRAS, ids, truth, where, ids)


def sure_of(column: int, species: SpeciesList, *, else_of: int) -> np.ndarray:
    """Return logits with a clear first and second species."""
    logits = np.zeros((1, len(species)), np.float32)
    logits[0, column], logits[0, else_of] = 30, 15
    return logits


@pytest.mark.parametrize("kind", PRIORS)
def test_confident_cobra_may_be_venomous_in_each_of_188_countries(kind, figure):
    prior = PRIORS[kind]
    rule = fit_rule(learned(), prior=prior)
    bundle = replace(EVALUATED_IMAGE, species=COBRAS, calibration=None, prior=prior, rule=rule)
    cobra, calm = sure_of(0, COBRAS, else_of=1), sure_of(1, COBRAS, else_of=2)
    verdicts = [answer_of(bundle, cobra, country=country).verdict for country in WORLD]
    assert len(verdicts) == 188
    assert set(verdicts) == {Verdict.MAY_BE_VENOMOUS}
    # A control: a rat snake has no such verdict in any country.
    quiet = [answer_of(bundle, calm, country=country).verdict for country in WORLD]
    assert set(quiet) == {Verdict.NOT_KNOWN_DANGEROUS}
    figure(f"{kind}: {len(verdicts)} of {len(WORLD)}")


def test_confident_cobra_may_be_venomous_in_every_published_country(
    published_counts: pl.DataFrame, figure
):
    """The prior has the organisers' counts."""
    species = SpeciesList(tuple(sorted(set(published_counts["species"]))))
    prior = CountryPrior.from_counts(published_counts, species)
    size = len(species)
    sets = PredictionSets(species, 0.99, np.full(size, 0.8), np.full(size, 99))
    guarantees = Guarantees(names=sets, danger=sets)
    assert EVALUATED_IMAGE.rule
    rule = replace(EVALUATED_IMAGE.rule, image=guarantees, country=sets)
    bundle = replace(EVALUATED_IMAGE, species=species, calibration=None, prior=prior, rule=rule)
    calm = int(np.flatnonzero(~dangerous(species))[0])
    cobra = sure_of(species.like("naja-naja"), species, else_of=calm)
    verdicts = [answer_of(bundle, cobra, country=country).verdict for country in prior.countries]
    assert set(verdicts) == {Verdict.MAY_BE_VENOMOUS}
    figure(f"{len(species)} species, the organisers' counts: all {len(prior.countries)}")
