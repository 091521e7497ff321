"""Answers at a position: records, warnings, and what they keep to themselves."""

import io
import json
import logging
from dataclasses import replace

import numpy as np
import pytest
from PIL import Image

from ophis import BayesPrior, Position
from ophis.decision.decision import State
from ophis.decision.verdict import Verdict
from ophis.errors import NoPhotoError
from ophis.geography.location import Source, read_position
from ophis.inference.answer import answer_html, answer_markdown
from ophis.locales import languages, read_sentences
from ophis.priors.effect import PriorUse
from ophis.priors.location import LocationPrior
from ophis.priors.records import Records
from tests.support.classifiers import (
    PRIOR,
    RULE,
    SPECIES,
    Network,
    classifier,
    guarantees,
    sets,
)

# In the middle of India; one degree of latitude is 111.2 km.
HERE, NORTH_KM = Position(19.0713, 76.0479), np.array([3, 40, 230, 700])
ROWS = [0] * 40 + [0, 1, 2]
RECORDS = Records.of(
    SPECIES,
    latitude=HERE.latitude + np.repeat(NORTH_KM, [40, 1, 1, 1]) / 111.195,
    longitude=np.full(43, HERE.longitude),
    column=np.array(ROWS),
)
PLACES = LocationPrior(BayesPrior(PRIOR), RECORDS)
AT_SEA, NOWHERE, BORDER = (-40.0, -120.0), (60.0, 100.0), (27.0, 84.8667)


def model(prior=PLACES, probabilities=(0.3, 0.4, 0.3), **parts):
    return classifier(Network(np.log(probabilities).tolist()), prior=prior, **parts)


def test_answer_states_the_records_of_each_species(photo):
    answer = model().identify(photo, at=HERE)
    found = {guess.species: (guess.records, guess.nearest_km) for guess in answer}
    assert found == {
        "Naja naja": (41, 3), "Pantherophis guttatus": (0, 230), "Lampropeltis getula": (0, None),
    }  # fmt: skip
    assert (answer.place_records, answer.prior) == (41, PriorUse.PLACE)
    assert (answer.source, answer.countries) == (Source.GIVEN_POSITION, {"india": 1.0})
    assert answer.lines[2:-1] == (
        "The country, from the position given: India.",
        "The place: weighted by where these species were recorded, near it and in its countries.",
        "The place: records of snakes within 100 km: 41. A snake can live where it was never"
        " recorded.",
        read_sentences().text("country", "joined"),
    )
    fields = json.loads(answer.to_json())
    assert fields["place_records"] == 41
    assert fields["guesses"][0].keys() == {
        "species", "probability", "danger", "records", "nearest_km",
    }  # fmt: skip


def test_place_raises_the_species_recorded_there(photo):
    alone, there = model().identify(photo), model().identify(photo, at=HERE)
    india = model().identify(photo, country="India")
    probability = {name: [dict(_of(a))[name] for a in (alone, india, there)] for name in SPECIES}
    assert probability["Naja naja"][2] > max(probability["Naja naja"][:2])
    assert min(probability["Lampropeltis getula"]) > 0


def _of(answer):
    return [(guess.species, guess.probability) for guess in answer]


@pytest.mark.parametrize("at", [(19.0713, 76.0479), read_position("19.0713,76.0479,1000")])
def test_forms_of_a_position_give_one_answer(photo, at):
    assert model().identify(photo, at=at) == model().identify(photo, at=HERE)


def test_position_of_the_photo_is_used_like_a_given_one():
    exif = Image.Exif()
    exif.get_ifd(0x8825).update({1: "N", 2: (19.0, 4.0, 16.68), 3: "E", 4: (76.0, 2.0, 52.44)})
    file = io.BytesIO()
    Image.effect_noise((80, 80), 90).save(file, "png", exif=exif.tobytes())
    found, given = (model().identify(file.getvalue(), **p) for p in ({"gps": True}, {"at": HERE}))
    assert found.source is Source.POSITION
    assert found.guesses[0].probability == pytest.approx(given.guesses[0].probability, rel=1e-6)
    assert found.place_records == 41
    elsewhere = model().identify(file.getvalue(), gps=True, at=NOWHERE)
    assert (elsewhere.source, elsewhere.place_records) == (Source.GIVEN_POSITION, 0)
    by_country = model().identify(file.getvalue(), gps=True, country="India")
    assert (by_country.source, by_country.place_records) == (Source.GIVEN, None)


@pytest.mark.parametrize("at", [HERE, BORDER])  # inside India, and at its border
def test_bundle_without_records_uses_the_countries_around(photo, at):
    for prior in (PRIOR, BayesPrior(PRIOR)):
        answer = model(prior).identify(photo, at=at)
        expected = model(prior).identify(photo, country=dict(answer.countries))
        assert answer.guesses == expected.guesses
        assert (answer.prior, answer.joined) == (expected.prior, expected.joined)
        assert (answer.place_records, answer[0].records, answer[0].nearest_km) == (None,) * 3
    assert model(None).identify(photo, at=at).prior is PriorUse.NO_PRIOR


def test_position_far_at_sea_leaves_the_image_alone(photo):
    answer, alone = model().identify(photo, at=AT_SEA), model().identify(photo)
    assert (answer.source, answer.country) == (Source.NO_COUNTRY, "UNKNOWN")
    assert (answer.prior, answer.place_records) == (PriorUse.NO_COUNTRY, 0)
    assert _of(answer) == _of(alone)


def test_place_removes_no_warning_and_no_name(photo):
    """The guarantee of a country was not tested with places: all names of the image stay."""
    calm = replace(RULE, image=guarantees(0.5, 0.5, 0.5), country=sets(0.8, 0.8, 0.8))
    far = Records.of(
        SPECIES, latitude=np.full(9, 19.0), longitude=np.full(9, 76.0), column=np.ones(9, int)
    )
    harmless = LocationPrior(BayesPrior(PRIOR), far)  # the cobra was never recorded
    warned = 0
    for probabilities in ((0.19, 0.6, 0.21), (0.6, 0.2, 0.2), (0.03, 0.9, 0.07), (0.3, 0.4, 0.3)):
        for rule in (RULE, calm, replace(calm, country=sets(0.1, 0.1, 0.1))):
            for prior in (PLACES, harmless):
                here = model(prior, probabilities, rule=rule)
                alone = here.identify(photo)
                for at in (HERE, NOWHERE, AT_SEA, BORDER):
                    for photos in (photo, [photo, photo]):
                        answer = here.identify(photos, at=at)
                        assert set(answer.possible) >= set(alone.possible)
                        assert answer.joined is (at is not AT_SEA)
                        if alone.verdict is Verdict.MAY_BE_VENOMOUS:
                            warned += 1
                            assert answer.verdict is Verdict.MAY_BE_VENOMOUS
    assert warned > 50


def test_country_keeps_its_guarantee_with_a_prior_of_places(photo):
    answer = model(rule=replace(RULE, country=sets(0.5, 0.5, 0.5))).identify(photo, country="India")
    assert not answer.joined
    assert (answer.prior, answer.place_records) == (PriorUse.WEIGHED, None)


@pytest.mark.parametrize("language", languages())
def test_records_are_in_words_in_every_form(photo, language, capsys):
    from ophis.cli.terminal.answer_text import print_answer

    words = read_sentences(language)
    answer = model().identify(photo, at=HERE, language=language)
    one = replace(answer.guesses[0], records=1, nearest_km=0)
    unknown = replace(answer.guesses[1], records=None, nearest_km=None)
    answer = replace(answer, guesses=(*answer.guesses, one, unknown))
    print_answer(answer)
    printed = capsys.readouterr().out
    lines = [
        words.text("records", "near", number="41", km="3"),
        words.text("records", "far", km="230"),
        words.text("records", "none"),
        words.text("records", "one", km="0"),
        words.text("records", "no_records"),
        words.text("records", "total", number="41"),
    ]
    assert len(set(lines)) == 6
    for text in (printed, answer_html(answer).replace("&#x27;", "'"), answer_markdown(answer)):
        assert [line for line in lines if line not in text] == []
    rows = [line for line in answer_markdown(answer).splitlines() if line.startswith("|")]
    assert {row.count("|") for row in rows} == {5}
    plain = model().identify(photo, country="India", language=language)
    assert lines[2] not in answer_html(plain) + answer_markdown(plain)


def test_english_words_of_the_records():
    words = read_sentences()
    assert words.text("records", "near", number="41", km="3") == (
        "recorded within 100 km: 41 records, nearest 3 km"
    )
    assert words.text("records", "none") == "not recorded within 500 km"


def test_coordinates_are_in_no_answer_log_or_error(photo, caplog, tmp_path):
    caplog.set_level(logging.DEBUG)
    here, outputs = model(), []
    for at in (HERE, Position(19.0713, 76.0479, 1.2345)):
        for photos in (photo, [photo, photo]):
            answer = here.identify(photos, at=at, evidence=True)
            outputs += [repr(answer), answer.to_json(), answer_html(answer)]
            outputs.append(answer_markdown(answer))
        with pytest.raises(NoPhotoError) as unread:
            here.identify(b"no photo", at=at)
        lost = here.without_photo(unread.value.failures, at=at)
        assert lost.state is State.UNUSABLE
        outputs += [repr(unread.value), repr(lost), lost.to_json()]
    for digits in ("19.07", "0713", "76.04", "0479", "1234", "1.2345"):
        assert [text for text in (*outputs, caplog.text) if digits in text] == []
