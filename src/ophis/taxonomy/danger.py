"""Danger of a species to people, from tables of medical importance and venomous genera."""

from __future__ import annotations

import csv
import re
from dataclasses import dataclass
from enum import StrEnum
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from ophis.errors import InputError
from ophis.taxonomy.species_list import genus, species_key

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from numpy.typing import NDArray

    from ophis.taxonomy.species_list import SpeciesList

_GENERA = Path(__file__).with_name("venomous_genera.csv")
_IMPORTANCE = Path(__file__).with_name("medical_importance.csv")
# Endings of Latin names of subspecies. "guttatus group" and "guttatus hybrid" name none; an
# epithet with another ending is not recognised, which errs to the safe side.
_SUBSPECIES = re.compile(r"[a-z]{2,}(a|ae|ens|i|is|or|um|us)")


class Danger(StrEnum):
    """What is said of a species. There is no word for "safe", on purpose."""

    VENOMOUS = "venomous"
    UNKNOWN = "treat as venomous"
    NOT_KNOWN_DANGEROUS = "not known to be dangerous"


@dataclass(frozen=True)
class MedicalImportance:
    """Which species are medically important, as one table says.

    Attributes:
        rows: of species, as `species_key` writes them: whether it is important.
    """

    rows: Mapping[str, bool]

    def of(self, species: str) -> bool | None:
        """What the table says of a species, or of the species whose subspecies it is.

        Returns:
            None where it says nothing.
        """
        words = species_key(species).split(" ")
        said = self.rows.get(" ".join(words))
        if said is not None or len(words) < 3:
            return said
        parent = self.rows.get(" ".join(words[:2]))
        return parent if parent or _is_subspecies(words[2:]) else None

    def danger(self, species: str) -> Danger:
        """VENOMOUS by its row or by its genus, NOT_KNOWN_DANGEROUS by its row; else UNKNOWN.

        No row takes the danger from a genus that is known to be venomous: not to be medically
        important is not to be without danger, and the organisers' table, for one, calls no sea
        snake important.
        """
        said = self.of(species)
        if said or genus(species) in _venomous_genera():
            return Danger.VENOMOUS
        return Danger.UNKNOWN if said is None else Danger.NOT_KNOWN_DANGEROUS


def read_medical_importance(path: str | Path) -> MedicalImportance:
    """Read a table `species,mivs` (1 or 0); further columns, such as `source`, are passed over.

    Raises:
        InputError: naming the file, the row and what is wrong in it.
    """
    # Here and not above: rows.py needs polars, and our own table is read without.
    from ophis.files.tables import place, read_rows  # noqa: PLC0415

    path = Path(path)
    table = read_rows(path)
    if not {"species", "mivs"} <= set(table.columns):
        raise InputError(f"{path}: columns `species` and `mivs` are needed, not {table.columns}")
    pairs = table.select("species", "mivs").rows()
    return _importance(pairs, lambda number: place(path, number))


def _importance(pairs: Iterable[tuple[str, str]], where: Callable[[int], str]) -> MedicalImportance:
    """From the cells of both columns; ``where`` says where a row stands, counted from 0."""
    rows: dict[str, bool] = {}
    for number, (name, mivs) in enumerate(pairs):
        key = species_key(name)
        if not key:
            raise InputError(f"{where(number)}: species is empty; fill it in")
        if mivs not in ("0", "1"):
            raise InputError(f"{where(number)}: mivs = {mivs!r} should be 1 or 0")
        if rows.setdefault(key, mivs == "1") != (mivs == "1"):
            raise InputError(
                f"{where(number)}: {name!r} has mivs = {mivs} and another one before; keep one"
            )
    return MedicalImportance(rows)


def danger(species: str) -> Danger:
    """What our own tables say of a species; see `MedicalImportance.danger`.

    medical_importance.csv names single species, and those not known to be dangerous only where
    references class them so. venomous_genera.csv names the genera of the front-fanged families
    (Elapidae, Viperidae, and the burrowing asps) and the rear-fanged genera with recorded severe
    bites, as taxonomy has them in the Reptile Database, with older names that photo collections
    still use. Each row has its source. What stands in neither is no proof of anything.
    """
    return own_medical_importance().danger(species)


def dangerous(species: SpeciesList, table: Path | None = None) -> NDArray[np.bool_]:
    """Which species count as medically important, [species]; the unknown do.

    Args:
        species: the columns.
        table: the organisers' `species,...,mivs` (1 or 0), taken at its word, because the official
            scores are. Without it, all that `taxa.danger` does not call NOT_KNOWN_DANGEROUS.

    Raises:
        InputError: naming the file and what is wrong in it.
    """
    if table is None:
        return np.array([danger(name) is not Danger.NOT_KNOWN_DANGEROUS for name in species])
    importance = read_medical_importance(table)
    return np.array([importance.of(name) is not False for name in species])


@lru_cache(maxsize=1)
def own_medical_importance() -> MedicalImportance:
    """The table that ships with ophis."""
    with _IMPORTANCE.open(encoding="utf-8", newline="") as file:
        pairs = [(row["species"], row["mivs"]) for row in csv.DictReader(file, strict=True)]
    return _importance(pairs, lambda number: f"{_IMPORTANCE}, row {number + 2}")


def _is_subspecies(words: list[str]) -> bool:
    """Whether what follows a species' name is one Latin epithet, and no snake of its own."""
    return (
        len(words) == 1
        and _SUBSPECIES.fullmatch(words[0]) is not None
        and words[0].capitalize() not in _venomous_genera()
    )


@lru_cache(maxsize=1)
def _venomous_genera() -> frozenset[str]:
    with _GENERA.open(encoding="utf-8", newline="") as file:
        return frozenset(row["genus"] for row in csv.DictReader(file))
