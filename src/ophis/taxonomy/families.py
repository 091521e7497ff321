"""Family of a snake, by its genus.

snake_families.csv and venomous_genera.csv follow the families of the Reptile Database, which
includes water snakes in the Colubridae.
"""

from __future__ import annotations

import csv
from functools import lru_cache
from pathlib import Path

from ophis.taxonomy.species_list import genus

_TABLES = ("snake_families.csv", "venomous_genera.csv")


def family(species: str) -> str | None:
    """Return the family of a species; None for a genus in neither table."""
    return _families().get(genus(species))


@lru_cache(maxsize=1)
def _families() -> dict[str, str]:
    rows: dict[str, str] = {}
    for name in _TABLES:
        with Path(__file__).with_name(name).open(encoding="utf-8", newline="") as file:
            rows |= {row["genus"]: row["family"] for row in csv.DictReader(file)}
    return rows
