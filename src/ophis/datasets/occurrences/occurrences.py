"""Occurrence records of species, cleaned."""

from __future__ import annotations

import difflib
import logging
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

import polars as pl

from ophis.datasets.occurrences.cleaning import REASONS, Cleaning
from ophis.datasets.occurrences.columns import standard_columns
from ophis.datasets.occurrences.positions import Limits
from ophis.datasets.occurrences.sources import read_sources
from ophis.errors import InputError
from ophis.files.tables import Rows
from ophis.taxonomy.scientific_names import scientific_name

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from ophis.datasets.manifest import Manifest

_LOGGER = logging.getLogger(__name__)


@dataclass(frozen=True, eq=False)
class Occurrences:
    """Records of species at places, and the number of rows that are none.

    Attributes:
        table: `species`, `latitude`, `longitude` (degrees), `accuracy_km` (radius; null where
            unknown), `country` (ISO 3166 alpha-2 at the position, "" at sea), sorted.
        dropped: rows by reason, the most frequent first; `REASONS` has a sentence for each.
    """

    table: pl.DataFrame = field(repr=False)
    dropped: Mapping[str, int]

    def __len__(self) -> int:
        return len(self.table)

    @cached_property
    def species(self) -> tuple[str, ...]:
        """Names of the species, sorted."""
        return tuple(self.table["species"].unique().sort())

    @property
    def rows(self) -> int:
        """Rows that were read: kept and dropped."""
        return len(self) + sum(self.dropped.values())


def read_occurrences(
    path: str | Path,
    *,
    species: Iterable[str] | None = None,
    max_uncertainty_km: float = 50.0,
    max_sea_km: float = 50.0,
    duplicate_degrees: float = 0.01,
) -> Occurrences:
    """Read and clean an occurrence file; the form is shown by its columns.

    - .csv, .tsv, .jsonl or .parquet with `species,latitude,longitude` and, where known,
      `accuracy_m` and `country`; so also a manifest with coordinates;
    - GBIF's simple download and Darwin Core archives (.zip), with `decimalLatitude`,
      `decimalLongitude`, `coordinateUncertaintyInMeters`, and terms that show fossils, captive
      animals, absences and issues;
    - iNaturalist's export.

    A table alone in a .zip is read without unpacking. Names are in the form of `scientific_name`,
    or as in ``species``.

    Args:
        path: the file.
        species: names to keep; by default all.
        max_uncertainty_km: records with a larger radius are dropped.
        max_sea_km: records farther from land are dropped, but for sea snakes. The borders lack
            small islands, some with species of their own.
        duplicate_degrees: one record of a species is kept in each cell of this size.

    Raises:
        InputError: naming the file, the row and the fix: for missing columns, for coordinates in
            one's own table that are no decimal degrees, for columns that seem to be exchanged, and
            when no row is left.
    """
    path = Path(path)
    limits = Limits(max_uncertainty_km, max_sea_km, duplicate_degrees)
    return _cleaned(path, read_sources(path), species, limits)


def occurrences_of(
    manifest: Manifest,
    *,
    species: Iterable[str] | None = None,
    max_uncertainty_km: float = 50.0,
    max_sea_km: float = 50.0,
    duplicate_degrees: float = 0.01,
) -> Occurrences:
    """Return the records of a manifest's photos, from its columns `latitude` and `longitude`.

    Args:
        manifest: the photos; those without species or position are counted as dropped.
        species: as in `read_occurrences`.
        max_uncertainty_km: as in `read_occurrences`.
        max_sea_km: as in `read_occurrences`.
        duplicate_degrees: as in `read_occurrences`.

    Raises:
        InputError: naming the photo with wrong coordinates; also when no photo is left.
    """
    manifest.positions()  # names the wrong photo
    photos = manifest.table["photo"]
    table = manifest.table.with_columns(pl.col("species").fill_null(""))
    rows = Rows(manifest.folder, table, lambda row: f"photo {photos[row]}")
    limits = Limits(max_uncertainty_km, max_sea_km, duplicate_degrees)
    return _cleaned(Path("manifest"), [rows], species, limits)


def _cleaned(
    path: Path, batches: Iterable[Rows], species: Iterable[str] | None, limits: Limits
) -> Occurrences:
    listed = None if species is None else {scientific_name(name): name for name in species}
    cleaning = Cleaning(limits, listed)
    for rows in batches:
        cleaning.add(standard_columns(rows))
    table = cleaning.table()
    found = [(reason, cleaning.dropped[reason]) for reason in REASONS if cleaning.dropped[reason]]
    dropped = dict(sorted(found, key=lambda item: -item[1]))
    if cleaning.unlisted and listed:
        _log_unlisted(path, cleaning, listed)
    if not len(table):
        found = "; ".join(f"{rows:,} {REASONS[reason]}" for reason, rows in dropped.items())
        raise InputError(f"{path}: no row is a record of a species at a place: {found}")
    return Occurrences(table, dropped)


def _log_unlisted(path: Path, cleaning: Cleaning, listed: Mapping[str, str]) -> None:
    """Write a log line on the names that are not in the list, and similar ones that are."""
    names = [name for name, _ in cleaning.unlisted.most_common()]
    close = {name: difflib.get_close_matches(name, listed, n=1, cutoff=0.85) for name in names[:50]}
    typed = [
        f"{name!r} (listed is {listed[key]!r})" for name, keys in close.items() for key in keys
    ]
    rows = sum(cleaning.unlisted.values())
    _LOGGER.warning(
        "%s: %s rows of %s species are dropped, because the list of %s has no such name: %s",
        cleaning.first_unlisted() if cleaning.first_unlisted else path,
        f"{rows:,}", f"{len(names):,}", f"{len(listed):,}", "; ".join(typed[:3]) or repr(names[0]),
    )  # fmt: skip
