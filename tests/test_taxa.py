import csv

import pytest
from conftest import SHARED
from hypothesis import given
from hypothesis import strategies as st

from ophis import InputError, SpeciesList
from ophis.taxa import Danger, danger

NAMES = st.lists(
    st.text(st.characters(exclude_categories=["Cs", "Cc", "Zl", "Zp"]), min_size=1, max_size=20)
    .map(str.strip)
    .filter(bool),
    unique=True,
    max_size=8,
)


@given(names=NAMES)
def test_a_written_list_reads_back_in_its_order(tmp_path_factory, names):
    path = tmp_path_factory.mktemp("species") / "species.csv"
    species = SpeciesList(tuple(names))
    assert SpeciesList.read(species.write(path)) == species
    assert [species.index(name) for name in names] == list(range(len(names)))
    assert list(path.parent.iterdir()) == [path]


@pytest.mark.parametrize(
    ("names", "words"),
    [
        (("boa", "adder", "boa"), "'boa' stands twice"),
        (("boa", ""), "species 2 has no name"),
        (("boa", " "), "species 2 has no name"),
        (("b\noa",), "line break"),
    ],
)
def test_a_list_that_is_no_list_of_species_is_refused(names, words):
    with pytest.raises(InputError, match=words):
        SpeciesList(names)


def test_an_unknown_species_is_named_with_the_ones_that_look_alike():
    with pytest.raises(InputError, match=r"'Naja naia' is not among the 2 .*'Naja naja'"):
        SpeciesList(("Boa constrictor", "Naja naja")).index("Naja naia")


@pytest.mark.parametrize("text", ["", "name\nboa\n", "species,x\nboa,1\n", "species\nboa\nboa\n"])
def test_a_wrong_file_is_refused_by_its_name(tmp_path, text):
    (tmp_path / "s.csv").write_text(text)
    with pytest.raises(InputError, match=r"s\.csv"):
        SpeciesList.read(tmp_path / "s.csv")
    with pytest.raises(InputError, match=r"none\.csv"):
        SpeciesList.read(tmp_path / "none.csv")


@pytest.mark.parametrize(
    "name",
    ["Naja naja", "naja-mossambica", "CROTALUS_cerastes", "Bungarus sp.", "Dispholidus typus"],
)
def test_known_dangerous_genera_are_venomous(name):
    assert danger(name) is Danger.VENOMOUS


@pytest.mark.parametrize("name", ["Pantherophis guttatus", "sea snake", "Drawn red snake", ""])
def test_all_else_is_treated_as_venomous(name):
    assert danger(name) is Danger.UNKNOWN
    assert "venomous" in danger(name)


def test_every_front_fanged_species_the_organisers_call_important_is_venomous():
    table = SHARED / "snakeclef2021" / "species_medical_importance.csv"
    if not table.is_file():
        pytest.skip("the organisers' table is not here (shared/data/snakeclef2021)")
    with table.open(newline="") as file:
        important = [row for row in csv.DictReader(file) if row["mivs"] == "1"]
    missed = {r["genus"] for r in important if danger(r["species"]) is not Danger.VENOMOUS}
    assert len(important) > 100
    assert not missed
