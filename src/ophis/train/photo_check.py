"""Check of a run's photos before the first step: each is decoded once.

A broken photo is found at the start of a long run and not at the step that uses it. A photo is
never replaced by another one. A validation photo with the content of a training photo is refused
like a broken one.
"""

from __future__ import annotations

import io
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, field, replace
from functools import partial
from importlib import metadata
from typing import TYPE_CHECKING

import numpy as np
import polars as pl

from ophis.datasets.folders.links import report_same_content
from ophis.datasets.training_photos import (
    UNREADABLE,
    content_digest,
    content_digests,
    training_rows,
    union,
)
from ophis.errors import BadPhotosError, InputError, PhotoError, PhotoFailure
from ophis.files.atomic import whole_file
from ophis.files.csv import numbered_rows, write_csv
from ophis.files.names import path_or_content
from ophis.images.decode import MIN_SIDE, read_bytes
from ophis.train.pixels import decode_square, read_resized
from ophis.train.run_log import Progress

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from numpy.typing import NDArray

    from ophis.datasets.manifest import Manifest
    from ophis.datasets.shards.reader import PackedPhoto
    from ophis.datasets.training_photos import Digests
    from ophis.train.processes import Processes
    from ophis.train.run_folder import RunInputs

SKIPPED = "skipped.csv"  # in a run folder
CHECKED = "checked-photos.parquet"
PHOTOS_BETWEEN_WRITES = 4096  # of the file of checked photos
_COLUMNS = ("part", "photo_id", "reason")
_SCHEMA = {
    "photo": pl.String,
    "size": pl.Int64,
    "time": pl.Int64,
    "reason": pl.String,
    "digest": pl.UInt64,
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
        decode: decode every photo; else its file is only read.
        checked: file of the results of earlier checks.
        learned: digests of photos that the network has learned from before this run.
        skip_bad: leave out bad photos instead of refusing them.
        progress: receives the number of photos checked.
    """

    processes: Processes
    workers: int
    decode: bool
    checked: Path
    learned: Digests
    skip_bad: bool = False
    progress: Progress = field(default_factory=Progress)


def usable_photos(inputs: RunInputs, out: Path, check: PhotoCheck) -> RunInputs:
    """Check all photos of a run before it begins.

    For packed photos the index of the pack lists those that could not be packed. A validation
    photo whose file has the content of a training photo is bad. Training photos of one content and
    two species are reported in a log line.

    Args:
        inputs: photos to learn from and to evaluate on.
        out: the run folder. Photos left out are listed in its `skipped.csv`, and stay out when the
            run resumes.
        check: options.

    Returns:
        The inputs without the photos left out, with the digests of the photos that the network
        learns from, and of these and all that it has learned from.

    Raises:
        BadPhotosError: with all photos that cannot be used, unless ``skip_bad`` is set.
        InputError: when the run folder cannot be written.
    """
    train, validation, processes = inputs.train, inputs.validation, check.processes
    earlier = processes.gather(read_skipped(out) if check.skip_bad and processes.leads else {})[0]
    bad, digests = _examine(train, check)
    if processes.leads:
        report_same_content(train, digests, unread=UNREADABLE)
    reasons: Reasons = {"train": earlier.get("train", {}) | _by_id(train, bad)}
    training = digests[_rows_without(train, reasons["train"])]
    learned = union([check.learned, training])
    bad, digests = _examine(validation, check)
    photos = validation.photos()
    for row in np.flatnonzero(training_rows(digests, learned)).tolist():
        bad[row] = f"{photos[row]}: a training photo has the same content; a photo serves only one"
    reasons["validation"] = earlier.get("validation", {}) | _by_id(validation, bad)
    if any(reasons.values()):
        if not check.skip_bad:
            failures = [PhotoFailure(*item) for part in reasons.values() for item in part.items()]
            raise BadPhotosError(failures, photos=len(train) + len(validation))
        if processes.leads:
            _write_skipped(reasons, out)
        train = train.take(_rows_without(train, reasons["train"]))
        validation = validation.take(_rows_without(validation, reasons["validation"]))
    return replace(inputs, train=train, validation=validation, digests=training, learned=learned)


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


def _by_id(manifest: Manifest, bad: Mapping[int, str]) -> dict[str, str]:
    ids = manifest.table["photo_id"]
    return {ids[row]: reason for row, reason in bad.items()}


def _rows_without(manifest: Manifest, bad: Mapping[str, str]) -> NDArray[np.bool_]:
    return (~manifest.table["photo_id"].is_in(list(bad))).to_numpy()


def _examine(manifest: Manifest, check: PhotoCheck) -> tuple[dict[int, str], Digests]:
    """Return the rows that cannot be used with the reasons, and the digest of each photo.

    Both are the same in every process.
    """
    photos, processes = manifest.photos(), check.processes
    if manifest.pack:
        bad = {row: _reason(photo) for row, photo in enumerate(photos) if not photo.is_file()}
        return bad, content_digests(manifest)
    # Only the leader reads the file: other machines may not share its disk.
    known = CheckedPhotos(manifest, check.checked, decode=check.decode) if processes.leads else None
    unknown = processes.gather(known.unknown() if known else None)[0]
    if unknown is not None and len(unknown):
        _examine_files(manifest.paths(), unknown, known, check)
    found = processes.gather((known.bad(), known.digests()) if known else None)[0]
    assert found is not None
    return found


def _examine_files(
    paths: Sequence[Path],
    unknown: NDArray[np.int64],
    known: CheckedPhotos | None,
    check: PhotoCheck,
) -> None:
    """Examine some rows; each process takes a part, and the leader adds all results."""
    processes = check.processes
    pool = ThreadPoolExecutor(check.workers, thread_name_prefix="ophis-check")
    try:
        check.progress.photos_checked(0, len(unknown))
        for first in range(0, len(unknown), PHOTOS_BETWEEN_WRITES):
            rows = unknown[first : first + PHOTOS_BETWEEN_WRITES]
            mine = rows[processes.rank :: processes.count].tolist()
            work = partial(_examine_file, decode=check.decode)
            found = dict(zip(mine, pool.map(work, [paths[row] for row in mine]), strict=True))
            parts = processes.gather(found)
            if known:
                known.add(rows, {row: each for part in parts for row, each in part.items()})
            check.progress.photos_checked(first + len(rows), len(unknown))
    finally:
        pool.shutdown(cancel_futures=True)


def _examine_file(path: Path, *, decode: bool) -> tuple[str, int]:
    """Return why a photo cannot be used, "" if it can, and its digest."""
    try:
        data = read_bytes(path)
        if decode:
            decode_square(data, MIN_SIDE, str(path))
    except PhotoError as error:
        return str(error), UNREADABLE
    return "", content_digest(data)


def _reason(photo: Path | PackedPhoto) -> str:
    """Return why a packed photo cannot be used."""
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
        decode: whether the photos are decoded, or only read.
    """

    def __init__(self, manifest: Manifest, file: Path, *, decode: bool) -> None:
        self._file = file
        decoders = " ".join(f"{name} {metadata.version(name)}" for name in _DECODERS)
        self._by = decoders if decode else "not decoded"
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

    def add(self, rows: NDArray[np.int64], found: Mapping[int, tuple[str, int]]) -> None:
        """Add the results of some rows: reason, empty for a usable photo, and digest.

        If the file cannot be written, the photos are checked again the next time.
        """
        reasons, digests = zip(*(found[row] for row in rows.tolist()), strict=True)
        self._table = self._table.with_columns(
            reason=self._table["reason"].scatter(rows, reasons),
            digest=self._table["digest"].scatter(rows, pl.Series(digests, dtype=pl.UInt64)),
        )
        known = self._table.filter(pl.col("reason").is_not_null()).unique("photo")
        others = self._earlier.join(known, on="photo", how="anti")
        table = pl.concat([others, known.select(others.columns)])
        # Through memory: polars raises no OSError when the disk is full.
        written = io.BytesIO()
        table.with_columns(by=pl.lit(self._by)).select(_SCHEMA.keys()).write_parquet(written)
        if not self._file.parent.is_dir():  # moved meanwhile; the run ends before its first step
            return
        with suppress(InputError), whole_file(self._file, synced=False) as temporary:
            temporary.write_bytes(written.getvalue())

    def bad(self) -> dict[int, str]:
        """Return the rows that cannot be used and the reasons."""
        rows = (self._table["reason"].fill_null("") != "").arg_true()
        return dict(zip(rows.to_list(), self._table["reason"][rows].to_list(), strict=True))

    def digests(self) -> Digests:
        """Return the digest of each photo, [photos]."""
        return self._table["digest"].fill_null(UNREADABLE).to_numpy()


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
        table = pl.read_parquet(path_or_content(file))
    except (OSError, pl.exceptions.PolarsError, pl.exceptions.PanicException):
        table = pl.DataFrame(schema=_SCHEMA)
    if dict(table.schema) != _SCHEMA:
        table = pl.DataFrame(schema=_SCHEMA)
    return table.filter(pl.col("by") == by).drop("by").unique("photo", maintain_order=True)
