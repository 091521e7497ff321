"""Camera of the synthetic photos: focus, exposure, noise, EXIF orientation, JPEG."""

from __future__ import annotations

import io
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image, ImageFilter

from ophis.datasets.synthetic.scene import Planes, draw_scene

if TYPE_CHECKING:
    from ophis.datasets.synthetic.population import Sighting

_ORIENTATION = 0x0112  # the tag Orientation of the Exif standard
# Transposition of the upright picture before it is stored under each value of the tag; a viewer
# inverts it. All but 6 and 8 are their own inverse.
TURNS = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_90,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_270,
}
# Phones write 6, 8 and 3; mirrored pictures are rare.
_TURN_FRACTIONS = (0.05, 0.2, 0.05, 0.05, 0.35, 0.05, 0.25)


@dataclass(frozen=True)
class Photograph:
    """JPEG file, and the bounding box of the snake in the upright picture; see `Scene.box`."""

    data: bytes
    box: tuple[float, float, float, float]


def photograph(sighting: Sighting, *, seed: int) -> Photograph:
    """Draw a sighting; deterministic in its arguments."""
    rng = np.random.default_rng((seed, 3, sighting.number))
    scene = draw_scene(sighting, seed=seed)
    picture = develop(scene.planes, rng)
    exif = Image.Exif()
    if rng.random() < 0.3:
        tag = int(rng.choice(list(TURNS), p=_TURN_FRACTIONS))
        exif[_ORIENTATION] = tag
        picture = picture.transpose(TURNS[tag])
    if rng.random() < 0.04:
        picture = picture.convert("L")
    file = io.BytesIO()
    picture.save(file, "JPEG", quality=int(rng.integers(45, 96)), exif=exif)
    return Photograph(file.getvalue(), scene.box)


def develop(planes: Planes, rng: np.random.Generator) -> Image.Image:
    """Expose and blur a scene and add noise; upright, 8 bits per channel."""
    very_dark = rng.random() < 0.04
    exposure = rng.uniform(0.2, 0.34) if very_dark else rng.uniform(0.9, 1.35)
    contrast = 1.0 if very_dark else rng.uniform(0.85, 1.15)
    balance = (rng.normal(1, 0.025, 3) * exposure * contrast * 255).tolist()
    lift = 0.4 * (1 - contrast) * 255
    # Always a little blur, because the clutter is drawn with hard edges.
    blur = rng.uniform(0.55, 0.95) if rng.random() < 0.75 else rng.uniform(0.95, 2.4)
    roughness = rng.uniform(1.0, 7.0) * (1.5 if very_dark else 1.0)
    _, height, width = planes.shape
    bands = []
    for plane, factor in zip(planes, balance, strict=True):
        exposed = np.clip(plane * factor + lift, 0, 255).astype(np.uint8)
        focused = Image.fromarray(exposed).filter(ImageFilter.GaussianBlur(blur))
        grain = np.frombuffer(rng.bytes(height * width), np.int8).reshape(height, width)
        # Uniform noise from -128 to 127 has a standard deviation of 74.
        rough = np.asarray(focused, np.float32) + grain.astype(np.float32) * (roughness / 74)
        bands.append(Image.fromarray(np.clip(rough, 0, 255).astype(np.uint8)))
    return Image.merge("RGB", bands)
