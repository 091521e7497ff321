"""Check of submission files, row by row. Columns are matched by name, not by position."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from ophis.challenges.submission import CLASS_ID, HASHED_ID, OBSERVATION_ID, class_id
from ophis.errors import InputError
from ophis.files.csv import numbered_rows
from ophis.files.tables import read_rows
from ophis.taxonomy.species_list import species_key

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterator, Sequence

    from ophis.taxonomy.species_list import SpeciesList

SUM_TOLERANCE = 1e-6


@dataclass(frozen=True)
class SubmissionCheck:
    """Result of `check_submission`.

    Attributes:
        path: of the file.
        ids: the id column: `hashed_id` in a file of probabilities, `observation_id` in one of
            answers, "" if the file has neither.
        rows: number of rows below the header.
        problems: a sentence for each error, with the line number of a text editor.
    """

    path: Path
    ids: str
    rows: int
    problems: tuple[str, ...]


def check_submission(
    path: str | Path,
    *,
    species: SpeciesList | None = None,
    classes: Collection[int] | None = None,
    against: str | Path | None = None,
    tolerance: float = SUM_TOLERANCE,
) -> SubmissionCheck:
    """Check a file with `hashed_id` and probabilities, or with `observation_id` and `class_id`.

    Args:
        path: the file; it is read row by row.
        species: the challenge's columns of probabilities, in any order; case, spaces, hyphens and
            underscores are ignored.
        classes: the challenge's classes.
        against: a table whose id column has every id that the file must have.
        tolerance: largest difference from 1 of the sum of a row.

    Raises:
        InputError: a file cannot be opened, the table has no such id column, or species or classes
            do not belong to this kind of file.
    """
    path = Path(path)
    problems: list[str] = []
    broken: list[str] = []
    rows = _numbered(path, broken)
    _, header = next(rows, (1, []))
    if HASHED_ID in header:
        ids, other = HASHED_ID, ("classes", classes)
        check = _probabilities(path, header, species, tolerance, problems)
    elif OBSERVATION_ID in header and CLASS_ID in header:
        ids, other = OBSERVATION_ID, ("species", species)
        check = _classes(header, classes)
    else:
        wrong = f"neither {HASHED_ID} with species nor {OBSERVATION_ID},{CLASS_ID}"
        return SubmissionCheck(path, "", 0, tuple(broken or [f"{path}, row 1: {wrong}"]))
    if other[1] is not None:
        raise InputError(
            f"{path} is a file by {ids}: {other[0]} is for the other kind of file; leave it out"
        )
    seen, count = (
        _Ids(header.index(ids), None if against is None else _expected(Path(against), ids)),
        0,
    )
    for line, cells in rows:
        count += 1
        wrongs = _row(header, cells, line, seen, check)
        problems.extend(f"{path}, row {line}: {wrong}" for wrong in wrongs)
    # Reading ends at a row that is not CSV; ids after it are not missing.
    problems += broken or _missing(path, seen)
    return SubmissionCheck(path, ids, count, tuple(problems))


def _numbered(path: Path, broken: list[str]) -> Iterator[tuple[int, list[str]]]:
    """Rows up to the first that is not CSV, whose error is appended to ``broken``."""
    try:
        yield from numbered_rows(path)
    except FileNotFoundError:
        raise InputError(f"{path}: there is no such file") from None
    except OSError as error:
        raise InputError(f"{path}: cannot be read: {error.strerror}") from None
    except InputError as error:
        broken.append(str(error))


@dataclass
class _Ids:
    """Id column of a file, with the ids so far and the expected ones."""

    column: int
    expected: Collection[str] | None
    rows: dict[str, int] = field(default_factory=dict)  # first row of each id

    def check(self, name: str, line: int) -> str | None:
        """Return the error in an id, and record it."""
        first = self.rows.setdefault(name, line)
        if not name.strip():
            return "is empty"
        if first != line:
            return f"{name!r} is repeated, first in row {first}"
        if self.expected is not None and name not in self.expected:
            return f"{name!r} is not expected"
        return None


def _row(
    header: Sequence[str],
    cells: Sequence[str],
    line: int,
    ids: _Ids,
    check: Callable[[Sequence[str]], str | None],
) -> Iterator[str]:
    """Errors of a row."""
    if len(cells) != len(header):
        yield f"has {len(cells)} cells under {len(header)} columns"
        return
    if wrong := ids.check(cells[ids.column], line):
        yield f"{header[ids.column]} {wrong}"
    if wrong := check(cells):
        yield wrong


def _probabilities(
    path: Path,
    header: Sequence[str],
    species: SpeciesList | None,
    tolerance: float,
    problems: list[str],
) -> Callable[[Sequence[str]], str | None]:
    """Append the errors of the header to ``problems``; return the check of a row."""
    problems += [f"{path}, row 1: {wrong}" for wrong in _header(header, species)]
    at = header.index(HASHED_ID)

    def check(cells: Sequence[str]) -> str | None:
        total = 0.0
        for column, cell in enumerate(cells):
            if column == at:
                continue
            value = _number(cell)
            if not 0 <= value <= 1:
                return f"{header[column]} = {cell!r} should be a number from 0 to 1"
            total += value
        if abs(total - 1) <= tolerance:
            return None
        return f"the probabilities sum to {total:.9g}, not to 1 within {tolerance:g}"

    return check


def _header(header: Sequence[str], species: SpeciesList | None) -> Iterator[str]:
    names = [name for name in header if name != HASHED_ID]
    if len(names) < len(header) - 1:
        yield f"column {HASHED_ID!r} is repeated"
    if not names:
        yield "there is no column of a species"
    # With a species list two spellings of one species are a repeated column.
    keys = [species_key(name) for name in names] if species else names
    first: dict[str, str] = {}
    for key, name in zip(keys, names, strict=True):
        if key in first:
            yield f"column {name!r} is repeated, first as {first[key]!r}"
        first.setdefault(key, name)
    if species:
        wanted = {species_key(name): name for name in species}
        yield from (f"column {first[key]!r} is not expected" for key in first if key not in wanted)
        if missing := [name for key, name in wanted.items() if key not in first]:
            yield _list("column", missing)


def _classes(
    header: Sequence[str], classes: Collection[int] | None
) -> Callable[[Sequence[str]], str | None]:
    at = header.index(CLASS_ID)

    def check(cells: Sequence[str]) -> str | None:
        number = class_id(cells[at])
        if number is None:
            return f"{CLASS_ID} = {cells[at]!r} should be a whole number from 0"
        if classes is not None and number not in classes:
            return f"{CLASS_ID} = {number} is not among the {len(set(classes))} of the challenge"
        return None

    return check


def _number(cell: str) -> float:
    """Parse a plain decimal number; NaN for any other text."""
    try:
        # float() also accepts "1_0" and digits of other scripts.
        return float(cell) if cell.isascii() and "_" not in cell else math.nan
    except ValueError:
        return math.nan


def _expected(table: Path, ids: str) -> dict[str, None]:
    """The distinct ids of a table, in its order."""
    rows = read_rows(table, (ids,))
    if ids not in rows.columns:
        raise InputError(f"{table}: column {ids!r} is missing, found {rows.columns[:8]}")
    return dict.fromkeys(name for name in rows[ids].str.strip_chars() if name)


def _missing(path: Path, ids: _Ids) -> Iterator[str]:
    if missing := [name for name in ids.expected or () if name not in ids.rows]:
        yield f"{path}: {_list('row of', missing)}"


def _list(what: str, names: Sequence[str]) -> str:
    shown = ", ".join(map(repr, names[:5]))
    more = f" and {len(names) - 5:,} more" if len(names) > 5 else ""
    return f"no {what} {shown}{more}"
