"""Tests of the positions of occurrence records against zeros, borders and centres of countries."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from ophis.geography.borders import EARTH_KM, centroid, polygons
from ophis.geography.country_names import sovereigns
from ophis.geography.country_raster import are_in_countries, countries_of

if TYPE_CHECKING:
    import polars as pl

Floats = NDArray[np.float64]
Booleans = NDArray[np.bool_]
Codes = NDArray[np.str_]

BORDER_KM = 10.0  # records beside a border are often given to the other country
NORTH, SOUTH = 72.0, -57.0  # degrees beyond which no snake lives
_ZERO_DEGREES = 0.5
_CENTROID_KM = 2.0
_PRECISE_KM = 1.0
# Radii that GEOLocate gives to a point for a whole country.
_CENTROID_METRES = (301.0, 3036.0, 999.0, 9999.0)
# Sea snakes and sea kraits, in the genera of the last hundred years.
MARINE = frozenset({
    "Acalyptophis", "Aipysurus", "Astrotia", "Chitulia", "Disteira", "Emydocephalus", "Enhydrina",
    "Ephalophis", "Hydrelaps", "Hydrophis", "Kerilia", "Kolpophis", "Lapemis", "Laticauda",
    "Leioselasma", "Microcephalophis", "Parahydrophis", "Pelamis", "Polyodontognathus",
    "Praescutata", "Thalassophina", "Thalassophis",
})  # fmt: skip


@dataclass(frozen=True)
class Limits:
    """Limits of the cleaning.

    Attributes:
        uncertainty_km: a record with a larger accuracy radius is dropped.
        sea_km: a record farther from land is dropped, but for sea snakes.
        duplicate_degrees: side of the cells in which one record of a species is kept.
    """

    uncertainty_km: float = 50.0
    sea_km: float = 50.0
    duplicate_degrees: float = 0.01


@dataclass(frozen=True, eq=False)
class Checked:
    """Positions of a batch after the tests.

    Attributes:
        reason: [rows] key of `REASONS`, "" for a kept row.
        country: [rows] alpha-2 code of the country at the position, "" at sea.
    """

    reason: Codes
    country: Codes


def check_positions(table: pl.DataFrame, limits: Limits) -> Checked:
    """Test the positions of rows with `species, latitude, longitude, accuracy_km, country`."""
    latitude, longitude = (table[name].to_numpy() for name in ("latitude", "longitude"))
    accuracy = table["accuracy_km"].fill_null(0).to_numpy()
    stated = table["country"].to_numpy().astype(str)
    marine = table["species"].str.split(" ").list.first().is_in(MARINE).to_numpy()
    country = countries_of(latitude, longitude, within_km=np.maximum(limits.sea_km, accuracy))
    equal = np.abs(latitude) == np.abs(longitude)
    near_zero = np.maximum(np.abs(latitude), np.abs(longitude)) < _ZERO_DEGREES
    tests = {
        "zero": equal | near_zero,
        "whole_degrees": (latitude % 1 == 0) & (longitude % 1 == 0),
        "uncertain": accuracy > limits.uncertainty_km,
        "centroid": _at_centroid(latitude, longitude, accuracy),
        "polar": (latitude > NORTH) | (latitude < SOUTH),
        "at_sea": (country == "") & ~marine,
        "other_country": _outside(latitude, longitude, country, stated, accuracy),
    }
    reason = np.select(list(tests.values()), list(tests), "")
    return Checked(reason, country)


def _at_centroid(latitude: Floats, longitude: Floats, accuracy_km: Floats) -> Booleans:
    """Return True for points at a country's centre, or with the radius of one.

    At a centre are points within 2 km, unless their accuracy is known to be better than 1 km.
    """
    found = np.isin(np.round(accuracy_km * 1000, 3), _CENTROID_METRES)
    coarse = (accuracy_km == 0) | (accuracy_km > _PRECISE_KM)
    step = np.radians(1) * EARTH_KM
    for lat, lon in _centroids():
        near = np.flatnonzero(coarse & (np.abs(latitude - lat) * step <= _CENTROID_KM))
        east = np.abs((longitude[near] - lon + 180) % 360 - 180) * np.cos(np.radians(lat))
        found[near] |= np.hypot(east, latitude[near] - lat) * step <= _CENTROID_KM
    return found


@lru_cache(maxsize=1)
def _centroids() -> tuple[tuple[float, float], ...]:
    """Return the centroids of every country and of its largest part, latitude and longitude."""
    parts: dict[str, list[tuple[float, float, float]]] = {}
    for polygon in polygons():
        if found := centroid(polygon.starts, polygon.ends):  # None for a rock, thinned to a line
            parts.setdefault(polygon.code, []).append(found)
    centroids = set()
    for several in parts.values():
        x, y, area = np.array(several).T
        largest = int(area.argmax())
        x = x[largest] + (x - x[largest] + 180) % 360 - 180
        centroids.add((y[largest], x[largest]))
        centroids.add((float(np.average(y, weights=area)), float(np.average(x, weights=area))))
    return tuple(centroids)


def _outside(
    latitude: Floats,
    longitude: Floats,
    country: Codes,
    stated: Codes,
    accuracy_km: Floats,
) -> Booleans:
    """Return True for points outside of their stated country; a territory is in its country."""
    of = sovereigns()
    same = _sovereign(country, of) == _sovereign(stated, of)
    outside = (stated != "") & ~same
    rows = np.flatnonzero(outside)
    if len(rows):
        outside[rows] = ~are_in_countries(
            latitude[rows],
            longitude[rows],
            stated[rows],
            within_km=np.maximum(BORDER_KM, accuracy_km[rows]),
        )
    return outside


def _sovereign(codes: Codes, of: dict[str, str]) -> Codes:
    known, at = np.unique(codes, return_inverse=True)
    return np.array([of.get(code, code) for code in known], dtype="<U2")[at]
