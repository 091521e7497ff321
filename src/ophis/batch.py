"""Many photos through one model: rows stay where they are, bad photos are listed."""

from __future__ import annotations

import os
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from ophis.errors import PhotoError
from ophis.images import read_photo
from ophis.scores import PhotoFailure, Scores, joined
from ophis.views import WHOLE, mean_of_views, shown

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from numpy.typing import NDArray

    from ophis.images import Preprocessing
    from ophis.manifest import Manifest
    from ophis.packed import PackedPhoto
    from ophis.taxa import SpeciesList
    from ophis.views import View

    Outputs = tuple[NDArray[np.float32], NDArray[np.float32] | None]
    Forward = Callable[[NDArray[np.float32]], Outputs]


@dataclass(frozen=True, eq=False)
class PixelBatch:
    """Some photos of a manifest, read and preprocessed.

    Attributes:
        rows: of the manifest, one a readable photo.
        pixels: [rows * views, 3, side, side] float32, the views of a photo one after the other; of
            no meaning where there are no rows.
        failures: the unreadable ones.
        photos: both together.
    """

    rows: list[int]
    pixels: NDArray[np.float32]
    failures: list[PhotoFailure]
    photos: int


def pixel_batches(
    manifest: Manifest,
    *,
    preprocessing: Preprocessing,
    views: tuple[View, ...] = WHOLE,
    workers: int | None = None,
    batch_photos: int = 16,
) -> Iterator[PixelBatch]:
    """Read the photos of a manifest in its order, some at a time, in threads.

    As many pixels are kept at once as of ``batch_photos`` whole photos, or those of one photo.
    """
    paths, photo_ids = manifest.photos(), manifest.table["photo_id"].to_list()
    batch_photos = max(1, batch_photos // len(views))
    with ThreadPoolExecutor(workers or os.cpu_count() or 1) as pool:
        for start in range(0, len(paths), batch_photos):
            part = range(start, min(start + batch_photos, len(paths)))
            outcomes = list(pool.map(lambda row: _pixels(paths[row], preprocessing, views), part))
            rows, pixels, failures = [], [], []
            for row, outcome in zip(part, outcomes, strict=True):
                if isinstance(outcome, PhotoError):
                    failures.append(PhotoFailure(photo_ids[row], str(outcome)))
                else:
                    rows.append(row)
                    pixels.append(outcome)
            yield PixelBatch(
                rows=rows,
                pixels=np.concatenate(pixels) if pixels else np.zeros(0, np.float32),
                failures=failures,
                photos=len(part),
            )


def score_photos(
    forward: Forward,
    manifest: Manifest,
    *,
    species: SpeciesList,
    preprocessing: Preprocessing,
    views: tuple[View, ...] = WHOLE,
    workers: int | None = None,
    batch_photos: int = 16,
    progress: Callable[[int], None] | None = None,
) -> Scores:
    """Read, preprocess and score every photo of a manifest.

    Args:
        forward: [photos, 3, pixels, pixels] float32 -> logits [photos, species] and novelty
            [photos] or None.
        manifest: the photos; those without a species get the truth -1.
        species: the columns of the logits.
        preprocessing: what is done to each photo.
        views: how each photo is shown; logits and novelty are the means over them.
        workers: threads that read photos; by default one a processor core.
        batch_photos: photos a call of ``forward``.
        progress: called with the number of photos done since the last call.

    Returns:
        Scores: a row a readable photo, in the manifest's order; each unreadable photo stands in
        `Scores.failures` with its reason and has no row.

    Raises:
        InputError: when the manifest holds a species that the list does not.
    """
    truth = manifest.truth(species)
    rows: list[int] = []
    logits = [np.zeros((0, len(species)), np.float32)]
    novelty: list[NDArray[np.float32] | None] = []
    failures: list[PhotoFailure] = []
    for batch in pixel_batches(
        manifest,
        preprocessing=preprocessing,
        views=views,
        workers=workers,
        batch_photos=batch_photos,
    ):
        rows += batch.rows
        failures += batch.failures
        if batch.rows:
            found, strange = forward(batch.pixels)
            logits.append(mean_of_views(found, len(views)))
            novelty.append(None if strange is None else mean_of_views(strange, len(views)))
        if progress:
            progress(batch.photos)
    return Scores(
        logits=np.concatenate(logits),
        species=species,
        truth=truth[rows],
        failures=tuple(failures),
        novelty=joined(novelty),
        **_texts(manifest, rows),
    )


def _pixels(
    path: Path | PackedPhoto, preprocessing: Preprocessing, views: tuple[View, ...]
) -> NDArray[np.float32] | PhotoError:
    try:
        return shown(read_photo(path), preprocessing, views)
    except PhotoError as error:
        return error


def _texts(manifest: Manifest, rows: list[int]) -> dict[str, Any]:
    return {
        name: tuple(manifest.table[column].gather(rows))
        for name, column in (
            ("photo_ids", "photo_id"),
            ("countries", "country"),
            ("observations", "observation"),
        )
    }
