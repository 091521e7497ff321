"""Check of a run's photos before the first step: each is decoded once.

A broken photo is found at the start of a long run and not at the step that uses it. A photo is
never replaced by another one.
"""

from __future__ import annotations

import io
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, field
from importlib import metadata
from typing import TYPE_CHECKING

import numpy as np
import polars as pl

from ophis.errors import BadPhotosError, InputError, PhotoError, PhotoFailure
from ophis.files.atomic import whole_file
from ophis.files.csv import numbered_rows, write_csv
from ophis.images.decode import MIN_SIDE
from ophis.train.pixels import read_resized
from ophis.train.run_log import Progress

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from numpy.typing import NDArray

    from ophis.datasets.manifest import Manifest
    from ophis.datasets.shards.reader import PackedPhoto
    from ophis.train.processes import Processes

SKIPPED = "skipped.csv"  # in a run folder
CHECKED = "checked-photos.parquet"
PHOTOS_BETWEEN_WRITES = 4096  # of the file of checked photos
_COLUMNS = ("part", "photo_id", "reason")
_SCHEMA = {
    "photo": pl.String,
    "size": pl.Int64,
    "time": pl.Int64,
    "reason": pl.String,
    "by": pl.String,
}
_DECODERS = ("ophis", "pillow", "simplejpeg")

Reasons = dict[str, dict[str, str]]  # by part of the run and photo id


@dataclass(frozen=True)
class PhotoCheck:
    """Options of the check.

    Attributes:
        processes: of the run; they divide the photos among themselves.
        workers: threads of each process that read photos.
        decode: every photo; else only test that its file exists.
        checked: file of the results of earlier checks.
        skip_bad: leave out bad photos instead of refusing them.
        progress: receives the number of photos checked.
    """

    processes: Processes
    workers: int
    decode: bool
    checked: Path
    skip_bad: bool = False
    progress: Progress = field(default_factory=Progress)


def usable_photos(
    train: Manifest, validation: Manifest, out: Path, check: PhotoCheck
) -> tuple[Manifest, Manifest]:
    """Check all photos of a run before it begins.

    For packed photos the index of the pack lists those that could not be packed.

    Args:
        train: photos to learn from.
        validation: photos to evaluate on.
        out: the run folder. Photos left out are listed in its `skipped.csv`, and stay out when the
            run resumes.
        check: options.

    Returns:
        Both manifests without the photos left out.

    Raises:
        BadPhotosError: with all photos that cannot be used, unless ``skip_bad`` is set.
        InputError: when the run folder cannot be written.
    """
    processes = check.processes
    earlier = processes.gather(read_skipped(out) if check.skip_bad and processes.leads else {})[0]
    reasons: Reasons = {}
    for part, manifest in (("train", train), ("validation", validation)):
        bad, ids = _bad_rows(manifest, check), manifest.table["photo_id"]
        reasons[part] = earlier.get(part, {}) | {ids[row]: reason for row, reason in bad.items()}
    if not any(reasons.values()):
        return train, validation
    if not check.skip_bad:
        failures = [PhotoFailure(*item) for part in reasons.values() for item in part.items()]
        raise BadPhotosError(failures, photos=len(train) + len(validation))
    if processes.leads:
        _write_skipped(reasons, out)
    return _without(train, reasons["train"]), _without(validation, reasons["validation"])


def read_skipped(out: Path) -> Reasons:
    """Return the photos that a run left out, and the reasons."""
    reasons: Reasons = {}
    if (out / SKIPPED).exists():
        for _, (part, photo_id, reason) in list(numbered_rows(out / SKIPPED))[1:]:
            reasons.setdefault(part, {})[photo_id] = reason
    return reasons


def _write_skipped(reasons: Reasons, out: Path) -> None:
    rows = [(part, *item) for part, bad in reasons.items() for item in bad.items()]
    write_csv(out / SKIPPED, [_COLUMNS, *rows])


def _without(manifest: Manifest, bad: Mapping[str, str]) -> Manifest:
    """Return the manifest's other rows in their order; the manifest itself if none is bad."""
    if not bad:
        return manifest
    return manifest.take((~manifest.table["photo_id"].is_in(list(bad))).to_numpy())


def _bad_rows(manifest: Manifest, check: PhotoCheck) -> dict[int, str]:
    """Return the rows that cannot be used and the reasons; the same in every process."""
    photos, processes = manifest.photos(), check.processes
    if manifest.pack or not check.decode:
        return {row: _reason(photo) for row, photo in enumerate(photos) if not photo.is_file()}
    # Only the leader reads the file: other machines may not share its disk.
    known = CheckedPhotos(manifest, check.checked) if processes.leads else None
    unknown = processes.gather(known.unknown() if known else None)[0]
    if unknown is None or not len(unknown):
        return processes.gather(known.bad() if known else {})[0]
    pool = ThreadPoolExecutor(check.workers, thread_name_prefix="ophis-check")
    try:
        check.progress.photos_checked(0, len(unknown))
        for first in range(0, len(unknown), PHOTOS_BETWEEN_WRITES):
            rows = unknown[first : first + PHOTOS_BETWEEN_WRITES]
            mine = rows[processes.rank :: processes.count].tolist()
            found = dict(zip(mine, pool.map(_reason, [photos[row] for row in mine]), strict=True))
            parts = processes.gather(found)
            if known:
                known.add(rows, {row: why for part in parts for row, why in part.items()})
            check.progress.photos_checked(first + len(rows), len(unknown))
    finally:
        pool.shutdown(cancel_futures=True)
    return processes.gather(known.bad() if known else {})[0]


def _reason(photo: Path | PackedPhoto) -> str:
    """Return why a photo cannot be used, "" if it can. It is decoded as in training."""
    try:
        read_resized(photo, MIN_SIDE)
    except PhotoError as error:
        return str(error)
    return ""


class CheckedPhotos:
    """Results of earlier checks, kept in a Parquet file.

    A result is valid while size and time of the photo's file and the versions of the decoders are
    unchanged.

    Args:
        manifest: of files, not of a pack.
        file: with the results; it may not exist yet.
    """

    def __init__(self, manifest: Manifest, file: Path) -> None:
        self._file = file
        self._by = " ".join(f"{name} {metadata.version(name)}" for name in _DECODERS)
        folder = manifest.folder.resolve().as_posix()
        self._earlier = _read(file, self._by)
        state = np.array([_state(path) for path in manifest.paths()], np.int64).reshape(-1, 2)
        table = manifest.table.select(photo=pl.lit(f"{folder}/") + pl.col("photo"))
        table = table.with_columns(size=state[:, 0], time=state[:, 1])
        on = ("photo", "size", "time")
        self._table = table.join(self._earlier, on=on, how="left", maintain_order="left")

    def unknown(self) -> NDArray[np.int64]:
        """Return the rows of the manifest without a valid result."""
        return self._table["reason"].is_null().arg_true().to_numpy().astype(np.int64)

    def add(self, rows: NDArray[np.int64], reasons: Mapping[int, str]) -> None:
        """Add the results of some rows; those without a reason are usable.

        If the file cannot be written, the photos are checked again the next time.
        """
        found = self._table["reason"].scatter(rows, [reasons.get(row, "") for row in rows.tolist()])
        self._table = self._table.with_columns(reason=found)
        known = self._table.filter(pl.col("reason").is_not_null()).unique("photo")
        others = self._earlier.join(known, on="photo", how="anti")
        table = pl.concat([others, known.select(others.columns)])
        # Through memory: polars raises no OSError when the disk is full.
        written = io.BytesIO()
        table.with_columns(by=pl.lit(self._by)).select(_SCHEMA.keys()).write_parquet(written)
        with suppress(InputError), whole_file(self._file, synced=False) as temporary:
            temporary.write_bytes(written.getvalue())

    def bad(self) -> dict[int, str]:
        """Return the rows that cannot be used and the reasons."""
        rows = (self._table["reason"].fill_null("") != "").arg_true()
        return dict(zip(rows.to_list(), self._table["reason"][rows].to_list(), strict=True))


def _state(path: Path) -> tuple[int, int]:
    """Return bytes and modification time (ns) of a file; -1 where there is none."""
    try:
        stat = path.stat()
    except OSError:
        return -1, -1
    return stat.st_size, stat.st_mtime_ns


def _read(file: Path, by: str) -> pl.DataFrame:
    """Return the results of the present decoders; none if the file is missing or damaged."""
    try:
        table = pl.read_parquet(file)
    except (OSError, pl.exceptions.PolarsError, pl.exceptions.PanicException):
        table = pl.DataFrame(schema=_SCHEMA)
    if dict(table.schema) != _SCHEMA:
        table = pl.DataFrame(schema=_SCHEMA)
    return table.filter(pl.col("by") == by).drop("by").unique("photo", maintain_order=True)
