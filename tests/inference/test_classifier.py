import io
import json
from dataclasses import replace

import numpy as np
import pytest
from PIL import Image

from ophis import InputError
from ophis.decision.calibration import Calibration
from ophis.decision.conformal import PredictionSets
from ophis.decision.decision import State
from ophis.decision.out_of_distribution import ood_scores
from ophis.decision.verdict import Verdict
from ophis.priors.bayes import BayesPrior
from ophis.priors.overrides import Override
from ophis.taxonomy.danger import Danger
from tests.support.classifiers import (
    MAPS,
    PRIOR,
    RULE,
    SPECIES,
    Network,
    classifier,
    guarantees,
    sets,
)


def test_country_selects_names_and_removes_no_warning(photo):
    """Thresholds of the image alone were fitted on other probabilities and do not apply."""
    network = Network(np.log([0.19, 0.6, 0.21]).tolist())
    model = classifier(network, prior=PRIOR)
    alone = model.identify(photo)
    assert set(alone.possible) == set(SPECIES)
    assert alone.verdict is Verdict.MAY_BE_VENOMOUS
    for photos in (photo, [photo, photo]):
        weighed = model.identify(photos, country="India")
        assert (weighed.state, weighed.name) == (State.SPECIES, "Pantherophis guttatus")
        assert weighed.verdict is Verdict.MAY_BE_VENOMOUS  # of the image
        assert not weighed.joined
    calm = replace(RULE, image=guarantees(0.5, 0.5, 0.5))
    strict = replace(calm, country=sets(0.99, 0.99, 0.99))
    for rule, size, verdict in (
        (calm, 1, Verdict.NOT_KNOWN_DANGEROUS),
        (strict, 3, Verdict.MAY_BE_VENOMOUS),
    ):
        model = classifier(network, prior=PRIOR, rule=rule)
        assert model.identify(photo).verdict is Verdict.NOT_KNOWN_DANGEROUS
        # Two photos of one snake: the country applies to the danger of each photo.
        for photos in (photo, [photo, photo]):
            answer = model.identify(photos, country="India")
            assert (len(answer.possible), answer.verdict) == (size, verdict)


JOINED = "not enough snakes were tested with a place used in this way"
OVERRIDDEN = BayesPrior(PRIOR, overrides=(Override("india", "Naja naja", 0.1),))


@pytest.mark.parametrize(
    ("prior", "country", "joined"),
    [
        (PRIOR, "India", False),
        (PRIOR, "UNKNOWN", True),
        (PRIOR, "Nepal", True),  # no training photo is from there
        (PRIOR, {"India": 0.9, "Kenya": 0.1}, True),
        (BayesPrior(PRIOR), "India", False),
        (BayesPrior(PRIOR), "Nepal", True),  # training photos of the continent
        (OVERRIDDEN, "Kenya", False),
        (OVERRIDDEN, "India", True),
    ],
)
def test_sets_of_the_country_are_used_for_one_country_that_training_knows(
    photo, prior, country, joined
):
    model = classifier(Network(np.log([0.05, 0.55, 0.4]).tolist()), prior=prior)
    alone, answer = model.identify(photo), model.identify(photo, country=country)
    assert answer.joined is joined
    assert any(JOINED in line for line in answer.lines) is joined
    if joined:
        assert set(answer.possible) >= set(alone.possible)


def test_country_without_enough_observations_is_joined(photo):
    few = PredictionSets(SPECIES, 0.95, np.array([np.inf, 0.5, 0.5]), np.array([18, 500, 500]))
    network = Network(np.log([0.05, 0.55, 0.4]).tolist())
    model = classifier(network, prior=PRIOR, rule=replace(RULE, country=few))
    answer = model.identify(photo, country="India")
    assert answer.joined
    assert set(answer.possible) >= set(model.identify(photo).possible)
    assert not model.identify(photo).joined


class Networks(Network):
    """Network with other logits for each photo, by its name."""

    def __init__(self, logits: dict[str, list[float]]) -> None:
        super().__init__([0.0] * len(SPECIES))
        self.rows = logits

    def scores_and_evidence(self, photos, names, _, *, evidence=True):
        scores, maps = super().scores_and_evidence(photos, names, _, evidence=evidence)
        return replace(scores, logits=np.array([self.rows[name] for name in names])), maps


COBRA, KINGSNAKE, UNSURE = [9.0, 0.0, 0.0], [0.0, 0.0, 9.0], [2.0, 2.1, 0.0]
SHARP = replace(RULE, image=guarantees(0.8, 0.8, 0.8), country=sets(0.8, 0.8, 0.8))


@pytest.mark.parametrize("country", [None, "India"])
@pytest.mark.parametrize("rule", [SHARP, None])
def test_photos_of_two_snakes_are_answered_one_by_one(photo, rule, country):
    network = Networks({"photo 1": COBRA, "photo 2": KINGSNAKE, "photo 3": COBRA})
    model = classifier(network, prior=PRIOR, rule=rule)
    answer = model.identify([photo] * 3, country=country, evidence=True)
    assert (answer.state, answer.name, answer.guesses) == (State.UNIDENTIFIED, None, ())
    assert answer.verdict is Verdict.MAY_BE_VENOMOUS
    assert "do not fit one snake" in answer.lines[1 if rule else 2]
    assert set(answer.possible) == {name for one in answer.each for name in one.possible}
    assert [one.guesses[0].species for one in answer.each] == [
        "Naja naja", "Lampropeltis getula", "Naja naja",
    ]  # fmt: skip
    assert [one.photos for one in answer.each] == [(photo,) for photo in answer.photos]
    if rule:
        assert [one.name for one in answer.each] == [one[0].species for one in answer.each]
    assert answer.evidence == (None,) * 3
    assert [len(one.evidence) for one in answer.each] == [1] * 3
    assert not any(one.each for one in answer.each)
    assert json.loads(answer.to_json())["each"][1]["photos"][0]["name"] == "photo 2"


def test_photos_that_may_show_one_snake_are_combined(photo):
    """One of them may show the species of the other."""
    model = classifier(Networks({"photo 1": COBRA, "photo 2": UNSURE}), rule=SHARP)
    answer = model.identify([photo, photo])
    assert (answer.each, answer.name) == ((), "Naja naja")


def test_excluded_photo_contradicts_no_other(photo):
    file = io.BytesIO()
    Image.new("L", (80, 80)).save(file, "png")
    network = Networks({"photo 1": COBRA, "photo 2": KINGSNAKE})
    for rule in (SHARP, None):
        answer = classifier(network, rule=rule).identify([photo, file.getvalue()])
        assert answer.photos[1].left_out
        assert answer.each == ()
        assert answer.guesses[0].species == "Naja naja"


def test_rule_without_country_fails_closed(photo):
    calm = replace(RULE, image=guarantees(0.5, 0.5, 0.5), country=None)
    model = classifier(Network([0.0, 30.0, 0.0]), prior=PRIOR, rule=calm)
    assert model.identify(photo).verdict is Verdict.NOT_KNOWN_DANGEROUS
    answer = model.identify(photo, country="India")
    assert set(answer.possible) == set(SPECIES)
    assert answer.verdict is Verdict.MAY_BE_VENOMOUS


def test_answer_states_that_too_few_dangerous_snakes_were_tested(photo):
    few = guarantees(np.inf, 0.5, 0.5)
    network = Network([0.0, 30.0, 0.0])
    for rule, guaranteed in ((RULE, True), (replace(RULE, image=few), False)):
        answer = classifier(network, rule=rule).identify(photo)
        assert answer.danger_guaranteed is guaranteed
        assert any("tested on too few snakes" in line for line in answer.lines) is not guaranteed
    assert answer.verdict is Verdict.MAY_BE_VENOMOUS
    unjudged = classifier(network, rule=None).identify(photo)
    assert not unjudged.danger_guaranteed
    assert not any("tested on too few snakes" in line for line in unjudged.lines)


@pytest.mark.parametrize("rule", [None, replace(RULE, image=guarantees(np.inf, 0.5, 0.5)), RULE])
def test_guess_reassures_only_with_the_danger_guarantee(photo, rule):
    model = classifier(Network([0.0, 30.0, 0.0]), rule=rule)
    dangers = {guess.species: guess.danger for guess in model.identify(photo)}
    other = Danger.NOT_KNOWN_DANGEROUS if rule is RULE else Danger.UNKNOWN
    assert dangers == {
        "Naja naja": Danger.VENOMOUS,
        "Pantherophis guttatus": other,
        "Lampropeltis getula": other,
    }


@pytest.mark.parametrize("country", [None, "India"])
@pytest.mark.parametrize("shift", [5.0, -5.0])
def test_ood_score_uses_uncalibrated_logits_without_country(photo, country, shift):
    """Calibration and country change the energy; the limit was fitted without them."""
    network = Network([0.0, 2.0, 0.0])
    energy = float(
        ood_scores(network.scores_and_evidence([Image.new("RGB", (9, 9))], ["a"], None)[0])[0]
    )
    # A shift of all logits keeps the probabilities and moves the energy past either limit.
    moved = Calibration(np.ones(3), np.full(3, shift), SPECIES)
    for limit, is_ood in ((energy + 0.1, False), (energy - 0.1, True)):
        rule = replace(RULE, limit=limit)
        model = classifier(network, calibration=moved, prior=PRIOR, rule=rule)
        answer = model.identify(photo, country=country)
        assert (answer.state is State.NO_SNAKE) is is_ood


@pytest.mark.parametrize("rule", [None, RULE, replace(RULE, by="feature distance", limit=3.0)])
def test_non_finite_outputs_are_an_error_that_names_the_photo(photo, tmp_path, rule):
    (tmp_path / "snake.png").write_bytes(photo)
    for network in (
        Network([1.0, np.nan, 0.0], 1.0),
        Network([1.0, np.inf, 0.0], 1.0),
        Network([1.0, 0.0, 0.0], np.nan),
        Network([1.0, 0.0, 0.0], np.inf),
    ):
        for given in (tmp_path / "snake.png", [tmp_path / "snake.png"] * 2):
            with pytest.raises(InputError, match=r"photo '.*snake.png.*' has a") as caught:
                classifier(network, rule=rule).identify(given)
            assert "\n" not in str(caught.value)


def test_evidence_is_for_the_best_guess(photo):
    """The best guess may differ with and without the country."""
    model = classifier(Network(np.log([0.6, 0.3, 0.1]).tolist()), prior=PRIOR)
    assert model.identify(photo).evidence == ()
    alone = model.identify([photo, photo], evidence=True)
    assert alone.evidence == (MAPS[0], MAPS[0])
    assert model.identify(photo, country="India", evidence=True).evidence == (MAPS[1],)
    # No map is kept for the third species.
    kenya = model.identify(photo, country="Kenya", evidence=True)
    assert (kenya.guesses[0].species, kenya.evidence) == ("Lampropeltis getula", (None,))
    rejecting = classifier(Network([0.0, 0.0, 0.0]), rule=replace(RULE, limit=-np.inf))
    assert rejecting.identify(photo, evidence=True).evidence == (None,)
