import json
import math
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ophis import InputError, Scores, SpeciesList
from ophis.decision.calibration import fit_temperature
from ophis.decision.conformal import PredictionSets, nonconformity
from ophis.decision.decision import State, roll_up
from ophis.decision.guarantees import MIN_SINGLE_NAME, Guarantees
from ophis.decision.out_of_distribution import ood_scores
from ophis.decision.rule import (
    BY_ENERGY,
    DANGER_COVERAGE,
    NAMES_COVERAGE,
    DecisionRule,
    decide_without_rule,
    fit_rule,
    read_rule,
)
from ophis.decision.verdict import Verdict
from ophis.evaluation.metrics import risk_coverage
from ophis.priors.country_counts import CountryPrior
from ophis.taxonomy.danger import dangerous
from ophis.taxonomy.families import family
from ophis.taxonomy.species_list import genus

# Two venomous, two of unknown danger, four not known to be dangerous.
SPECIES = SpeciesList(
    (
        "Naja naja",
        "Crotalus atrox",
        "Natrix sp.",
        "Synthetic red",
        "Pantherophis guttatus",
        "Pantherophis obsoletus",
        "Lampropeltis getula",
        "Python regius",
    )
)
NOT_DANGEROUS = np.arange(4, 8)


def synthetic(photos, rng, *, strength=3.0) -> Scores:
    """Return scores of a simulated network: mostly right, OOD score about one."""
    truth = rng.integers(len(SPECIES), size=photos)
    names = tuple(map(str, range(photos)))
    return Scores(
        logits=strength * np.eye(len(SPECIES))[truth] + rng.normal(size=(photos, len(SPECIES))),
        species=SPECIES,
        photo_ids=names,
        truth=truth,
        countries=("india",) * photos,
        observations=names,
        ood_score=rng.gamma(20, 1 / 20, size=photos),
    )


def confused(photos, rng) -> Scores:
    """Return confident scores that take one in 25 venomous snakes for a corn snake.

    With a good network nothing venomous is near the threshold and guarantees have no effect.
    """
    scores = synthetic(photos, rng, strength=6.0)
    taken = dangerous(SPECIES)[scores.truth] & (rng.random(photos) < 0.04)
    logits = scores.logits.copy()
    logits[taken] = -9.0
    logits[taken, 4] = 0.0
    logits[taken, scores.truth[taken]] = -rng.uniform(2, 4, taken.sum())
    return replace(scores, logits=logits)


def one(logits, ood_score=1.0) -> Scores:
    return replace(
        synthetic(1, np.random.default_rng(0)),
        logits=np.array([logits], float),
        ood_score=np.array([ood_score]),
    )


@pytest.fixture(scope="module")
def rule():
    return fit_rule(synthetic(4000, np.random.default_rng(1)))


def decide(rule, scores):
    return rule.decide(scores, is_ood=rule.is_ood(scores))


def test_guarantees_hold_on_new_photos(rule):
    scores = synthetic(8000, np.random.default_rng(2))
    seen = ~rule.is_ood(scores)
    assert seen.mean() == pytest.approx(0.9, abs=0.015)
    decisions = rule.decide(scores, is_ood=np.zeros(len(scores), bool))
    covered = np.array([t in d.species for d, t in zip(decisions, scores.truth, strict=True)])
    venomous = dangerous(SPECIES)[scores.truth]
    assert covered[venomous].mean() > NAMES_COVERAGE - 0.01
    assert covered[~venomous].mean() > NAMES_COVERAGE - 0.01
    warned = np.array([d.verdict is Verdict.MAY_BE_VENOMOUS for d in decisions])
    assert warned[venomous].mean() > DANGER_COVERAGE - 0.005
    assert not warned[~venomous].all()  # else the verdict would be constant


def test_coverage_of_names_holds_for_venomous_species():
    """The network was trained on fewer photos of these species."""

    def lopsided(photos, seed):
        scores = synthetic(photos, np.random.default_rng(seed), strength=1.0)
        easy = ~dangerous(SPECIES)[scores.truth]
        scores.logits[easy, scores.truth[easy]] += 5
        return scores.take(easy | (np.arange(photos) % 5 == 0))

    scores = lopsided(20_000, 2)
    sets = fit_rule(lopsided(10_000, 1)).image.names.sets(scores)
    covered = sets[np.arange(len(scores)), scores.truth]
    assert covered[dangerous(SPECIES)[scores.truth]].mean() > NAMES_COVERAGE - 0.01


def test_venomous_mimics_are_warned_of_in_99_percent():
    """The guarantee of danger is stricter than the sets of names."""
    mimics = fit_rule(confused(8000, np.random.default_rng(1)))
    scores = confused(16000, np.random.default_rng(2))
    decisions = mimics.decide(scores, is_ood=np.zeros(len(scores), bool))
    warned = np.array([d.verdict is Verdict.MAY_BE_VENOMOUS for d in decisions])
    venomous = dangerous(SPECIES)[scores.truth]
    assert warned[venomous].mean() > DANGER_COVERAGE - 0.004
    assert not warned[~venomous].all()
    named = [(dangerous(SPECIES)[list(d.species)]).any() for d in decisions]
    assert np.mean(np.array(named)[venomous]) < 0.97  # by the names alone 1 in 25 has no warning


@pytest.mark.parametrize("strength", [3.0, 30.0])
def test_danger_is_not_excluded_with_too_few_venomous_photos(strength):
    """A coverage of 99 % needs 299 snakes with 95 % confidence, and 99 on average."""
    scores = synthetic(4000, np.random.default_rng(12), strength=strength)
    venomous = np.flatnonzero(dangerous(SPECIES)[scores.truth])
    others = np.flatnonzero(~dangerous(SPECIES)[scores.truth])
    sure = one([-30.0, -30, -30, -30, 30, -30, -30, -30])
    for confidence, needed in ((0.95, 299), (None, 99)):
        for photos in (needed - 1, needed):
            kept = np.concatenate([others, venomous[:photos]])
            rule = fit_rule(scores.take(kept), confidence=confidence)
            (decision,) = decide(rule, sure)
            assert decision.name == "Pantherophis guttatus"
            assert (decision.verdict is Verdict.NOT_KNOWN_DANGEROUS) is (photos == needed)


def without_venomous(scores) -> Scores:
    """Return scores of a model without venomous species, with three species of one family."""
    columns = NOT_DANGEROUS[:3]
    kept = scores.take(np.isin(scores.truth, columns))
    return replace(
        kept,
        logits=kept.logits[:, columns],
        truth=kept.truth - columns[0],
        species=SpeciesList(tuple(SPECIES[column] for column in columns)),
    )


def test_model_without_venomous_species_excludes_no_danger():
    scores = without_venomous(synthetic(4000, np.random.default_rng(13), strength=9.0))
    with_rule, without_rule = decide(fit_rule(scores), scores), decide_without_rule(scores)
    assert State.SPECIES in {decision.state for decision in with_rule}
    assert {decision.state for decision in without_rule} == {State.FAMILY}
    decisions = with_rule + without_rule
    assert {decision.verdict for decision in decisions} == {Verdict.MAY_BE_VENOMOUS}


def test_answer_is_species_genus_family_or_unidentified(rule):
    def answer(**logits):
        columns = [logits.get(name.split()[1].rstrip("."), -9) for name in SPECIES]
        return decide(rule, one(columns))[0]

    sure = answer(guttatus=9)
    assert (sure.state, sure.name) == (State.SPECIES, "Pantherophis guttatus")
    assert sure.verdict is Verdict.NOT_KNOWN_DANGEROUS
    rats = answer(guttatus=9, obsoletus=9)
    assert (rats.state, rats.name) == (State.GENUS, "Pantherophis")
    assert [SPECIES[c] for c in rats.species] == ["Pantherophis guttatus", "Pantherophis obsoletus"]
    colubrids = answer(guttatus=9, getula=9)
    assert (colubrids.state, colubrids.name) == (State.FAMILY, "Colubridae")
    assert colubrids.verdict is Verdict.NOT_KNOWN_DANGEROUS
    mixed = answer(guttatus=9, naja=9)
    assert (mixed.state, mixed.name) == (State.UNIDENTIFIED, None)
    assert mixed.verdict is Verdict.MAY_BE_VENOMOUS
    # Neither is known to be dangerous, but they share no family.
    apart = answer(guttatus=9, regius=9)
    assert (apart.state, apart.name) == (State.UNIDENTIFIED, None)
    assert apart.verdict is Verdict.MAY_BE_VENOMOUS
    assert answer(naja=9).verdict is Verdict.MAY_BE_VENOMOUS
    assert answer(sp=9).verdict is Verdict.MAY_BE_VENOMOUS  # Natrix sp. has unknown danger


def test_single_species_needs_minimum_probability():
    """The limit also holds for a network that is nearly always right."""
    good = fit_rule(synthetic(2000, np.random.default_rng(1), strength=30))
    for fraction, state in ((0.5, State.GENUS), (0.79, State.GENUS), (0.81, State.SPECIES)):
        logits = np.full(8, -30.0)
        logits[[4, 5]] = np.log([fraction, 1 - fraction])
        assert decide(good, one(logits))[0].state is state
    assert MIN_SINGLE_NAME == 0.8


def test_out_of_distribution_photo_is_no_snake(rule):
    (decision,) = decide(rule, one([-9, -9, -9, -9, 30, -9, -9, -9], ood_score=3))
    assert decision.state is State.NO_SNAKE
    assert decision.species == ()
    assert decision.verdict is Verdict.MAY_BE_VENOMOUS


@settings(max_examples=200, deadline=None)
@given(
    logits=st.lists(st.floats(-30, 30), min_size=8, max_size=8),
    ood_score=st.floats(0, 5),
)
def test_answer_with_venomous_species_has_warning(rule, logits, ood_score):
    scores = one(logits, ood_score)
    (decision,) = decide(rule, scores)
    top = int(np.argmax(scores.logits[0]))
    venomous = dangerous(SPECIES)
    if decision.state is not State.NO_SNAKE:
        assert scores.logits[0][decision.species[0]] == scores.logits[0][top]
        assert list(decision.species) == sorted(
            decision.species, key=lambda c: (-scores.logits[0][c], SPECIES[c])
        )
    if decision.verdict is Verdict.NOT_KNOWN_DANGEROUS:
        assert decision.species
        assert not venomous[list(decision.species)].any()
        assert decision.name is not None
    if decision.state in (State.UNIDENTIFIED, State.NO_SNAKE):
        assert decision.verdict is Verdict.MAY_BE_VENOMOUS
    (without,) = decide_without_rule(scores)
    assert without.state is State.UNIDENTIFIED
    assert without.verdict is Verdict.MAY_BE_VENOMOUS


def test_decisions_do_not_depend_on_other_rows(rule):
    scores = synthetic(40, np.random.default_rng(3))
    order = np.random.default_rng(4).permutation(40)
    shuffled = decide(rule, scores.take(order))
    assert shuffled == [decide(rule, scores)[row] for row in order]


def test_rule_of_few_photos_excludes_and_rejects_nothing():
    few = fit_rule(synthetic(6, np.random.default_rng(5)))
    (decision,) = decide(few, one([0, 0, 0, 0, 30, 0, 0, 0], ood_score=50))
    assert decision.state is State.UNIDENTIFIED
    assert len(decision.species) == len(SPECIES)


# --- place


INDIAN = CountryPrior(SPECIES, ("india",), np.array([[9, 9, 1, 1, 1, 1, 1, 1]]))


def with_place(rule, prior, scores, calibration=None):
    """Return the decisions with the country of each photo."""
    adjusted, effects = prior.adjust_with_effect(scores)
    return rule.decide(
        calibration.apply(scores) if calibration else scores,
        is_ood=np.zeros(len(scores), bool),
        adjusted=adjusted,
        of_country=np.array([effect.of_country for effect in effects]),
    )


def columns_of(sets):
    return [set(np.flatnonzero(row).tolist()) for row in sets]


def test_country_has_separate_thresholds():
    scores = synthetic(600, np.random.default_rng(6))
    calibration = fit_temperature(scores)
    rule = fit_rule(scores, calibration=calibration, prior=INDIAN)
    assert rule.country is not None
    assert (rule.country.thresholds != rule.image.names.thresholds).any()
    decisions = with_place(rule, INDIAN, scores, calibration)
    sets = rule.country.sets(INDIAN.adjust(scores))
    assert [set(d.species) for d in decisions] == columns_of(sets)
    assert not any(decision.joined for decision in decisions)


def test_country_sets_are_fitted_on_known_countries_only():
    """Photos without a country, or from one without training photos, are no evidence."""
    scores = synthetic(900, np.random.default_rng(6))
    countries = tuple(("india", "UNKNOWN", "nepal")[n % 3] for n in range(900))
    scores = replace(scores, countries=countries)
    prior = replace(INDIAN, countries=("india", "UNKNOWN"), counts=INDIAN.counts.repeat(2, axis=0))
    rule = fit_rule(scores, prior=prior)
    own = fit_rule(scores.take(np.arange(900) % 3 == 0), prior=prior)
    assert rule.country is not None
    assert own.country is not None
    np.testing.assert_array_equal(rule.country.thresholds, own.country.thresholds)
    assert set(rule.country.observations) == set(own.country.observations)
    assert sum(set(rule.country.observations.tolist())) == 300
    decisions = with_place(rule, prior, scores)
    assert [d.joined for d in decisions] == [name != "india" for name in countries]
    nowhere = fit_rule(scores.take(np.arange(900) % 3 > 0), prior=prior)
    assert nowhere.country is not None
    assert np.isinf(nowhere.country.thresholds).all()
    assert all(decision.joined for decision in with_place(nowhere, prior, scores))


def test_joined_sets_contain_those_of_the_image():
    scores = synthetic(600, np.random.default_rng(6), strength=1.5)
    rule = fit_rule(scores, prior=INDIAN)
    alone = rule.decide(scores, is_ood=np.zeros(600, bool))
    joined = rule.decide(scores, is_ood=np.zeros(600, bool), adjusted=INDIAN.adjust(scores))
    assert all(set(a.species) <= set(b.species) for a, b in zip(alone, joined, strict=True))
    both = rule.image.names.sets(scores) | rule.image.names.sets(INDIAN.adjust(scores))
    assert [set(d.species) for d in joined] == columns_of(both)


@settings(max_examples=200, deadline=None)
@given(
    logits=st.lists(st.floats(-30, 30), min_size=8, max_size=8),
    factors=st.lists(st.sampled_from([0, 1, 50, 1000]), min_size=8, max_size=8).filter(any),
    of_country=st.booleans(),
)
def test_place_removes_no_warning_of_the_image(rule, logits, factors, of_country):
    prior = CountryPrior(SPECIES, ("india",), np.array([factors]))
    scores = one(logits)
    lenient = replace(rule.image.names, thresholds=np.full(8, 0.8))
    placed = replace(rule, country=lenient)
    (alone,) = placed.decide(scores, is_ood=np.zeros(1, bool))
    (there,) = placed.decide(
        scores,
        is_ood=np.zeros(1, bool),
        adjusted=prior.adjust(scores),
        of_country=np.array([of_country]),
    )
    if alone.verdict is Verdict.MAY_BE_VENOMOUS:
        assert there.verdict is Verdict.MAY_BE_VENOMOUS
    if there.verdict is Verdict.NOT_KNOWN_DANGEROUS:
        assert not dangerous(SPECIES)[list(there.species)].any()


def test_rule_without_sets_for_a_country_fails_closed(rule):
    """The bundle has a prior, but the rule was fitted without one."""
    assert rule.country is None
    sure = one([-30.0, -30, -30, -30, 30, -30, -30, -30])
    assert decide(rule, sure)[0].verdict is Verdict.NOT_KNOWN_DANGEROUS
    (decision,) = with_place(rule, INDIAN, replace(sure, countries=("india",)))
    assert len(decision.species) == len(SPECIES)
    assert decision.verdict is Verdict.MAY_BE_VENOMOUS
    assert decision.joined


def test_image_danger_of_a_fifth_is_kept():
    """Many improbable venomous species, which the sets leave out, are a danger together."""
    kinds = [name for name in ("Naja", "Bothrops", "Crotalus") for _ in range(100)]
    names = [f"{genus} sp{n}" for n, genus in enumerate(kinds)]
    species = SpeciesList(("Pantherophis guttatus", *names))
    p = np.r_[0.75, np.full(300, 0.25 / 300)]
    scores = Scores(np.log(p)[None], species, ("a",), np.array([0]), ("UNKNOWN",), ("a",))
    size = len(species)
    narrow = PredictionSets(species, 0.95, np.full(size, 0.1), np.full(size, 999))
    (decision,) = DecisionRule(
        Guarantees(names=narrow, danger=narrow), None, BY_ENERGY, np.inf, 0.9
    ).decide(scores, is_ood=np.zeros(1, bool))
    assert decision.name == "Pantherophis guttatus"
    assert decision.verdict is Verdict.MAY_BE_VENOMOUS


def test_energy_replaces_missing_ood_score(rule):
    scores = replace(synthetic(300, np.random.default_rng(7)), ood_score=None)
    expected = -np.log(np.exp(scores.logits).sum(axis=1))
    np.testing.assert_allclose(ood_scores(scores), expected, rtol=1e-12)
    by_energy = fit_rule(scores)
    assert by_energy.by == "energy"
    assert by_energy.is_ood(replace(scores, logits=scores.logits - 20)).all()
    with pytest.raises(InputError, match="uses the feature distance, but the scores hold no"):
        rule.is_ood(scores)


def test_written_rule_reads_back(rule, tmp_path):
    scores = synthetic(50, np.random.default_rng(8))
    rule.write(tmp_path / "decision.json")
    assert decide(read_rule(tmp_path / "decision.json", SPECIES), scores) == decide(rule, scores)
    few = fit_rule(synthetic(6, np.random.default_rng(5)))
    few.write(tmp_path / "few.json")
    assert decide(read_rule(tmp_path / "few.json", SPECIES), scores) == decide(few, scores)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda v: v.pop("image"), "not a decision rule of ophis: 'image' is missing"),
        (lambda v: v["image"]["names"]["thresholds"].pop(), "7 thresholds for 8 species"),
        (lambda v: v["image"]["names"]["observations"].pop(), "7 observations for 8 species"),
        (lambda v: v["image"]["danger"].pop("observations"), "'observations' is missing"),
        (lambda v: v.pop("country"), "'country' is missing"),
        (
            lambda v: v["image"]["danger"].update(observations=[298] * 8),
            "is finite with 298 observations; it needs 299",
        ),
        (
            lambda v: v["image"]["danger"].update(confidence=1),
            r"confidence = 1\.0 should lie between 0 and 1",
        ),
        (
            lambda v: v["image"]["names"].update(observations=[10**30] * 8),
            "not a decision rule of ophis",
        ),
        (lambda v: v["ood"].update(by="vibes"), "`ood` has by 'vibes'"),
        (lambda v: v["ood"].update(limit="far"), "`ood` holds 'far'"),
        (lambda v: v["ood"].update(limit=True), "`ood` holds True"),
        (lambda v: v["ood"].update(limit=math.nan), "`ood` holds nan"),
        (lambda v: v["ood"].update(passing=1.5), r"passing 1\.5"),
        (
            lambda v: v["image"]["names"].update(thresholds=[0] * 8),
            r"`image\.names\.thresholds` holds 0 and should be a number of at least 0\.8",
        ),
        (
            lambda v: v["image"]["names"].update(thresholds=["0.9"] * 8),
            r"`image\.names\.thresholds` holds '0\.9'",
        ),
        (
            lambda v: v["image"]["names"].update(thresholds=[math.nan] * 8),
            r"`image\.names\.thresholds` holds nan",
        ),
        (
            lambda v: v["image"]["danger"].update(thresholds=[-1] * 8),
            r"`image\.danger\.thresholds` holds -1",
        ),
        (
            lambda v: v["image"]["danger"].update(observations=[-5] * 8, thresholds=[None] * 8),
            r"`image\.danger\.observations` holds -5",
        ),
        (
            lambda v: v["image"]["danger"].update(coverage=0),
            r"`image\.danger\.coverage` holds 0 and should be a number of at least 0\.99",
        ),
        (
            lambda v: v["image"]["names"].update(coverage=True),
            r"`image\.names\.coverage` holds True",
        ),
        (
            lambda v: v["image"]["danger"].update(confidence=1e-9, observations=[1] * 8),
            "is finite with 1 observations; it needs 99",
        ),
        (
            lambda v: v.update(country=v["image"]["names"] | {"thresholds": [0.5] * 8}),
            r"`country\.thresholds` holds 0\.5",
        ),
        (
            lambda v: v.update(country=v["image"]["names"] | {"coverage": 0.5}),
            r"`country\.coverage` holds 0\.5",
        ),
    ],
)
def test_read_rule_rejects_damaged_file(rule, tmp_path, change, message):
    path = rule.write(tmp_path / "decision.json")
    values = json.loads(path.read_text())
    change(values)
    path.write_text(json.dumps(values))
    with pytest.raises(InputError, match=message) as caught:
        read_rule(path, SPECIES)
    assert "decision.json" in str(caught.value)
    assert "export the bundle again" in str(caught.value)
    assert "\n" not in str(caught.value)


ALTERED = st.one_of(
    st.none(),
    st.floats(),
    st.integers(-(10**20), 10**20),
    st.booleans(),
    st.sampled_from(["0.9", 0, -1, 0.8, 0.95, 0.99, 1, 1e-9, 98, 99]),
)


@given(data=st.data(), row=st.lists(st.floats(-9, 9), min_size=8, max_size=8))
def test_altered_numbers_exclude_no_species_that_the_floor_keeps(both, data, row):
    """A snake that may be dangerous, below a sum of 0.8, keeps its warning in any file."""
    values = json.loads(json.dumps(both))
    for part in (values["image"]["names"], values["image"]["danger"], values["country"]):
        for name in data.draw(st.sets(st.sampled_from(sorted(part)))):
            new = data.draw(ALTERED)
            part[name] = [new] * 8 if isinstance(part[name], list) else new
    with TemporaryDirectory() as folder:
        path = Path(folder, "decision.json")
        path.write_text(json.dumps(values))
        try:
            rule = read_rule(path, SPECIES)
        except InputError:
            return
    scores = synthetic(1, np.random.default_rng(0))
    image, other = (replace(scores, logits=np.array([x])) for x in (row, row[::-1]))
    (found,) = rule.decide(
        image, is_ood=np.zeros(1, bool), adjusted=other, of_country=np.ones(1, bool)
    )
    kept = [
        (nonconformity(one) <= MIN_SINGLE_NAME)[:, dangerous(SPECIES)] for one in (image, other)
    ]
    if np.any(kept):
        assert found.verdict is Verdict.MAY_BE_VENOMOUS


@pytest.fixture(scope="module")
def both(rule, tmp_path_factory):
    """Values of a rule with a country, all thresholds finite."""
    path = rule.write(tmp_path_factory.mktemp("both") / "decision.json")
    values = json.loads(path.read_text())
    return values | {"country": values["image"]["names"]}


def test_rule_requires_same_species_in_same_order(rule, tmp_path):
    """A wrong order would give wrong answers without an error."""
    scores = synthetic(20, np.random.default_rng(14))
    names = SPECIES.names
    turned = scores.with_species(SpeciesList(names[::-1]))
    renamed = replace(
        scores, species=SpeciesList((*names[:4], "Pantherophis alleghaniensis", *names[5:]))
    )
    fewer = without_venomous(scores)
    back = read_rule(rule.write(tmp_path / "decision.json"), turned.species)
    for which, other, message in (
        (rule, turned, "species 1 is 'Python regius' in the scores and 'Naja naja' in what"),
        (rule, renamed, "species 5 is 'Pantherophis alleghaniensis' in the scores"),
        (rule, fewer, "species 1 is 'Pantherophis guttatus' in the scores and 'Naja naja'"),
        (back, scores, "species 1 is 'Naja naja' in the scores and 'Python regius'"),
    ):
        with pytest.raises(InputError, match=message):
            which.is_ood(other)
        with pytest.raises(InputError, match=message):
            which.decide(other, is_ood=np.zeros(len(other), bool))
    with pytest.raises(InputError, match="is_ood has 3 photos and the scores have 20"):
        rule.decide(scores, is_ood=np.zeros(3, bool))


def test_rule_rejects_bad_arguments():
    scores = synthetic(20, np.random.default_rng(9))
    with pytest.raises(InputError, match=r"passing = 1\.0 should lie between 0 and 1"):
        fit_rule(scores, passing=1.0)
    with pytest.raises(InputError, match=r"`names` holds 0\.9 and should be"):
        fit_rule(scores, names=0.9)
    with pytest.raises(InputError, match=r"`danger` holds 0\.5 and should be"):
        fit_rule(scores, danger=0.5)
    with pytest.raises(InputError, match="there is no such file"):
        read_rule(Path("none.json"), SPECIES)


def test_roll_up_by_hand():
    assert roll_up(["Naja naja"]) == (State.SPECIES, "Naja naja")
    assert roll_up(["Naja naja", "Naja_nivea"]) == (State.GENUS, "Naja")
    assert roll_up(["Naja naja", "Bungarus fasciatus"]) == (State.FAMILY, "Elapidae")
    assert roll_up(["Naja naja", "Crotalus atrox"]) == (State.UNIDENTIFIED, None)
    assert roll_up(["water snake", "Water moccasin"]) == (State.UNIDENTIFIED, None)
    assert roll_up(["Synthetic red", "Painted blue"]) == (State.UNIDENTIFIED, None)
    assert roll_up([]) == (State.UNIDENTIFIED, None)


def test_families_equal_snakeclef_table(shared_2021):
    """Their Lamprophiidae are several families in the current Reptile Database."""
    rows = pl.read_csv(shared_2021 / "snakeclef2021_microtrain_5000.csv", infer_schema=False)
    split = {
        "Lamprophiidae",
        "Psammophiidae",
        "Pseudoxyrhophiidae",
        "Pseudaspididae",
        "Atractaspididae",
    }
    pairs = set(rows.select("genus", "family").rows())
    assert len(pairs) > 150
    for name, expected in pairs:
        assert family(name) in (split if expected == "Lamprophiidae" else {expected}), name


def test_risk_coverage_by_hand():
    scores = synthetic(4, np.random.default_rng(11))
    logits = np.log(np.eye(8)[[0, 1, 2, 3]] * np.array([[0.9], [0.5], [0.7], [0.6]]) + 0.01)
    scores = replace(scores, logits=logits, truth=np.array([0, 1, 3, 3]))
    curve = risk_coverage(scores)
    assert curve["coverage"].to_list() == [0.25, 0.5, 0.75, 1.0]
    assert curve["risk"].to_list() == [0, 1 / 2, 1 / 3, 1 / 4]  # the second most confident is wrong
    assert curve["probability"].is_sorted(descending=True)


def test_not_dangerous_species_are_not_known_dangerous(rule):
    """The constants of this file match the danger tables."""
    assert dangerous(SPECIES).tolist() == [column not in NOT_DANGEROUS for column in range(8)]
    assert {genus(SPECIES[c]) for c in NOT_DANGEROUS} == {"Pantherophis", "Lampropeltis", "Python"}
