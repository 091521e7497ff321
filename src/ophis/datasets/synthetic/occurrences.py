"""Invented occurrence records of the synthetic species, inside their countries."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from ophis.datasets.synthetic.species import SPECIES
from ophis.geography.borders import polygons
from ophis.geography.countries import country_code, country_key

if TYPE_CHECKING:
    from numpy.typing import NDArray

RECORDS = 60  # of each species
ACCURACY_M = 100
_SPREAD_DEGREES = 1.5
_DRAWN = 4000  # points; most are inside their country


@dataclass(frozen=True)
class SyntheticRecord:
    """Record of a species at a point in one of its countries."""

    species: str
    country: str
    latitude: float
    longitude: float


def records(*, seed: int) -> list[SyntheticRecord]:
    """Return the records of all species: in each country around one point inside it."""
    rng = np.random.default_rng((seed, 2))
    found: list[SyntheticRecord] = []
    for species in SPECIES:
        for country, fraction in species.countries.items():
            points = _points(country, round(RECORDS * fraction), rng)
            found += [
                SyntheticRecord(species.name, country, latitude, longitude)
                for longitude, latitude in points.round(4).tolist()
            ]
    return found


def _points(country: str, number: int, rng: np.random.Generator) -> NDArray[np.float64]:
    """Draw longitudes and latitudes in the largest part of a country, [number, 2]."""
    code = country_code(country_key(country))
    parts = [polygon for polygon in polygons() if polygon.code == code]
    land = max(parts, key=lambda polygon: float(np.prod(polygon.high - polygon.low)))
    anywhere = rng.uniform(land.low, land.high, (_DRAWN, 2))
    centre = anywhere[land.holds(anywhere)][0]
    around = rng.normal(centre, _SPREAD_DEGREES, (_DRAWN, 2))
    return around[land.holds(around)][:number]
