"""The photos of a run, each decoded once before the first step: bad ones are refused, or skipped.

Whoever trains for a day learns of a broken photo at the start, not at the step that meets it, and a
photo is never replaced by another one. See `checked_photos` for what need not be decoded again.
"""

from __future__ import annotations

import sys
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass
from typing import TYPE_CHECKING

from ophis.cli.terminal.progress import bar
from ophis.datasets.resized import read_square
from ophis.errors import BadPhotosError, PhotoError, PhotoFailure
from ophis.files.csv import numbered_rows, write_csv
from ophis.images.preprocessing import LEAST_SIDE
from ophis.train.checked_photos import CheckedPhotos

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

    from ophis.datasets.manifest import Manifest
    from ophis.datasets.shards.reader import PackedPhoto
    from ophis.train.processes import Processes

SKIPPED = "skipped.csv"  # in a run folder
CHECKED = "checked-photos.parquet"
AT_ONCE = 4096  # photos between two notes of what is done
_COLUMNS = ("part", "photo_id", "reason")

Reasons = dict[str, dict[str, str]]  # by part of the run and id of the photo


@dataclass(frozen=True)
class Look:
    """How the photos of a run are looked at.

    Attributes:
        processes: of the run; they share the photos.
        workers: threads of each that read.
        decode: every photo; else only see that it is there.
        noted: the file that says what was decoded before.
        quiet: show nothing meanwhile.
    """

    processes: Processes
    workers: int
    decode: bool
    noted: Path
    quiet: bool = False


def usable_photos(
    train: Manifest, validation: Manifest, out: Path, *, look: Look, skip_bad: bool
) -> tuple[Manifest, Manifest]:
    """Look at all photos of a run before it begins.

    Of a pack the index says which photos could not be packed.

    Args:
        train: photos to learn from.
        validation: photos to judge by.
        out: the run folder.
        look: how.
        skip_bad: leave bad photos out instead of refusing them, and name them in `skipped.csv`;
            what an earlier call left out stays out.

    Returns:
        Both without the photos that are skipped.

    Raises:
        BadPhotosError: with all photos that cannot be used.
        InputError: when the run folder cannot be written.
    """
    processes = look.processes
    earlier = processes.gather(read_skipped(out) if skip_bad and processes.leads else {})[0]
    reasons: Reasons = {}
    for part, manifest in (("train", train), ("validation", validation)):
        bad, ids = _bad(manifest, look), manifest.table["photo_id"]
        reasons[part] = earlier.get(part, {}) | {ids[row]: why for row, why in bad.items()}
    if not any(reasons.values()):
        return train, validation
    if not skip_bad:
        failures = [PhotoFailure(*one) for part in reasons.values() for one in part.items()]
        raise BadPhotosError(failures, photos=len(train) + len(validation))
    if processes.leads:
        _write_skipped(reasons, out)
    return _without(train, reasons["train"]), _without(validation, reasons["validation"])


def read_skipped(out: Path) -> Reasons:
    """The photos that a run left out, and why."""
    reasons: Reasons = {}
    if (out / SKIPPED).exists():
        for _, (part, photo_id, reason) in list(numbered_rows(out / SKIPPED))[1:]:
            reasons.setdefault(part, {})[photo_id] = reason
    return reasons


def _write_skipped(reasons: Reasons, out: Path) -> None:
    rows = [(part, *one) for part, bad in reasons.items() for one in bad.items()]
    write_csv(out / SKIPPED, [_COLUMNS, *rows])


def _without(manifest: Manifest, bad: Mapping[str, str]) -> Manifest:
    """The manifest itself, or all rows of it but the bad ones, in their order."""
    if not bad:
        return manifest
    return manifest.take((~manifest.table["photo_id"].is_in(list(bad))).to_numpy())


def _bad(manifest: Manifest, look: Look) -> dict[int, str]:
    """Why each row that cannot be used cannot; the same in every process."""
    photos, processes = manifest.photos(), look.processes
    if manifest.pack or not look.decode:
        return {row: _reason(photo) for row, photo in enumerate(photos) if not photo.is_file()}
    # The leader says what there is to do: other machines may not see its notes.
    notes = CheckedPhotos(manifest, look.noted) if processes.leads else None
    unknown = processes.gather(notes.unknown() if notes else None)[0]
    if unknown is None or not len(unknown):
        return processes.gather(notes.bad() if notes else {})[0]
    pool = ThreadPoolExecutor(look.workers, thread_name_prefix="ophis-check")
    with ExitStack() as stack:
        stack.callback(pool.shutdown, cancel_futures=True)
        advance = _shown(stack, len(unknown)) if notes and not look.quiet else None
        for first in range(0, len(unknown), AT_ONCE):
            rows = unknown[first : first + AT_ONCE]
            mine = rows[processes.rank :: processes.count].tolist()
            found = dict(zip(mine, pool.map(_reason, [photos[row] for row in mine]), strict=True))
            everyone = processes.gather(found)
            if notes:
                notes.note(rows, {row: why for share in everyone for row, why in share.items()})
            if advance:
                advance(len(rows))
    return processes.gather(notes.bad() if notes else {})[0]


def _shown(stack: ExitStack, photos: int) -> Callable[[int], None]:
    """Say how many photos are looked at, where it takes its time, and how far it is."""
    if photos > AT_ONCE:
        print(f"looking at {photos:,} photos before the first step", file=sys.stderr, flush=True)
    return stack.enter_context(bar(photos))


def _reason(photo: Path | PackedPhoto) -> str:
    """Why a photo cannot be used; "" where it can. It is read as training reads it."""
    try:
        read_square(photo, LEAST_SIDE)
    except PhotoError as error:
        return str(error)
    return ""
