"""Verbs about drawn photos: the sample, and the whole way on it."""

from __future__ import annotations

from pathlib import Path


def sample(out: Path, /, *, photos: int = 600, seed: int = 0) -> None:
    """Draw sample photos of invented snakes: drawn, not photographed.

    Args:
        out: Folder to make: photos, manifest.csv and a README.
        photos: How many photos.
        seed: The same seed draws the same photos.
    """
    from ophis.sample import draw_sample

    print(draw_sample(out, photos=photos, seed=seed))


def demo(*, out: Path = Path("demo"), photos: int = 600, seed: int = 0) -> None:
    """The whole way on drawn photos: two models, the paper's table, a bundle, a named snake.

    Args:
        out: Folder to make.
        photos: How many photos to draw.
        seed: Of the drawing and of the split.
    """
    from ophis.demo import run_demo

    run_demo(out, photos=photos, seed=seed)
