"""Tables of text cells a batch of rows at a time, for files that do not fit in memory."""

from __future__ import annotations

from typing import TYPE_CHECKING

import polars as pl

from ophis.errors import InputError, first_line
from ophis.files import csv as csv_lines
from ophis.files.csv import BLANK, known_names, layout
from ophis.files.names import path_or_content
from ophis.files.tables import Rows, place, unescaped

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterator
    from pathlib import Path

WHOLE_BYTES = 32 << 20  # a smaller file is read at once, with the care of `read_rows`
BATCH = 250_000
_ROW = "_row"


def read_batches(path: Path, names: Collection[str]) -> Iterator[Rows]:
    """Yield the rows of a CSV, JSON lines or Parquet table; of a large one a batch at a time.

    Cells, columns and errors are those of `read_rows`; of a large file only the columns of
    ``names`` are read. A table of GBIF, between tabs, has no quotes around cells.

    Raises:
        InputError: naming the file, the row and the fix.
    """
    unquoted = _is_of_gbif(path)
    large = path.is_file() and path.stat().st_size > WHOLE_BYTES
    if path.suffix.lower() == ".jsonl" or not (large or unquoted):
        yield Rows.of_file(path, names)
        return
    done = 0
    try:
        for rows in _batches(path, names, unquoted=unquoted):
            yield rows
            done += len(rows.table)
    except (OSError, pl.exceptions.PolarsError, pl.exceptions.PanicException) as error:
        if unquoted:
            reason = first_line(error)
            raise InputError(f"{path}: cannot be read: {reason}; download it again") from None
        rest = Rows.of_file(path, names)  # reads quotes inside words, or names the wrong row
        yield rest.with_table(rest.table[done:], rows=range(done, len(rest.table)))


def _is_of_gbif(path: Path) -> bool:
    """Return True for a table as GBIF's downloads have it: `gbifID` first, tabs, no quotes."""
    if not path.is_file():
        return False
    with path.open("rb") as file:
        start = file.read(10).removeprefix(b"\xef\xbb\xbf")
    return start.lower().startswith(b"gbifid\t")


def _batches(path: Path, names: Collection[str], *, unquoted: bool) -> Iterator[Rows]:
    parquet = path.suffix.lower() == ".parquet"
    if parquet:
        frame = pl.scan_parquet(path_or_content(path), glob=False)
    else:
        csv_lines.refuse_other_kind(path)
        form = layout(path)
        frame = pl.scan_csv(
            path_or_content(path),
            separator=form.separator,
            skip_lines=form.lines,
            quote_char=None if unquoted else '"',
            infer_schema=False,
            empty_string_is_null=False,
            glob=False,
        )
    found = frame.collect_schema().names()
    known = known_names(path, found, names)
    cells = {meant: name for name, meant in zip(found, known, strict=True) if meant in names}
    text = [pl.col(name).cast(pl.String).fill_null("").alias(to) for to, name in cells.items()]
    row = pl.lit(value=True) if unquoted or parquet else _is_row(found[0])
    done = 0
    frame = frame.select(*text, row.alias(_ROW))
    for batch in frame.collect_batches(chunk_size=BATCH, lazy=True):
        table = batch.filter(_ROW).drop(_ROW)
        yield Rows(
            path,
            table if unquoted or parquet else unescaped(table),
            _where(path, done, unquoted=unquoted),
        )
        done += len(table)


def _is_row(first: str) -> pl.Expr:
    """Return True for a line that is neither empty nor a comment."""
    filled = pl.any_horizontal(pl.all().cast(pl.String).str.strip_chars(BLANK) != "")
    return filled & ~pl.col(first).cast(pl.String).str.contains(r"^\s*#\s+\S").fill_null(
        value=False
    )


def _where(path: Path, start: int, *, unquoted: bool) -> Callable[[int], str]:
    """Return the place of a row of a batch; a line is a row where nothing is quoted."""
    if unquoted:
        return lambda row: f"{path}, row {start + row + 2}"
    return lambda row: place(path, start + row)
