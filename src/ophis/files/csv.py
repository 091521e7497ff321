"""Small CSV tables, such as those of a bundle, by the standard library.

polars is not used here: importing it takes longer than identifying a photo.

Spreadsheets run a cell that begins like a formula, and names come from untrusted files: a species
may be called `=HYPERLINK(...)`. Such a cell is written with a leading apostrophe, the spreadsheets'
own mark of text, and read without it. Plain numbers stay unchanged.
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
# Leading apostrophes of the cell itself are escaped, too, so that reading restores every cell.
FORMULA = r"^'*[=+\-@\t\r＝＋－＠]"  # noqa: RUF001 - spreadsheets treat full-width characters as ASCII
NUMBER = r"[+-]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][+-]?[0-9]+)?"  # the whole cell


def write_csv(path: str | Path, rows: Iterable[Iterable[object]]) -> Path:
    """Write rows of cells atomically, with cells escaped by `escape_formula`.

    Raises:
        InputError: naming the file when it cannot be written.
    """
    path = Path(path)
    with (
        whole_file(path) as temporary,
        temporary.open("w", encoding="utf-8", newline="") as file,
    ):
        writer = csv.writer(file, lineterminator="\n")
        writer.writerows([escape_formula(str(cell)) for cell in row] for row in rows)
    return path


def escape_formula(cell: str) -> str:
    """Return the cell, with a leading apostrophe where a spreadsheet would run it."""
    return f"'{cell}" if re.match(FORMULA, cell) and not re.fullmatch(NUMBER, cell) else cell


def unescape_formula(cell: str) -> str:
    """Return the cell before `escape_formula`."""
    if cell.startswith("'") and re.match(FORMULA, cell) and not re.fullmatch(NUMBER, cell[1:]):
        return cell[1:]
    return cell


def numbered_rows(path: Path, *, separator: str = ",") -> Iterator[tuple[int, list[str]]]:
    """Yield the line, from 1, and the cells of each row that is not empty.

    Cells are unescaped by `unescape_formula`.

    Raises:
        InputError: naming the row that is not CSV, or not UTF-8.
        OSError: when the file cannot be opened or read.
    """
    line = 1
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            reader = csv.reader(file, delimiter=separator, strict=True)
            for cells in reader:
                if any(cell.strip(BLANK) for cell in cells):
                    yield line, [unescape_formula(cell) for cell in cells]
                line = reader.line_num + 1
    except csv.Error as error:
        raise InputError(
            f"{path}, row {line}: {error}; fix the quotes that start in that row"
        ) from None
    except UnicodeDecodeError:
        before = _valid_utf8(path.read_bytes())
        line = len(re.findall(rb"\r\n|\r|\n", before)) + 1
        raise InputError(f"{path}, row {line}: is not UTF-8; save the table as that") from None


def _valid_utf8(data: bytes) -> bytes:
    """Return the bytes before the first invalid one."""
    try:
        data.decode()
    except UnicodeDecodeError as error:
        return data[: error.start]
    return data
