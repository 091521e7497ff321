"""Photos decoded once and squeezed, in shards for training; `packed` reads them.

The shards are tar files in WebDataset's layout: of the photo in row 12 of the manifest the members
`00000012.jpg` (or `.npy`), `00000012.cls` (its species' place in `species.csv`, -1 where it is not
known) and `00000012.json`. They are a function of the manifest, the photos, the options and the
versions in `pack.json`, whatever the number of threads.
"""

from __future__ import annotations

import hashlib
import os
from collections import deque
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

import PIL
import polars as pl
from PIL import features

from ophis.datasets.shards.index import SCHEMA
from ophis.datasets.shards.pack_folder import held
from ophis.datasets.shards.pack_member import (
    PhotoRows,
    described,
    member,
    source_sha256,
    tar_members,
)
from ophis.datasets.shards.packed import (
    ABOUT,
    BLOCK,
    LEAST_PIXELS,
    MOST_PIXELS,
    MOST_SHARD_PHOTOS,
    TABLE,
    Form,
    Pack,
    is_pack,
    shard_path,
)
from ophis.errors import InputError
from ophis.files.atomic import whole_file

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterable

    from ophis.datasets.manifest import Manifest

    Progress = Callable[[int], None]

SPECIES = "species.csv"
AHEAD = 32  # photos read before they are written; whole squares are kept only for these
T = TypeVar("T")
R = TypeVar("R")


def pack(
    manifest: Manifest,
    out: str | Path,
    *,
    pixels: int = 512,
    quality: int | None = 95,
    shard_photos: int = 1000,
    workers: int | None = None,
    progress: Progress | None = None,
) -> Pack:
    """Decode every photo, squeeze it to a square, and write the squares into shards.

    A call that was stopped, however hard, goes on when it is made again: shards that are whole are
    not made twice; their photos' files are compared with those they were made from. A photo that
    cannot be read keeps its row in the index, with the reason.

    Args:
        manifest: the photos.
        out: the folder of the pack.
        pixels: side of the square.
        quality: of the JPEG files, 1 to 100; None for raw pixels, nothing lost.
        shard_photos: rows of the manifest a shard.
        workers: threads; by default one a processor core. They change no byte.
        progress: called with the number of photos done since the last call.

    Returns:
        The pack, complete.

    Raises:
        InputError: when an option has no meaning, the folder holds something else or a pack of
            other photos or options, another process writes it, or the disk is full.
    """
    out = Path(out)
    form = _form(manifest, pixels=pixels, quality=quality, shard_photos=shard_photos)
    with held(out, may_hold=ABOUT), ThreadPoolExecutor(workers or os.cpu_count() or 1) as pool:
        _begin(manifest, form, out)
        rows = PhotoRows(manifest)
        _require_same_photos(rows, Pack(out), pool, progress)
        for shard in range(form.shards):
            if not shard_path(out, shard).with_suffix(".parquet").exists():
                _write_shard(rows, form, out, shard, pool, progress)
    return Pack(out)


def _form(manifest: Manifest, *, pixels: int, quality: int | None, shard_photos: int) -> Form:
    """What the pack will be, its options checked."""
    for name, value, least, most in (
        ("pixels", pixels, LEAST_PIXELS, MOST_PIXELS),
        ("quality", 1 if quality is None else quality, 1, 100),
        ("shard_photos", shard_photos, 1, MOST_SHARD_PHOTOS),
    ):
        if not least <= value <= most:
            raise InputError(f"{name} = {value} should lie between {least} and {most}")
    if manifest.pack:
        raise InputError(f"{manifest.folder}: is a pack; pack the photos it was made from")
    if not len(manifest):
        raise InputError("the manifest has no row; there is nothing to pack")
    return Form(
        pixels=pixels,
        quality=quality,
        shard_photos=shard_photos,
        photos=len(manifest),
        manifest_sha256=hashlib.sha256(manifest.table.write_csv().encode()).hexdigest(),
        pillow=PIL.__version__,
        jpeg=str(features.version("libjpeg_turbo") or features.version("jpg")),
    )


def _begin(manifest: Manifest, form: Form, out: Path) -> None:
    """Write what stands beside the shards, or see that it is of the same pack."""
    if is_pack(out):
        _require_same_form(Form.read(out), form, out)
    for path in out.glob(".shard-*"):  # of a process that was killed
        path.unlink()
    species = manifest.species_list()
    if not is_pack(out):
        with whole_file(out / ABOUT) as temporary:
            temporary.write_text(form.to_json(), encoding="utf-8")
    if not (out / TABLE).exists():
        with whole_file(out / TABLE) as temporary:
            manifest.table.write_parquet(temporary)
    if not (out / SPECIES).exists() and len(species):
        species.write(out / SPECIES)


def _require_same_form(found: Form, form: Form, out: Path) -> None:
    for key, value in asdict(form).items():
        before = getattr(found, key)
        if before != value and key == "manifest_sha256":
            raise InputError(f"{out}: was begun from another manifest; pack to another folder")
        if before != value:
            words = {None: "raw"}
            raise InputError(
                f"{out}: was begun with {key} = {words.get(before, before)}, not"
                f" {words.get(value, value)}; pack to another folder"
            )


def _write_shard(
    rows: PhotoRows,
    form: Form,
    out: Path,
    shard: int,
    pool: ThreadPoolExecutor,
    progress: Progress | None,
) -> None:
    """The tar file, then its index, each whole or not at all."""
    path = shard_path(out, shard)
    lines = []
    with whole_file(path) as temporary, temporary.open("wb") as file:
        members = _in_order(pool, lambda row: member(rows, row, form), form.rows(shard))
        for row, one in zip(form.rows(shard), members, strict=True):
            lines.append(
                {"row": row, "shard": shard, "offset": file.tell() + BLOCK}
                | rows.label(row)
                | described(one)
            )
            if one.data is not None:
                file.write(tar_members(rows, row, form, one.data))
            if progress:
                progress(1)
        file.write(bytes(2 * BLOCK))
    # It is on the disk before its index says so, also when the power fails.
    with whole_file(path.with_suffix(".parquet")) as temporary:
        pl.DataFrame(lines, schema=SCHEMA).write_parquet(temporary)


def _require_same_photos(
    rows: PhotoRows, done: Pack, pool: ThreadPoolExecutor, progress: Progress | None
) -> None:
    """See that the photos of the whole shards are still those they were made from."""
    places, before = done.index["row"].to_list(), done.index["source_sha256"].to_list()
    found = _in_order(pool, lambda row: source_sha256(rows.photos[row]), places)
    for place, (row, new) in enumerate(zip(places, found, strict=True)):
        if before[place] != new:
            path = shard_path(done.folder, done.index["shard"][place])
            raise InputError(
                f"photo {rows.table['photo'][row]} is no longer the one packed in {path}; delete"
                f" {path.with_suffix('.parquet').name} to make this shard anew, or pack to another"
                " folder"
            )
        if progress:
            progress(1)


def _in_order(pool: ThreadPoolExecutor, work: Callable[[T], R], items: Iterable[T]) -> Generator[R]:
    """Results in the order of the items; a few are made ahead, not all at once."""
    items = iter(items)
    waiting = deque(pool.submit(work, item) for item in islice(items, AHEAD))
    try:
        while waiting:
            yield waiting.popleft().result()
            waiting.extend(pool.submit(work, item) for item in islice(items, 1))
    finally:
        for future in waiting:
            future.cancel()
