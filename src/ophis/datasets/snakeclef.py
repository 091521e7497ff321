"""Tables of the SnakeCLEF challenges, 2020 to 2024."""

from __future__ import annotations

from typing import TYPE_CHECKING

import polars as pl

from ophis.errors import InputError

if TYPE_CHECKING:
    from ophis.files.tables import Rows

# Prefix of every path in the tables of 2021; the rest is the path in the unpacked folder.
_FOLDER_2021 = "/Datasets/SnakeCLEF-2021/"


def from_snakeclef(rows: Rows) -> Rows:
    """Return a table of SnakeCLEF with the columns of a manifest; any other table unchanged.

    Raises:
        InputError: naming the column that is missing, or the row.
    """
    names = set(rows.table.columns)
    if "hashed_id" in names:
        return _from_2020(rows)
    if {"UUID", "image_path"} <= names:
        return _from_2021(rows)
    if {"observation_id", "image_path"} <= names:
        return _from_2022(rows)
    return rows


def _from_2020(rows: Rows) -> Rows:
    """Convert a table of 2020; a second id column of validation tables is kept."""
    _require(rows, 2020, ("scientific_name", "country"), "hashed_id, scientific_name, country")
    for column in ("hashed_id", "scientific_name"):
        rows.refuse_first(pl.col(column) == "", f"{column} is empty; fill it in")
    table = _renamed(rows, {"scientific_name": "species"})
    photo = pl.col("hashed_id") + ".jpg"
    return rows.with_table(table.with_columns(photo=photo, photo_id=pl.col("hashed_id")))


def _from_2021(rows: Rows) -> Rows:
    """Convert a table of 2021; the UUID is the photo's id, and there are no observations."""
    _require(rows, 2021, ("binomial", "country"), "binomial, country, UUID, image_path")
    for column in ("binomial", "UUID", "image_path"):
        rows.refuse_first(pl.col(column) == "", f"{column} is empty; fill it in")
    table = _renamed(rows, {"binomial": "species", "UUID": "photo_id", "image_path": "photo"})
    return rows.with_table(table.with_columns(pl.col("photo").str.strip_prefix(_FOLDER_2021)))


def _from_2022(rows: Rows) -> Rows:
    """Convert a table of 2022 to 2024; tables of test photos have no names, some no countries."""
    for column in ("observation_id", "image_path"):
        rows.refuse_first(pl.col(column) == "", f"{column} is empty; fill it in")
    names = {
        "observation_id": "observation",
        "image_path": "photo",
        "binomial_name": "species",
        "code": "country",
    }
    table = _renamed(rows, {old: new for old, new in names.items() if old in rows.table.columns})
    if "species" not in table.columns:
        table = table.with_columns(species=pl.lit(""))
    # TRUE in some tables and True in others.
    flags = [name for name in ("endemic", "captive") if name in table.columns]
    return rows.with_table(table.with_columns(pl.col(flags).str.to_lowercase()))


def _require(rows: Rows, year: int, columns: tuple[str, ...], whole: str) -> None:
    for column in columns:
        if column not in rows.table.columns:
            raise InputError(
                f"{rows.path}: column {column!r} is missing; a SnakeCLEF {year} table has {whole}"
            )


def _renamed(rows: Rows, names: dict[str, str]) -> pl.DataFrame:
    for old, new in names.items():
        if new in rows.table.columns:
            raise InputError(f"{rows.path}: has columns {new!r} and {old!r}; remove one")
    return rows.table.rename(names)
