"""Rasterised body: each pixel that shows it, mapped to body coordinates."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from ophis.datasets.synthetic.pose import Line, Spine

HEAD = 1.25  # length of the head, in body widths
_NECK = 0.62  # width of the neck
# Outline of the head, snout first: (fraction of its length, fraction of its width).
_OUTLINE = (
    (0.0, 0.0), (0.008, 0.17), (0.03, 0.33), (0.08, 0.47), (0.2, 0.60), (0.38, 0.74),
    (0.55, 0.92), (0.68, 1.0), (0.8, 0.98), (0.92, 0.88),
)  # fmt: skip


@dataclass(frozen=True, eq=False)
class Body:
    """Pixels that show the snake; every array is [pixels].

    Attributes:
        pixel: flat index into a canvas of [height, width].
        along: body widths from the snout.
        across: -1 at the left edge of the body, 1 at the right, seen towards the head.
        half: half the local width, in body widths.
        normal_x, normal_y: unit vector to the right edge, on the canvas.
        cover: fraction of the pixel covered by the snake, in [0, 1].
        shade: shadow of a higher coil, in [0, 1].
        width_pixels: body width in pixels.
    """

    pixel: NDArray[np.int64]
    along: Line
    across: Line
    half: Line
    normal_x: Line
    normal_y: Line
    cover: Line
    shade: Line
    width_pixels: float


def half_widths(along: Line, *, length: float, head_width: float) -> Line:
    """Return half the width at each step, in body widths, from snout to tail."""
    neck_at = 1.18 * HEAD
    places = [fraction * HEAD for fraction, _ in _OUTLINE]
    widths = [fraction * head_width for _, fraction in _OUTLINE]
    trunk_at = np.array([neck_at, 0.12 * length, 0.22 * length, 0.36 * length, 0.6 * length])
    trunk = np.array([_NECK, 0.78, 0.92, 1.0, 0.97])
    tail_at = np.linspace(0.68, 1.0, 8) * length
    tail = 0.93 * (np.linspace(1, 0, 8) ** 0.72) + 0.03
    profile = np.interp(
        along,
        np.concatenate([places, trunk_at, tail_at]),
        np.concatenate([widths, trunk, tail]),
    )
    return (profile / 2).astype(np.float32)


def lay(
    spine: Spine, *, head_width: float, canvas: tuple[int, int], light: tuple[float, float]
) -> Body:
    """Rasterise the body; where it crosses itself, the part nearer the head is on top.

    ``head_width`` is in body widths, ``canvas`` (width, height) in pixels, ``light`` the direction
    towards the light on the canvas, not longer than 1.
    """
    half = half_widths(spine.along, length=float(spine.along[0]), head_width=head_width)
    forward = _forward(spine)
    steps = _topmost_steps(spine, half, forward, canvas)
    pixel = np.flatnonzero(steps >= 0)
    step = steps[pixel]
    row, column = np.divmod(pixel.astype(np.int32), np.int32(canvas[0]))
    # From the middle line to the centre of the pixel: exact where the line is straight.
    off_x = column.astype(np.float32) + 0.5 - spine.x[step]
    off_y = row.astype(np.float32) + 0.5 - spine.y[step]
    forward_x, forward_y = forward[0][step], forward[1][step]
    ahead = off_x * forward_x + off_y * forward_y
    beside = off_y * forward_x - off_x * forward_y
    local = np.maximum(half[step] * spine.width_pixels, 0.5)
    return Body(
        pixel=pixel,
        along=np.maximum(spine.along[step] - ahead / spine.width_pixels, 0),
        across=np.clip(beside / local, -1, 1),
        half=half[step],
        normal_x=-forward_y,
        normal_y=forward_x,
        cover=np.clip(local - np.abs(beside) + 0.5, 0, 1),
        shade=_shade_of_coils(steps, pixel, spine.width_pixels, canvas, light),
        width_pixels=spine.width_pixels,
    )


def _forward(spine: Spine) -> tuple[Line, Line]:
    """Return the unit vector towards the head at each step."""
    x, y = np.gradient(spine.x), np.gradient(spine.y)
    size = np.maximum(np.hypot(x, y), 1e-6)
    return x / size, y / size


def _topmost_steps(
    spine: Spine, half: Line, forward: tuple[Line, Line], canvas: tuple[int, int]
) -> NDArray[np.int32]:
    """Return the step of the middle line for each canvas pixel, -1 for none; flat.

    Each step is drawn as a line across the body. Steps nearer the head come later and overwrite
    earlier ones, because NumPy keeps the last value assigned to a repeated index.
    """
    width, height = canvas
    reach = half * spine.width_pixels + 0.5
    across = np.linspace(-1, 1, int(reach.max() * 2 / 0.85) + 2, dtype=np.float32)
    x = spine.x[:, None] - (reach * forward[1])[:, None] * across  # [steps, across]
    y = spine.y[:, None] + (reach * forward[0])[:, None] * across
    # A frame of one pixel collects the points outside the canvas.
    column = (np.clip(x, -1, width) + 1).astype(np.int32)
    row = (np.clip(y, -1, height) + 1).astype(np.int32)
    framed = np.full((height + 2, width + 2), -1, np.int32)
    numbers = np.arange(len(spine.x), dtype=np.int32)
    framed.reshape(-1)[row * np.int32(width + 2) + column] = numbers[:, None]
    steps = framed[1:-1, 1:-1]
    # The outer side of a bend has single-pixel holes: close them from the left or above.
    steps[:, 1:] = np.where(steps[:, 1:] < 0, np.minimum(steps[:, :-1], _next(steps)), steps[:, 1:])
    return np.ascontiguousarray(steps).reshape(-1)


def _next(steps: NDArray[np.int32]) -> NDArray[np.int32]:
    """Return the right-hand neighbour of each pixel but the first; -1 for the last."""
    return np.pad(steps[:, 2:], ((0, 0), (0, 1)), constant_values=-1)


def _shade_of_coils(
    steps: NDArray[np.int32],
    pixel: NDArray[np.int64],
    width_pixels: float,
    canvas: tuple[int, int],
    light: tuple[float, float],
) -> Line:
    """Return the shadow that a coil nearer the head, which lies higher, casts on each pixel."""
    own = steps[pixel] + np.int32(2.4 * width_pixels)  # a step is half a pixel
    row, column = np.divmod(pixel, canvas[0])
    shade = np.zeros(len(pixel), np.float32)
    for distance in (0.18, 0.36, 0.56, 0.78):
        right, down = (round(part * distance * width_pixels) for part in light)
        other = np.clip(row + down, 0, canvas[1] - 1) * canvas[0]
        shade += steps[other + np.clip(column + right, 0, canvas[0] - 1)] > own
    return shade * 0.25
