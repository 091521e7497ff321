"""Scene of one photo: ground, snake, light, grass in front."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFilter

from ophis.datasets.synthetic.body import Body, lay
from ophis.datasets.synthetic.ground import HABITATS, draw_ground, noise
from ophis.datasets.synthetic.pattern import Coat, Paint, paint, varied_coat
from ophis.datasets.synthetic.pose import Spine, lie_down

if TYPE_CHECKING:
    from ophis.datasets.synthetic.population import Sighting

Planes = NDArray[np.float32]  # [3, height, width], red, green, blue in [0, 1]
_SHORTEST, _LONGEST = 360, 640  # sides of a photo, pixels


@dataclass(frozen=True, eq=False)
class Scene:
    """Rendered scene.

    Attributes:
        planes: the pixels.
        box: bounding box of the whole snake, also where grass hides it: left, top, right, bottom as
            fractions of width and height.
    """

    planes: Planes
    box: tuple[float, float, float, float]


@dataclass(frozen=True)
class Light:
    """Direction and hardness of the light."""

    x: float  # towards the light, unit vector with ``y`` and ``height``
    y: float
    height: float
    hardness: float  # 0 under clouds, 1 in the midday sun


def draw_scene(sighting: Sighting, *, seed: int) -> Scene:
    """Render the scene of one sighting, upright, without camera effects.

    The snake depends on (seed, snake), everything else on (seed, photo).
    """
    snake = np.random.default_rng((seed, 1, sighting.snake))
    rng = np.random.default_rng((seed, 2, sighting.number))
    coat = varied_coat(sighting.species, snake)
    habitat = HABITATS[str(snake.choice(list(HABITATS)))]
    size = _size(rng)
    light = _light(rng)
    ground, film = draw_ground(habitat, snake, rng, size=size, light=(light.x, light.y))
    spine = lie_down(rng, length=coat.length, canvas=size)
    body = lay(spine, head_width=coat.species.head_width, canvas=size, light=(light.x, light.y))
    planes = _planes(ground)
    _cast_shadow(planes, body, light)
    _blend_body(planes, body, paint(body, coat), coat, light)
    _draw_tongue(film, spine, rng)
    _blend_grass(planes, film)
    planes *= _falloff(rng, size)
    if rng.random() < 0.3:
        planes *= _dapple(rng, size)
    return Scene(planes, _box(body, size))


def _box(body: Body, size: tuple[int, int]) -> tuple[float, float, float, float]:
    width, height = size
    rows, columns = np.divmod(body.pixel, width)
    left, right = int(columns.min()) / width, (int(columns.max()) + 1) / width
    return left, int(rows.min()) / height, right, (int(rows.max()) + 1) / height


def _size(rng: np.random.Generator) -> tuple[int, int]:
    """Return width and height in pixels with the aspect ratio of a common camera."""
    short_fraction = float(rng.choice([3 / 4, 2 / 3, 1.0], p=[0.6, 0.25, 0.15]))
    short = int(rng.integers(_SHORTEST, int(_LONGEST * 0.75 * min(1.0, short_fraction / 0.75)) + 1))
    long = round(short / short_fraction)
    return (long, short) if rng.random() < 0.62 else (short, long)


def _light(rng: np.random.Generator) -> Light:
    height, turn = rng.uniform(0.5, 0.92), rng.uniform(0, 2 * math.pi)
    flat = math.sqrt(1 - height**2)
    return Light(flat * math.cos(turn), flat * math.sin(turn), height, rng.uniform(0.15, 1.0))


def _planes(image: Image.Image) -> Planes:
    return np.stack([np.asarray(band, np.float32) for band in image.split()]) * (1 / 255)


def _cast_shadow(planes: Planes, body: Body, light: Light) -> None:
    """Darken the ground in the snake's shadow and around the body."""
    _, height, width = planes.shape
    mask = np.zeros((height, width), np.uint8)
    mask.reshape(-1)[body.pixel] = 255
    quarter = Image.fromarray(mask).reduce(4)
    spread = body.width_pixels / 4  # one body width on the quarter
    reach = 0.55 * spread / light.height
    thrown = quarter.transform(
        quarter.size, Image.Transform.AFFINE, (1, 0, light.x * reach, 0, 1, light.y * reach)
    ).filter(ImageFilter.GaussianBlur(spread * (0.10 + 0.25 * (1 - light.hardness))))
    contact = quarter.filter(ImageFilter.GaussianBlur(spread * 0.28))
    both = Image.blend(contact, thrown, 0.35 + 0.4 * light.hardness)
    dark = np.asarray(both.resize((width, height), Image.Resampling.BILINEAR), np.float32)
    planes *= 1 - dark * ((0.55 + 0.2 * light.hardness) / 255)


def _blend_body(planes: Planes, body: Body, colour: Paint, coat: Coat, light: Light) -> None:
    """Shade the body as a cylinder and blend it over the ground."""
    up = np.sqrt(np.maximum(1 - body.across**2, 0))
    side = body.across * (body.normal_x * light.x + body.normal_y * light.y)
    facing = np.clip(side * 0.9 + up * light.height, 0, 1)
    direct = 0.35 + 0.4 * light.hardness
    lit = (1 - direct) + direct * 1.3 * facing * (1 - body.shade)
    lit *= 0.5 + 0.5 * up
    lit *= 1 - 0.3 * body.shade
    # Half-way vector between light and camera, which looks straight down.
    long = math.sqrt(2 + 2 * light.height)
    shine = np.clip((side + up * (1 + light.height)) / long, 0, 1) ** 24
    shine *= (coat.species.gloss * (0.15 + 0.4 * light.hardness)) * (1 - body.shade)
    colour = colour * lit + shine
    flat = planes.reshape(3, -1)
    below = flat[:, body.pixel]
    flat[:, body.pixel] = below + (colour - below) * body.cover


def _draw_tongue(film: Image.Image, spine: Spine, rng: np.random.Generator) -> None:
    """Draw the tongue in 30 % of the photos."""
    if rng.random() < 0.7:
        return
    snout = np.array([spine.x[-1], spine.y[-1]])
    forward = snout - (spine.x[-8], spine.y[-8])
    forward *= 0.28 * spine.width_pixels / max(float(np.hypot(*forward)), 1e-6)
    aside = np.array([-forward[1], forward[0]]) * rng.uniform(0.3, 0.6)
    fork = snout + forward
    draw, red = ImageDraw.Draw(film), (120, 24, 28)
    thick = 1 + int(spine.width_pixels > 50)
    for start, end in (
        (snout, fork),
        (fork, fork + forward + aside),
        (fork, fork + forward - aside),
    ):
        draw.line((*start, *end), fill=red, width=thick)


def _blend_grass(planes: Planes, film: Image.Image) -> None:
    """Blend the transparent layer with the grass over everything."""
    if film.getbbox() is None:
        return
    layers = _planes(film)  # transparent pixels are black, so that colours can be added
    planes *= 1 - layers[3]
    planes += layers[:3]


def _falloff(rng: np.random.Generator, size: tuple[int, int]) -> NDArray[np.float32]:
    """Return uneven light with vignetting, [height, width]."""
    x, y = (np.linspace(-1, 1, side, dtype=np.float32) for side in size)
    slope_x, slope_y = rng.normal(0, 0.07, 2).astype(np.float32)
    corner = rng.uniform(0, 0.14)
    return (1 + slope_x * x - corner * x * x) + (slope_y * y - corner * y * y)[:, None]


def _dapple(rng: np.random.Generator, size: tuple[int, int]) -> NDArray[np.float32]:
    """Return the brightness of sun through leaves, [height, width]."""
    cell = int(rng.uniform(60, 140))
    cloud = noise(rng, size, cell) * 0.6 + noise(rng, size, cell // 3) * 0.4
    edge = np.clip((cloud - 0.45) * rng.uniform(4, 9) + 0.5, 0, 1)
    dark = rng.uniform(0.45, 0.72)
    return dark + (1.15 - dark) * edge
