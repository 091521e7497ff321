"""Verbs about drawn photos: the sample, and the whole way on it."""

from __future__ import annotations

import sys
from contextlib import nullcontext, redirect_stdout
from pathlib import Path

from ophis.cli.options import Json
from ophis.cli.outcome import finish


def sample(out: Path, /, *, photos: int = 600, seed: int = 0, json: Json = False) -> int:
    """Draw sample photos of invented snakes: synthetic, not photographed.

    Args:
        out: Folder to make: photos, manifest.csv and a README.
        photos: How many photos.
        seed: The same seed draws the same photos.
        json: One JSON object: the manifest and how many photos.
    """
    from ophis.cli.terminal.progress import bar
    from ophis.datasets.synthetic import draw_sample

    with bar(photos) as advance:
        manifest = draw_sample(out, photos=photos, seed=seed, progress=advance)
    return finish(manifest, {"manifest": manifest, "photos": photos}, json=json)


def demo(*, out: Path = Path("demo"), photos: int = 600, seed: int = 0, json: Json = False) -> None:
    """The whole way on drawn photos: two models, the paper's table, a bundle, a named snake.

    Args:
        out: Folder to make.
        photos: How many photos to draw.
        seed: Of the drawing and of the split.
        json: One JSON object with what was made and measured; what people read goes to stderr.
    """
    from ophis.cli.demo import run_demo
    from ophis.cli.terminal.tables import print_json

    with redirect_stdout(sys.stderr) if json else nullcontext():
        made = run_demo(out, photos=photos, seed=seed)
    if json:
        print_json(made.as_dict())
