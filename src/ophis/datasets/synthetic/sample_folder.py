"""Folder of a sample: synthetic photos, manifest, records and README, written atomically."""

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
from ophis.datasets.synthetic.occurrences import ACCURACY_M, records
from ophis.datasets.synthetic.population import Sighting, sightings
from ophis.errors import InputError
from ophis.files.csv import write_csv

if TYPE_CHECKING:
    from collections.abc import Callable, Generator

    Box = tuple[float, float, float, float]

HEADER = ("photo", "species", "country", "observation", *BOX)
RECORDS = "occurrences.csv"
MARKER = ".ophis-sample"
# All files of a sample: a folder that holds any other is never replaced.
_OWN_FILES = re.compile(
    rf"manifest\.csv|occurrences\.csv|README\.md|{re.escape(MARKER)}|photos(/synthetic-\d{{5}}\.jpg)?"
)

_README = """\
# Sample photos: synthetic, not photographed

`ophis` drew these {photos} pictures (seed {seed}). No animal, no camera and no photographer took
part, so nobody holds rights in them. The {species} species are invented and every name begins with
"Synthetic". The countries in `manifest.csv` are invented as well: nothing here describes a real
snake.

The photos serve to try the software: train a first small model in minutes, run every command
without a download, test. Rare species are rare, three pairs of species are nearly alike but share
no country, some snakes have two or three photos (`observation`), some photos are rotated, dark or
grey. A model trained on them is of no use on real snakes.

`manifest.csv` has the columns `photo,species,country,observation`, and the bounding box of the
snake in the upright picture: `box_left,box_top,box_right,box_bottom`, fractions of width and
height. `photo` is relative to this folder. `occurrences.csv` has invented records of the species,
`species,latitude,longitude,accuracy_m`, for a prior of positions (`ophis fit-prior`).

Another run may replace this folder: changes are lost.
"""


def sample(
    out: Path,
    *,
    count: int = 600,
    seed: int = 0,
    progress: Callable[[int], None] | None = None,
) -> Path:
    """Write synthetic photos of invented snakes with their manifest.

    Writes ``out/photos/*.jpg``, ``out/manifest.csv`` (photo, species, country, observation, box;
    photo paths relative to ``out``), ``out/occurrences.csv`` and ``out/README.md``. Equal arguments
    give byte-identical files with the same versions of Pillow and NumPy on the same kind of
    machine. The photos are drawn into a folder beside ``out`` that replaces it at the end, so that
    no partial sample is left; an earlier sample is replaced.

    Args:
        out: the folder to write.
        count: number of photos, at least 36.
        seed: 0 or more; another seed draws other snakes.
        progress: called with 1 after each photo.

    Returns:
        The path of the manifest.

    Raises:
        InputError: when ``out`` holds other files, or a number is out of range.
    """
    rows = sightings(count, seed=seed)
    with _replacing(out) as folder:
        (folder / "photos").mkdir()
        boxes = _draw(rows, folder, seed=seed, progress=progress)
        _write_manifest(rows, boxes, folder / "manifest.csv")
        _write_records(folder / RECORDS, seed=seed)
        species = len({row.species.name for row in rows})
        text = _README.format(photos=count, seed=seed, species=species)
        (folder / "README.md").write_text(text, encoding="utf-8")
        (folder / MARKER).write_text("ophis may replace this folder\n", encoding="utf-8")
    return out / "manifest.csv"


def _draw(
    rows: list[Sighting], folder: Path, *, seed: int, progress: Callable[[int], None] | None
) -> list[Box]:
    """Draw the photos in threads: NumPy and Pillow release the GIL most of the time."""
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
        (
            row.photo,
            row.species.name,
            row.country,
            row.observation,
            *(f"{side:.4f}" for side in box),
        )
        for row, box in zip(rows, boxes, strict=True)
    )
    write_csv(path, [HEADER, *cells])


def _write_records(path: Path, *, seed: int) -> None:
    cells = ((r.species, r.latitude, r.longitude, ACCURACY_M) for r in records(seed=seed))
    write_csv(path, [("species", "latitude", "longitude", "accuracy_m"), *cells])


@contextmanager
def _replacing(out: Path) -> Generator[Path]:
    """Yield a new folder beside ``out`` that replaces it on success and is deleted on failure."""
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
    """Refuse a folder that holds files other than those of a sample."""
    if not target.exists():
        return
    if not target.is_dir():
        raise InputError(f"{out}: is a file; name a folder for the sample")
    if Path.cwd().is_relative_to(target):
        raise InputError(f"{out}: is the working directory; name a folder inside it")
    inside = {path.relative_to(target).as_posix() for path in target.rglob("*")}
    is_sample = MARKER in inside
    foreign = sorted(name for name in inside if not (is_sample and _OWN_FILES.fullmatch(name)))
    if foreign:
        raise InputError(
            f"{out}: holds {foreign[0]!r}, which is not part of a sample;"
            " name an empty or a new folder"
        )
