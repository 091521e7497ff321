"""Pose of a snake: the middle line of its body, in body widths."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Line = NDArray[np.float32]

_STEPS = 640  # of the middle line, before it is drawn
_TIGHTEST = 0.95  # curvature, per body width: a tighter bend would fold the inner side

# Amplitude of the heading of a crawling body, radians.
_SWINGS = {"wave": (0.5, 1.1), "meander": (1.2, 1.8), "loop": (0.5, 1.4)}


@dataclass(frozen=True, eq=False)
class Spine:
    """Middle line from tail to snout on a canvas.

    Attributes:
        x, y: [steps], pixels, about half a pixel apart.
        along: [steps], body widths from the snout (the last step is 0).
        width_pixels: of the body where it is thickest.
    """

    x: Line
    y: Line
    along: Line
    width_pixels: float


def lie_down(rng: np.random.Generator, *, length: float, canvas: tuple[int, int]) -> Spine:
    """Bend a body of ``length`` widths and lay it on a canvas of (width, height) pixels."""
    step = length / _STEPS
    heading = np.cumsum(_curvature(rng, length)) * step
    points = np.stack([np.cumsum(np.cos(heading)), np.cumsum(np.sin(heading))]) * step  # [2, steps]
    points = _turned(points, rng, canvas)
    points[1] *= rng.uniform(0.72, 1.0)  # seen from the side rather than from above
    scale = _scale(points, rng, canvas)
    points = (points - _middle(points, scale, rng, canvas)[:, None]) * scale
    points += np.array(canvas)[:, None] / 2
    return _resampled(points, length, scale)


def _curvature(rng: np.random.Generator, length: float) -> NDArray[np.float64]:
    """Return the curvature at each step from tail to snout, per body width."""
    at = np.linspace(0, length, _STEPS)
    pose = rng.choice(["wave", "meander", "coil", "loop", "rest"], p=[0.26, 0.2, 0.2, 0.14, 0.2])
    if pose == "coil":
        curve = _coil(rng, length, at)
    elif pose == "rest":
        curve = sum(
            rng.uniform(0.15, 0.5) * np.sin(2 * np.pi * at * f / length + rng.uniform(0, 6.3))
            for f in (0.8, 1.7, 2.9)
        )
    else:
        curve = _wave(rng, length, at, rng.uniform(*_SWINGS[pose]))
        if pose == "loop":
            curve = curve * 0.6 + _loop(rng, length, at)
    return np.clip(curve, -_TIGHTEST, _TIGHTEST) * rng.choice([-1.0, 1.0])


def _wave(
    rng: np.random.Generator, length: float, at: NDArray[np.float64], swing: float
) -> NDArray[np.float64]:
    """Return a crawling body: irregular bends of about ``swing`` radians to either side."""
    wave = max(rng.uniform(6.0, 10.0), 2 * np.pi * swing / 0.75)  # body widths
    slow = 2 * np.pi * at / length
    phase = 2 * np.pi * at / wave + rng.uniform(0, 6.3)
    phase += rng.uniform(0, 1.0) * np.sin(slow * rng.uniform(0.7, 1.8) + rng.uniform(0, 6.3))
    strength = 1 + 0.4 * np.sin(slow * rng.uniform(0.6, 1.6) + rng.uniform(0, 6.3))
    drift = rng.uniform(-0.08, 0.08) * np.sin(slow * 0.5 + rng.uniform(0, 6.3))
    return swing * 2 * np.pi / wave * strength * np.cos(phase) + drift


def _coil(rng: np.random.Generator, length: float, at: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return a spiral from the tail outside to the head inside; sometimes the neck leaves it."""
    pitch = rng.uniform(0.75, 1.1)  # body widths from turn to turn; below 1 they overlap
    inner = rng.uniform(1.15, 1.6)
    curve = 1 / np.sqrt(inner**2 + pitch / np.pi * (length - at))
    neck = length - at < rng.uniform(1.5, 5.0)
    return np.where(neck, curve * rng.uniform(-0.9, 0.6), curve)


def _loop(rng: np.random.Generator, length: float, at: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return one full turn along the body, which then crosses itself."""
    around = rng.uniform(9.5, 12.0)  # body widths the turn takes
    start = rng.uniform(0.1, 0.9) * max(length - around - 2, 0.5)
    part = np.clip((at - start) / around, 0, 1)
    return 2 * np.pi / around * 1.05 * np.sin(np.pi * part) ** 0.5


def _turned(
    points: NDArray[np.float64], rng: np.random.Generator, canvas: tuple[int, int]
) -> NDArray[np.float64]:
    """Rotate the pose roughly along the longer side of the canvas, in either direction."""
    points = points - points.mean(axis=1, keepdims=True)
    _, axes = np.linalg.eigh(points @ points.T)
    main = np.arctan2(axes[1, 1], axes[0, 1])
    wanted = 0.0 if canvas[0] >= canvas[1] else np.pi / 2
    turn = wanted - main + rng.choice([0.0, np.pi]) + rng.normal(0, 0.45)
    cos, sin = np.cos(turn), np.sin(turn)
    return np.array([[cos, -sin], [sin, cos]]) @ points


def _scale(points: NDArray[np.float64], rng: np.random.Generator, canvas: tuple[int, int]) -> float:
    """Return pixels per body width: the whole snake fits unless it would be too thin."""
    span = np.ptp(points, axis=1) + 1.0
    fitting = float(np.min(np.array(canvas) / span)) * rng.uniform(0.72, 1.02)
    thinnest, thickest = 0.075 * min(canvas), 0.19 * min(canvas)
    return float(np.clip(fitting * rng.choice([1.0, 1.5], p=[0.8, 0.2]), thinnest, thickest))


def _middle(
    points: NDArray[np.float64],
    scale: float,
    rng: np.random.Generator,
    canvas: tuple[int, int],
) -> NDArray[np.float64]:
    """Return the point at the middle of the photo; the head usually stays in view."""
    low, high = points.min(axis=1), points.max(axis=1)
    half = np.array(canvas) / scale / 2
    centre = (low + high) / 2
    slack = np.maximum(half - (high - low) / 2 - 0.6, 0)
    centre = centre + rng.uniform(-1, 1, 2) * slack
    head = points[:, -1]
    reach = np.maximum(half - 1.1, 0.2)
    return np.clip(centre, head - reach, head + reach)


def _resampled(points: NDArray[np.float64], length: float, scale: float) -> Spine:
    steps = int(length * scale * 2)
    at = np.linspace(0, _STEPS - 1, steps)
    own = np.arange(_STEPS)
    x, y = (np.interp(at, own, axis).astype(np.float32) for axis in points)
    along = np.linspace(length, 0, steps, dtype=np.float32)
    return Spine(x, y, along, scale)
