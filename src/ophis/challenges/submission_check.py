"""Is a file of answers one that a challenge takes: row by row, by name and never by position."""

from __future__ import annotations

import math
from dataclasses import dataclass
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
class Checked:
    """What `check_submission` found.

    Attributes:
        path: of the file.
        ids: the column of ids: `hashed_id` of a file of probabilities, `observation_id` of one of
            answers; "" where the file has neither.
        rows: below the header, filled.
        problems: a line each, with the row as a text editor counts it; none where all is well.
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
) -> Checked:
    """Check a file with `hashed_id` and probabilities, or with `observation_id` and `class_id`.

    Args:
        path: the file; it is read row by row.
        species: the challenge's columns of probabilities, in any order; capitals, spaces, hyphens
            and underscores make no difference.
        classes: the challenge's classes.
        against: a table whose column of ids names every id that the file should have.
        tolerance: how far from 1 the probabilities of a row may sum.

    Raises:
        InputError: when a file cannot be opened, the table has no such ids, or species or classes
            are given that do not fit the kind of file.
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
        return Checked(path, "", 0, tuple(broken or [f"{path}, row 1: {wrong}"]))
    if other[1] is not None:
        raise InputError(f"{path} is a file by {ids}: --{other[0]} is for the other kind; leave it")
    wanted = None if against is None else _wanted(Path(against), ids)
    at, count = header.index(ids), 0
    seen: dict[str, int] = {}
    for line, cells in rows:
        count += 1
        wrongs = _row(header, cells, at, seen, line, wanted, check)
        problems.extend(f"{path}, row {line}: {wrong}" for wrong in wrongs)
    # After a row that is no CSV nothing is read, so nothing can be said to be missing.
    problems += broken or _missing(path, seen, wanted)
    return Checked(path, ids, count, tuple(problems))


def _numbered(path: Path, broken: list[str]) -> Iterator[tuple[int, list[str]]]:
    """The rows until the first that is no CSV, which is noted as broken."""
    try:
        yield from numbered_rows(path)
    except FileNotFoundError:
        raise InputError(f"{path}: there is no such file") from None
    except OSError as error:
        raise InputError(f"{path}: cannot be read: {error.strerror}") from None
    except InputError as error:
        broken.append(str(error))


def _row(
    header: Sequence[str],
    cells: Sequence[str],
    at: int,
    seen: dict[str, int],
    line: int,
    wanted: Collection[str] | None,
    check: Callable[[Sequence[str]], str | None],
) -> Iterator[str]:
    """What is wrong in a row; notes its id as seen."""
    if len(cells) != len(header):
        yield f"has {len(cells)} cells under {len(header)} columns"
        return
    name = cells[at]
    if not name.strip():
        yield f"{header[at]} is empty"
    elif name in seen:
        yield f"{header[at]} {name!r} stands twice, before in row {seen[name]}"
    elif wanted is not None and name not in wanted:
        yield f"{header[at]} {name!r} is not wanted"
    seen.setdefault(name, line)
    if wrong := check(cells):
        yield wrong


def _probabilities(
    path: Path,
    header: Sequence[str],
    species: SpeciesList | None,
    tolerance: float,
    problems: list[str],
) -> Callable[[Sequence[str]], str | None]:
    """Note what is wrong in the header; what checks a row."""
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
        yield f"column {HASHED_ID!r} stands twice"
    if not names:
        yield "there is no column of a species"
    # One snake in two spellings is two columns of one species, wherever somebody knows the species.
    keys = [species_key(name) for name in names] if species else names
    first: dict[str, str] = {}
    for key, name in zip(keys, names, strict=True):
        if key in first:
            yield f"column {name!r} stands twice, before as {first[key]!r}"
        first.setdefault(key, name)
    if species:
        wanted = {species_key(name): name for name in species}
        yield from (f"column {first[key]!r} is not wanted" for key in first if key not in wanted)
        if missing := [name for key, name in wanted.items() if key not in first]:
            yield _some("column", missing)


def _classes(
    header: Sequence[str], classes: Collection[int] | None
) -> Callable[[Sequence[str]], str | None]:
    at = header.index(CLASS_ID)

    def check(cells: Sequence[str]) -> str | None:
        number = class_id(cells[at])
        if number is None:
            return f"{CLASS_ID} = {cells[at]!r} should be a whole number from 0"
        if classes is not None and number not in classes:
            return f"{CLASS_ID} = {number} is none of the {len(set(classes))} of the challenge"
        return None

    return check


def _number(cell: str) -> float:
    """A plain decimal number, NaN of anything else."""
    try:
        # Python alone reads "1_0", and digits of other scripts.
        return float(cell) if cell.isascii() and "_" not in cell else math.nan
    except ValueError:
        return math.nan


def _wanted(table: Path, ids: str) -> dict[str, None]:
    """The ids that a table names, each once, in its order."""
    rows = read_rows(table)
    if ids not in rows.columns:
        raise InputError(f"{table}: column {ids!r} is missing, found {rows.columns[:8]}")
    return dict.fromkeys(name for name in rows[ids].str.strip_chars() if name)


def _missing(path: Path, seen: Collection[str], wanted: Collection[str] | None) -> Iterator[str]:
    if missing := [name for name in wanted or () if name not in seen]:
        yield f"{path}: {_some('row of', missing)}"


def _some(what: str, names: Sequence[str]) -> str:
    shown = ", ".join(map(repr, names[:5]))
    more = f" and {len(names) - 5:,} more" if len(names) > 5 else ""
    return f"no {what} {shown}{more}"
