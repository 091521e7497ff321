import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ophis import InputError, read_manifest
from ophis.datasets.renaming import AS_FOUND, accepted_names, normalised_names, read_synonyms
from tests.support.species_names import NAMES


@pytest.fixture
def mixed(tmp_path):
    """Four spellings of two species, a third in one odd spelling, and a photo without a name."""
    rows = [
        "Naja naja",
        "naja-naja",
        "Naja naja (L.)",
        "Naja naja",
        "bitis_arietans",
        "Boa boa",
        "",
    ]
    lines = [f"{number}.jpg,{name}" for number, name in enumerate(rows)]
    (tmp_path / "m.csv").write_text("\n".join(["photo,species", *lines]) + "\n")
    return read_manifest(tmp_path / "m.csv")


def test_equal_names_are_listed_and_merged_only_on_request(mixed):
    renaming = normalised_names(mixed)
    assert renaming.changes == {"bitis_arietans": "Bitis arietans"}
    assert renaming.merges == {"Naja naja": ("Naja naja", "Naja naja (L.)", "naja-naja")}
    assert renaming.photos["Naja naja"] == 2

    apart = renaming.apply(mixed, merge=False)
    before, after = list(mixed.table["species"]), list(apart.table["species"])
    assert after == [*before[:4], "Bitis arietans", "Boa boa", None]
    assert list(apart.table[AS_FOUND]) == [name or "" for name in before]

    merged = renaming.apply(mixed, merge=True)
    assert list(merged.table["species"]) == ["Naja naja"] * 4 + after[4:]
    assert merged.counts()["photos"].sum() == mixed.counts()["photos"].sum()


@given(names=st.lists(NAMES.map(str.strip).filter(bool), min_size=1, max_size=6, unique=True))
def test_apply_without_merge_keeps_names_distinct(names):
    from pathlib import Path

    from ophis import Manifest

    ids = [str(number) for number in range(len(names))]
    columns = dict.fromkeys(("photo_id", "photo", "observation"), ids)
    manifest = Manifest(pl.DataFrame({**columns, "species": names, "country": ids}), Path())
    apart = normalised_names(manifest).apply(manifest, merge=False)
    assert apart.table["species"].n_unique() == len(names)


def test_apply_returns_same_manifest_where_no_name_changes(mixed):
    one = mixed.take(mixed.table["species"].eq("Boa boa").fill_null(value=False).to_numpy())
    assert normalised_names(one).apply(one, merge=True) is one


def test_synonyms_take_the_spelling_of_the_manifest(mixed, tmp_path):
    (tmp_path / "s.csv").write_text(
        "name,accepted\nBoa boa Smith,BITIS ARIETANS\nElaphe x,Aus bus\n"
    )
    renaming = accepted_names(mixed, read_synonyms(tmp_path / "s.csv"))
    assert renaming.merges == {"bitis_arietans": ("Boa boa", "bitis_arietans")}
    assert list(renaming.apply(mixed, merge=True).table["species"])[4:] == [
        "bitis_arietans"
    ] * 2 + [None]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("name\nBoa\n", "s.csv: column 'accepted' is missing"),
        ("name,accepted\nBoa boa,\n", "s.csv, row 2: accepted is empty"),
        ("name,accepted\nA b,C d\n\na_b,E f\n", "s.csv, row 4: 'A b' is 'C d' further up"),
        ("name,accepted\nAus bus,Cus dus\nCus dus,Eus fus\n", "row 2: 'Cus dus' is itself a syn"),
        ("name,accepted\nAus bus,\x07\n", "row 2: a name has a line break or a control character"),
    ],
)
def test_read_synonyms_refuses_wrong_table_by_row(tmp_path, text, words):
    (tmp_path / "s.csv").write_text(text)
    with pytest.raises(InputError) as error:
        read_synonyms(tmp_path / "s.csv")
    assert words in str(error.value)
    assert "\n" not in str(error.value)
