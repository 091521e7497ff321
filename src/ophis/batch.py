"""Many photos through one model: rows stay where they are, bad photos are listed."""

from __future__ import annotations

import os
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

import numpy as np

from ophis.errors import PhotoError
from ophis.images import preprocess, read_photo
from ophis.scores import PhotoFailure, Scores

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from numpy.typing import NDArray

    from ophis.images import Preprocessing
    from ophis.manifest import Manifest
    from ophis.taxa import SpeciesList

    Forward = Callable[[NDArray[np.float32]], NDArray[np.float32]]


def score_photos(
    forward: Forward,
    manifest: Manifest,
    *,
    species: SpeciesList,
    preprocessing: Preprocessing,
    workers: int | None = None,
    batch_photos: int = 16,
    progress: Callable[[int], None] | None = None,
) -> Scores:
    """Read, preprocess and score every photo of a manifest.

    Args:
        forward: [photos, 3, pixels, pixels] float32 -> logits [photos, species] float32.
        manifest: the photos; those without a species get the truth -1.
        species: the columns of the logits.
        preprocessing: what is done to each photo.
        workers: threads that read photos; by default one a processor core.
        batch_photos: photos a call of ``forward``.
        progress: called with the number of photos done since the last call.

    Returns:
        Scores: a row a readable photo, in the manifest's order; each unreadable photo stands in
        `Scores.failures` with its reason and has no row.

    Raises:
        InputError: when the manifest holds a species that the list does not.
    """
    paths, truth = manifest.paths(), manifest.truth(species)
    rows: list[int] = []
    logits = [np.zeros((0, len(species)), np.float32)]
    failures: list[PhotoFailure] = []
    photo_ids = manifest.table["photo_id"].to_list()
    with ThreadPoolExecutor(workers or os.cpu_count() or 1) as pool:
        for start in range(0, len(paths), batch_photos):
            part = range(start, min(start + batch_photos, len(paths)))
            outcomes = pool.map(lambda row: _pixels(paths[row], preprocessing), part)
            pixels = []
            for row, outcome in zip(part, outcomes, strict=True):
                if isinstance(outcome, PhotoError):
                    failures.append(PhotoFailure(photo_ids[row], str(outcome)))
                else:
                    rows.append(row)
                    pixels.append(outcome)
            if pixels:
                logits.append(forward(np.stack(pixels)))
            if progress:
                progress(len(part))
    return _scores(manifest, rows, np.concatenate(logits), species, truth, failures)


def _pixels(path: Path, preprocessing: Preprocessing) -> NDArray[np.float32] | PhotoError:
    try:
        return preprocess(read_photo(path), preprocessing)
    except PhotoError as error:
        return error


def _scores(
    manifest: Manifest,
    rows: list[int],
    logits: NDArray[np.float32],
    species: SpeciesList,
    truth: NDArray[np.int64],
    failures: list[PhotoFailure],
) -> Scores:
    columns: dict[str, Any] = {
        name: tuple(manifest.table[column].gather(rows))
        for name, column in (
            ("photo_ids", "photo_id"),
            ("countries", "country"),
            ("observations", "observation"),
        )
    }
    return Scores(
        logits=logits, species=species, truth=truth[rows], failures=tuple(failures), **columns
    )
