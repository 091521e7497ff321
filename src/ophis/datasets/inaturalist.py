"""The table of iNaturalist's export tool, in our columns, and its photos by their names."""

from __future__ import annotations

import re
from collections import defaultdict
from pathlib import PurePosixPath
from typing import TYPE_CHECKING

import polars as pl

from ophis.errors import InputError
from ophis.images.formats import SUFFIXES
from ophis.taxonomy.scientific_names import is_above_species

if TYPE_CHECKING:
    from pathlib import Path

    from ophis.files.tables import Rows

# Columns of which the tool writes one at least, beside the two that are needed here.
_TELLING = {"observed_on", "quality_grade", "image_url", "iconic_taxon_name", "taxon_id", "uuid"}
# 123.jpg, 123_2.jpg, 123-2.jpg
_NAME = re.compile(r"([0-9]+)(?:[_-].*)?\.[^.]+")


def is_inaturalist(table: pl.DataFrame) -> bool:
    """Whether the columns are those of the export tool."""
    names = set(table.columns)
    needed = {"id", "scientific_name"} <= names and "species" not in names
    return needed and bool(_TELLING & names) and "hashed_id" not in names


def from_inaturalist(rows: Rows, folder: Path) -> Rows:
    """A row a photo: the export has a row an observation and the address of its first photo.

    Photos are found in ``folder`` by the observation's id: `123.jpg`, `123_2.jpg`, or any photo in
    a subfolder `123`. An observation of which there is none keeps a row with `123.jpg`, so that it
    is listed as missing; one without a photo's address either has no photo and gets no row. A
    column `photo` tells it instead, where somebody added one.

    A name of one word is no species: the row has none, `scientific_name` keeps the word.

    Raises:
        InputError: naming the row.
    """
    rows.refuse_first(~pl.col("id").str.contains(r"^[0-9]+$"), "id {id!r} should be a number")
    table = rows.table.with_columns(
        species=pl.col("scientific_name").map_elements(
            lambda name: "" if is_above_species(name) else name, return_dtype=pl.String
        ),
        country=pl.col("place_country_name") if "place_country_name" in rows.table else pl.lit(""),
        observation=pl.col("id"),
    )
    if "photo" in table.columns:
        return rows.with_table(table)
    names = _photos_of_observations(folder)
    photos = [
        names.get(id_) or ([] if url == "" else [f"{id_}.jpg"])
        for id_, url in zip(table["id"], _urls(table), strict=True)
    ]
    table = table.with_columns(
        pl.Series("photo", photos, dtype=pl.List(pl.String)), _row=pl.int_range(pl.len())
    ).explode("photo")
    if not len(table):
        raise InputError(f"{rows.path}: no observation has a photo; export some that have")
    return rows.with_table(table.drop("_row"), rows=table["_row"].to_list())


def _urls(table: pl.DataFrame) -> list[str | None]:
    """Addresses of the photos; None where the column was not exported, so that nobody knows."""
    return table["image_url"].to_list() if "image_url" in table.columns else [None] * len(table)


def _photos_of_observations(folder: Path) -> dict[str, list[str]]:
    """Names of the photos of each observation, as they lie in the folder, sorted."""
    photos = defaultdict(list)
    for path in folder.iterdir():
        if path.name.isdecimal() and path.is_dir():
            names = [below.relative_to(folder).as_posix() for below in path.iterdir()]
            photos[path.name] += filter(_is_photo, names)
        elif _is_photo(path.name) and (match := _NAME.fullmatch(path.name)):
            photos[match[1]].append(path.name)
    return {observation: sorted(names) for observation, names in photos.items()}


def _is_photo(path: str) -> bool:
    photo = PurePosixPath(path)
    return not photo.name.startswith(".") and photo.suffix.lower() in SUFFIXES
