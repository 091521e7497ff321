"""Clutter on the ground: leaves, blades, twigs, stones, as small polygons."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from PIL import ImageDraw

Size = tuple[int, int]  # width, height in pixels
Outline = NDArray[np.float64]  # [corners, 2] or [items, corners, 2]

_GREENS = ((96, 128, 52), (70, 108, 44), (128, 148, 72), (58, 88, 40), (146, 150, 86))
_STRAWS = ((172, 154, 104), (198, 180, 130), (134, 116, 74), (112, 120, 62))
_BROWNS = ((122, 82, 48), (148, 104, 62), (96, 64, 42), (168, 130, 88), (84, 60, 46), (132, 70, 40))
_STONES = ((136, 130, 124), (112, 106, 102), (160, 152, 142), (146, 126, 108), (92, 88, 88))
_CRACKS = ((44, 42, 40), (58, 54, 50))


@dataclass(frozen=True)
class _Item:
    """Type of clutter. Lengths in pixels, before the scene's scale."""

    colours: tuple[tuple[int, int, int], ...]
    long: tuple[float, float]
    wide: tuple[float, float]  # fraction of the length
    bend: float  # how far the middle leaves the straight line, fraction of the length
    shape: str  # "lens", "strip" or "lump"
    shadow: float  # length in pixels; 0 for none
    lit: float  # brightness of the side towards the light; 1 for a flat item


_ITEMS = {
    "leaf": _Item(_BROWNS, (26, 58), (0.32, 0.52), 0.14, "lens", 3.0, 1.18),
    "herb": _Item(_GREENS, (18, 40), (0.5, 0.8), 0.08, "lens", 3.0, 1.15),
    "blade": _Item(_GREENS, (60, 190), (0.022, 0.04), 0.2, "strip", 3.0, 1.0),
    "straw": _Item(_STRAWS, (50, 150), (0.014, 0.03), 0.1, "strip", 2.0, 1.0),
    "twig": _Item(_BROWNS, (80, 240), (0.02, 0.045), 0.08, "strip", 3.0, 1.0),
    "stone": _Item(_STONES, (26, 80), (0.6, 0.95), 0.0, "lump", 5.0, 1.22),
    "pebble": _Item(_STONES, (4, 13), (0.6, 0.95), 0.0, "lump", 1.6, 1.0),
    "crack": _Item(_CRACKS, (150, 500), (0.006, 0.014), 0.12, "strip", 0.0, 1.0),
}


@dataclass(frozen=True, eq=False)
class Clutter:
    """Clutter of one scene.

    Attributes:
        rng: of the positions, sizes and colours.
        size: of the canvas.
        scale: of all items; 1 for a view from about a metre.
        light: direction towards the light on the canvas.
        tint: factor of red, green, blue.
    """

    rng: np.random.Generator
    size: Size
    scale: float
    light: tuple[float, float]
    tint: NDArray[np.float64]

    def strew(self, draw: ImageDraw.ImageDraw, what: str, density: float) -> None:
        """Draw about ``density`` items per 10,000 square pixels, fewer at a larger scale."""
        item = _ITEMS[what]
        area = self.size[0] * self.size[1]
        count = int(self.rng.poisson(density * area / 10_000 / self.scale**2))
        if not count:
            return
        layers = [
            (outlines.reshape(count, -1).tolist(), _fills(colours))
            for outlines, colours in self._layers(item, count)
        ]
        for number in range(count):
            for outlines, fills in layers:
                draw.polygon(outlines[number], fill=fills[number])

    def _layers(self, item: _Item, count: int) -> list[tuple[Outline, NDArray[np.float64]]]:
        """Return shadow, item and lit side: outlines [items, corners, 2], colours [items, 3]."""
        rng = self.rng
        long = rng.uniform(*item.long, count) * self.scale
        wide = long * rng.uniform(*item.wide, count)
        bend = long * rng.normal(0, 1, count) * item.bend
        turn = rng.uniform(0, 2 * np.pi, count)
        place = rng.uniform(-0.04, 1.04, (count, 1, 2)) * self.size
        chosen = np.array(item.colours)[rng.integers(0, len(item.colours), count)]
        colour = chosen * rng.uniform(0.62, 1.15, (count, 1)) * self.tint
        body, lit = (
            _placed(shape, long, wide, bend, turn) + place for shape in _shapes(item.shape, rng)
        )
        layers = [(body, colour)]
        if item.shadow:
            thrown = np.array(self.light) * item.shadow * self.scale
            layers.insert(0, (body - thrown, colour * 0.34))
        if item.lit != 1:
            towards = np.array(self.light) * (item.shadow * 0.3 if item.shape == "lump" else 0)
            layers.append((lit + towards, colour * item.lit))
        return layers


def _fills(colours: NDArray[np.float64]) -> list[tuple[int, ...]]:
    return [tuple(colour) for colour in np.clip(colours, 0, 255).astype(int).tolist()]


def _shapes(shape: str, rng: np.random.Generator) -> tuple[Outline, Outline]:
    """Return outline and lit part, [corners, 2], length and width from -0.5 to 0.5."""
    if shape == "lump":
        angle = np.linspace(0, 2 * np.pi, 13, endpoint=False)
        radius = 0.5 * rng.uniform(0.86, 1.06, 13)
        lump = np.stack([np.cos(angle) * radius, np.sin(angle) * radius], axis=1)
        return lump, lump * 0.6
    at = np.linspace(-0.5, 0.5, 7)
    if shape == "strip":
        rim = np.array([0.5, 0.5, 0.48, 0.44, 0.36, 0.22, 0.02])
    else:
        rim = 0.5 * np.array([0.0, 0.62, 0.92, 1.0, 0.84, 0.48, 0.0])
    upper, lower = np.stack([at, rim], axis=1), np.stack([at, -rim], axis=1)[::-1]
    middle = np.stack([at, 0 * at], axis=1)[::-1]
    return np.concatenate([upper, lower]), np.concatenate([upper, middle])


def _placed(
    shape: Outline,
    long: NDArray[np.float64],
    wide: NDArray[np.float64],
    bend: NDArray[np.float64],
    turn: NDArray[np.float64],
) -> Outline:
    """Scale, bend and rotate one outline for each item, [items, corners, 2]."""
    x = shape[:, 0] * long[:, None]
    y = shape[:, 1] * wide[:, None] + (0.25 - shape[:, 0] ** 2) * 4 * bend[:, None]
    cos, sin = np.cos(turn)[:, None], np.sin(turn)[:, None]
    return np.stack([x * cos - y * sin, x * sin + y * cos], axis=2)
