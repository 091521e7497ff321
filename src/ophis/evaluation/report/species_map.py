"""Map of the records of a species: dots, and their density, over the borders of countries."""

from __future__ import annotations

import difflib
import re
from html import escape
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import polars as pl
from matplotlib.figure import Figure as Canvas

from ophis.errors import InputError
from ophis.evaluation.report.figure import GRID, INK, MUTED, A, Figure
from ophis.evaluation.report.map_view import WIDTH, Land, View, land, line
from ophis.files.atomic import whole_file
from ophis.geography.borders import EARTH_KM
from ophis.geography.country_names import english_name
from ophis.taxonomy.scientific_names import scientific_name

if TYPE_CHECKING:
    from ophis.datasets.occurrences.occurrences import Occurrences
    from ophis.evaluation.report.map_view import Floats

KERNEL_KM = 100.0
_MASSES = (0.95, 0.8, 0.5)  # of the density, inside each shade
_OPACITIES = (0.22, 0.42, 0.7)
_COLUMNS = 160  # of the grid of the density
_HEAD, _LEGEND = 30.0, 58.0
_NAME_SIZE = 11
_LEAST_AREA = 350.0  # of a country with a name, in square units
_LETTER = 0.56  # mean width of a letter, of its size
_BARS = (10, 20, 50, 100, 200, 500, 1000, 2000)  # km
# The dark scheme, as in page.css.
_STYLE = (
    ".m text{font:12px system-ui,-apple-system,'Segoe UI',Roboto,sans-serif}"
    ".m .m-title{font-size:15px;font-style:italic;font-weight:600}"
    f".m .m-name{{font-size:{_NAME_SIZE}px;paint-order:stroke;stroke-width:2.5px}}"
    ".m .m-dot{stroke-linecap:round}"  # matplotlib's figures on a page set another for all
    "@media(prefers-color-scheme:dark){.m-ink{fill:#e6ede9}.m-muted{fill:#9fb0a8}"
    ".m-name{stroke:#33433c}.m-land{fill:#33433c;stroke:#9fb0a8}.m-a{fill:#c4742c}.m-dot{stroke:#e6ede9}"
    ".m-bar{stroke:#9fb0a8}}"
)


def species_map(occurrences: Occurrences, species: str) -> Figure:
    """Draw the records of a species and their density, on the part of the earth that holds them.

    The density is a Gaussian kernel of 100 km over the records. Shades are the smallest areas that
    hold 50, 80 and 95 % of it. It shows where people have recorded the species, which depends on
    where they search.

    Args:
        occurrences: cleaned records.
        species: a name in their table.

    Raises:
        InputError: when no record is of the species.
    """
    named = [name for name in (species, scientific_name(species)) if name in occurrences.species]
    table = occurrences.table.filter(pl.col("species").is_in(named[:1]))
    species = named[0] if named else species
    if not len(table):
        raise InputError(f"{species!r} has no record; {_similar(occurrences, species)}")
    latitude, longitude = (table[name].to_numpy() for name in ("latitude", "longitude"))
    view = View.around(latitude, longitude)
    numbers = (table.group_by(pl.col("latitude", "longitude").round(1)).agg(records=pl.len())).sort(
        "latitude", "longitude"
    )
    countries = table.filter(pl.col("country") != "")["country"].n_unique()
    records = f"{len(table):,} record{'s' if len(table) > 1 else ''}"
    caption = (
        f"{records} in {countries:,} countr{'y' if countries == 1 else 'ies'}, each a dot; the"
        " shades hold 50, 80 and 95 % of their density (kernel of 100 km). An empty area may be"
        " one that nobody has searched."
    )
    svg = _document(view, land(view), species, records, _layers(view, latitude, longitude))
    stem = re.sub("[^a-z0-9]+", "-", species.casefold()).strip("-") or "species"
    return Figure(stem, species, caption, svg, numbers)


def write_species_map(occurrences: Occurrences, species: str, path: str | Path) -> Path:
    """Write the map of a species as an SVG file, for light and dark pages.

    Args:
        occurrences: cleaned records, see `read_occurrences`.
        species: the name, in any spelling.
        path: the .svg file.

    Raises:
        InputError: when no record is of the species, or the file cannot be written.
    """
    path = Path(path)
    if path.suffix.lower() != ".svg":
        raise InputError(f"{path}: a map is written as .svg; name such a file")
    figure = species_map(occurrences, species)
    with whole_file(path) as temporary:
        temporary.write_text(figure.svg, encoding="utf-8")
    return path


def _similar(occurrences: Occurrences, species: str) -> str:
    close = difflib.get_close_matches(species, occurrences.species, n=3, cutoff=0.7)
    known = ", ".join(occurrences.species[:3])
    return f"did you mean {' or '.join(close)}?" if close else f"name one of them, such as {known}"


def _document(view: View, ground: Land, species: str, records: str, layers: str) -> str:
    height = _HEAD + view.height + _LEGEND
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH:g} {height:g}" role="img">'
        f"<title>{escape(species)}: {records}</title><style>{_STYLE}</style>"
        f'<defs><clipPath id="frame"><rect width="{WIDTH:g}" height="{view.height:g}"/></clipPath>'
        f'<clipPath id="shore"><use href="#land" clip-rule="evenodd"/></clipPath></defs>'
        '<g class="m">'
        f'<text class="m-ink m-title" x="2" y="19" fill="{INK}">{escape(species)}</text>'
        f'<g transform="translate(0 {_HEAD:g})"><g clip-path="url(#frame)">'
        f'<path id="land" class="m-land" d="{ground.path}" fill="{GRID}" fill-rule="evenodd"'
        f' stroke="{MUTED}" stroke-width=".5" stroke-opacity=".7"/>'
        f"{layers}{_names(ground, view.height)}</g>{_scale(view)}{_legend(view, records)}"
        "</g></g></svg>\n"
    )


def _layers(view: View, latitude: Floats, longitude: Floats) -> str:
    """Return the shades of the density, cut at the shore, and the dots."""
    longitude = view.turned(longitude)
    shades = "".join(
        f'<path class="m-a" d="{path}" fill="{A}" fill-rule="evenodd" fill-opacity="{opacity}"/>'
        for path, opacity in zip(_shades(view, latitude, longitude), _OPACITIES, strict=True)
    )
    points = np.unique(np.round(view.points(longitude, latitude), 0), axis=0)
    dots = "".join(f"M{x:g} {y:g}h0" for x, y in points)
    width = 3.4 if len(points) < 400 else 2.2
    return (
        f'<g clip-path="url(#shore)">{shades}</g><path class="m-dot" d="{dots}" stroke="{INK}"'
        f' stroke-width="{width}" stroke-linecap="round" stroke-opacity=".8"/>'
    )


def _shades(view: View, latitude: Floats, longitude: Floats) -> list[str]:
    """Return the outlines of the areas between the levels of the density, the lowest first."""
    rows = max(2, round(_COLUMNS * view.height / WIDTH))
    x = np.linspace(view.west, view.east, _COLUMNS)
    y = np.linspace(view.south, view.north, rows)
    density = _density(x, y, latitude, longitude)
    mass = np.sort((density * np.cos(np.radians(y))[:, None]).ravel())[::-1]
    # Cells are sorted by density; their areas differ little within a map.
    ordered = np.sort(density.ravel())[::-1]
    held = np.cumsum(mass) / mass.sum()
    levels = [float(ordered[min(np.searchsorted(held, part), mass.size - 1)]) for part in _MASSES]
    levels = np.maximum.accumulate([*levels, density.max() * 1.01])
    levels += np.arange(len(levels)) * 1e-12  # contours need rising levels
    areas = Canvas().subplots().contourf(x, y, density, levels=levels)
    return [
        "".join(line(view.points(*np.asarray(corners).T)) for corners in area.to_polygons())
        for area in areas.get_paths()
    ]


def _density(x: Floats, y: Floats, latitude: Floats, longitude: Floats) -> Floats:
    """Return the kernel's sum at each point of a grid, [rows, columns]."""
    step = x[1] - x[0]
    cells = np.stack([np.round(latitude / step), np.round(longitude / step)], axis=1)
    cells, count = np.unique(cells, axis=0, return_counts=True)
    total = np.zeros((len(y), len(x)))
    up = np.radians(y)[:, None]
    for (row, column), number in zip(cells * step, count, strict=True):
        lat, east = np.radians(row), np.radians(x - column)[None, :]
        cosine = np.sin(up) * np.sin(lat) + np.cos(up) * np.cos(lat) * np.cos(east)
        away = EARTH_KM * np.arccos(np.clip(cosine, -1, 1)) / KERNEL_KM
        total += number * np.exp(-0.5 * away**2)
    return total


def _names(ground: Land, height: float) -> str:
    """Return the names of countries, the largest first, where there is room; else their codes."""
    texts, taken = [], []
    by_area = sorted(ground.names.items(), key=lambda item: -item[1][-1])
    for code, (x, y, wide, area) in by_area:
        if area < _LEAST_AREA:
            break
        for name in (english_name(code), code):
            half = len(name) * _LETTER * _NAME_SIZE / 2
            inside = half < x < WIDTH - half and _NAME_SIZE < y < height - 4
            free = all(
                abs(x - other) > half + width or abs(y - above) > _NAME_SIZE
                for other, above, width in taken
            )
            if inside and free and (half * 2 < wide or name == code):
                taken.append((x, y, half))
                texts.append(
                    f'<text class="m-muted m-name" x="{x:.0f}" y="{y:.0f}" fill="{MUTED}"'
                    f' stroke="{GRID}" text-anchor="middle">{escape(name)}</text>'
                )
                break
    return "".join(texts)


def _scale(view: View) -> str:
    """Return a bar of a round number of kilometres, at the lower right."""
    unit = np.radians(1 / view.up) * EARTH_KM  # km
    bar = max((km for km in _BARS if km / unit < WIDTH / 5), default=_BARS[0])
    start, y = WIDTH - 4 - bar / unit, view.height + 16
    return (
        f'<path class="m-bar" d="M{start:.1f} {y - 4:g}v4H{WIDTH - 4:g}v-4" fill="none"'
        f' stroke="{MUTED}"/><text class="m-muted" x="{start - 5:.1f}" y="{y:g}" fill="{MUTED}"'
        f' text-anchor="end">{bar:,} km</text>'
    )


def _legend(view: View, records: str) -> str:
    y = view.height + 16
    boxes = "".join(
        f'<rect class="m-a" x="{4 + 48 * n}" y="{y + 14:g}" width="12" height="12" fill="{A}"'
        f' fill-opacity="{opacity}"/><text class="m-muted" x="{20 + 48 * n}" y="{y + 24:g}"'
        f' fill="{MUTED}">{mass:.0%}</text>'
        for n, (mass, opacity) in enumerate(zip(_MASSES[::-1], _OPACITIES[::-1], strict=True))
    )
    return (
        f'<path class="m-dot" d="M8 {y - 4:g}h0" stroke="{INK}" stroke-width="3.4"'
        f' stroke-linecap="round" stroke-opacity=".8"/><text class="m-muted" x="16" y="{y:g}"'
        f' fill="{MUTED}">{records}</text>{boxes}<text class="m-muted" x="152" y="{y + 24:g}"'
        f' fill="{MUTED}">of their density inside</text>'
    )
