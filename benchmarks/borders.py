"""Make src/ophis/geography/borders.json from Natural Earth's borders, simplified.

    npm pack world-atlas@2.0.2 && tar xf world-atlas-2.0.2.tgz
    python benchmarks/borders.py package/countries-10m.json

Natural Earth is in the public domain; world-atlas 2.0.2 is its version 4.1.0, 1:10m, as TopoJSON.
Near another country bends of 500 m or more stay, on other coasts those of 3 km or more. Territories
whose snakes are not those of their country get the code that ISO 3166 gives them; lines that part
one country (Northern Cyprus) lose their meaning. `python -m pytest tests/geography/test_borders.py`
checks the result.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pycountry

if TYPE_CHECKING:
    from numpy.typing import NDArray

OUT = Path(__file__).parents[1] / "src" / "ophis" / "geography" / "borders.json"
FINE_DEGREES, COARSE_DEGREES, NEAR_DEGREES = 0.005, 0.03, 0.25

# Natural Earth's names without a code of ISO 3166; the others (Siachen Glacier, reefs) belong to
# no country or are disputed.
NAMED = {
    "Akrotiri": "CY",
    "Baikonur": "KZ",
    "Clipperton I.": "FR",
    "Coral Sea Is.": "AU",
    "Cyprus U.N. Buffer Zone": "CY",
    "Dhekelia": "CY",
    "Indian Ocean Ter.": "CC",
    "Kosovo": "XK",
    "N. Cyprus": "CY",
    "Somaliland": "SO",
    "USNB Guantanamo Bay": "CU",
}
# Parts of a country with a separate code: west, south, east, north.
PARTS = {
    "FR": {
        "GF": (-55, 1, -51, 7),
        "GP": (-62, 15.7, -60.9, 16.6),
        "MQ": (-61.5, 14.2, -60.7, 15),
        "RE": (54, -22, 57, -20),
        "YT": (44.5, -13.5, 46, -12),
    },
    "NL": {"BQ": (-69, 11.5, -62, 18)},
    "NO": {"SJ": (-10, 70.5, 35, 81), "BV": (3, -55, 4, -54)},
    "NZ": {"TK": (-173, -10, -171, -8)},
    "CC": {"CX": (105, -11, 106, -10)},
}


def main(source: str) -> None:
    """Read world-atlas' countries-10m.json and write borders.json."""
    world = json.loads(Path(source).read_text(encoding="utf-8"))
    scale, translate = (np.array(world["transform"][key]) for key in ("scale", "translate"))
    arcs = [np.cumsum(np.array(arc), axis=0) for arc in world["arcs"]]
    countries: dict[str, list[list[list[int]]]] = {}
    for geometry in world["objects"]["countries"]["geometries"]:
        if code := _code(geometry):
            polygons = (
                geometry["arcs"] if geometry["type"] == "MultiPolygon" else [geometry["arcs"]]
            )
            for polygon in polygons:
                first = arcs[max(polygon[0][0], ~polygon[0][0])][0] * scale + translate
                countries.setdefault(_part(code, first), []).append(polygon)
    countries_of_arc: dict[int, set[str]] = {}
    for code, polygons in countries.items():
        for arc in (a for polygon in polygons for ring in polygon for a in ring):
            countries_of_arc.setdefault(max(arc, ~arc), set()).add(code)
    kept = sorted(countries_of_arc)
    place = {arc: number for number, arc in enumerate(kept)}
    near_borders = _near_borders({arc: arcs[arc] * scale for arc in kept}, countries_of_arc)
    thinned = [_thin(arcs[arc], scale, near_borders[arc]) for arc in kept]
    topology = {
        "type": "Topology",
        "source": "Natural Earth 4.1.0, 1:10m, thinned: benchmarks/borders.py",
        "licence": "public domain",
        "transform": world["transform"],
        "objects": {
            "countries": {
                "type": "GeometryCollection",
                "geometries": [
                    {"type": "MultiPolygon", "id": code, "arcs": _renumbered(polygons, place)}
                    for code, polygons in sorted(countries.items())
                ],
            }
        },
        "arcs": [np.diff(arc, axis=0, prepend=[[0, 0]]).astype(int).tolist() for arc in thinned],
    }
    OUT.write_text(json.dumps(topology, separators=(",", ":")) + "\n", encoding="utf-8")
    print(f"{len(countries)} countries, {sum(map(len, thinned)):,} points of "
          f"{sum(map(len, arcs)):,}, {OUT.stat().st_size:,} bytes: {OUT}")  # fmt: skip


def _code(geometry: dict[str, Any]) -> str | None:
    country = pycountry.countries.get(numeric=geometry.get("id") or "none")
    return country.alpha_2 if country else NAMED.get(geometry["properties"]["name"])


def _part(code: str, point: NDArray[np.float64]) -> str:
    for part, (west, south, east, north) in PARTS.get(code, {}).items():
        if west <= point[0] <= east and south <= point[1] <= north:
            return part
    return code


def _near_borders(
    lines: dict[int, NDArray[np.float64]], countries_of_arc: dict[int, set[str]]
) -> dict[int, NDArray[np.bool_]]:
    """Return a mask of each arc's points near a point of another country."""
    cells = {
        arc: [tuple(cell) for cell in np.floor(line / NEAR_DEGREES).astype(int).tolist()]
        for arc, line in lines.items()
    }
    there: dict[tuple[int, ...], set[str]] = {}
    for arc, own in cells.items():
        for x, y in set(own):
            for cell in ((x + i, y + j) for i in (-1, 0, 1) for j in (-1, 0, 1)):
                there.setdefault(cell, set()).update(countries_of_arc[arc])
    return {
        arc: np.array([len(there[cell]) > 1 for cell in own], bool) for arc, own in cells.items()
    }


def _thin(
    arc: NDArray[np.int64], scale: NDArray[np.float64], near_borders: NDArray[np.bool_]
) -> NDArray[np.int64]:
    """Return the points of an arc beyond the tolerance (Douglas and Peucker 1973)."""
    points, tolerance = arc * scale, np.where(near_borders, FINE_DEGREES, COARSE_DEGREES)
    keep = np.zeros(len(arc), bool)
    keep[[0, -1]] = True
    if (arc[0] == arc[-1]).all():  # an island: its farthest point, and one between, stay
        far = int(np.abs(points - points[0]).sum(axis=1).argmax())
        keep[[far, far // 2, (far + len(arc)) // 2]] = True
    parts = list(zip(np.flatnonzero(keep)[:-1], np.flatnonzero(keep)[1:], strict=True))
    while parts:
        start, end = parts.pop()
        if end - start < 2:
            continue
        line, between = points[end] - points[start], points[start + 1 : end] - points[start]
        along = np.clip(between @ line / max(line @ line, 1e-12), 0, 1)
        away = np.hypot(*(between - along[:, None] * line).T) / tolerance[start + 1 : end]
        if away.max() > 1:
            middle = start + 1 + int(away.argmax())
            keep[middle] = True
            parts += [(start, middle), (middle, end)]
    return arc[keep]


def _renumbered(polygons: list[list[list[int]]], place: dict[int, int]) -> list[list[list[int]]]:
    return [
        [[place[a] if a >= 0 else ~place[~a] for a in ring] for ring in polygon]
        for polygon in polygons
    ]


if __name__ == "__main__":
    main(sys.argv[1])
