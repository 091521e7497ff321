"""Scores from the answers of submissions, to evaluate and compare entries without their logits."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from ophis.challenges.submission import (
    CLASS_ID,
    HASHED_ID,
    OBSERVATION_ID,
    SPECIES,
    class_id,
    species_column,
)
from ophis.errors import InputError
from ophis.files.tables import Rows
from ophis.geography.countries import country_key
from ophis.scores.scores import Scores
from ophis.taxonomy.species_list import SpeciesList
from ophis.taxonomy.spelling import species_names

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

_IDS = ("photo_id", "uuid", HASHED_ID, OBSERVATION_ID)  # by preference


def read_submissions(
    paths: Sequence[str | Path], truth: str | Path, *, classes: str | Path | None = None
) -> tuple[Scores, ...]:
    """Read the answers of submissions as scores: the answer is certain, all else impossible.

    Top-1, macro F1 and the SnakeCLEF metrics of such scores are those of the entry. Top-5 equals
    top-1, and probabilities mean nothing. All scores have the same species, those of the truth and
    of all answers, so that they can be compared.

    Args:
        paths: tables with an id and a species, or with an id and `class_id`.
        truth: table of the same ids and their true species or `class_id`, with `country` and
            `observation_id` if known.
        classes: table with `class_id` and the species, for tables with `class_id`.

    Raises:
        InputError: naming the file, the row and the error in it.
    """
    names = _class_names(Path(classes)) if classes else None
    true = _Answers(Path(truth), names)
    entries = [_Answers(Path(path), names) for path in paths]
    for entry in entries:
        _require_same_ids(entry, true)
    answers = [entry.by_id(entry.species) for entry in entries]
    known = {*true.species, *(name for each in answers for name in each.values())}
    species = SpeciesList(tuple(sorted(known)))
    return tuple(_scores(true, species, each) for each in answers)


class _Answers:
    """Table of ids with a species each.

    Attributes:
        rows: the table.
        ids: the unique ids.
        species: of each row.
    """

    def __init__(self, path: Path, names: Mapping[int, str] | None) -> None:
        self.rows = Rows.of_file(path, (*_IDS, *SPECIES, CLASS_ID, "country"))
        found = [name for name in _IDS if name in self.rows.table.columns]
        if not found:
            raise InputError(f"{path}: a column with the ids is missing: one of {', '.join(_IDS)}")
        self.ids: list[str] = self.rows.table[found[0]].to_list()
        first: dict[str, int] = {}
        for row, name in enumerate(self.ids):
            if first.setdefault(name, row) != row:
                raise InputError(f"{self.rows.where(row)}: {name!r} is there twice; keep one")
        self.species = self._species(names)
        if "" in self.species:
            where = self.rows.where(self.species.index(""))
            raise InputError(f"{where}: the species is empty; fill it in")

    def _species(self, names: Mapping[int, str] | None) -> list[str]:
        table = self.rows.table
        if names is None or CLASS_ID not in table.columns:
            column = table[species_column(self.rows.path, table.columns)]
            return species_names(column, self.rows.where)
        found = [names.get(number) if (number := class_id(t)) is not None else None
                 for t in table[CLASS_ID]]  # fmt: skip
        if None in found:
            row = found.index(None)
            raise InputError(
                f"{self.rows.where(row)}: {CLASS_ID} {table[CLASS_ID][row]!r} is not in the classes"
            )
        return [name for name in found if name is not None]

    def column(self, name: str) -> list[str] | None:
        table = self.rows.table
        return table[name].to_list() if name in table.columns else None

    def by_id(self, values: Sequence[str]) -> dict[str, str]:
        return dict(zip(self.ids, values, strict=True))


def _class_names(path: Path) -> dict[int, str]:
    """Read the species of each class, the first where there are several."""
    rows = Rows.of_file(path, (CLASS_ID, *SPECIES))
    column = species_column(path, rows.table.columns)
    if CLASS_ID not in rows.table.columns:
        raise InputError(f"{path}: column {CLASS_ID!r} is missing")
    names: dict[int, str] = {}
    species = species_names(rows.table[column], rows.where)
    for text, name in zip(rows.table[CLASS_ID], species, strict=True):
        if (number := class_id(text)) is not None:
            names.setdefault(number, name)
    return names


def _require_same_ids(entry: _Answers, true: _Answers) -> None:
    for one, other in ((entry, true), (true, entry)):
        there = set(other.ids)
        for row, name in enumerate(one.ids):
            if name not in there:
                raise InputError(
                    f"{one.rows.where(row)}: {name!r} is not in {other.rows.path}; both tables need"
                    " the same ids"
                )


def _scores(true: _Answers, species: SpeciesList, answers: Mapping[str, str]) -> Scores:
    ids = tuple(true.ids)
    logits = np.full((len(ids), len(species)), -np.inf, np.float32)
    logits[np.arange(len(ids)), [species.index(answers[name]) for name in ids]] = 0
    countries = true.column("country") or [""] * len(ids)
    return Scores(
        logits=logits,
        species=species,
        photo_ids=ids,
        truth=np.array([species.index(name) for name in true.species], np.int64),
        countries=tuple(country_key(name) for name in countries),
        observations=tuple(true.column(OBSERVATION_ID) or ids),
    )
