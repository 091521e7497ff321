"""Rows of a table file as text, and where each stands for whoever has to mend it."""

from __future__ import annotations

import csv
import re
from typing import TYPE_CHECKING

import polars as pl

from ophis.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

_BLANK = " \t\r\n"


def read_rows(path: Path) -> pl.DataFrame:
    """Rows of a CSV in UTF-8 or a Parquet table, every cell as text.

    Nothing is taken for missing: "NA" is Namibia. An absent cell is "". Lines of a CSV without
    any cell filled are passed over.

    Raises:
        InputError: naming the file, the row and the mend.
    """
    try:
        if _is_parquet(path):
            return pl.read_parquet(path).with_columns(pl.all().cast(pl.String).fill_null(""))
        return _read_csv(path)
    except FileNotFoundError:
        raise InputError(f"{path}: there is no such file or folder") from None
    # PanicException: polars meets damaged Parquet so, with a trace on stderr besides.
    except (OSError, pl.exceptions.PolarsError, pl.exceptions.PanicException) as error:
        reason = (str(error).splitlines() or ["unreadable"])[0]
        kind = "Parquet" if _is_parquet(path) else "CSV"
        raise InputError(f"{path}: cannot be read as {kind}: {reason}; write it again") from None


def place(path: Path, row: int) -> str:
    """File and row as whoever mends it sees them.

    A CSV: the line in a text editor, the header being line 1, also where cells hold line breaks.
    A Parquet table: rows counted from 1. A folder has no rows.
    """
    if path.is_dir():
        return str(path)
    if _is_parquet(path):
        return f"{path}, row {row + 1}"
    lines = [line for line, _ in numbered_rows(path)]
    return f"{path}, row {lines[row + 1]}"


def _is_parquet(path: Path) -> bool:
    return path.suffix.lower() == ".parquet"


def _read_csv(path: Path) -> pl.DataFrame:
    """By polars; what it does not take, row by row, to say where it is wrong or to take it."""
    with path.open("rb") as file:
        if b"\0" in file.read(4096):  # a workbook, or UTF-16
            raise InputError(f"{path}: is no CSV in UTF-8; save the table as that")
    try:
        table = pl.read_csv(
            path, infer_schema=False, empty_string_is_null=False, raise_if_empty=False
        )
    except pl.exceptions.PolarsError:
        table = _read_row_by_row(path)
    if any("\r" in name for name in table.columns):  # lines that end as on an old Macintosh
        table = _read_row_by_row(path)
    return table.filter(pl.any_horizontal(pl.all().str.strip_chars(_BLANK) != ""))


def _read_row_by_row(path: Path) -> pl.DataFrame:
    """A CSV with quotes inside of words (6" long), which polars does not take.

    Raises:
        InputError: naming the row that is no CSV, or no UTF-8.
    """
    (_, names), *rows = [*numbered_rows(path)] or [(1, [])]
    for line, cells in rows:
        if len(cells) > len(names):
            raise InputError(
                f"{path}, row {line}: has {len(cells)} cells under {len(names)} names; put a cell"
                " with a comma in double quotes"
            )
    columns = {
        name: [cells[place] if place < len(cells) else "" for _, cells in rows]
        for place, name in enumerate(names)
    }
    if len(columns) < len(names):
        raise InputError(f"{path}: two columns have one name; rename one")
    return pl.DataFrame(columns, schema=dict.fromkeys(columns, pl.String))


def numbered_rows(path: Path) -> Iterator[tuple[int, list[str]]]:
    """Line, counted from 1 as a text editor does, and cells of each row that has any filled."""
    line = 1
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            reader = csv.reader(file, strict=True)
            for cells in reader:
                if any(cell.strip(_BLANK) for cell in cells):
                    yield line, cells
                line = reader.line_num + 1
    except csv.Error as error:
        raise InputError(
            f"{path}, row {line}: {error}; mend the quotes that start in that row"
        ) from None
    except UnicodeDecodeError:
        before = _valid_utf8(path.read_bytes())
        line = len(re.findall(rb"\r\n|\r|\n", before)) + 1
        raise InputError(f"{path}, row {line}: is not UTF-8; save the table as that") from None


def _valid_utf8(data: bytes) -> bytes:
    """The bytes before the first that is no UTF-8."""
    try:
        data.decode()
    except UnicodeDecodeError as error:
        return data[: error.start]
    return data
