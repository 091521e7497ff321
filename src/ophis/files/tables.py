"""Tables of text cells from CSV, JSON lines and Parquet, with the place of each row in its file."""

from __future__ import annotations

import json
import logging
import re
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING, Any

import polars as pl

from ophis.errors import InputError, first_line
from ophis.files import csv as csv_lines
from ophis.files.atomic import NO_PLAIN_FILE
from ophis.files.csv import BLANK, FORMULA, NUMBER, known_names, layout, table_rows
from ophis.files.names import path_or_content

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterator, Sequence
    from pathlib import Path

_LOGGER = logging.getLogger(__name__)


@dataclass(frozen=True)
class Rows:
    """Table of text cells with its origin, for error messages.

    Attributes:
        path: the file or folder.
        table: all cells as text.
        where: file and row, as in a text editor, of a row of ``table``, from 0.
        published: the table is that of an archive or a service, which its reader cannot correct.
    """

    path: Path
    table: pl.DataFrame
    where: Callable[[int], str]
    published: bool = False

    @classmethod
    def of_file(cls, path: Path, names: Collection[str] = ()) -> Rows:
        """Read the rows of a file; arguments and errors as `read_rows`."""
        return cls(path, read_rows(path, names), partial(place, path))

    def with_table(self, table: pl.DataFrame, *, rows: Sequence[int] | None = None) -> Rows:
        """Return another table of this origin; its row n is from row ``rows[n]`` (default n)."""
        before = self.where
        where = before if rows is None else (lambda row: before(rows[row]))
        return replace(self, table=table, where=where)

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

    def checked(self, wrong: pl.Expr, message: str) -> Rows:
        """Return the rows for which ``wrong`` does not hold; all must be right in one's own table.

        Raises:
            InputError: as `refuse_first`, unless the table is published; then a log line has the
                number of wrong rows.
        """
        if not self.published:
            self.refuse_first(wrong, message)
            return self
        bad = self.table.select(wrong.fill_null(value=False)).to_series()
        if not bad.any():
            return self
        row = int(bad.arg_max() or 0)
        cells = self.table.row(row, named=True)
        reason = message.partition("; ")[0].format(**cells)  # without the fix
        log_passed_over(self.path, int(bad.sum()), reason, self.where(row))
        return self.with_table(self.table.filter(~bad), rows=(~bad).arg_true().to_list())


def log_passed_over(path: Path, count: int, reason: str, first: str) -> None:
    """Write the log line of rows that are not read."""
    rows = "1 row was" if count == 1 else f"{count:,} rows were"
    place = first.removeprefix(f"{path}, ")
    _LOGGER.warning("%s: %s passed over: %s (first: %s)", path, rows, reason, place)


def read_rows(path: Path, names: Collection[str] = ()) -> pl.DataFrame:
    """Read a CSV, JSON lines or a Parquet table, all cells as text.

    No text is treated as missing: "NA" is Namibia. An absent cell is "". Empty rows of a CSV and
    empty lines of JSON are skipped, and columns of lists, objects or bytes.

    Args:
        path: the file; a CSV is in UTF-8, or as `csv.layout` finds it.
        names: columns with a meaning; they are unique, hold text, and are renamed as
            `csv.known_names` does.

    Raises:
        InputError: naming the file, the row and the fix.
    """
    if not path.is_file() and path.exists():
        what = "a folder" if path.is_dir() else NO_PLAIN_FILE
        raise InputError(f"{path}: is {what}; name the file of a table")
    try:
        if _is_parquet(path):
            table = _read_parquet(path, names)
        elif _is_json(path):
            table = _read_json_lines(path, names)
        else:
            table = _read_csv(path)
    except FileNotFoundError:
        raise InputError(f"{path}: there is no such file or folder") from None
    # PanicException: raised by polars on damaged Parquet, after a trace on stderr.
    except (OSError, pl.exceptions.PolarsError, pl.exceptions.PanicException) as error:
        reason = first_line(error)
        kind = "Parquet" if _is_parquet(path) else "CSV"
        raise InputError(f"{path}: cannot be read as {kind}: {reason}; write it again") from None
    known = known_names(path, table.columns, names)
    return table.rename(dict(zip(table.columns, known, strict=True)))


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
    lines = [line for line, _ in table_rows(path)]
    return f"{path}, row {lines[row + 1]}"


def _is_parquet(path: Path) -> bool:
    return path.suffix.lower() == ".parquet"


def _is_json(path: Path) -> bool:
    return path.suffix.lower() == ".jsonl"


def _read_parquet(path: Path, names: Collection[str]) -> pl.DataFrame:
    """Read the columns that are text, numbers or dates; no other column is decoded."""
    source = path_or_content(path)
    schema = pl.read_parquet_schema(source)
    plain = [name for name, kind in schema.items() if _is_plain(kind)]
    others = [name for name in schema if name not in plain]
    for name in known_names(path, others, names):
        if name in names:
            raise InputError(f"{path}: column {name!r} holds no text; make it plain text")
    rows = pl.scan_parquet(source, glob=False).select(pl.len()).collect().item()
    csv_lines.require_cells(path, len(schema), rows, per_byte=100)  # equal cells are packed
    table = pl.read_parquet(source, columns=plain, glob=False)
    return table.with_columns(pl.all().cast(pl.String).fill_null(""))


def _is_plain(kind: pl.DataType) -> bool:
    return not (kind.is_nested() or kind in (pl.Binary, pl.Duration, pl.Object))


def _read_json_lines(path: Path, names: Collection[str]) -> pl.DataFrame:
    """Read one object a line; columns are in the order of their first occurrence."""
    objects = [_json_object(path, line, text, names) for line, text in _json_lines(path)]
    columns = dict.fromkeys(name for cells in objects for name in cells)
    csv_lines.require_cells(path, len(columns), len(objects))
    cells = {name: [cells.get(name, "") for cells in objects] for name in columns}
    return pl.DataFrame(cells, schema=dict.fromkeys(columns, pl.String))


def _json_lines(path: Path) -> Iterator[tuple[int, bytes]]:
    with path.open("rb") as file:
        for line, text in enumerate(file, start=1):
            if text.strip():
                yield line, text


def _json_object(path: Path, line: int, text: bytes, names: Collection[str]) -> dict[str, str]:
    """Return the plain cells of one line as text.

    Raises:
        InputError: naming the row that is not an object, or whose cell in ``names`` is not plain.
    """
    place = f"{path}, row {line}"

    def unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        cells = dict(pairs)
        if len(cells) < len(pairs):
            found = [name for name, _ in pairs]
            if twice := [name for name in names if found.count(name) > 1]:
                raise InputError(f"{place}: {twice[0]!r} is there twice; remove one")
        return cells

    try:
        cells = json.loads(text.decode("utf-8-sig"), object_pairs_hook=unique)
    except InputError:
        raise
    except (ValueError, RecursionError) as error:
        raise InputError(f"{place}: is not JSON: {error}; fix it") from None
    if not isinstance(cells, dict):
        raise InputError(f"{place}: should be one JSON object: {{...}}")
    plain: dict[str, str] = {}
    for name, value in cells.items():
        cell = "" if value is None else value if isinstance(value, str) else json.dumps(value)
        nested, half = isinstance(value, dict | list), re.search("[\ud800-\udfff]", name + cell)
        if not (nested or half):
            plain[name] = cell
        elif known_names(path, [name], names)[0] in names:
            wrong = "is a list or an object; make it plain text" if nested else "has half a letter"
            raise InputError(f"{place}: {name!r} {wrong}")
    return plain


def _read_csv(path: Path) -> pl.DataFrame:
    """Read by polars; a file of another form is read row by row, which names the wrong row."""
    csv_lines.refuse_other_kind(path)
    form = layout(path)
    _, header = next(table_rows(path), (1, []))  # limits cells
    if form.encoding == "utf-16":
        return _read_row_by_row(path)
    try:
        table = pl.read_csv(
            path_or_content(path),
            separator=form.separator,
            skip_lines=form.lines,
            infer_schema=False,
            empty_string_is_null=False,
            raise_if_empty=False,
            glob=False,
        )
    except pl.exceptions.PolarsError:
        return _read_row_by_row(path)
    if not table.columns:
        return table
    # Another header: line ends of old Macintosh files, commas at its end, a name there twice.
    if (
        unescaped(table.head(0)).columns != header
        or table.to_series().str.contains(r"^\s*#").any()
        or table.select(pl.any_horizontal(pl.all().str.contains("\0", literal=True)).any()).item()
    ):
        return _read_row_by_row(path)
    table = unescaped(table)
    empty = [pl.col(name).str.strip_chars(BLANK) == "" for name in table.columns]
    if not table.select(empty[0].any()).item():  # so no line is empty
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


def unescaped(table: pl.DataFrame) -> pl.DataFrame:
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
    """Read a CSV that polars refuses or misreads: quotes inside words (6" long), comments, UTF-16.

    Raises:
        InputError: as `csv.table_rows`.
    """
    (_, header), *rows = [*table_rows(path)] or [(1, [])]
    names = [  # twins as polars names them
        f"{name}_duplicated_{header[:n].count(name) - 1}" if name in header[:n] else name
        for n, name in enumerate(header)
    ]
    columns = {name: [cells[n] for _, cells in rows] for n, name in enumerate(names)}
    return pl.DataFrame(columns, schema=dict.fromkeys(columns, pl.String))
