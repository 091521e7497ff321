"""The sample's folder: photos, manifest, README; whole or not there at all."""

from __future__ import annotations

import os
import re
import shutil
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING
from uuid import uuid4

from ophis.datasets.manifest import BOX
from ophis.datasets.synthetic.camera import photograph
from ophis.datasets.synthetic.population import Sighting, sightings
from ophis.errors import InputError
from ophis.files.csv import write_csv

if TYPE_CHECKING:
    from collections.abc import Callable, Generator

    Box = tuple[float, float, float, float]

HEADER = ("photo", "species", "country", "observation", *BOX)
MARKER = ".ophis-sample"
# What a sample is made of: a folder that holds anything else is never replaced.
_OURS = re.compile(
    rf"manifest\.csv|README\.md|{re.escape(MARKER)}|photos(/synthetic-\d{{5}}\.jpg)?"
)

_README = """\
# Sample photos: synthetic, not photographed

These {photos} pictures were drawn by `ophis` (seed {seed}). No animal, no camera and no
photographer took part, so they carry nobody's rights. The {species} kinds are invented, every
name begins with "Synthetic", and where `manifest.csv` says that one lives in Kenya or Spain, that is
invented as well: nothing here says anything about a real snake.

They are for trying things out: to train a first small model in minutes, to see every command
work without a download, and to test. Rare kinds are rare, three pairs of kinds look nearly alike
but share no country, some snakes are on two or three photos (`observation`), some photos are
turned, dark or grey. A model trained on them is of no use on real snakes.

`manifest.csv` has the columns `photo,species,country,observation`, and where the snake is in the
upright picture: `box_left,box_top,box_right,box_bottom`, shares of width and height. `photo` is
relative to this folder. This folder may be drawn again at any time: files changed here will be
lost.
"""


def draw_sample(
    out: Path,
    *,
    photos: int = 600,
    seed: int = 0,
    progress: Callable[[int], None] | None = None,
) -> Path:
    """Draw sample photos of invented snakes with their manifest.

    Writes ``out/photos/*.jpg``, ``out/manifest.csv`` (photo, species, country, observation,
    box; photo paths relative to ``out``) and ``out/README.md``. The same arguments give
    byte-identical files with the same Pillow and NumPy on the same kind of machine. Everything is
    drawn into a folder beside ``out`` that takes its place at the end, so that no half of a sample
    is ever left; a sample drawn before is replaced.

    Args:
        out: the folder to make.
        photos: how many, at least 36.
        seed: 0 or more; another seed draws other snakes.
        progress: called with 1 after each photo.

    Returns:
        The path of the manifest.

    Raises:
        InputError: when ``out`` holds anything else, or a number is outside its range.
    """
    rows = sightings(photos, seed=seed)
    with _replacing(out) as folder:
        (folder / "photos").mkdir()
        boxes = _draw(rows, folder, seed=seed, progress=progress)
        _write_manifest(rows, boxes, folder / "manifest.csv")
        species = len({row.kind.name for row in rows})
        text = _README.format(photos=photos, seed=seed, species=species)
        (folder / "README.md").write_text(text, encoding="utf-8")
        (folder / MARKER).write_text("ophis may replace this folder\n", encoding="utf-8")
    return out / "manifest.csv"


def _draw(
    rows: list[Sighting], folder: Path, *, seed: int, progress: Callable[[int], None] | None
) -> list[Box]:
    """Draw the photos in threads: NumPy and Pillow let go of the interpreter most of the time."""
    pool = ThreadPoolExecutor(max_workers=os.cpu_count())
    try:
        boxes: list[Box] = []
        for box in pool.map(partial(_write_photo, folder=folder, seed=seed), rows):
            boxes.append(box)
            if progress:
                progress(1)
        return boxes
    finally:
        pool.shutdown(cancel_futures=True)


def _write_photo(row: Sighting, *, folder: Path, seed: int) -> Box:
    taken = photograph(row, seed=seed)
    (folder / row.photo).write_bytes(taken.data)
    return taken.box


def _write_manifest(rows: list[Sighting], boxes: list[Box], path: Path) -> None:
    cells = (
        (row.photo, row.kind.name, row.country, row.observation, *(f"{side:.4f}" for side in box))
        for row, box in zip(rows, boxes, strict=True)
    )
    write_csv(path, [HEADER, *cells])


@contextmanager
def _replacing(out: Path) -> Generator[Path]:
    """A new folder beside ``out`` that takes its place when all went well, else goes away."""
    target = out.resolve()
    _refuse_foreign(out, target)
    target.parent.mkdir(parents=True, exist_ok=True)
    name = f".{target.name}-{uuid4().hex}"
    fresh, stale = target.with_name(f"{name}.new"), target.with_name(f"{name}.old")
    fresh.mkdir()
    try:
        yield fresh
        if target.exists():
            target.rename(stale)
        fresh.rename(target)
    except BaseException:
        shutil.rmtree(fresh, ignore_errors=True)
        if stale.exists() and not target.exists():
            stale.rename(target)
        raise
    shutil.rmtree(stale, ignore_errors=True)


def _refuse_foreign(out: Path, target: Path) -> None:
    """Refuse a place that is not empty and not wholly ours."""
    if not target.exists():
        return
    if not target.is_dir():
        raise InputError(f"{out}: is a file; name a folder for the sample")
    if Path.cwd().is_relative_to(target):
        raise InputError(f"{out}: is the folder you work in; name a folder inside it")
    inside = {path.relative_to(target).as_posix() for path in target.rglob("*")}
    ours = MARKER in inside
    foreign = sorted(name for name in inside if not (ours and _OURS.fullmatch(name)))
    if foreign:
        raise InputError(
            f"{out}: holds {foreign[0]!r}, which is not part of a drawn sample;"
            " name an empty or a new folder"
        )
