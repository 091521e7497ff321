import csv

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ophis.taxonomy.danger import (
    IMPORTANCE,
    VENOMOUS_GENERA,
    Danger,
    danger,
    own_medical_importance,
    read_medical_importance,
)
from ophis.taxonomy.species_list import genus, species_key
from ophis.train.export.imagenet17 import KINDS
from tests.support.paths import SHARED


@pytest.mark.parametrize(
    "name",
    [
        "Naja naja",
        "naja-mossambica",
        "CROTALUS_cerastes",
        "Bungarus sp.",
        "Dispholidus typus",
        "Homoroselaps lacteus",
        "sea snake",
        "Malpolon monspessulanus",
        "Boiga irregularis of Guam",
    ],
)
def test_venomous_genera_are_venomous(name):
    assert danger(name) is Danger.VENOMOUS


@pytest.mark.parametrize(
    "name",
    [
        "Synthetic red snake",
        "",
        "Pantherophis",
        "Pantherophis sp.",
        "Pantherophis cf. guttatus",
        "Pantherophis guttatus group",
        "Pantherophis guttatus hybrid",
        "Pantherophis guttatus or Crotalus horridus",
        "Pantherophis guttatus micrurus",
        "Natrix natrix",  # a severe bite by its close relative is recorded
        "Boa constrictor",  # large constrictors have killed people
        "Python sebae",
    ],
)
def test_unknown_names_are_treated_as_venomous(name):
    assert danger(name) is Danger.UNKNOWN
    assert "venomous" in danger(name)


@pytest.mark.parametrize(
    "name",
    ["Thamnophis sirtalis parietalis", "THAMNOPHIS-SIRTALIS", " Pantherophis  guttatus_guttatus "],
)
def test_a_subspecies_has_the_danger_of_its_species(name):
    assert danger(name) is Danger.NOT_KNOWN_DANGEROUS


def test_the_built_in_table_equals_its_reading_as_any_table():
    assert own_medical_importance() == read_medical_importance(IMPORTANCE)


OWN = sorted(own_medical_importance().rows)


@given(
    st.text(max_size=30)
    | st.sampled_from(OWN).flatmap(lambda name: st.text().map(name[1:].__add__))
)
def test_an_unknown_name_is_never_not_known_dangerous(name):
    words = species_key(name).split()
    if " ".join(words) in OWN or (len(words) == 3 and " ".join(words[:2]) in OWN):
        return
    assert danger(name) is not Danger.NOT_KNOWN_DANGEROUS


@given(st.sampled_from(OWN), st.text(min_size=1, max_size=12))
def test_a_suffix_other_than_a_latin_epithet_makes_the_danger_unknown(name, more):
    found = danger(f"{name} {more}")
    if found is Danger.NOT_KNOWN_DANGEROUS and species_key(more):
        assert species_key(more).isascii()
        assert species_key(more).isalpha()
        assert found is danger(name)


@pytest.mark.parametrize(
    ("kinds", "expected"),
    [
        (["Carphophis amoenus", "Diadophis punctatus"], Danger.NOT_KNOWN_DANGEROUS),
        (
            [
                "Naja naja",
                "Dendroaspis sp.",
                "sea snake",
                "Cerastes cerastes",
                "Crotalus adamanteus",
                "Crotalus cerastes",
            ],
            Danger.VENOMOUS,
        ),
        # Groups of species, some of them venomous or little known; night snakes, whose name was
        # since split; and large constrictors.
        (
            [
                "Heterodon sp.",
                "Opheodrys sp.",
                "Lampropeltis sp.",
                "Thamnophis sp.",
                "water snake",
                "vine snake",
                "Hypsiglena torquata",
                "Boa constrictor",
                "Python sebae",
            ],
            Danger.UNKNOWN,
        ),
    ],
)
def test_danger_of_the_imagenet17_classes(kinds, expected):
    assert set(kinds) <= set(KINDS)
    assert {danger(kind) for kind in kinds} == {expected}
    assert len([kind for kind in KINDS if danger(kind) is expected]) == len(kinds)


def own_rows():
    with IMPORTANCE.open(newline="") as file:
        return list(csv.DictReader(file))


def test_the_built_in_table_has_each_species_once_with_its_source():
    rows = own_rows()
    names = [row["species"] for row in rows]
    assert names == sorted(set(names), key=str.casefold)
    assert len({species_key(name) for name in names}) == len(names)
    assert all(len(row["source"]) >= 6 and row["mivs"] in "01" for row in rows)


def test_the_built_in_table_clears_no_species_of_a_venomous_genus():
    """A row that took the danger from a front-fanged snake would be a mistake in the table."""
    rows = [row["species"] for row in own_rows() if row["mivs"] == "0"]
    with VENOMOUS_GENERA.open(newline="") as file:
        genera = {row["genus"] for row in csv.DictReader(file)}
    assert len(rows) > 50
    for name in rows:
        first, epithet = name.split(" ")  # a group, such as "Heterodon sp.", is never named
        assert first.istitle()
        assert epithet.isalpha()
        assert epithet.islower()
        assert genus(name) not in genera


def test_no_important_species_of_snakeclef_is_not_known_dangerous():
    table = SHARED / "snakeclef2021" / "species_medical_importance.csv"
    if not table.is_file():
        pytest.skip("the organisers' table is not here (shared/data/snakeclef2021)")
    rows = read_medical_importance(table).rows
    important = {name for name, mivs in rows.items() if mivs}
    dangers = {name: danger(name) for name in rows}
    assert not {name for name in important if dangers[name] is Danger.NOT_KNOWN_DANGEROUS}
    assert all(dangers[name] is Danger.VENOMOUS for name in important)
    not_known = [name for name in dangers if dangers[name] is Danger.NOT_KNOWN_DANGEROUS]
    assert len(not_known) > 50
    assert len(important) == 569


def test_a_user_table_cannot_clear_a_venomous_genus(tmp_path):
    table = tmp_path / "own.csv"
    table.write_text(
        "source,species,mivs\nme,Boa-constrictor,0\nme,Natrix natrix,1\nme,Hydrophis major,0\n"
    )
    own = read_medical_importance(table)
    assert own.danger("boa constrictor imperator") is Danger.NOT_KNOWN_DANGEROUS
    assert own.danger("Natrix natrix") is Danger.VENOMOUS
    assert own.danger("Natrix natrix helvetica") is Danger.VENOMOUS
    assert own.danger("Hydrophis major") is Danger.VENOMOUS
    assert own.of("Hydrophis major") is False  # the SnakeCLEF metrics use this value
    assert own.danger("Naja naja") is Danger.VENOMOUS
    assert own.danger("Pantherophis guttatus") is Danger.UNKNOWN


def test_important_front_fanged_species_of_snakeclef_are_venomous():
    table = SHARED / "snakeclef2021" / "species_medical_importance.csv"
    if not table.is_file():
        pytest.skip("the organisers' table is not here (shared/data/snakeclef2021)")
    with table.open(newline="") as file:
        important = [row for row in csv.DictReader(file) if row["mivs"] == "1"]
    missed = {r["genus"] for r in important if danger(r["species"]) is not Danger.VENOMOUS}
    assert len(important) > 100
    assert not missed


def test_elapid_and_viper_genera_of_snakeclef_are_venomous():
    tables = sorted((SHARED / "snakeclef2021").glob("*_5000.csv"))
    if not tables:
        pytest.skip("the organisers' tables are not here (shared/data/snakeclef2021)")
    genera = set()
    for table in tables:
        with table.open(newline="") as file:
            genera |= {
                row["genus"]
                for row in csv.DictReader(file)
                if row["family"] in ("Elapidae", "Viperidae", "Atractaspididae")
                and (row["family"] != "Atractaspididae" or row["genus"] == "Atractaspis")
            }
    assert len(genera) > 30
    assert not {genus for genus in genera if danger(genus) is not Danger.VENOMOUS}


def test_the_table_of_genera_is_sorted_and_unique_with_sources():
    with VENOMOUS_GENERA.open(newline="") as file:
        rows = list(csv.DictReader(file))
    genera = [row["genus"] for row in rows]
    assert genera == sorted(set(genera))
    assert {genus.capitalize() for genus in genera} == set(genera)
    assert all(len(row["source"]) >= 6 for row in rows)
