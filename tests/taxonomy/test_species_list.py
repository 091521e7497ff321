import pytest
from hypothesis import given
from hypothesis import strategies as st

from ophis import InputError, SpeciesList
from tests.support.species_names import is_species_name

NAMES = st.lists(
    st.text(st.characters(exclude_categories=["Cs", "Cc", "Zl", "Zp"]), min_size=1, max_size=20)
    .map(str.strip)
    .filter(is_species_name),
    unique=True,
    max_size=8,
)


@given(names=NAMES)
def test_a_species_list_round_trips_in_order(tmp_path_factory, names):
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
def test_an_invalid_species_list_is_refused(names, words):
    with pytest.raises(InputError, match=words):
        SpeciesList(names)


def test_an_unknown_species_is_refused_with_similar_names():
    with pytest.raises(InputError, match=r"'Naja naia' is not among the 2 .*'Naja naja'"):
        SpeciesList(("Boa constrictor", "Naja naja")).index("Naja naia")


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", r"columns should be species, not \[\]"),
        ("name\nboa\n", "columns should be species, not"),
        (
            "species\nboa\n\nadder, common\n",
            "row 4: has 2 cells under 1 name; put a cell with a comma",
        ),
        ("species\nboa\nboa\n", "species 'boa' stands twice in the list; keep it once"),
        ('species,x\n" ",1\n', "species 1 has no name; give it one"),
        ('species\n"boa\n', "row 2: .*; fix the quotes"),
    ],
)
def test_an_invalid_file_is_refused_by_name_and_row(tmp_path, text, words):
    (tmp_path / "s.csv").write_text(text)
    with pytest.raises(InputError, match=rf"s\.csv(, |: ){words}") as error:
        SpeciesList.read(tmp_path / "s.csv")
    assert "\n" not in str(error.value)
    with pytest.raises(InputError, match=r"none\.csv: there is no such"):
        SpeciesList.read(tmp_path / "none.csv")


def test_a_list_saved_by_a_spreadsheet_is_read(tmp_path):
    (tmp_path / "s.csv").write_bytes(b"\xef\xbb\xbfspecies\r\nboa\r\n")
    assert list(SpeciesList.read(tmp_path / "s.csv")) == ["boa"]


def test_a_failed_write_leaves_no_file(tmp_path):
    (tmp_path / "s.csv").mkdir()
    with pytest.raises(InputError, match=r"s\.csv: cannot be written"):
        SpeciesList(("boa",)).write(tmp_path / "s.csv")
    assert [path.name for path in tmp_path.iterdir()] == ["s.csv"]
