"""Ground under the snake: earth, sand, leaf litter, grass, herbs, gravel, rock."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image, ImageDraw, ImageOps

from ophis.datasets.synthetic.clutter import Clutter, Size

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from ophis.datasets.synthetic.species import Colour


@dataclass(frozen=True)
class Habitat:
    """Type of ground: three colours from dark to light, roughness, clutter."""

    dark: Colour
    middle: Colour
    light: Colour
    rough: float  # fraction of fine grain, in [0, 1]
    clutter: tuple[tuple[str, float], ...]  # item, and number per 10,000 square pixels
    blades: float  # grass in front of the snake, number per 10,000 square pixels
    ripple: float = 0.0  # height of wind ripples


HABITATS = {
    "sand": Habitat(
        (150, 118, 80), (196, 164, 120), (222, 198, 156), 0.35,
        (("pebble", 0.8), ("twig", 0.12), ("straw", 0.15)), 0.05, 0.16,
    ),
    "earth": Habitat(
        (58, 42, 32), (106, 80, 58), (146, 118, 90), 0.5,
        (("pebble", 3.0), ("leaf", 0.25), ("twig", 0.3), ("blade", 0.3)), 0.12,
    ),
    "litter": Habitat(
        (30, 22, 18), (66, 48, 34), (104, 78, 54), 0.4,
        (("leaf", 6.0), ("twig", 0.5), ("leaf", 1.2)), 0.10,
    ),
    "grass": Habitat(
        (28, 36, 16), (60, 78, 32), (104, 116, 58), 0.4,
        (("blade", 9.0), ("straw", 3.0)), 0.8,
    ),
    "herbs": Habitat(
        (24, 32, 16), (46, 62, 28), (84, 92, 48), 0.4,
        (("herb", 7.0), ("leaf", 0.5), ("blade", 0.8)), 0.3,
    ),
    "gravel": Habitat(
        (78, 72, 68), (120, 112, 104), (156, 148, 138), 0.55,
        (("pebble", 16.0), ("stone", 1.6), ("straw", 0.3)), 0.06,
    ),
    "rock": Habitat(
        (74, 72, 72), (128, 124, 118), (172, 166, 154), 0.3,
        (("crack", 0.12), ("pebble", 1.0), ("leaf", 0.15)), 0.10,
    ),
}  # fmt: skip


def noise(rng: np.random.Generator, size: Size, cell: int) -> NDArray[np.float32]:
    """Return smooth noise in [0, 1], [height, width], with a period of about ``cell`` pixels."""
    width, height = size
    small = rng.integers(0, 256, (height // cell + 2, width // cell + 2), dtype=np.uint8)
    grown = Image.fromarray(small).resize(size, Image.Resampling.BICUBIC)
    return np.asarray(grown, np.float32) * (1 / 255)


def draw_ground(
    habitat: Habitat,
    place: np.random.Generator,
    rng: np.random.Generator,
    *,
    size: Size,
    light: tuple[float, float],
) -> tuple[Image.Image, Image.Image]:
    """Draw the ground and, on a transparent layer, the grass in front of the snake.

    The colours come from ``place``, which photos of one snake share, everything else from
    ``rng``; ``light`` is the direction towards the light on the canvas.
    """
    tint = place.normal(1, 0.02, 3) * place.normal(1.08, 0.10)
    scale = float(rng.uniform(0.8, 1.5))
    dark, middle, light_colour = (
        tuple(np.clip(np.array(colour) * tint, 0, 255).astype(int).tolist())
        for colour in (habitat.dark, habitat.middle, habitat.light)
    )
    relief = _relief(habitat, rng, size, scale)
    ground = ImageOps.colorize(relief, dark, light_colour, middle)
    scene = Clutter(rng, size, scale, light, tint)
    draw = ImageDraw.Draw(ground)
    for what, density in habitat.clutter:
        scene.strew(draw, what, density)
    film = Image.new("RGBA", size)
    scene.strew(ImageDraw.Draw(film), "blade", habitat.blades * rng.uniform(0, 1.6))
    return ground, film


def _relief(habitat: Habitat, rng: np.random.Generator, size: Size, scale: float) -> Image.Image:
    """Return the brightness of bare ground: hills, clods, grains."""
    grain = np.frombuffer(rng.bytes(size[0] * size[1]), np.uint8).reshape(size[::-1])
    height = noise(rng, size, int(120 * scale)) * 0.28
    height += noise(rng, size, int(30 * scale)) * 0.32
    height += noise(rng, size, int(9 * scale)) * (0.3 + 0.2 * habitat.rough)
    height += noise(rng, size, 3) * (0.2 + 0.5 * habitat.rough)
    height += grain.astype(np.float32) * ((0.1 + 0.3 * habitat.rough) / 255)
    if habitat.ripple:
        # Wind ripples: waves displaced by the hills.
        turn, wave = rng.uniform(0, math.pi), rng.uniform(14, 26) * scale
        right, down = (np.arange(side, dtype=np.float32) for side in size)
        across = right * math.cos(turn) + (down * math.sin(turn))[:, None]
        crests = np.sin(across * (2 * math.pi / wave) + height * 6)
        height += crests * (habitat.ripple * rng.uniform(0, 1))
    low, high = 0.30, 1.05 + 1.0 * habitat.rough
    grey = (height - low) * (255 / (high - low))
    return Image.fromarray(np.clip(grey, 0, 255).astype(np.uint8))
