"""From a point on the earth to the countries around it: offline, with borders in `borders.json`.

The borders are Natural Earth's, in the public domain; `benchmarks/borders.py` thins them and says
how. They are right within a kilometre or so, and snakes cross them, so a point is a disc: near a
border the answer is a mixture.
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
SAMPLES = 256  # points of a disc: a share is right within a hundredth or two
COAST_KM = 50.0  # from farther out at sea no snake is brought to mind


@dataclass(frozen=True, eq=False)
class _Polygon:
    """A polygon with its holes, as edges.

    Attributes:
        code: ISO 3166 alpha-2 code of the country.
        starts, ends: [edges, 2] longitude and latitude in degrees; longitudes run on past 180.
        low, high: [2] corners of the box around it.
    """

    code: str
    starts: Floats
    ends: Floats
    low: Floats
    high: Floats

    def near(self, points: Floats) -> Floats:
        """The same points with longitudes on this polygon's side of the earth."""
        middle = (self.low[0] + self.high[0]) / 2
        turns = np.round((middle - points[:, 0]) / 360)
        return points + np.stack([360 * turns, np.zeros(len(points))], axis=1)

    def holds(self, points: Floats) -> NDArray[np.bool_]:
        """Which points lie inside, [points]: a ray to the east crosses its edges an odd time."""
        x, y = self.near(points).T[:, :, None]
        (x0, y0), (x1, y1) = self.starts.T, self.ends.T
        crossing = (y0 > y) != (y1 > y)
        with np.errstate(divide="ignore", invalid="ignore"):  # level edges cross nothing
            east = x < (x1 - x0) * (y - y0) / (y1 - y0) + x0
        return np.count_nonzero(crossing & east, axis=1) % 2 == 1

    def kilometres(self, point: Floats) -> float:
        """From a point, [1, 2], to the nearest edge; right where that is not far."""
        here = self.near(point)
        shrunk = np.array([np.cos(np.radians(here[0, 1])), 1.0]) * np.radians(EARTH_KM)
        start, edge = (self.starts - here) * shrunk, (self.ends - self.starts) * shrunk
        length = np.maximum((edge**2).sum(axis=1), 1e-12)
        along = np.clip(-(start * edge).sum(axis=1) / length, 0, 1)
        return float(np.hypot(*(start + along[:, None] * edge).T).min())


def countries_at(
    latitude: float, longitude: float, *, uncertainty_km: float = 10.0
) -> dict[str, float]:
    """The countries within a distance of a point, by their shares of the land there.

    Args:
        latitude: degrees north, -90 to 90.
        longitude: degrees east; any, as 190 is -170.
        uncertainty_km: radius of the disc, 0 to 1000; 0 asks for the point alone.

    Returns:
        ISO 3166 alpha-2 codes ("XK" for Kosovo), the largest share first; the shares sum to 1. At
        sea the nearest country within 50 km of the point; farther out nothing.

    Raises:
        InputError: when a number is none, or out of its range.

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
    """Points spread evenly over a disc on the sphere, its middle first, [points, 2]."""
    if radius_km == 0:
        return np.array([[longitude, latitude]])
    number = np.arange(SAMPLES)
    away = radius_km / EARTH_KM * np.sqrt(number / (SAMPLES - 1))
    bearing = number * np.pi * (3 - np.sqrt(5))  # the golden angle: no two lie in line
    lat, lon = np.radians(latitude), np.radians(longitude)
    sine = np.sin(lat) * np.cos(away) + np.cos(lat) * np.sin(away) * np.cos(bearing)
    lats = np.arcsin(np.clip(sine, -1, 1))
    lons = lon + np.arctan2(
        np.sin(bearing) * np.sin(away) * np.cos(lat), np.cos(away) - np.sin(lat) * np.sin(lats)
    )
    return np.degrees(np.stack([lons, lats], axis=1))


def _counts(points: Floats) -> dict[str, int]:
    """How many of the points lie in each country; each counts once."""
    free = np.ones(len(points), bool)
    counts: dict[str, int] = {}
    for polygon in _around(points, 0.0):
        inside = free & polygon.holds(points)
        if inside.any():
            free &= ~inside
            counts[polygon.code] = counts.get(polygon.code, 0) + int(inside.sum())
    return counts


def _nearest(point: Floats) -> dict[str, float]:
    """The country whose coast is nearest, when it is near."""
    away = {(polygon.kilometres(point), polygon.code) for polygon in _around(point, COAST_KM)}
    kilometres, code = min(away, default=(np.inf, ""))
    return {code: 1.0} if kilometres <= COAST_KM else {}


def _around(points: Floats, margin_km: float) -> list[_Polygon]:
    """The polygons whose boxes, widened, meet that of the points."""
    polygons, low, high = _world()
    south, north = points[:, 1].min(), points[:, 1].max()
    up = np.degrees(margin_km / EARTH_KM)
    side = up / max(np.cos(np.radians(min(max(abs(south), abs(north)) + up, 90))), 1e-6)
    west, east = points[:, 0].min() - side, points[:, 0].max() + side
    # Some whole turn brings the one stretch of longitudes onto the other.
    meets = np.ceil((low[:, 0] - east) / 360) <= np.floor((high[:, 0] - west) / 360)
    meets &= (low[:, 1] - up <= north) & (high[:, 1] + up >= south)
    return [polygons[at] for at in np.flatnonzero(meets)]


@lru_cache(maxsize=1)
def _world() -> tuple[list[_Polygon], Floats, Floats]:
    """The polygons, and the corners of their boxes, [polygons, 2]."""
    text = files("ophis.geography").joinpath("borders.json").read_text(encoding="utf-8")
    topology = json.loads(text)
    scale, translate = (np.array(topology["transform"][key]) for key in ("scale", "translate"))
    arcs = [np.cumsum(np.array(arc), axis=0) * scale + translate for arc in topology["arcs"]]
    polygons = [
        _polygon(country["id"], [_ring([arcs[a] if a >= 0 else arcs[~a][::-1] for a in ring])
                                 for ring in polygon])
        for country in topology["objects"]["countries"]["geometries"]
        for polygon in country["arcs"]
    ]  # fmt: skip
    return polygons, np.array([p.low for p in polygons]), np.array([p.high for p in polygons])


def _ring(arcs: list[Floats]) -> Floats:
    """One closed line of its arcs; one that runs around the earth is closed over its pole."""
    line = np.concatenate([arcs[0], *(arc[1:] for arc in arcs[1:])])
    line[:, 0] = np.unwrap(line[:, 0], period=360)
    if abs(line[-1, 0] - line[0, 0]) < 180:
        return line
    pole = np.copysign(90.0, line[:, 1].mean())
    return np.array([*line, (line[-1, 0], pole), (line[0, 0], pole), line[0]])


def _polygon(code: str, rings: list[Floats]) -> _Polygon:
    middle = rings[0][:, 0].mean()  # a hole lies on the same turn as what it is a hole of
    for ring in rings[1:]:
        ring[:, 0] += 360 * np.round((middle - ring[:, 0].mean()) / 360)
    points = np.concatenate(rings)
    return _Polygon(
        code,
        starts=np.concatenate([ring[:-1] for ring in rings]),
        ends=np.concatenate([ring[1:] for ring in rings]),
        low=points.min(axis=0),
        high=points.max(axis=0),
    )
