"""Part of the earth that a map shows, and its land."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ophis.geography.borders import Polygon, centroid, polygons

Floats = NDArray[np.float64]

WIDTH = 400.0  # units of a map: letters of 12 units are readable on a screen of 360 pixels
_LOWEST, _HIGHEST = 200.0, 460.0
_LEAST_DEGREES = 6.0
_MARGIN = 0.15  # of the extent of the points, on each side
_OUTSIDE = 30.0  # units around the map to which farther borders are moved


@dataclass(frozen=True)
class View:
    """Rectangle of longitudes and latitudes, as wide as it is at its middle.

    Attributes:
        west: longitude of its left side; longitudes continue past 180.
        south: latitude of its lower side.
        across: units per degree of longitude.
        up: units per degree of latitude.
        height: in units; the width is `WIDTH`.
    """

    west: float
    south: float
    across: float
    up: float
    height: float

    @classmethod
    def around(cls, latitude: Floats, longitude: Floats) -> View:
        """Return the view that holds all points, also across 180 degrees."""
        east = np.sort(longitude % 360)
        gaps = np.diff(east, append=east[0] + 360)
        widest = int(gaps.argmax())
        west, wide = float(east[(widest + 1) % len(east)]), 360 - float(gaps[widest])
        south, high = float(latitude.min()), float(np.ptp(latitude))
        middle = south + high / 2
        narrow = max(float(np.cos(np.radians(middle))), 0.2)
        # Degrees of latitude in the height, and in the width.
        inner = max(high * (1 + 2 * _MARGIN), _LEAST_DEGREES)
        outer = max(wide * (1 + 2 * _MARGIN) * narrow, _LEAST_DEGREES)
        height = float(np.clip(WIDTH * inner / outer, _LOWEST, _HIGHEST))
        up = min(height / inner, WIDTH / outer)
        up = max(up, WIDTH / (360 * narrow))
        height = min(height, 180 * up)
        south = float(np.clip(middle - height / up / 2, -90, 90 - height / up))
        west = west + wide / 2 - WIDTH / (up * narrow) / 2
        return cls((west + 180) % 360 - 180, south, up * narrow, up, height)

    @property
    def east(self) -> float:
        """Longitude of the right side."""
        return self.west + WIDTH / self.across

    @property
    def north(self) -> float:
        """Latitude of the upper side."""
        return self.south + self.height / self.up

    def turned(self, longitude: Floats) -> Floats:
        """Return longitudes from the left side on."""
        return self.west + (longitude - self.west) % 360

    def points(self, longitude: Floats, latitude: Floats) -> Floats:
        """Return the units of points, [points, 2], from the upper left corner."""
        x, y = (longitude - self.west) * self.across, (self.north - latitude) * self.up
        return np.stack([x, y], axis=1)


@dataclass(frozen=True)
class Land:
    """Land on a map.

    Attributes:
        path: SVG data of all coasts and borders, to be filled by the even-odd rule.
        names: place and size of each country's largest part: x, y, width, area.
    """

    path: str
    names: dict[str, tuple[float, float, float, float]]


def land(view: View) -> Land:
    """Return the land on a view."""
    paths, names = [], {}
    for polygon in polygons():
        for turn in (-360.0, 0.0, 360.0):
            if (
                polygon.low[0] + turn > view.east
                or polygon.high[0] + turn < view.west
                or polygon.low[1] > view.north
                or polygon.high[1] < view.south
            ):
                continue
            rings = _rings(polygon, view, turn)
            paths += [line(ring) for ring in rings]
            if rings and (name := _middle(rings[0], view)):
                names[polygon.code] = max(name, names.get(polygon.code, name), key=lambda n: n[-1])
    return Land("".join(paths), names)


def _rings(polygon: Polygon, view: View, turn: float) -> list[Floats]:
    """Return the rings of a polygon; of points within a unit the first is kept."""
    units = view.points(polygon.starts[:, 0] + turn, polygon.starts[:, 1])
    low, high = -_OUTSIDE, np.array([WIDTH, view.height]) + _OUTSIDE
    units = np.clip(units, low, high)
    breaks = np.flatnonzero((polygon.ends[:-1] != polygon.starts[1:]).any(axis=1)) + 1
    rings = []
    for ring in np.split(units, breaks):
        whole = np.round(ring)
        moved = (whole != np.roll(whole, 1, axis=0)).any(axis=1)
        if moved.sum() > 2:
            rings.append(ring[moved])
    return rings


def line(ring: Floats) -> str:
    """Return SVG data of a closed line, rounded to half units."""
    ring = np.round(ring * 2) / 2
    steps = np.diff(ring, axis=0)
    steps = steps[steps.any(axis=1)]
    if len(steps) < 2:
        return ""
    return f"M{ring[0, 0]:g} {ring[0, 1]:g}l" + " ".join(f"{x:g} {y:g}" for x, y in steps) + "z"


def _middle(ring: Floats, view: View) -> tuple[float, float, float, float] | None:
    """Return the centroid, width and area of the visible part of a ring."""
    ring = np.clip(ring, 0, [WIDTH, view.height])
    found = centroid(ring, np.roll(ring, -1, axis=0))
    if found is None or found[2] < 1:
        return None
    x, y, area = found
    return x, y, float(np.ptp(ring[:, 0])), area
