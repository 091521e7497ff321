"""Tables as spreadsheets, R and other programs write them, for every reader of a table."""

import csv
import io
import json
from collections.abc import Callable
from pathlib import Path

import polars as pl
import pytest

from ophis import InputError, read_manifest
from ophis.challenges.submission import read_class_ids, read_species
from ophis.challenges.submission_scores import read_submissions
from ophis.datasets.renaming import read_synonyms
from ophis.priors.country_counts import read_counts
from ophis.priors.overrides import read_overrides
from ophis.priors.range_maps import read_range_map
from ophis.taxonomy.danger import read_medical_importance
from ophis.taxonomy.species_list import SpeciesList

Table = list[list[str]]


def manifest(path: Path) -> object:
    names = ("photo_id", "photo", "species", "country", "observation")
    return read_manifest(path).table.select(names).rows()


def submission(path: Path) -> object:
    (scores,) = read_submissions([path], path)
    return scores.photo_ids, scores.species, scores.countries


def overrides(path: Path) -> object:
    return [(each.country, each.species, each.probability) for each in read_overrides(path)]


def range_map(path: Path) -> object:
    return read_range_map(path).places


def counts(path: Path) -> object:
    found = read_counts(path)
    return found.species, found.countries, found.counts.tolist()


READERS: dict[str, tuple[Callable[[Path], object], Table]] = {
    "csv": (manifest, [["photo", "species", "country"], ["a.jpg", "Naja naja", "Kenya"],
                       ["b.jpg", "", "Venezuela, Bolivarian Republic of"]]),
    "snakeclef 2020": (manifest, [["scientific_name", "country", "hashed_id"],
                                  ["Naja naja", "india", "a"], ["Boa imperator", "mexico", "b"]]),
    "snakeclef 2021": (manifest, [["binomial", "country", "UUID", "image_path"],
                                  ["Naja naja", "India", "u", "a/u.jpg"],
                                  ["Boa imperator", "Mexico", "v", "a/v.jpg"]]),
    "snakeclef 2022": (manifest, [["observation_id", "binomial_name", "code", "image_path"],
                                  ["HM 1", "Naja naja", "NA", "a/1.jpg"],
                                  ["HM 2", "Boa imperator", "MX", "a/2.jpg"]]),
    "inaturalist": (manifest, [["id", "observed_on", "scientific_name", "place_country_name"],
                               ["1", "2020-01-01", "Naja naja", "India"],
                               ["2", "2020-01-02", "Naja", "Nepal"]]),
    "image folder": (manifest, [["file_name", "label", "country"],
                                ["a.jpg", "Naja naja", "India"], ["b.jpg", "Boa", "Mexico"]]),
    "synonyms": (read_synonyms, [["name", "accepted"], ["Naja naia", "Naja naja"]]),
    "submission": (submission, [["photo_id", "species", "country"], ["a", "Naja naja", "India"],
                                ["b", "Boa imperator", "Mexico"]]),
    "species of a challenge": (read_species, [["species", "class"], ["Naja naja", "1"]]),
    "classes": (read_class_ids, [["class_id", "binomial_name"], ["3", "Naja naja"]]),
    "danger": (read_medical_importance, [["species", "mivs"], ["Naja naja", "1"]]),
    "counts": (counts, [["species", "country", "photos"], ["Naja naja", "india", "3"],
                        ["Boa imperator", "mexico", "2"]]),
    "overrides": (overrides, [["country", "species", "probability"],
                              ["India", "Naja naja", "add"]]),
    "range map": (range_map, [["species", "India", "Nepal"], ["Naja naja", "1", "0"]]),
    "species list": (SpeciesList.read, [["species"], ["Naja naja"], ["Boa imperator"]]),
}  # fmt: skip


def text(table: Table, *, separator: str = ",", end: str = "\n") -> str:
    file = io.StringIO()
    csv.writer(file, delimiter=separator, lineterminator=end).writerows(table)
    return file.getvalue()


def unread(table: Table, cell: str) -> Table:
    """Add a column that no reader knows."""
    return [[*row, cell if number else "remarks"] for number, row in enumerate(table)]


def renamed(table: Table, change: Callable[[str], str]) -> Table:
    return [[change(name) for name in table[0]], *table[1:]]


DEFECTS: dict[str, Callable[[Table], str | bytes]] = {
    "long cell": lambda table: text(unread(table, "x" * 140_000)),
    "long cell, quotes in a word": lambda table: text(unread(table, 'x" ' * 50_000)).replace(
        '""', '"'
    ).replace('"x', "x").replace(' "\n', " \n"),
    "commas at the end": lambda table: text(table).replace("\n", ",,\n"),
    "commas at the end of rows": lambda table: (
        text(table[:1]) + text(table[1:]).replace("\n", ",\n")
    ),
    "commas at the end of one row": lambda table: text(table).removesuffix("\n") + ",\n",
    "sep=,": lambda table: "sep=,\r\n" + text(table, end="\r\n"),
    "sep=;": lambda table: "sep=;\r\n" + text(table, separator=";", end="\r\n"),
    "sep=tab": lambda table: "SEP=\t\n" + text(table, separator="\t"),
    "sep=| in quotes": lambda table: '"sep=|"\n' + text(table, separator="|"),
    "semicolons": lambda table: text(table, separator=";"),
    "tabs": lambda table: text(table, separator="\t"),
    "comments": lambda table: "# by hand, 2026\n#\n" + text(table),
    "comment in quotes": lambda table: '"# by hand, 2026",,\n' + text(table),
    "comment between": lambda table: (
        text(table[:1])
        + "# from here, by Ann, Bo,,,,\n"
        + "#x\n" * (len(table[0]) > 1)
        + text(table[1:])
    ),
    "empty lines": lambda table: "\n\n" + text(table).replace("\n", "\n\n,\n"),
    "UTF-8 with mark": lambda table: text(table).encode("utf-8-sig"),
    "UTF-16": lambda table: text(table, separator="\t").encode("utf-16"),
    "UTF-16, big end first": lambda table: b"\xfe\xff" + text(table).encode("utf-16-be"),
    "CRLF": lambda table: text(table, end="\r\n"),
    "CR": lambda table: text(table, end="\r"),
    "no line end": lambda table: text(table).removesuffix("\n"),
    "quotes everywhere": lambda table: "\n".join(
        ",".join(f'"{cell}"' for cell in row) for row in table
    ),
}  # fmt: skip
# Changes of the header; a range map's is countries.
HEADERS: dict[str, Callable[[Table], str | bytes]] = {
    "blanks": lambda table: text(renamed(table, " {} ".format)),
    "capitals": lambda table: text(renamed(table, str.upper)),
    "title": lambda table: text(renamed(table, lambda name: name.replace("_", " ").title())),
    "unread twins": lambda table: text([[*row, row[0] and "x", "x"] for row in table]),
}


@pytest.mark.parametrize("defect", [*DEFECTS, *HEADERS])
@pytest.mark.parametrize("name", READERS)
def test_every_reader_reads_the_table_in_every_form(name, defect, tmp_path):
    if name == "range map" and (defect in HEADERS or defect.startswith("long cell")):
        pytest.skip("each column of a range map is read")
    read, table = READERS[name]
    plain, other = tmp_path / "plain.csv", tmp_path / "other.csv"
    plain.write_text(text(table))
    data = (DEFECTS | HEADERS)[defect](table)
    other.write_bytes(data if isinstance(data, bytes) else data.encode())
    assert read(other) == read(plain)


@pytest.mark.parametrize("name", [name for name in READERS if name != "species list"])
def test_every_reader_names_the_row_of_a_fault(name, tmp_path):
    read, table = READERS[name]
    path = tmp_path / "t.csv"
    faults = {
        "row 4: .*fix the quotes": lambda good: good + '"x\n',
        "row 4: .*NUL": lambda good: good + "x\0\n",
        "row 4: has .* put a cell with a comma in": lambda good: good + "x," * 9 + "x\n",
        "row 4: is not UTF-8": lambda good: good + "é\n",
    }
    for words, spoil in faults.items():
        good = "# a comment\n" + text([*table[:1], table[1]])
        path.write_bytes(spoil(good).encode("latin-1"))
        with pytest.raises(InputError, match=rf"t\.csv, {words}"):
            read(path)


@pytest.mark.parametrize("name", [name for name in READERS if name != "range map"])
def test_every_reader_refuses_a_column_that_is_there_twice(name, tmp_path):
    read, table = READERS[name]
    path = tmp_path / "t.csv"
    path.write_text(text([[*row, row[0]] for row in table]))
    with pytest.raises(InputError, match=f"column '{table[0][0]}' is there twice"):
        read(path)


UNREAD = {
    "lists": [[1.0, 2.0]],
    "objects": [{"bbox": [1, 2], "categories": [0]}],
    "bytes": [b"\xff\xfe"],
    "times": pl.Series([5], dtype=pl.Duration),
    "categories": pl.Series(["x"], dtype=pl.Categorical),
    "dates": pl.Series([5], dtype=pl.Date),
    "decimals": pl.Series(["1.5"]).cast(pl.Decimal(10, 2)),
    "nothing": [None],
}


@pytest.mark.parametrize("kind", UNREAD)
@pytest.mark.parametrize("name", ["csv", "image folder", "snakeclef 2022", "synonyms", "danger"])
def test_columns_that_are_not_read_may_hold_anything(name, kind, tmp_path):
    read, table = READERS[name]
    rows = pl.DataFrame(dict(zip(table[0], table[1], strict=True)))
    expected, found = tmp_path / "plain.parquet", tmp_path / "more.parquet"
    rows.write_parquet(expected)
    rows.with_columns(pl.Series("more", UNREAD[kind])).write_parquet(found)
    assert read(found) == read(expected)
    rows.with_columns(pl.Series(table[0][0], UNREAD["lists"])).write_parquet(found)
    with pytest.raises(InputError, match=f"column '{table[0][0]}' holds no text; make it plain"):
        read(found)


@pytest.mark.parametrize("name", ["csv", "image folder", "snakeclef 2022", "synonyms", "danger"])
def test_values_of_json_that_are_not_read_may_be_anything(name, tmp_path):
    read, table = READERS[name]
    cells = dict(zip(table[0], table[1], strict=True))
    plain, other = tmp_path / "plain.jsonl", tmp_path / "other.jsonl"
    plain.write_text(json.dumps(cells))
    more = {"objects": {"bbox": [[1, 2]]}, "tags": [], "half": "\ud800", "none": None}
    other.write_text(json.dumps(cells | more), encoding="utf-8-sig")
    assert read(other) == read(plain)
    other.write_text(json.dumps({**cells, table[0][0]: ["x"]}))
    with pytest.raises(InputError, match=f"row 1: '{table[0][0]}' is a list or an object"):
        read(other)
