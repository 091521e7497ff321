"""Countries of many points at once, from a raster of `borders.json`.

Cells of 0.1 degree without a border hold their country; points of the others are tested against the
borders within their band of latitude.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ophis.errors import InputError
from ophis.geography.borders import EARTH_KM, polygons

if TYPE_CHECKING:
    from collections.abc import Iterator

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

CELLS = 10  # in a degree
ROWS, COLUMNS = 180 * CELLS, 360 * CELLS
_BORDER = -1
# Rings of points around a point, to find a country within a distance; dense near it for islets.
_RINGS = (0.02, 0.05, 0.1, 0.2, 0.35, 0.5, 0.75, 1.0)
_BEARINGS = 16
_CHUNK = 4096  # points tested against the borders at once


@dataclass(frozen=True, eq=False)
class _Raster:
    """Country of each cell, and the borders by band of latitude.

    Attributes:
        codes: ISO 3166 alpha-2 codes, sorted; the first is "" (no country).
        cells: [ROWS, COLUMNS] index of the country, or `_BORDER`.
        edges: [edges, 4] longitude and latitude of start and end, by band, then by polygon; an edge
            through several bands is in each.
        polygon: [edges] number of the edge's polygon.
        country: [polygons] index of the polygon's country.
        first: [ROWS + 1] first edge of each band.
    """

    codes: NDArray[np.str_]
    cells: NDArray[np.int16]
    edges: Floats
    polygon: Ints
    country: Ints
    first: Ints


def countries_of(
    latitude: ArrayLike, longitude: ArrayLike, *, within_km: ArrayLike = 0.0
) -> NDArray[np.str_]:
    """Return the country of each point; "" at sea and for points that are not finite.

    Args:
        latitude: [points] degrees north; none is beyond 90.
        longitude: [points] degrees east; any, as 190 is -170.
        within_km: a point at sea has the country of a coast about as near as that; one number, or
            [points].

    Returns:
        [points] ISO 3166 alpha-2 codes ("XK" for Kosovo).

    Raises:
        InputError: for a latitude beyond 90.

    >>> countries_of([27.7, 0.0], [85.3, 0.0])  # Kathmandu, the Gulf of Guinea
    array(['NP', ''], dtype='<U2')
    """
    latitude, longitude = _points(latitude, longitude)
    found = _lookup(latitude, longitude)
    sea = np.flatnonzero((found == 0) & np.isfinite(latitude) & np.isfinite(longitude))
    reach = np.broadcast_to(within_km, latitude.shape)[sea]
    for lat, lon in _around(latitude[sea], longitude[sea], reach):
        left = found[sea] == 0
        found[sea[left]] = _lookup(lat[left], lon[left])
    return _raster().codes[found]


def are_in_countries(
    latitude: ArrayLike, longitude: ArrayLike, countries: NDArray[np.str_], *, within_km: ArrayLike
) -> NDArray[np.bool_]:
    """Return True for each point in a country or about as near to it, [points].

    Args:
        latitude: [points] as in `countries_of`.
        longitude: [points] as in `countries_of`.
        countries: [points] ISO 3166 alpha-2 codes.
        within_km: distance from the country; one number, or [points].
    """
    latitude, longitude = _points(latitude, longitude)
    inside = countries_of(latitude, longitude) == countries
    out = np.flatnonzero(~inside)
    reach = np.broadcast_to(within_km, latitude.shape)[out]
    for lat, lon in _around(latitude[out], longitude[out], reach):
        left = ~inside[out]
        found = _raster().codes[_lookup(lat[left], lon[left])]
        inside[out[left]] = found == countries[out[left]]
    return inside


def _points(latitude: ArrayLike, longitude: ArrayLike) -> tuple[Floats, Floats]:
    latitude, longitude = np.asarray(latitude, float), np.asarray(longitude, float)
    if (np.abs(latitude) > 90).any():
        raise InputError("latitude should be from -90 to 90")
    return latitude, longitude


def _around(
    latitude: Floats, longitude: Floats, radius_km: Floats
) -> Iterator[tuple[Floats, Floats]]:
    """Yield points on rings around each point, the nearest ring first."""
    if not radius_km.any():
        return
    narrow = np.maximum(np.cos(np.radians(latitude)), 1e-3)
    for ring in _RINGS:
        away = np.degrees(radius_km / EARTH_KM) * ring
        for bearing in np.arange(_BEARINGS) * 2 * np.pi / _BEARINGS:
            lat = np.clip(latitude + away * np.cos(bearing), -90, 90)
            yield lat, longitude + away * np.sin(bearing) / narrow


def _lookup(latitude: Floats, longitude: Floats) -> Ints:
    """Return the index of each point's country, [points]; 0 for none."""
    raster = _raster()
    finite = np.isfinite(latitude) & np.isfinite(longitude)
    latitude = np.where(finite, latitude, 0.0)
    longitude = (np.where(finite, longitude, 0.0) + 180) % 360 - 180
    rows, columns = _row(latitude), _column(longitude)
    found = raster.cells[rows, np.minimum(columns, COLUMNS - 1)].astype(np.int64)
    near = np.flatnonzero(found == _BORDER)
    near = near[np.argsort(rows[near], kind="stable")]
    bands, starts = np.unique(rows[near], return_index=True)
    for band, points in zip(bands, np.split(near, starts[1:]), strict=len(bands) > 0):
        for start in range(0, len(points), _CHUNK):
            part = points[start : start + _CHUNK]
            found[part] = _exact(raster, int(band), longitude[part], latitude[part])
    found[~finite] = 0
    return found


def _exact(raster: _Raster, band: int, x: Floats, y: Floats) -> Ints:
    """Return the index of the country of points in one band, by counting the edges to the east."""
    edges = slice(raster.first[band], raster.first[band + 1])
    x0, y0, x1, y1 = raster.edges[edges].T
    numbers, starts = np.unique(raster.polygon[edges], return_index=True)
    x, y = x[:, None], y[:, None]
    with np.errstate(divide="ignore", invalid="ignore"):  # level edges cross nothing
        crossed = ((y0 > y) != (y1 > y)) & (x < (x1 - x0) * (y - y0) / (y1 - y0) + x0)
    odd = np.add.reduceat(crossed, starts, axis=1, dtype=np.int64) % 2 == 1
    country = raster.country[numbers[odd.argmax(axis=1)]]
    return np.where(odd.any(axis=1), country, 0)


@lru_cache(maxsize=1)
def _raster() -> _Raster:
    codes, country, edges, polygon = _edges()
    low, high = edges[:, [1, 3]].min(axis=1), edges[:, [1, 3]].max(axis=1)
    start, end = _row(low), _row(high)
    # One entry for each band that an edge passes through.
    times = end - start + 1
    entry = np.repeat(np.arange(len(edges)), times)
    row = start[entry] + np.arange(len(entry)) - np.repeat(np.cumsum(times) - times, times)
    order = np.lexsort((polygon[entry], row))
    entry, row = entry[order], row[order]
    edges, polygon = edges[entry], polygon[entry]
    cells = _interior(edges, polygon, row, country)
    cells[_borders(edges, row)] = _BORDER
    first = np.searchsorted(row, np.arange(ROWS + 1))
    return _Raster(codes, cells.astype(np.int16), edges, polygon, country, first)


def _edges() -> tuple[NDArray[np.str_], Ints, Floats, Ints]:
    """Return codes, country of each polygon, and the edges with the number of their polygon.

    A polygon across 180 degrees is there twice, a turn apart.
    """
    world = polygons()
    codes = np.array(["", *sorted({polygon.code for polygon in world})])
    country, edges, number = [], [], []
    for polygon in world:
        for turn in (-360, 0, 360):
            if polygon.low[0] + turn < 180 and polygon.high[0] + turn > -180:
                ends = np.concatenate([polygon.starts, polygon.ends], axis=1)
                edges.append(ends + np.array([turn, 0, turn, 0]))
                number.append(np.full(len(ends), len(country)))
                country.append(np.searchsorted(codes, polygon.code))
    return codes, np.array(country), np.concatenate(edges), np.concatenate(number)


def _row(latitude: Floats) -> Ints:
    return np.clip(np.floor((latitude + 90) * CELLS).astype(np.int64), 0, ROWS - 1)


def _column(longitude: Floats) -> Ints:
    return np.clip(np.floor((longitude + 180) * CELLS).astype(np.int64), 0, COLUMNS)


def _borders(edges: Floats, row: Ints) -> NDArray[np.bool_]:
    """Return True for each cell that an edge passes through, [ROWS, COLUMNS]."""
    x0, y0, x1, y1 = edges.T
    south, north = row / CELLS - 90, (row + 1) / CELLS - 90
    with np.errstate(divide="ignore", invalid="ignore"):
        slope = np.where(y1 == y0, 0.0, (x1 - x0) / (y1 - y0))
    level = y1 == y0
    a = np.where(level, x0, x0 + slope * (np.clip(y0, south, north) - y0))
    b = np.where(level, x1, x0 + slope * (np.clip(y1, south, north) - y0))
    margin = 1e-6  # of rounding
    west, east = _column(np.minimum(a, b) - margin), _column(np.maximum(a, b) + margin)
    return _filled(row, west, east + 1, np.ones(len(row), np.int32)) > 0


def _interior(edges: Floats, polygon: Ints, row: Ints, country: Ints) -> NDArray[np.int32]:
    """Return the country of each cell by its centre, [ROWS, COLUMNS]."""
    x0, y0, x1, y1 = edges.T
    y = (row + 0.5) / CELLS - 90
    crossing = np.flatnonzero((y0 > y) != (y1 > y))
    x0, y0, x1, y1, y = (values[crossing] for values in (x0, y0, x1, y1, y))
    x = x0 + (x1 - x0) * (y - y0) / (y1 - y0)
    order = np.lexsort((x, polygon[crossing], row[crossing]))
    # Crossings alternate: into the polygon, out of it.
    into, out = order[::2], order[1::2]
    west, east = (_column(x[side] + 0.5 / CELLS) for side in (into, out))
    rows, value = row[crossing][into], country[polygon[crossing][into]]
    cells = _filled(rows, west, east, value)
    several = _filled(rows, west, east, np.ones(len(rows), np.int64)) > 1
    cells[several] = _BORDER  # where polygons overlap
    return cells


def _filled(rows: Ints, start: Ints, stop: Ints, value: NDArray) -> NDArray[np.int32]:
    """Add values to the cells from ``start`` to before ``stop`` of rows, [ROWS, COLUMNS]."""
    steps = np.zeros((ROWS, COLUMNS + 2), np.int32)
    np.add.at(steps, (rows, start), value)
    np.add.at(steps, (rows, np.minimum(stop, COLUMNS + 1)), -value)
    return np.cumsum(steps, axis=1, dtype=np.int32)[:, :COLUMNS]
