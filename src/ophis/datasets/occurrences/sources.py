"""Rows of occurrence files, a batch at a time: tables, tables in archives, Darwin Core archives."""

from __future__ import annotations

from itertools import islice
from pathlib import PurePosixPath
from typing import TYPE_CHECKING

import polars as pl

from ophis.datasets.archive import is_archive, open_archive, open_member
from ophis.datasets.darwin_core_meta import Part, find_meta, read_meta
from ophis.datasets.darwin_core_rows import PassedOver, read_part
from ophis.errors import InputError
from ophis.files.csv import known_names, separator_of
from ophis.files.table_batches import read_batches
from ophis.files.tables import Rows

if TYPE_CHECKING:
    import zipfile
    from collections.abc import Iterator
    from pathlib import Path

PLAIN = ("species", "latitude", "longitude", "accuracy_m", "country", "captive")
DARWIN_CORE = (
    "decimalLatitude", "decimalLongitude", "coordinateUncertaintyInMeters", "species",
    "scientificName", "taxonRank", "countryCode", "country", "basisOfRecord", "occurrenceStatus",
    "individualCount", "issue", "hasGeospatialIssues", "establishmentMeans",
    "degreeOfEstablishment",
)  # fmt: skip
INATURALIST = (
    "scientific_name", "taxon_species_name", "latitude", "longitude", "positional_accuracy",
    "public_positional_accuracy", "geoprivacy", "taxon_geoprivacy", "coordinates_obscured",
    "quality_grade", "captive_cultivated", "place_country_name",
)  # fmt: skip
NAMES = tuple(dict.fromkeys((*PLAIN, *DARWIN_CORE, *INATURALIST)))
TABLES = (".csv", ".tsv", ".txt")
_BATCH = 100_000  # rows of an archive
_MAX_BYTES = 64 << 30  # unpacked; an archive is read as a stream
_HEADER_BYTES = 1 << 16


def read_sources(path: Path) -> Iterator[Rows]:
    """Yield the rows of an occurrence file, a batch at a time; known columns only, trimmed.

    Raises:
        InputError: naming the file, the row and the fix.
    """
    found = 0
    for rows in _of_archive(path) if is_archive(path) else _of_table(path):
        names = [name for name in rows.table.columns if name in NAMES]
        table = rows.table.with_columns(pl.col(names).str.strip_chars())
        found += len(table)
        yield rows.with_table(table)
    if not found:
        raise InputError(f"{path}: there is no row below the header")


def _of_table(path: Path) -> Iterator[Rows]:
    try:
        yield from read_batches(path, NAMES)
    except InputError as error:
        if "cells under" not in str(error):
            raise
        raise InputError(f"{error}; decimals have a point: 12.5, not 12,5") from None


def _of_archive(path: Path) -> Iterator[Rows]:
    """Yield the core of a Darwin Core archive, or the only table in another archive."""
    passed = PassedOver(path)
    with open_archive(path, max_bytes=_MAX_BYTES) as archive:
        core = _table(path, archive) or _core(path, archive)
        needed = {"scientificName", "species", "decimalLatitude", "decimalLongitude"}
        rows = read_part(path, archive, core, passed=passed, needed=needed)
        while batch := list(islice(rows, _BATCH)):
            yield _rows(path, batch, [*core.columns, *core.defaults])
    passed.log()


def _rows(path: Path, batch: list[tuple[str, dict[str, str]]], terms: list[str]) -> Rows:
    places = [place for place, _ in batch]
    columns = {term: [cells.get(term, "") for _, cells in batch] for term in terms if term}
    table = pl.DataFrame(columns, schema=dict.fromkeys(columns, pl.String))
    return Rows(path, table, places.__getitem__, published=True)


def _core(path: Path, archive: zipfile.ZipFile) -> Part:
    parts = read_meta(path, archive, find_meta(path, archive), terms=NAMES)
    if not parts or parts[0].row_type != "Occurrence":
        found = repr(parts[0].row_type) if parts else "missing"
        raise InputError(f"{path}: its core is {found}; needed is a core of Occurrence")
    return parts[0]


def _table(path: Path, archive: zipfile.ZipFile) -> Part | None:
    """Describe the only table of an archive without `meta.xml`, as GBIF and iNaturalist pack it."""
    names = [
        name
        for name in archive.namelist()
        if not name.endswith("/") and not name.startswith("__MACOSX/")
    ]
    if len(names) != 1 or PurePosixPath(names[0]).suffix.lower() not in TABLES:
        return None
    with open_member(path, archive, names[0]) as member:
        header = member.read(_HEADER_BYTES).decode("utf-8-sig", errors="replace").partition("\n")[0]
    header = header.strip("\r")
    delimiter = separator_of(header)
    columns = known_names(path, [name.strip(' "') for name in header.split(delimiter)], NAMES)
    return Part(
        core=True,
        row_type="Occurrence",
        delimiter=delimiter,
        quote="" if delimiter == "\t" else '"',  # GBIF quotes nothing
        encoding="UTF-8",
        header_lines=1,
        line_end="\n",
        files=names,
        columns={name: at for at, name in enumerate(columns) if name in NAMES},
    )
