"""Medically important species by country, from the table `medical_importance.csv`.

The table lists facts with their sources: WHO's category of a species, and the countries in which it
lives. It is not complete: a country without a species here may have venomous snakes.
"""

from __future__ import annotations

import csv
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING

from ophis.taxonomy.danger import IMPORTANCE
from ophis.taxonomy.species_list import species_key

if TYPE_CHECKING:
    from collections.abc import Iterable


@dataclass(frozen=True)
class ImportantSpecies:
    """Species whose bites matter to medicine, and its countries.

    Attributes:
        species: accepted name.
        category: the highest that WHO gives it in any country: 1 highest, 2 secondary medical
            importance; None without one.
        countries: alpha-2 codes, sorted.
        synonyms: older names, and those of species that are not separated from it here.
        source: of category and countries.
    """

    species: str
    category: int | None
    countries: tuple[str, ...]
    synonyms: tuple[str, ...]
    source: str

    @property
    def keys(self) -> frozenset[str]:
        """Keys of all its names, as `species_key` writes them."""
        return frozenset(map(species_key, (self.species, *self.synonyms)))


@lru_cache(maxsize=1)
def important_species() -> tuple[ImportantSpecies, ...]:
    """Read the species that have countries: category 1 first, then by name."""
    with IMPORTANCE.open(encoding="utf-8", newline="") as file:
        rows = [
            ImportantSpecies(
                row["species"],
                int(row["category"]) if row["category"] else None,
                tuple(row["countries"].split()),
                tuple(row["synonyms"].split(";")) if row["synonyms"] else (),
                row["source"],
            )
            for row in csv.DictReader(file, strict=True)
            if row["countries"]
        ]
    return tuple(sorted(rows, key=lambda row: (row.category or 3, row.species)))


def important_in(countries: Iterable[str]) -> tuple[ImportantSpecies, ...]:
    """Return the species of any of some countries, in the order of `important_species`.

    Args:
        countries: alpha-2 codes.

    >>> [row.species for row in important_in(["IE"])]
    []
    """
    wanted = frozenset(countries)
    return tuple(row for row in important_species() if wanted.intersection(row.countries))
