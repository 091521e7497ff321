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


def test_with_a_country_the_thresholds_are_those_with_the_country(photo):
    """Those of the image alone were found on other probabilities and promise nothing of these."""
    asked = classifier(Network(np.log([0.19, 0.6, 0.21]).tolist()), prior=PRIOR)
    alone = asked.identify(photo)
    assert set(alone.possible) == set(SPECIES)
    assert alone.verdict is Verdict.MAY_BE_VENOMOUS
    weighed = asked.identify(photo, country="India")
    assert (weighed.state, weighed.name) == (State.SPECIES, "Pantherophis guttatus")
    assert weighed.verdict is Verdict.NOT_KNOWN_DANGEROUS
    strict = replace(RULE, image=RULE.country, country=RULE.image)
    turned = classifier(Network(np.log([0.19, 0.6, 0.21]).tolist()), prior=PRIOR, rule=strict)
    assert turned.identify(photo).state is State.SPECIES
    assert len(turned.identify(photo, country="India").possible) == 3
    # Two photos of one snake: the danger is that of each with the country, too.
    both = turned.identify([photo, photo], country="India")
    assert both.verdict is Verdict.MAY_BE_VENOMOUS
    assert asked.identify([photo, photo], country="India").verdict is Verdict.NOT_KNOWN_DANGEROUS


@pytest.mark.parametrize("country", [None, "India"])
@pytest.mark.parametrize("shift", [5.0, -5.0])
def test_what_is_strange_is_told_from_what_the_network_says_and_nothing_else(photo, country, shift):
    """Calibration and country change the energy, which the limit was not found with."""
    network = Network([0.0, 2.0, 0.0])
    energy = float(ood_scores(network.look([Image.new("RGB", (9, 9))], ["a"], None)[0])[0])
    # A shift of all logits says nothing of the species and moves the energy past either limit.
    moved = Calibration(np.ones(3), np.full(3, shift), SPECIES)
    for limit, strange in ((energy + 0.1, False), (energy - 0.1, True)):
        rule = replace(RULE, limit=limit)
        asked = classifier(network, calibration=moved, prior=PRIOR, rule=rule)
        answer = asked.identify(photo, country=country)
        assert (answer.state is State.NO_SNAKE) is strange


@pytest.mark.parametrize("rule", [None, RULE, replace(RULE, by="feature distance", limit=3.0)])
def test_a_network_that_gives_no_numbers_names_no_snake_but_the_photo(photo, tmp_path, rule):
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


def test_the_evidence_is_that_for_the_best_guess_of_the_answer(photo):
    """The country may lift another species to the top than the image alone."""
    asked = classifier(Network(np.log([0.6, 0.3, 0.1]).tolist()), prior=PRIOR)
    assert asked.identify(photo).evidence == ()
    alone = asked.identify([photo, photo], evidence=True)
    assert alone.evidence == (MAPS[0], MAPS[0])
    assert asked.identify(photo, country="India", evidence=True).evidence == (MAPS[1],)
    # Of the third one no map is kept.
    kenya = asked.identify(photo, country="Kenya", evidence=True)
    assert (kenya.guesses[0].species, kenya.evidence) == ("Lampropeltis getula", (None,))
    strange = classifier(Network([0.0, 0.0, 0.0]), rule=replace(RULE, limit=-np.inf))
    assert strange.identify(photo, evidence=True).evidence == (None,)
