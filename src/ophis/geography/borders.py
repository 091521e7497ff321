"""Countries around a point, from Natural Earth's borders in `borders.json`.

The borders are in the public domain and simplified by `benchmarks/borders.py` to an accuracy of
about a kilometre. Snakes cross borders, so a point is treated as a disc: near a border the result
has several countries.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import lru_cache
from importlib.resources import files

import numpy as np
from numpy.typing import NDArray

from ophis.errors import InputError

Floats = NDArray[np.float64]

EARTH_KM = 6371.0
SAMPLES = 256  # points of a disc: a fraction is accurate to about 0.02
COAST_KM = 50.0  # a point farther out at sea has no country


@dataclass(frozen=True, eq=False)
class Polygon:
    """Polygon with its holes, as edges.

    Attributes:
        code: ISO 3166 alpha-2 code of the country.
        starts, ends: [edges, 2] longitude and latitude in degrees; longitudes continue past 180.
        low, high: [2] corners of the box around it.
    """

    code: str
    starts: Floats
    ends: Floats
    low: Floats
    high: Floats

    def near(self, points: Floats) -> Floats:
        """Shift longitudes by whole turns to this polygon's."""
        middle = (self.low[0] + self.high[0]) / 2
        turns = np.round((middle - points[:, 0]) / 360)
        return points + np.stack([360 * turns, np.zeros(len(points))], axis=1)

    def holds(self, points: Floats) -> NDArray[np.bool_]:
        """Return True for points inside, [points], by counting the edges crossed to the east."""
        x, y = self.near(points).T[:, :, None]
        (x0, y0), (x1, y1) = self.starts.T, self.ends.T
        crossing = (y0 > y) != (y1 > y)
        with np.errstate(divide="ignore", invalid="ignore"):  # level edges cross nothing
            east = x < (x1 - x0) * (y - y0) / (y1 - y0) + x0
        return np.count_nonzero(crossing & east, axis=1) % 2 == 1

    def kilometres(self, point: Floats) -> float:
        """Return the distance from a point, [1, 2], to the nearest edge; accurate when short."""
        here = self.near(point)
        shrunk = np.array([np.cos(np.radians(here[0, 1])), 1.0]) * np.radians(EARTH_KM)
        start, edge = (self.starts - here) * shrunk, (self.ends - self.starts) * shrunk
        length = np.maximum((edge**2).sum(axis=1), 1e-12)
        along = np.clip(-(start * edge).sum(axis=1) / length, 0, 1)
        return float(np.hypot(*(start + along[:, None] * edge).T).min())


def countries_at(
    latitude: float, longitude: float, *, uncertainty_km: float = 10.0
) -> dict[str, float]:
    """Return the countries within a distance of a point, with their fractions of its land.

    Args:
        latitude: degrees north, -90 to 90.
        longitude: degrees east; any, as 190 is -170.
        uncertainty_km: radius of the disc, 0 to 1000; 0 is the point alone.

    Returns:
        Fractions by ISO 3166 alpha-2 code ("XK" for Kosovo), the largest first; they sum to 1. At
        sea the nearest country within 50 km of the point; farther out none.

    Raises:
        InputError: for a number that is not finite or out of range.

    >>> countries_at(27.7, 85.3)  # Kathmandu
    {'NP': 1.0}
    """
    if not -90 <= latitude <= 90:
        raise InputError(f"latitude = {latitude} should be from -90 to 90")
    if not np.isfinite(longitude):
        raise InputError(f"longitude = {longitude} should be a number of degrees")
    if not 0 <= uncertainty_km <= 1000:
        raise InputError(f"uncertainty_km = {uncertainty_km} should be from 0 to 1000")
    longitude = float(longitude) % 360
    points = _disc(latitude, longitude, uncertainty_km)
    counts = _counts(points)
    if not counts:
        return _nearest(np.array([[longitude, latitude]]))
    total = sum(counts.values())
    order = sorted(counts, key=lambda code: (-counts[code], code))
    return {code: counts[code] / total for code in order}


def _disc(latitude: float, longitude: float, radius_km: float) -> Floats:
    """Spread points evenly over a disc on the sphere, its centre first, [points, 2]."""
    if radius_km == 0:
        return np.array([[longitude, latitude]])
    number = np.arange(SAMPLES)
    away = radius_km / EARTH_KM * np.sqrt(number / (SAMPLES - 1))
    bearing = number * np.pi * (3 - np.sqrt(5))  # the golden angle
    lat, lon = np.radians(latitude), np.radians(longitude)
    sine = np.sin(lat) * np.cos(away) + np.cos(lat) * np.sin(away) * np.cos(bearing)
    lats = np.arcsin(np.clip(sine, -1, 1))
    lons = lon + np.arctan2(
        np.sin(bearing) * np.sin(away) * np.cos(lat), np.cos(away) - np.sin(lat) * np.sin(lats)
    )
    return np.degrees(np.stack([lons, lats], axis=1))


def _counts(points: Floats) -> dict[str, int]:
    """Count the points in each country; each point counts once."""
    free = np.ones(len(points), bool)
    counts: dict[str, int] = {}
    for polygon in _around(points, 0.0):
        inside = free & polygon.holds(points)
        if inside.any():
            free &= ~inside
            counts[polygon.code] = counts.get(polygon.code, 0) + int(inside.sum())
    return counts


def _nearest(point: Floats) -> dict[str, float]:
    """Return the country with the nearest coast within `COAST_KM`."""
    away = {(polygon.kilometres(point), polygon.code) for polygon in _around(point, COAST_KM)}
    kilometres, code = min(away, default=(np.inf, ""))
    return {code: 1.0} if kilometres <= COAST_KM else {}


def _around(points: Floats, margin_km: float) -> list[Polygon]:
    """Return the polygons with a box, widened by the margin, that overlaps the points' box."""
    world, low, high = _world()
    south, north = points[:, 1].min(), points[:, 1].max()
    up = np.degrees(margin_km / EARTH_KM)
    side = up / max(np.cos(np.radians(min(max(abs(south), abs(north)) + up, 90))), 1e-6)
    west, east = points[:, 0].min() - side, points[:, 0].max() + side
    # True where a whole turn moves one range of longitudes onto the other.
    overlap = np.ceil((low[:, 0] - east) / 360) <= np.floor((high[:, 0] - west) / 360)
    overlap &= (low[:, 1] - up <= north) & (high[:, 1] + up >= south)
    return [world[at] for at in np.flatnonzero(overlap)]


def polygons() -> list[Polygon]:
    """Return the polygons of all countries; a country has one or several."""
    return _world()[0]


def centroid(starts: Floats, ends: Floats) -> tuple[float, float, float] | None:
    """Return x, y and area inside closed lines, by their edges, [edges, 2]; None for no area."""
    (x0, y0), (x1, y1) = starts.T, ends.T
    cross = x0 * y1 - x1 * y0  # holes run the other way round
    area = float(cross.sum()) / 2
    if not area:
        return None
    x, y = ((x0 + x1) * cross).sum() / (6 * area), ((y0 + y1) * cross).sum() / (6 * area)
    return float(x), float(y), abs(area)


@lru_cache(maxsize=1)
def _world() -> tuple[list[Polygon], Floats, Floats]:
    """Read the polygons, and the corners of their boxes, [polygons, 2]."""
    text = files("ophis.geography").joinpath("borders.json").read_text(encoding="utf-8")
    topology = json.loads(text)
    scale, translate = (np.array(topology["transform"][key]) for key in ("scale", "translate"))
    arcs = [np.cumsum(np.array(arc), axis=0) * scale + translate for arc in topology["arcs"]]
    world = [
        _polygon(country["id"], [_ring([arcs[a] if a >= 0 else arcs[~a][::-1] for a in ring])
                                 for ring in polygon])
        for country in topology["objects"]["countries"]["geometries"]
        for polygon in country["arcs"]
    ]  # fmt: skip
    return world, np.array([p.low for p in world]), np.array([p.high for p in world])


def _ring(arcs: list[Floats]) -> Floats:
    """Join arcs to a closed line; a line around the earth is closed over its pole."""
    line = np.concatenate([arcs[0], *(arc[1:] for arc in arcs[1:])])
    line[:, 0] = np.unwrap(line[:, 0], period=360)
    if abs(line[-1, 0] - line[0, 0]) < 180:
        return line
    pole = np.copysign(90.0, line[:, 1].mean())
    return np.array([*line, (line[-1, 0], pole), (line[0, 0], pole), line[0]])


def _polygon(code: str, rings: list[Floats]) -> Polygon:
    middle = rings[0][:, 0].mean()  # holes are on the same turn as the outline
    for ring in rings[1:]:
        ring[:, 0] += 360 * np.round((middle - ring[:, 0].mean()) / 360)
    points = np.concatenate(rings)
    return Polygon(
        code,
        starts=np.concatenate([ring[:-1] for ring in rings]),
        ends=np.concatenate([ring[1:] for ring in rings]),
        low=points.min(axis=0),
        high=points.max(axis=0),
    )
