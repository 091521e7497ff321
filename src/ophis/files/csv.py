"""A CSV line by line, and where each row stands: for small tables, such as those of a bundle.

By the standard library: loading polars alone takes longer than an answer.

A spreadsheet runs a cell that begins as a formula does, whoever wrote it: a species may be called
`=HYPERLINK(...)`. Such a cell is written behind an apostrophe, as spreadsheets themselves mark
text, and read without it; plain numbers stay as they are.
"""

from __future__ import annotations

import csv
import re
from pathlib import Path
from typing import TYPE_CHECKING

from ophis.errors import InputError
from ophis.files.atomic import whole_file

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

BLANK = " \t\r\n"
# Apostrophes of the cell's own count: what is written is always read as what it was.
FORMULA = r"^'*[=+\-@\t\r＝＋－＠]"  # noqa: RUF001 - spreadsheets take wide letters for narrow
NUMBER = r"[+-]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][+-]?[0-9]+)?"  # the whole cell


def write_csv(path: str | Path, rows: Iterable[Iterable[object]]) -> Path:
    """Write rows of cells, whole or not at all; no cell is one that a spreadsheet runs.

    Raises:
        InputError: naming the file when it cannot be written.
    """
    path = Path(path)
    with (
        whole_file(path) as temporary,
        temporary.open("w", encoding="utf-8", newline="") as file,
    ):
        writer = csv.writer(file, lineterminator="\n")
        writer.writerows([as_text(str(cell)) for cell in row] for row in rows)
    return path


def as_text(cell: str) -> str:
    """The cell, behind an apostrophe where a spreadsheet would run it."""
    return f"'{cell}" if re.match(FORMULA, cell) and not re.fullmatch(NUMBER, cell) else cell


def as_meant(cell: str) -> str:
    """What `as_text` was given."""
    if cell.startswith("'") and re.match(FORMULA, cell) and not re.fullmatch(NUMBER, cell[1:]):
        return cell[1:]
    return cell


def numbered_rows(path: Path, *, separator: str = ",") -> Iterator[tuple[int, list[str]]]:
    """Line, counted from 1 as a text editor does, and cells of each row that has any filled.

    Cells are as they were meant: see `as_meant`.

    Raises:
        InputError: naming the row that is no CSV, or no UTF-8.
        OSError: when the file cannot be opened or read.
    """
    line = 1
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            reader = csv.reader(file, delimiter=separator, strict=True)
            for cells in reader:
                if any(cell.strip(BLANK) for cell in cells):
                    yield line, [as_meant(cell) for cell in cells]
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
