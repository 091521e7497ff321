"""Dangerous snakes of a place: from the table of facts, and from records."""

import json
import logging

import numpy as np
import polars as pl
import pytest

from ophis import BayesPrior, CountryPrior, Danger, InputError, SpeciesList, near
from ophis.geography.location import Position, place_of
from ophis.locales import languages, read_sentences
from ophis.priors.location import LocationPrior, PlacePrior
from ophis.priors.records import Records
from ophis.taxonomy.important_species import important_in

# In the middle of Sri Lanka; one degree of latitude is 111.2 km.
HERE = Position(7.8713, 80.6479)
SPECIES = SpeciesList(
    ("Daboia russelii", "Vipera russelii", "Lycodon aulicus", "Naja naja", "Bothrops asper",
     "Hypnale nepa", "Xenochrophis piscator", "Tropidolaemus huttoni")
)  # fmt: skip
RECORDS = (
    ("Daboia russelii", 10, 2), ("Vipera russelii", 30, 1), ("Lycodon aulicus", 5, 9),
    ("Naja naja", 40, 4), ("Hypnale nepa", 300, 1), ("Tropidolaemus huttoni", 90, 1),
)  # fmt: skip
AWAY = [(name, kilometres) for name, kilometres, count in RECORDS for _ in range(count)]


def prior() -> LocationPrior:
    table = pl.DataFrame({"species": list(SPECIES), "country": "sri-lanka", "photos": 5})
    records = Records.of(
        SPECIES,
        latitude=HERE.latitude + np.array([kilometres for _, kilometres in AWAY]) / 111.195,
        longitude=np.full(len(AWAY), HERE.longitude),
        column=np.array([SPECIES.index(name) for name, _ in AWAY]),
    )
    return LocationPrior(BayesPrior(CountryPrior.from_counts(table, SPECIES)), records)


@pytest.mark.parametrize("country", ["Sri Lanka", "lk", "LKA", "144", " sri-lanka ", "Шри-Ланка"])
def test_a_country_has_the_species_of_the_table_in_any_spelling(country):
    found = near(country)
    assert found.countries == ("LK",)
    assert [row.species for row in found] == [row.species for row in important_in(["LK"])]
    assert {row.danger for row in found} == {Danger.VENOMOUS}
    assert all(row.source and row.countries == ("LK",) for row in found)
    assert all(row.records is row.probability is row.nearest_km is None for row in found)
    assert found.records is None


@pytest.mark.parametrize(
    "place", ["7.8713,80.6479", " +7.8713 , 80.6479,50", (7.8713, 80.6479), HERE]
)
def test_a_position_has_the_lists_of_the_countries_around_it(place):
    assert near(place) == near("Sri Lanka")


def test_near_a_border_the_lists_of_all_countries_are_joined():
    found = near("27.0,84.8667")
    assert set(found.countries) == {"NP", "IN"}
    assert {code for row in found for code in row.countries} == {"NP", "IN"}
    assert ("NP", "IN") in {tuple(sorted(row.countries, reverse=True)) for row in found}
    names = [row.species for row in found]
    assert names == [row.species for row in important_in(["NP", "IN"])]


def test_a_place_without_listed_species_is_no_all_clear():
    for place, key, named in (
        ("Ireland", "none", {"countries": "Ireland"}), ((-40.0, -120.0), "no_country", {})
    ):  # fmt: skip
        found = near(place)
        assert len(found) == 0
        assert found.lines[0] == read_sentences().text("near", key, **named)
        assert "no proof" in found.lines[0] or "may live there" in found.lines[0]


@pytest.mark.parametrize("language", languages())
def test_the_last_lines_are_the_caution_and_the_advice(language):
    words = read_sentences(language)
    for place in ("Kenya", "Ireland", (-40.0, -120.0)):
        lines = near(place, language=language).lines
        assert lines[-2:] == (words.text("near", "incomplete"), words.text("advice", "emergency"))


def test_records_give_numbers_distances_and_probabilities():
    found = near(HERE, prior=prior())
    rows = {row.species: row for row in found}
    assert found.records == 17
    # Two names of one species are counted together.
    assert (rows["Daboia russelii"].records, rows["Daboia russelii"].nearest_km) == (3, 10)
    assert (rows["Naja naja"].records, rows["Naja naja"].nearest_km) == (4, 40)
    assert (rows["Hypnale nepa"].records, rows["Hypnale nepa"].nearest_km) == (0, 300)
    # Species that the prior does not have stay on the list.
    echis = rows["Echis carinatus"]
    assert echis.records is echis.nearest_km is echis.probability is None
    here = prior().at(place_of(None, at=HERE))
    assert isinstance(here, PlacePrior)
    p = here.probability
    assert rows["Naja naja"].probability == pytest.approx(p[3])
    assert rows["Daboia russelii"].probability == pytest.approx(p[0] + p[1])
    assert sum(row.probability or 0 for row in found) < 1
    assert {row.species for row in near("LK")} < set(rows)


def test_a_venomous_species_that_is_recorded_but_not_listed_is_added():
    rows = {row.species: row for row in near(HERE, prior=prior())}
    added = rows["Tropidolaemus huttoni"]
    assert (added.danger, added.category, added.countries) == (Danger.VENOMOUS, None, ())
    assert added.source is None
    assert (added.records, added.nearest_km) == (1, 90)
    assert "Lycodon aulicus" not in rows
    assert "Vipera russelii" not in rows
    assert "Bothrops asper" not in rows


def test_recorded_species_come_first_by_probability():
    found = near(HERE, prior=prior())
    recorded = [row for row in found if row.records]
    assert list(found)[: len(recorded)] == recorded
    assert [row.probability for row in recorded] == sorted(
        (row.probability for row in recorded), reverse=True
    )
    others = [(row.category or 3, row.species) for row in list(found)[len(recorded) :]]
    assert others == sorted(others)


def test_a_country_has_probabilities_of_the_prior_but_no_records():
    for given in (prior(), prior().base):
        found = near("Sri Lanka", prior=given)
        rows = {row.species: row for row in found}
        p = given.probability if isinstance(given, BayesPrior) else given.base.probability
        assert rows["Naja naja"].probability == pytest.approx(p("sri-lanka")[3])
        assert found.records is rows["Naja naja"].records is None


def test_counts_alone_give_no_probability():
    found = near(HERE, prior=prior().base.counts)
    assert found == near("Sri Lanka")


def test_records_far_at_sea_have_no_country_but_are_listed():
    records = Records.of(
        SPECIES, latitude=np.array([-40.0]), longitude=np.array([-120.0]), column=np.array([3])
    )
    found = near((-40.0, -120.0), prior=LocationPrior(prior().base, records))
    assert [(row.species, row.records) for row in found] == [("Naja naja", 1)]
    assert found.countries == ()


def test_the_position_is_in_no_output(caplog, capsys):
    with caplog.at_level(logging.DEBUG):
        found = near(HERE, prior=prior())
    text = repr(found) + json.dumps(found.as_dict()) + caplog.text + "".join(capsys.readouterr())
    for secret in ("7.87", "80.64"):
        assert secret not in text


def test_the_values_are_json():
    values = json.loads(json.dumps(near("Kenya", language="sw").as_dict()))
    assert values["countries"] == ["KE"]
    assert values["species"][0] == {
        "species": "Bitis arietans", "danger": "venomous", "category": 1, "countries": ["KE"],
        "source": "WHO 2017 Annex 1 (category); The Reptile Database (countries)",
        "probability": None, "records": None, "nearest_km": None,
    }  # fmt: skip
    assert values["lines"][-1] == read_sentences("sw").text("advice", "emergency")


@pytest.mark.parametrize(
    ("place", "message"),
    [
        ("Kneya", "did you mean Kenya"),
        ("", "give a country or latitude,longitude"),
        ("unknown", "give a country or latitude,longitude"),
        ("91,2.123", "latitude"),
        ("6,9,79,9", "decimal"),
        ("6°54'N 79°51'E", "decimal degrees"),
        ("12.345", "decimal degrees"),
        ((91.0, 2.123), "latitude"),
        (6.9, "position"),
        (None, "give a country"),
    ],
)
def test_other_places_are_refused_without_the_position(place, message):
    with pytest.raises(InputError, match=message) as caught:
        near(place)
    assert "2.123" not in str(caught.value)
    assert "12.345" not in str(caught.value)


def test_an_unknown_language_is_refused():
    with pytest.raises(InputError, match="no sentences in language 'tlh'"):
        near("Kenya", language="tlh")
