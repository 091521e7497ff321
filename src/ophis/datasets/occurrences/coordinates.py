"""Coordinates in text: decimal degrees; every other form is named with its correction."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import polars as pl

from ophis.errors import InputError

if TYPE_CHECKING:
    from ophis.files.tables import Rows

MAX_METRES = 2.1e7  # half the earth's circumference
LIMITS = {"latitude": 90.0, "longitude": 180.0}
# 27°42'14", 27 42 14, 27d 42m, 27.5 N, W 12.5
_SEXAGESIMAL = re.compile(
    r"[0-9]\s*[°º˚:d]|[0-9]['\u2019\u2032]|[0-9] +[0-9]|[0-9.]\s*[NSEW]\b|\b[NSEW]\s*[0-9]",
    re.IGNORECASE,
)


def degrees(column: str) -> pl.Expr:
    """Return the decimal degrees of a column of text; null for empty or other text."""
    number = pl.col(column).cast(pl.Float64, strict=False)
    return pl.when(number.is_finite()).then(number)


def is_wrong(column: str) -> pl.Expr:
    """Return True for text that is not empty and no latitude or longitude in decimal degrees."""
    number = degrees(column)
    return (pl.col(column) != "") & (number.is_null() | (number.abs() > LIMITS[column]))


def without_wrong() -> list[pl.Expr]:
    """Return the columns `latitude` and `longitude`, both empty where one is wrong or empty."""
    wrong = pl.any_horizontal(*(is_wrong(name) | pl.col(name).eq("") for name in LIMITS))
    return [pl.when(wrong).then(pl.lit("")).otherwise(name).alias(name) for name in LIMITS]


def valid_metres(text: pl.Expr) -> pl.Expr:
    """Return the text of a radius; empty where it is no number of metres."""
    metres = text.cast(pl.Float64, strict=False)
    return pl.when(metres.is_between(0, MAX_METRES)).then(text).otherwise(pl.lit(""))


def refuse_wrong(rows: Rows, considered: pl.Series | None = None) -> None:
    """Raise an error at the first row whose coordinates are wrong.

    Args:
        rows: with the text columns `latitude` and `longitude`.
        considered: True for the rows to check; by default all.

    Raises:
        InputError: naming the row, the text and the correction.
    """
    wrong = rows.table.select(pl.any_horizontal(map(is_wrong, LIMITS))).to_series()
    wrong = wrong if considered is None else wrong & considered
    if not wrong.any():
        return
    row = int(wrong.arg_max() or 0)
    cells = rows.table.row(row, named=True)
    column = next(name for name in LIMITS if rows.table[row].select(is_wrong(name)).item())
    text, other = cells[column], cells["longitude" if column == "latitude" else "latitude"]
    raise InputError(f"{rows.where(row)}: {correction(column, text, other=other)}")


def correction(column: str, text: str, *, other: str = "") -> str:
    """Return the fault of a text that is no coordinate, and its correction.

    The text is not repeated, because it may be a part of a position.

    Args:
        column: `latitude` or `longitude`.
        text: the cell.
        other: the cell of the other column.

    >>> correction("latitude", "27°42'14''N")
    'latitude is in degrees, minutes and seconds; write decimal degrees: 27.5, south -27.5'
    >>> correction("longitude", "85,3")
    'longitude has a decimal comma; write 12.5, not 12,5'
    """
    number = _number(text.replace("\u2212", "-").replace("\u2013", "-").replace(",", "."))
    if number is None:
        sexagesimal = _SEXAGESIMAL.search(text)
        fault = "in degrees, minutes and seconds" if sexagesimal else "no number"
        negative = {"latitude": "south", "longitude": "west"}[column]
        return f"{column} is {fault}; write decimal degrees: 27.5, {negative} -27.5"
    if abs(number) > LIMITS[column]:
        return _out_of_range(column, number, other)
    if "," in text:
        return f"{column} has a decimal comma; write 12.5, not 12,5"
    return f"{column} has a dash for its minus; write -12.5 with a hyphen"


def _out_of_range(column: str, number: float, other: str) -> str:
    limit = LIMITS[column]
    if column == "longitude" and abs(number) <= 360:
        return "longitude is beyond 180; write those of the west as negative numbers"
    if abs(number) > 360:
        fix = "write degrees, not metres on a map"
    else:
        swapped = abs(number) <= LIMITS["longitude"] and _fits(other)
        fix = "exchange latitude and longitude, or correct it" if swapped else "correct it"
    return f"{column} should be from -{limit:g} to {limit:g}; {fix}"


def _fits(other: str) -> bool:
    """Return True for a longitude that could be a latitude."""
    number = _number(other)
    return number is not None and abs(number) <= LIMITS["latitude"]


def _number(text: str) -> float | None:
    """Read a number; None for other digits than 0 to 9, and for 1_0, which Python reads too."""
    try:
        number = float(text if text.isascii() and "_" not in text else "")
    except ValueError:
        return None
    return number if abs(number) < float("inf") else None
