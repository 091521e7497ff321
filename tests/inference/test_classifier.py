import io
from dataclasses import replace

import numpy as np
import pytest
from PIL import Image

from ophis import InputError
from ophis.decision.calibration import Calibration
from ophis.decision.decision import State
from ophis.decision.out_of_distribution import ood_scores
from ophis.decision.verdict import Verdict
from tests.support.classifiers import MAPS, PRIOR, RULE, SPECIES, Network, classifier


@pytest.fixture
def photo() -> bytes:
    colours = np.random.default_rng(0).integers(0, 255, (80, 80, 3), np.uint8)
    file = io.BytesIO()
    Image.fromarray(colours).save(file, "png")
    return file.getvalue()


def test_country_selects_thresholds_of_the_country(photo):
    """Thresholds of the image alone were fitted on other probabilities and do not apply."""
    model = classifier(Network(np.log([0.19, 0.6, 0.21]).tolist()), prior=PRIOR)
    alone = model.identify(photo)
    assert set(alone.possible) == set(SPECIES)
    assert alone.verdict is Verdict.MAY_BE_VENOMOUS
    weighed = model.identify(photo, country="India")
    assert (weighed.state, weighed.name) == (State.SPECIES, "Pantherophis guttatus")
    assert weighed.verdict is Verdict.NOT_KNOWN_DANGEROUS
    strict = replace(RULE, image=RULE.country, country=RULE.image)
    turned = classifier(Network(np.log([0.19, 0.6, 0.21]).tolist()), prior=PRIOR, rule=strict)
    assert turned.identify(photo).state is State.SPECIES
    assert len(turned.identify(photo, country="India").possible) == 3
    # Two photos of one snake: the country applies to the danger of each photo.
    both = turned.identify([photo, photo], country="India")
    assert both.verdict is Verdict.MAY_BE_VENOMOUS
    assert model.identify([photo, photo], country="India").verdict is Verdict.NOT_KNOWN_DANGEROUS


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
