"""Colours and pattern of the body: marks, scales, head, varied for each snake."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ophis.datasets.synthetic.body import HEAD, Body
from ophis.datasets.synthetic.pose import Line
from ophis.datasets.synthetic.species import Colour, Pattern, SyntheticSpecies

Pair = tuple[Line, Line]  # weights of the mark's and the edge's colour, [pixels] in [0, 1]
Paint = NDArray[np.float32]  # [3, pixels] or [3, 1], red, green, blue in [0, 1]

_SCALE_LONG, _SCALE_WIDE = 0.125, 0.105  # one scale, in body widths
_EYE_AT, _EYE_SIZE = 0.44 * HEAD, 0.095


@dataclass(frozen=True, eq=False)
class Coat:
    """Colours and pattern of one snake, equal in all its photos."""

    species: SyntheticSpecies
    base: Paint  # [3, 1], like the next three
    mark: Paint
    edge: Paint
    head: Paint
    iris: Paint
    length: float
    period: float
    duty: float
    shift: float  # where the first mark begins
    edge_width: float
    sides: float  # brightness of the flanks beside the back
    waves: NDArray[np.float32]  # [3, 4]: irregularity of the marks
    sizes: NDArray[np.float32]  # [64]: of single marks, around 1
    grain: NDArray[np.float32]  # [64, 64]: brightness of single scales, around 1


def varied_coat(species: SyntheticSpecies, rng: np.random.Generator) -> Coat:
    """Return the colours and marks of a species with the variation of an individual."""
    tint = rng.normal(0, 0.02, (3, 1)) + rng.normal(0, 0.08)  # warmer or cooler, paler or darker
    faded = rng.uniform(0, 0.25)
    own = {name: _varied(getattr(species, name), tint, faded, rng) for name in _COLOURS}
    waves = np.stack(
        [
            rng.uniform(0.02, 0.05, 3),
            rng.uniform(1.5, 7.0, 3),
            rng.uniform(1.0, 5.0, 3),
            rng.uniform(0, 6.3, 3),
        ],
        axis=1,
    )
    return Coat(
        species=species,
        **own,
        iris=_paint((int(rng.integers(120, 220)), int(rng.integers(90, 170)), 50)),
        length=species.length * rng.uniform(0.9, 1.1),
        period=species.period * rng.uniform(0.88, 1.12),
        duty=species.duty * rng.uniform(0.88, 1.12),
        shift=rng.uniform(0, 1),
        edge_width=rng.uniform(0.05, 0.09),
        sides=rng.uniform(0.86, 1.10),
        waves=waves.astype(np.float32),
        sizes=rng.normal(1, 0.09, 64).astype(np.float32),
        grain=rng.normal(1, 0.055, (64, 64)).astype(np.float32),
    )


_COLOURS = ("base", "mark", "edge", "head")


def _paint(colour: Colour) -> Paint:
    return np.array(colour, np.float32)[:, None] * (1 / 255)


def _varied(
    colour: Colour, tint: NDArray[np.float64], faded: float, rng: np.random.Generator
) -> Paint:
    paint = _paint(colour)
    paint = paint + (paint.mean() - paint) * faded
    paint = paint * (1 + tint + rng.normal(0, 0.02, (3, 1))).astype(np.float32)
    return np.clip(paint, 0.02, 0.98).astype(np.float32)


def paint(body: Body, coat: Coat) -> Paint:
    """Return the colour of every pixel of the body before lighting, [3, pixels]."""
    around = np.arcsin(body.across) * (2 / np.pi)  # -1 and 1 where the belly begins
    grain, rim = _scales(body, around, coat)
    # A scale is of one colour, so the borders of marks follow the scales.
    along = _irregular(body.along, around, coat) + (grain - 1) * 0.9
    mark, edge = _MARKS[coat.species.pattern](along, around, coat)
    trunk = _step((body.along - HEAD) / 0.5)
    colour = coat.base * (1 + (coat.sides - 1) * around * around)
    colour += (coat.mark - colour) * (mark * trunk)
    colour += (coat.edge - colour) * (edge * trunk)
    _add_head(colour, body, coat)
    return colour * (grain * rim)


def _irregular(along: Line, around: Line, coat: Coat) -> Line:
    """Return the position along the body with the waviness of the marks, in body widths."""
    wavy = along + coat.shift * coat.period
    for strength, by_length, by_side, phase in coat.waves:
        wavy += strength * np.sin(by_length * along + by_side * around + phase)
    return wavy


def _step(x: Line) -> Line:
    """Return a ramp from 0 to 1 as x goes from -0.5 to 0.5."""
    return np.clip(x + 0.5, 0, 1)


def _from_mark(along: Line, coat: Coat, shift: float = 0.0) -> Pair:
    """Return the distance from the nearest mark's middle, in body widths, and that mark's size."""
    number = along / coat.period + shift
    whole = np.floor(number)
    away = (number - whole - 0.5) * coat.period
    return away, coat.sizes[whole.astype(np.int32) & 63]


def _bordered(inside: Line, coat: Coat, soft: float = 0.06) -> Pair:
    """Return a mark and its border from the distance inside the mark, in body widths."""
    border = 1 - np.abs(inside) / coat.edge_width
    return _step(inside * (1 / soft)), np.clip(border * 1.4, 0, 1)


def _bands(along: Line, around: Line, coat: Coat) -> Pair:
    away, size = _from_mark(along, coat)
    narrower = 1 - 0.22 * around * around
    inside = (coat.duty * coat.period / 2) * size * narrower - np.abs(away)
    mark, _ = _bordered(inside, coat)
    return mark, np.zeros_like(mark)


def _rings(along: Line, around: Line, coat: Coat) -> Pair:
    """Return rings in the order base, third colour, mark, third colour."""
    away, size = _from_mark(along, coat)
    del around  # rings enclose the body
    inside = (coat.duty * coat.period / 2) * size - np.abs(away)
    mark = _step(inside / 0.05)
    edge = _step((inside + 0.11 * coat.period) / 0.05) - mark
    return mark, edge


def _blotches(along: Line, around: Line, coat: Coat) -> Pair:
    """Return a row of ovals on the back, and smaller ones between them on the flanks."""
    away, size = _from_mark(along, coat)
    back = np.hypot(away / (coat.duty * coat.period / 2), around / 0.60)
    away, _ = _from_mark(along, coat, 0.5)
    flank = np.hypot(away / (0.17 * coat.period), (np.abs(around) - 0.80) / 0.2)
    inside = np.maximum((size - back) * 0.4, (1 - flank) * 0.18)
    return _bordered(inside, coat)


def _diamonds(along: Line, around: Line, coat: Coat) -> Pair:
    """Return diamonds that touch at their corners, with pale borders and a paler centre."""
    away, size = _from_mark(along, coat)
    from_centre = np.abs(away) * (2 / coat.period) + np.abs(around) / coat.duty
    mark, edge = _bordered((size - from_centre) * 0.36, coat)
    centre = _step((0.48 - from_centre) / 0.15)
    return mark * (1 - 0.38 * centre), edge


def _stripes(along: Line, around: Line, coat: Coat) -> Pair:
    """Return one line on the back and one on each flank, from neck to tail."""
    weave = 0.035 * np.sin(along * 2.2)
    back = (coat.duty / 2) - np.abs(around + weave)
    flank = (coat.duty * 0.36) - np.abs(np.abs(around) - 0.62)
    return _bordered(np.maximum(back, flank) * 0.8, coat)


def _plain(along: Line, around: Line, coat: Coat) -> Pair:
    """Return no marks: flanks in the colour of the belly, a darker back."""
    flank = np.clip((np.abs(around) - (1 - coat.duty)) / coat.duty, 0, 1)
    cloudy = 0.5 + 0.5 * np.sin(along * 1.3 + around)
    return flank * 0.75, (1 - np.abs(around)) * cloudy * 0.25


_MARKS = {
    Pattern.BANDS: _bands,
    Pattern.RINGS: _rings,
    Pattern.BLOTCHES: _blotches,
    Pattern.DIAMONDS: _diamonds,
    Pattern.STRIPES: _stripes,
    Pattern.PLAIN: _plain,
}


def _scales(body: Body, around: Line, coat: Coat) -> Pair:
    """Return the brightness of each scale and of its rim; faint where too small to resolve."""
    seen = min(max((_SCALE_LONG * body.width_pixels - 1.8) / 3.0, 0.0), 1.0)
    long = body.along * (0.5 / _SCALE_LONG)
    wide = around * body.half * (0.5 * np.pi / 2 / _SCALE_WIDE)
    left, right = long + wide, long - wide
    cell_left, cell_right = np.floor(left), np.floor(right)
    grain = coat.grain[cell_left.astype(np.int32) & 63, cell_right.astype(np.int32) & 63]
    inside = np.minimum(
        0.5 - np.abs(left - cell_left - 0.5),
        0.5 - np.abs(right - cell_right - 0.5),
    )  # 0 at a scale's rim, 0.5 in its middle
    rim = np.clip(1 - inside * 6, 0, 1)
    # Plates of the head are large: no rims there.
    on_trunk = _step((body.along - 0.9 * HEAD) / 0.4)
    return grain, 1 - rim * on_trunk * (0.40 * seen)


def _add_head(colour: Paint, body: Body, coat: Coat) -> None:
    """Paint the head over the pattern: colour, brow line, eyes."""
    rows = np.flatnonzero(body.along < (1.6 * HEAD))
    along, side = body.along[rows], np.abs(body.across[rows])
    beside = side * body.half[rows]  # body widths from the middle
    here = colour[:, rows]
    here += (coat.head - here) * _step((HEAD * 1.1 - along) / 0.3)
    # A darker cap between and behind the eyes, paler lips.
    cap = np.hypot((along - 0.62 * HEAD) / (0.42 * HEAD), side / 0.75)
    here *= 1.1 - 0.3 * _step((1 - cap) * 3)
    if coat.species.brow:
        line = np.abs(side - 0.70) < 0.15
        here *= 1 - 0.5 * (line & (along > _EYE_AT) & (along < 1.3 * HEAD))
    eye_beside = 0.33 * coat.species.head_width
    eye = np.hypot(along - _EYE_AT, beside - eye_beside) / _EYE_SIZE
    here += (coat.iris - here) * _step((1.1 - eye) * 4)
    here += (0.03 - here) * _step((0.78 - eye) * 4)
    colour[:, rows] = here
