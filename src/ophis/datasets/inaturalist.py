"""Table of iNaturalist's export tool, with photos named by observation."""

from __future__ import annotations

import logging
import re
from collections import defaultdict
from dataclasses import replace
from typing import TYPE_CHECKING

import polars as pl

from ophis.datasets.occurrences.coordinates import valid_metres, without_wrong
from ophis.errors import InputError
from ophis.images.photo_files import folder_content
from ophis.taxonomy.scientific_names import is_above_species

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from ophis.files.tables import Rows

_LOGGER = logging.getLogger(__name__)
# The tool writes at least one of these columns beside the two required ones.
TYPICAL = {"observed_on", "quality_grade", "image_url", "iconic_taxon_name", "taxon_id", "uuid"}
_OBSCURED_METRES = 30_000  # iNaturalist moves a position within its cell of 0.2 degrees
# 123.jpg, 123_2.jpg, 123-2.JPG.jpg, 123
_NAME = re.compile(r"([0-9]+)(?:[_.-].*)?")


def is_inaturalist(table: pl.DataFrame) -> bool:
    """Return True for the columns of the export tool."""
    names = set(table.columns)
    needed = {"id", "scientific_name"} <= names and "species" not in names
    return needed and bool(TYPICAL & names) and "hashed_id" not in names


def from_inaturalist(rows: Rows, folder: Path) -> Rows:
    """Return one row per photo; the export has one row per observation.

    Photos are found in ``folder`` by the observation's id: `123.jpg`, `123_2.jpg`, or any photo in
    a subfolder `123`. An observation without such a file has the missing photo `123.jpg`, or no row
    if its `image_url` is empty. A column `photo` takes precedence over file names.

    Positions that are no degrees are emptied; `accuracy_m` is that of `accuracy_metres`.

    A name of one word is above the species: the row has no species, `scientific_name` keeps it.

    Raises:
        InputError: naming the row.
    """
    rows = replace(rows, published=True)
    rows = rows.checked(~pl.col("id").str.contains(r"^[0-9]+$"), "id {id!r} should be a number")
    table = rows.table
    if {"latitude", "longitude"} <= set(table.columns):
        table = table.with_columns(*without_wrong(), accuracy_m=accuracy_metres(table.columns))
    table = table.with_columns(
        species=pl.col("scientific_name").map_elements(
            lambda name: "" if is_above_species(name) else name, return_dtype=pl.String
        ),
        country=pl.col("place_country_name") if "place_country_name" in rows.table else pl.lit(""),
        observation=pl.col("id"),
    )
    if "photo" in table.columns:
        return rows.with_table(table)
    names = _photos_of_observations(folder)
    if unused := sorted(names.keys() - set(table["id"])):
        number = sum(len(names[id_]) for id_ in unused)
        _LOGGER.warning(
            "%s: %s photos are of no observation in the table; the first is %s",
            rows.path, f"{number:,}", names[unused[0]][0],
        )  # fmt: skip
    photos = [
        names.get(id_) or ([] if url == "" else [f"{id_}.jpg"])
        for id_, url in zip(table["id"], _urls(table), strict=True)
    ]
    table = table.with_columns(
        pl.Series("photo", photos, dtype=pl.List(pl.String)), _row=pl.int_range(pl.len())
    ).explode("photo")
    if not len(table):
        raise InputError(f"{rows.path}: no observation has a photo; export some with photos")
    return rows.with_table(table.drop("_row"), rows=table["_row"].to_list())


def accuracy_metres(found: Sequence[str]) -> pl.Expr:
    """Return the radius of a position as text: the public one, at least 30 km where obscured.

    Args:
        found: the columns of the table.
    """

    def text(name: str) -> pl.Expr:
        return pl.col(name) if name in found else pl.lit("")

    public, own = text("public_positional_accuracy"), text("positional_accuracy")
    metres = valid_metres(pl.when(public != "").then(public).otherwise(own))
    obscured = text("coordinates_obscured").str.to_lowercase() == "true"
    for name in ("geoprivacy", "taxon_geoprivacy"):
        obscured |= text(name).is_in(("obscured", "private"))
    fine = metres.cast(pl.Float64, strict=False).fill_null(0) < _OBSCURED_METRES
    return pl.when(obscured & fine).then(pl.lit(str(_OBSCURED_METRES))).otherwise(metres)


def _urls(table: pl.DataFrame) -> list[str | None]:
    """Return the URLs of the photos; None for each where the column was not exported."""
    return table["image_url"].to_list() if "image_url" in table.columns else [None] * len(table)


def _photos_of_observations(folder: Path) -> dict[str, list[str]]:
    """Return the sorted paths of the photos by observation."""
    photos = defaultdict(list)
    content = folder_content(folder)
    for path in content.folders:
        if path.name.isdecimal():
            for photo in folder_content(path).photos:
                photos[path.name].append(photo.relative_to(folder).as_posix())
    for photo in content.photos:
        if match := _NAME.fullmatch(photo.name):
            photos[match[1]].append(photo.name)
    return {observation: sorted(names) for observation, names in photos.items()}
