"""Changes of the species names of a manifest: one spelling, synonyms, merges.

Two names are never merged silently: a `Renaming` lists the names that change and those that become
equal, and `Renaming.apply` merges the latter only with ``merge=True``.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

import polars as pl

from ophis.errors import InputError
from ophis.files.tables import Rows
from ophis.taxonomy.scientific_names import scientific_name
from ophis.taxonomy.species_list import UNWRITABLE
from ophis.taxonomy.spelling import species_names

if TYPE_CHECKING:
    from collections.abc import Mapping

    from ophis.datasets.manifest import Manifest

AS_FOUND = "species_as_found"  # the column that keeps the names of the source


@dataclass(frozen=True)
class Renaming:
    """New names for the species of a manifest.

    Attributes:
        photos: number of photos by old name.
        names: new name by old name.
    """

    photos: Mapping[str, int]
    names: Mapping[str, str]

    @cached_property
    def merges(self) -> dict[str, tuple[str, ...]]:
        """Old names, at least two, by the new name that they share."""
        found = defaultdict(list)
        for name in sorted(self.names):
            found[self.names[name]].append(name)
        return {name: tuple(of) for name, of in sorted(found.items()) if len(of) > 1}

    @cached_property
    def changes(self) -> dict[str, str]:
        """New name by old name, where the new name is not shared."""
        return {
            name: new
            for name, new in sorted(self.names.items())
            if name != new and new not in self.merges
        }

    def apply(self, manifest: Manifest, *, merge: bool) -> Manifest:
        """Return the manifest with the new names.

        Args:
            manifest: the manifest that ``photos`` counts.
            merge: True also changes names that become equal; False keeps all of those.

        Returns:
            The manifest itself where no name changes; else a copy whose column
            `species_as_found` keeps the old names.
        """
        names = {name: new for name, new in self.names.items() if merge or name in self.changes}
        names = {name: new for name, new in names.items() if name != new}
        table = manifest.table
        if not names:
            return manifest
        if AS_FOUND not in table.columns:
            table = table.with_columns(pl.col("species").fill_null("").alias(AS_FOUND))
        species = pl.col("species").replace(list(names), list(names.values()))
        return replace(manifest, table=table.with_columns(species))


def normalised_names(manifest: Manifest) -> Renaming:
    """Return the renaming of every species to its `scientific_name`."""
    photos = _photos(manifest)
    return Renaming(photos, {name: scientific_name(name) for name in photos})


def species_in_several_ways(manifest: Manifest) -> list[tuple[str, ...]]:
    """Return the names in the manifest that have one `scientific_name`, at least two of each."""
    names = manifest.table["species"].drop_nulls().unique()
    return list(Renaming({}, {name: scientific_name(name) for name in names}).merges.values())


def accepted_names(manifest: Manifest, synonyms: Mapping[str, str]) -> Renaming:
    """Return the renaming of every synonym to its accepted name.

    Args:
        manifest: the photos. An accepted name that it writes in one way keeps that spelling.
        synonyms: accepted name by synonym, from `read_synonyms`; compared as `scientific_name`.
    """
    photos = _photos(manifest)
    spellings = defaultdict(list)
    for name in photos:
        spellings[scientific_name(name)].append(name)
    names = {name: synonyms.get(scientific_name(name), name) for name in photos}
    for name, new in names.items():
        if name != new and len(spellings[new]) == 1:
            names[name] = spellings[new][0]
    return Renaming(photos, names)


def read_synonyms(path: str | Path) -> dict[str, str]:
    """Read a CSV or Parquet table `name,accepted`; both names become a `scientific_name`.

    Raises:
        InputError: naming the file, the row and the fix.
    """
    columns = ("name", "accepted")
    rows = Rows.of_file(Path(path), columns)
    for column in columns:
        if column not in rows.table.columns:
            raise InputError(f"{path}: column {column!r} is missing; needed are name, accepted")
        rows.refuse_first(pl.col(column).str.strip_chars() == "", f"{column} is empty; fill it in")
    columns = [species_names(rows.table[name], rows.where) for name in ("name", "accepted")]
    pairs = [tuple(map(scientific_name, names)) for names in zip(*columns, strict=True)]
    accepted: dict[str, str] = {}
    for row, (name, other) in enumerate(pairs):
        if UNWRITABLE.search(name + other):
            raise InputError(
                f"{rows.where(row)}: a name has a line break or a control character; remove it"
            )
        if accepted.setdefault(name, other) != other:
            raise InputError(
                f"{rows.where(row)}: {name!r} is {accepted[name]!r} further up; keep one of them"
            )
    for row, (name, other) in enumerate(pairs):
        if accepted.get(other, other) != other:
            raise InputError(
                f"{rows.where(row)}: {other!r} is itself a synonym, of {accepted[other]!r}; give"
                f" {name!r} the accepted name"
            )
    return accepted


def _photos(manifest: Manifest) -> Counter[str]:
    return Counter(manifest.table["species"].drop_nulls())
