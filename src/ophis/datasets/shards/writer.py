"""Writer of packs: photos decoded and resized once, in tar shards for training.

The shards are tar files in WebDataset's layout. Row 12 of the manifest has the members
`00000012.jpg` (or `.npy`), `00000012.cls` (index of its species in `species.csv`, -1 where the
species is unknown) and `00000012.json`. The bytes depend on the manifest, the photos, and the
options and versions in `pack.json`, not on the number of threads.
"""

from __future__ import annotations

import hashlib
import os
from collections import deque
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import asdict
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

import PIL
import polars as pl
from PIL import features

from ophis.datasets.shards.index import SCHEMA
from ophis.datasets.shards.member import PhotoRows, encode, source_sha256, tar_members
from ophis.datasets.shards.metadata import (
    BLOCK,
    MANIFEST_FILE,
    MAX_PIXELS,
    MAX_SHARD_PHOTOS,
    METADATA_FILE,
    MIN_PIXELS,
    PackMetadata,
    is_pack,
    shard_path,
)
from ophis.datasets.shards.reader import Pack
from ophis.errors import InputError, require_whole
from ophis.files.atomic import whole_file
from ophis.files.folder_lock import locked_folder

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterable

    from ophis.datasets.manifest import Manifest
    from ophis.files.folder_lock import LockedFolder

    Progress = Callable[[int], None]

SPECIES_FILE = "species.csv"
_QUEUED_PHOTOS = 32  # encoded before they are written; bounds the memory
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
    """Decode every photo, resize it, and write the resized photos into shards.

    An interrupted call, even a killed one, is resumed by the same call: complete shards are kept
    after their source files are compared with those they were made from. A photo that cannot be
    read keeps its row in the index, with the reason.

    Args:
        manifest: the photos.
        out: the folder of the pack.
        pixels: side of the resized photos, which are square.
        quality: of the JPEG files, 1 to 100; None for raw pixels, without loss.
        shard_photos: rows of the manifest in one shard.
        workers: threads; default: one for each processor core. They do not change the bytes.
        progress: called with the number of photos done since the last call.

    Returns:
        The complete pack.

    Raises:
        InputError: when an option is out of range, the folder holds other files or a pack of other
            photos or options, another process writes it, or the disk is full.
    """
    out = Path(out)
    if workers is not None:
        require_whole("workers", workers, least=1)
    metadata = _metadata(manifest, pixels=pixels, quality=quality, shard_photos=shard_photos)
    with _locked(out) as locked, ThreadPoolExecutor(workers or os.cpu_count() or 1) as pool:
        _begin(manifest, metadata, out)
        rows = PhotoRows(manifest)
        _require_same_photos(rows, Pack(out), pool, progress)
        for shard in range(metadata.shards):
            locked.require_in_place()
            if not shard_path(out, shard).with_suffix(".parquet").exists():
                _write_shard(rows, metadata, out, shard, pool, progress)
    return Pack(out)


def _metadata(
    manifest: Manifest, *, pixels: int, quality: int | None, shard_photos: int
) -> PackMetadata:
    """Check the options and return the metadata of the pack."""
    for name, value, least, most in (
        ("pixels", pixels, MIN_PIXELS, MAX_PIXELS),
        ("quality", 1 if quality is None else quality, 1, 100),
        ("shard_photos", shard_photos, 1, MAX_SHARD_PHOTOS),
    ):
        require_whole(name, value, least=0)
        if not least <= value <= most:
            raise InputError(f"{name} = {value} should lie between {least} and {most}")
    if manifest.pack:
        raise InputError(f"{manifest.folder}: is a pack; pack the photos it was made from")
    if not len(manifest):
        raise InputError("the manifest has no row; there is nothing to pack")
    return PackMetadata(
        pixels=pixels,
        quality=quality,
        shard_photos=shard_photos,
        photos=len(manifest),
        manifest_sha256=hashlib.sha256(manifest.table.write_csv().encode()).hexdigest(),
        pillow=PIL.__version__,
        jpeg=str(features.version("libjpeg_turbo") or features.version("jpg")),
    )


@contextmanager
def _locked(folder: Path) -> Generator[LockedFolder]:
    """Make the folder of a pack where it is missing, and lock it against other processes.

    Raises:
        InputError: when the folder holds other files, cannot be written, or is locked.
    """
    with locked_folder(folder) as locked:
        try:
            others = [path for path in folder.iterdir() if not path.name.startswith(".")]
            if others and not is_pack(folder):
                raise InputError(
                    f"{folder}: holds other files, such as {others[0].name}; name a new one"
                )
            yield locked
        except OSError as error:
            reason = error.strerror or error
            raise InputError(f"{folder}: cannot be written: {reason}; write elsewhere") from None


def _begin(manifest: Manifest, metadata: PackMetadata, out: Path) -> None:
    """Write the files beside the shards; in a pack that exists, check that it is the same."""
    if is_pack(out):
        _require_same_metadata(PackMetadata.read(out), metadata, out)
    for path in out.glob(".shard-*"):  # left by a killed process
        path.unlink()
    species = manifest.species_list()
    if not is_pack(out):
        with whole_file(out / METADATA_FILE) as temporary:
            temporary.write_text(metadata.to_json(), encoding="utf-8")
    if not (out / MANIFEST_FILE).exists():
        with whole_file(out / MANIFEST_FILE) as temporary, temporary.open("wb") as table:
            manifest.table.write_parquet(table)
    if not (out / SPECIES_FILE).exists() and len(species):
        species.write(out / SPECIES_FILE)


def _require_same_metadata(found: PackMetadata, metadata: PackMetadata, out: Path) -> None:
    for key, value in asdict(metadata).items():
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
    metadata: PackMetadata,
    out: Path,
    shard: int,
    pool: ThreadPoolExecutor,
    progress: Progress | None,
) -> None:
    """Write the tar file, then its index, each atomically."""
    path = shard_path(out, shard)
    lines = []
    with whole_file(path) as temporary, temporary.open("wb") as file:
        members = _in_order(pool, lambda row: encode(rows, row, metadata), metadata.rows(shard))
        for row, member in zip(metadata.rows(shard), members, strict=True):
            lines.append(
                {"row": row, "shard": shard, "offset": file.tell() + BLOCK}
                | rows.label(row)
                | member.index_cells()
            )
            if member.data is not None:
                file.write(tar_members(rows, row, metadata, member.data))
            if progress:
                progress(1)
        file.write(bytes(2 * BLOCK))
    # The shard reaches the disk before its index, also in a power failure.
    with whole_file(path.with_suffix(".parquet")) as temporary, temporary.open("wb") as index:
        pl.DataFrame(lines, schema=SCHEMA).write_parquet(index)


def _require_same_photos(
    rows: PhotoRows, done: Pack, pool: ThreadPoolExecutor, progress: Progress | None
) -> None:
    """Compare the source files of the finished shards with those they were made from."""
    positions, before = done.index["row"].to_list(), done.index["source_sha256"].to_list()
    found = _in_order(pool, lambda row: source_sha256(rows.photos[row]), positions)
    for position, (row, new) in enumerate(zip(positions, found, strict=True)):
        if before[position] != new:
            path = shard_path(done.folder, done.index["shard"][position])
            raise InputError(
                f"photo {rows.table['photo'][row]!r} has changed since it was packed in {path};"
                f" delete {path.with_suffix('.parquet').name} to write this shard again, or pack to"
                " another folder"
            )
        if progress:
            progress(1)


def _in_order(pool: ThreadPoolExecutor, work: Callable[[T], R], items: Iterable[T]) -> Generator[R]:
    """Yield the results in the order of the items; at most `_QUEUED_PHOTOS` wait in memory."""
    items = iter(items)
    waiting = deque(pool.submit(work, item) for item in islice(items, _QUEUED_PHOTOS))
    try:
        while waiting:
            yield waiting.popleft().result()
            waiting.extend(pool.submit(work, item) for item in islice(items, 1))
    finally:
        for future in waiting:
            future.cancel()
