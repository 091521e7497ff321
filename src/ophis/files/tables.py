"""Tables of text cells from CSV, JSON lines and Parquet, with the place of each row in its file."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

import polars as pl

from ophis.errors import InputError
from ophis.files import csv as csv_lines
from ophis.files.atomic import NO_PLAIN_FILE
from ophis.files.csv import BLANK, FORMULA, NUMBER, numbered_rows

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from pathlib import Path


@dataclass(frozen=True)
class Rows:
    """Table of text cells with its origin, for error messages.

    Attributes:
        path: the file or folder.
        table: all cells as text.
        where: file and row, as in a text editor, of a row of ``table``, from 0.
    """

    path: Path
    table: pl.DataFrame
    where: Callable[[int], str]

    @classmethod
    def of_file(cls, path: Path) -> Rows:
        """Read the rows of a file; raises as `read_rows`."""
        return cls(path, read_rows(path), partial(place, path))

    def with_table(self, table: pl.DataFrame, *, rows: Sequence[int] | None = None) -> Rows:
        """Return another table of this origin; its row n is from row ``rows[n]`` (default n)."""
        before = self.where
        where = before if rows is None else (lambda row: before(rows[row]))
        return Rows(self.path, table, where)

    def refuse_first(self, wrong: pl.Expr, message: str) -> None:
        """Raise an error at the first row for which ``wrong`` holds.

        Raises:
            InputError: the place, and ``message`` formatted with the row's cells.
        """
        rows = self.table.select(wrong.arg_true()).to_series()
        if len(rows):
            row = int(rows[0])
            detail = message.format(**self.table.row(row, named=True))
            raise InputError(f"{self.where(row)}: {detail}")


def read_rows(path: Path) -> pl.DataFrame:
    """Read a CSV in UTF-8, JSON lines or a Parquet table, all cells as text.

    No text is treated as missing: "NA" is Namibia. An absent cell is "". Empty rows of a CSV and
    empty lines of JSON are skipped.

    Raises:
        InputError: naming the file, the row and the fix.
    """
    if not path.is_file() and path.exists():
        what = "a folder" if path.is_dir() else NO_PLAIN_FILE
        raise InputError(f"{path}: is {what}; name the file of a table")
    try:
        if _is_parquet(path):
            return pl.read_parquet(path).with_columns(pl.all().cast(pl.String).fill_null(""))
        if _is_json(path):
            return _read_json_lines(path)
        return _read_csv(path)
    except FileNotFoundError:
        raise InputError(f"{path}: there is no such file or folder") from None
    # PanicException: raised by polars on damaged Parquet, after a trace on stderr.
    except (OSError, pl.exceptions.PolarsError, pl.exceptions.PanicException) as error:
        reason = (str(error).splitlines() or ["unreadable"])[0]
        kind = "Parquet" if _is_parquet(path) else "CSV"
        raise InputError(f"{path}: cannot be read as {kind}: {reason}; write it again") from None


def place(path: Path, row: int) -> str:
    """Return file and row for an error message.

    For a CSV the line in a text editor, with the header in line 1, also where cells hold line
    breaks; for JSON lines the line; for a Parquet table the row from 1. A folder has no rows.
    """
    if path.is_dir():
        return str(path)
    if _is_parquet(path):
        return f"{path}, row {row + 1}"
    if _is_json(path):
        return f"{path}, row {[line for line, _ in _json_lines(path)][row]}"
    lines = [line for line, _ in numbered_rows(path)]
    return f"{path}, row {lines[row + 1]}"


def _is_parquet(path: Path) -> bool:
    return path.suffix.lower() == ".parquet"


def _is_json(path: Path) -> bool:
    return path.suffix.lower() == ".jsonl"


def _read_json_lines(path: Path) -> pl.DataFrame:
    """Read one object a line; columns are in the order of their first occurrence."""
    objects = [_json_object(path, line, text) for line, text in _json_lines(path)]
    names = dict.fromkeys(name for cells in objects for name in cells)
    columns = {name: [cells.get(name, "") for cells in objects] for name in names}
    return pl.DataFrame(columns, schema=dict.fromkeys(columns, pl.String))


def _json_lines(path: Path) -> Iterator[tuple[int, bytes]]:
    with path.open("rb") as file:
        for line, text in enumerate(file, start=1):
            if text.strip():
                yield line, text


def _json_object(path: Path, line: int, text: bytes) -> dict[str, str]:
    """Return the cells of one line as text.

    Raises:
        InputError: naming the row that is not an object of plain values.
    """
    try:
        cells = json.loads(text.decode("utf-8-sig"))
    except (ValueError, RecursionError) as error:
        raise InputError(f"{path}, row {line}: is not JSON: {error}; fix it") from None
    if not isinstance(cells, dict):
        raise InputError(f"{path}, row {line}: should be one JSON object: {{...}}")
    return {
        _json_text(path, line, name): _json_text(path, line, value) for name, value in cells.items()
    }


def _json_text(path: Path, line: int, value: Any) -> str:  # noqa: ANN401 - any JSON value
    if isinstance(value, dict | list):
        raise InputError(f"{path}, row {line}: a value is a list or an object; make it plain text")
    text = "" if value is None else value if isinstance(value, str) else json.dumps(value)
    if re.search("[\ud800-\udfff]", text):
        raise InputError(f"{path}, row {line}: {text!r} has half a letter; write it again")
    return text


def _read_csv(path: Path) -> pl.DataFrame:
    """Read by polars; a file that polars refuses is read row by row, which names the wrong row."""
    with path.open("rb") as file:
        if b"\0" in file.read(4096):  # a workbook, or UTF-16
            raise InputError(f"{path}: is no CSV in UTF-8; save the table as that")
    try:
        table = pl.read_csv(
            path, infer_schema=False, empty_string_is_null=False, raise_if_empty=False
        )
    except pl.exceptions.PolarsError:
        table = _read_row_by_row(path)
    else:
        table = _unescaped(table)
    if any("\r" in name for name in table.columns):  # line ends of old Macintosh files
        table = _read_row_by_row(path)
    empty = [pl.col(name).str.strip_chars(BLANK) == "" for name in table.columns]
    if not empty or not table.select(empty[0].any()).item():  # so no line is empty
        return table
    return table.filter(~pl.all_horizontal(empty))


def escape_formulas(table: pl.DataFrame) -> pl.DataFrame:
    """Escape all cells and column names for a CSV: see `csv.escape_formula`."""
    cells = [pl.col(name) for name, kind in table.schema.items() if kind == pl.String]
    table = table.with_columns(
        pl.when(_is_run(cell) & ~_is_number(cell)).then(cell.str.replace("^", "'")).otherwise(cell)
        for cell in cells
    )
    return table.rename({name: csv_lines.escape_formula(name) for name in table.columns})


def _unescaped(table: pl.DataFrame) -> pl.DataFrame:
    """Undo `escape_formulas`; columns without a leading apostrophe are not copied."""
    cells = [pl.col(n) for n in table.columns if table[n].str.starts_with("'").any()]
    table = table.with_columns(
        pl.when(cell.str.starts_with("'") & _is_run(cell) & ~_is_number(cell.str.slice(1)))
        .then(cell.str.slice(1))
        .otherwise(cell)
        for cell in cells
    )
    return table.rename({name: csv_lines.unescape_formula(name) for name in table.columns})


def _is_run(cell: pl.Expr) -> pl.Expr:
    return cell.str.contains(FORMULA)


def _is_number(cell: pl.Expr) -> pl.Expr:
    return cell.str.contains(f"^(?:{NUMBER})$")


def _read_row_by_row(path: Path) -> pl.DataFrame:
    """Read a CSV with quotes inside words (6" long), which polars refuses.

    Raises:
        InputError: naming the row that is not CSV, or not UTF-8.
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
