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
from ophis.taxonomy.spelling import species_names

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from numpy.typing import NDArray

    from ophis.taxonomy.species_list import SpeciesList

VENOMOUS_GENERA = Path(__file__).with_name("venomous_genera.csv")
IMPORTANCE = Path(__file__).with_name("medical_importance.csv")
# Endings of Latin names of subspecies. "guttatus group" and "guttatus hybrid" name none; an
# epithet with another ending is not recognised, which errs to the safe side.
_SUBSPECIES = re.compile(r"[a-z]{2,}(a|ae|ens|i|is|or|um|us)")


class Danger(StrEnum):
    """Danger of a species to people. There is deliberately no value for "safe"."""

    VENOMOUS = "venomous"
    UNKNOWN = "treat as venomous"
    NOT_KNOWN_DANGEROUS = "not known to be dangerous"


@dataclass(frozen=True)
class MedicalImportance:
    """Medical importance of species in one table.

    Attributes:
        rows: True for a medically important species, by `species_key`.
    """

    rows: Mapping[str, bool]

    def of(self, species: str) -> bool | None:
        """Return the table's value for a species, or for the species of a subspecies.

        Returns:
            None where the table has neither.
        """
        words = species_key(species).split(" ")
        listed = self.rows.get(" ".join(words))
        if listed is not None or len(words) < 3:
            return listed
        parent = self.rows.get(" ".join(words[:2]))
        return parent if parent or _is_subspecies(words[2:]) else None

    def danger(self, species: str) -> Danger:
        """Return VENOMOUS by row or genus, NOT_KNOWN_DANGEROUS by row; else UNKNOWN.

        A row cannot clear a species of a venomous genus: a species without medical importance may
        be dangerous. The table of SnakeCLEF, for example, marks no sea snake as important.
        """
        listed = self.of(species)
        if listed or genus(species) in _venomous_genera():
            return Danger.VENOMOUS
        return Danger.UNKNOWN if listed is None else Danger.NOT_KNOWN_DANGEROUS


def read_medical_importance(path: str | Path) -> MedicalImportance:
    """Read a table `species,mivs` (1 or 0); other columns are ignored.

    Raises:
        InputError: naming the file, the row and what is wrong in it.
    """
    # Imported here: tables.py needs polars, which `ophis identify` does not load.
    from ophis.files.tables import place, read_rows  # noqa: PLC0415

    path = Path(path)
    table = read_rows(path, ("species", "mivs"))
    if not {"species", "mivs"} <= set(table.columns):
        raise InputError(f"{path}: columns `species` and `mivs` are needed, not {table.columns}")
    pairs = table.select("species", "mivs").rows()
    return _importance(pairs, lambda number: place(path, number))


def _importance(pairs: Iterable[tuple[str, str]], where: Callable[[int], str]) -> MedicalImportance:
    """Build the table from pairs of cells; ``where`` names the place of a row, from 0."""
    rows: dict[str, bool] = {}
    pairs = list(pairs)
    names = species_names((name for name, _ in pairs), where)
    for number, (name, (_, mivs)) in enumerate(zip(names, pairs, strict=True)):
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
    """Return the danger of a species by the built-in tables; see `MedicalImportance.danger`.

    medical_importance.csv lists single species; those not known to be dangerous only where
    references classify them so. venomous_genera.csv lists the genera of the front-fanged families
    (Elapidae, Viperidae, and the burrowing asps) and the rear-fanged genera with recorded severe
    bites, after the Reptile Database, with older names that photo collections still use. Each row
    has its source. A species in neither table is UNKNOWN.
    """
    return own_medical_importance().danger(species)


def dangerous(species: SpeciesList, table: Path | None = None) -> NDArray[np.bool_]:
    """Return a mask of the species that count as dangerous, [species]; unknown ones count.

    Args:
        species: the columns.
        table: a CSV `species,...,mivs` (1 or 0) of SnakeCLEF, for its metrics: as for the
            organisers, a species is venomous if its row has 1, and not if its row is missing, even
            in a venomous genus. Without it, all species except NOT_KNOWN_DANGEROUS.

    Raises:
        InputError: naming the file and what is wrong in it.
    """
    if table is None:
        return np.array([danger(name) is not Danger.NOT_KNOWN_DANGEROUS for name in species])
    rows = read_medical_importance(table).rows
    return np.array([rows.get(species_key(name), False) for name in species])


@lru_cache(maxsize=1)
def own_medical_importance() -> MedicalImportance:
    """Read the built-in table."""
    with IMPORTANCE.open(encoding="utf-8", newline="") as file:
        pairs = [(row["species"], row["mivs"]) for row in csv.DictReader(file, strict=True)]
    return _importance(pairs, lambda number: f"{IMPORTANCE}, row {number + 2}")


def _is_subspecies(words: list[str]) -> bool:
    """Return True for one Latin epithet that is not the name of a venomous genus."""
    return (
        len(words) == 1
        and _SUBSPECIES.fullmatch(words[0]) is not None
        and words[0].capitalize() not in _venomous_genera()
    )


@lru_cache(maxsize=1)
def _venomous_genera() -> frozenset[str]:
    with VENOMOUS_GENERA.open(encoding="utf-8", newline="") as file:
        return frozenset(row["genus"] for row in csv.DictReader(file))
