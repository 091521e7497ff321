"""Rows of the members of a Darwin Core archive, and the count of those that cannot be read."""

from __future__ import annotations

import codecs
import csv
import io
from collections import Counter, deque
from typing import TYPE_CHECKING

from ophis.datasets.archive import open_member
from ophis.datasets.darwin_core_meta import KEY, META
from ophis.errors import InputError
from ophis.files.tables import log_passed_over

if TYPE_CHECKING:
    import zipfile
    from collections.abc import Collection, Iterator
    from pathlib import Path

    from ophis.datasets.darwin_core_meta import Part

_MAX_LINE_CHARACTERS = 1 << 24
_START_BYTES = 1 << 16
_MAX_LINES = 100  # in a row: in quotes that are longer, a quote is missing


class PassedOver:
    """Rows that are not read, by reason: their number and the place of the first."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._rows = Counter[str]()
        self._first: dict[str, str] = {}

    def add(self, reason: str, place: str) -> None:
        """Count a row."""
        self._rows[reason] += 1
        self._first.setdefault(reason, place)

    def log(self) -> None:
        """Write one log line a reason."""
        for reason, rows in self._rows.items():
            log_passed_over(self._path, rows, reason, self._first[reason])


def read_part(
    path: Path,
    archive: zipfile.ZipFile,
    part: Part,
    *,
    passed: PassedOver,
    needed: Collection[str],
) -> Iterator[tuple[str, dict[str, str]]]:
    """Yield the place of each non-empty row and its trimmed cells by term.

    Args:
        path: of the archive, for messages.
        archive: from `open_archive`.
        part: core or extension.
        passed: counts the rows that cannot be read.
        needed: terms without which a row has no use.

    Raises:
        InputError: naming the member that is missing, or described wrongly.
    """
    for name in part.files:
        place = f"{path}, {name}"
        with open_member(path, archive, name) as member:
            start = member.read(_START_BYTES)
        with open_member(path, archive, name) as member:
            marked = start.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE))
            encoding = "utf-16" if marked else part.encoding
            # A lone "\r" within a row is no end of it, unless the member has no other.
            newline = "" if part.line_end == "\r" or b"\n" not in start else "\n"
            try:
                text = io.TextIOWrapper(member, encoding, errors="replace", newline=newline)
                lines = _lines(text, place, passed)
                yield from _read_cells(lines, place, part, passed=passed, needed={KEY, *needed})
            except LookupError:
                raise InputError(
                    f"{place}: encoding {part.encoding!r} is unknown; correct {META}"
                ) from None
            except UnicodeError:  # some codecs do not raise the subclass UnicodeDecodeError
                raise InputError(
                    f"{place}: is not in {part.encoding}, the encoding in {META}; correct either"
                ) from None


def _read_cells(
    lines: Iterator[tuple[int, str]],
    place: str,
    part: Part,
    *,
    passed: PassedOver,
    needed: set[str],
) -> Iterator[tuple[str, dict[str, str]]]:
    rows, widest = 0, 0
    for line, cells in _records(lines, part):
        row = f"{place}, row {line}"
        if cells is None:
            passed.add("quotes that do not end", row)
            continue
        widest = max(widest, len(cells))
        if line <= part.header_lines or not any(cells) or (line == 1 and _is_header(cells, part)):
            continue
        rows += 1
        found = {
            term: cells[column].strip() if column < len(cells) else ""
            for term, column in part.columns.items()
        }
        if any("\ufffd" in found.get(term, "") for term in needed):
            passed.add(f"text that is not in {part.encoding}", row)
            continue
        yield row, {KEY: ""} | part.defaults | {term: cell for term, cell in found.items() if cell}
    if rows:
        _require_columns(part, widest, place, needed)


def _is_header(cells: list[str], part: Part) -> bool:
    """Return True for a header that `meta.xml` does not count: each cell is its column's term."""
    named = [(term, column) for term, column in part.columns.items() if column < len(cells)]
    return any(term for term, _ in named) and all(
        cells[column].strip().lower() == term.lower() for term, column in named if term != KEY
    )


def _records(
    lines: Iterator[tuple[int, str]], part: Part
) -> Iterator[tuple[int, list[str] | None]]:
    """Yield the first line of each row and its cells; None where its quotes do not end.

    The rows after such quotes are read.
    """
    waiting: deque[tuple[int, str]] = deque()
    while first := waiting.popleft() if waiting else next(lines, None):
        taken, cells = [first], None
        while cells is None:
            try:
                cells = next(_reader([text for _, text in taken], part))
            except csv.Error as error:
                ends = "unexpected end" not in str(error) or len(taken) == _MAX_LINES
                more = None if ends else (waiting.popleft() if waiting else next(lines, None))
                if more is None:
                    waiting.extendleft(reversed(taken[1:]))
                    break
                taken.append(more)
        yield first[0], cells


def _reader(lines: list[str], part: Part) -> Iterator[list[str]]:
    quoting = csv.QUOTE_MINIMAL if part.quote else csv.QUOTE_NONE
    return csv.reader(
        lines,
        delimiter=part.delimiter,
        quotechar=part.quote or None,
        quoting=quoting,
        strict=True,
    )


def _require_columns(part: Part, widest: int, place: str, needed: set[str]) -> None:
    for term, column in part.columns.items():
        if column >= widest and term in needed:
            raise InputError(
                f"{place}: has {widest} columns, but {META} puts {term or 'the id'} in column"
                f" {column + 1}; correct either"
            )


def _lines(text: io.TextIOWrapper, place: str, passed: PassedOver) -> Iterator[tuple[int, str]]:
    """Yield number and text of each line of a limited length."""
    number = 0
    while line := text.readline(_MAX_LINE_CHARACTERS):
        number += 1
        if len(line) == _MAX_LINE_CHARACTERS and not line.endswith("\n"):
            passed.add("longer than a row can be", f"{place}, row {number}")
            while (rest := text.readline(_MAX_LINE_CHARACTERS)) and not rest.endswith("\n"):
                pass
            continue
        # Some encodings keep the byte order mark before the first id.
        line = line.removeprefix("\ufeff") if number == 1 else line
        inner = line.rstrip("\r\n")
        yield number, inner.replace("\r", " ") + line[len(inner) :]
