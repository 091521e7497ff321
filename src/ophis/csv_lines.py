"""A CSV line by line, and where each row stands: for small tables, such as those of a bundle.

By the standard library's reader: loading polars alone takes longer than an answer.
"""

from __future__ import annotations

import csv
import re
from typing import TYPE_CHECKING

from ophis.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

BLANK = " \t\r\n"


def numbered_rows(path: Path, *, separator: str = ",") -> Iterator[tuple[int, list[str]]]:
    """Line, counted from 1 as a text editor does, and cells of each row that has any filled.

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
