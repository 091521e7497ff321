"""Batches of a manifest's photos, read in threads, and their scores by one network."""

from __future__ import annotations

import hashlib
import os
from collections import deque
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from ophis.datasets.shards.pixels import read_packed
from ophis.datasets.shards.reader import PackedPhoto
from ophis.errors import PhotoError, PhotoFailure, require_whole
from ophis.images.decode import decode, read_bytes, read_photo
from ophis.images.preprocessing import decode_resized, normalise
from ophis.images.test_time_augmentation import NO_TTA, mean_over_crops, network_input
from ophis.scores.scores import SHA256_BYTES, Scores, concatenate

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence
    from concurrent.futures import Future
    from pathlib import Path

    import polars as pl
    from numpy.typing import NDArray

    from ophis.datasets.manifest import Manifest
    from ophis.images.preprocessing import Preprocessing
    from ophis.images.test_time_augmentation import Crop
    from ophis.taxonomy.species_list import SpeciesList

    _Read = tuple[NDArray[np.float32], bytes]
    Outputs = tuple[NDArray[np.float32], NDArray[np.float32] | None]
    Forward = Callable[[NDArray[np.float32]], Outputs]

_NO_TRUTH = np.zeros(0, np.int64)


@dataclass(frozen=True, eq=False)
class PixelBatch:
    """Photos of a manifest, read and preprocessed.

    Attributes:
        rows: rows of the manifest, one for each readable photo.
        pixels: [rows * crops, 3, side, side] float32, the crops of a photo one after the other;
            without meaning when there are no rows.
        sha256: [rows, 32], uint8: digests of the files, see `Scores`.
        failures: the unreadable photos.
        photos: number of readable and unreadable photos.
    """

    rows: list[int]
    pixels: NDArray[np.float32]
    sha256: NDArray[np.uint8]
    failures: list[PhotoFailure]
    photos: int


def pixel_batches(
    manifest: Manifest,
    *,
    preprocessing: Preprocessing,
    tta: tuple[Crop, ...] = NO_TTA,
    workers: int | None = None,
    batch_photos: int = 16,
) -> Iterator[PixelBatch]:
    """Read the photos of a manifest in its order, in batches and in threads.

    The threads read ahead so that all workers are busy while the caller works on a batch. With
    ``tta`` a batch has fewer photos, so that it has at most ``batch_photos`` crops, or those of
    one photo.
    """
    workers = workers or os.cpu_count() or 1
    require_whole("workers", workers, least=1)
    photos, photo_ids = manifest.photos(), manifest.table["photo_id"]
    batch_photos = max(1, batch_photos // len(tta))
    ahead = -(-workers // batch_photos)
    reading: deque[tuple[range, list[Future[_Read | PhotoError]]]] = deque()

    def next_read() -> PixelBatch:
        rows, outcomes = reading.popleft()
        return _batch(rows, [outcome.result() for outcome in outcomes], photo_ids)

    pool = ThreadPoolExecutor(workers)
    try:
        for first in range(0, len(manifest), batch_photos):
            rows = range(first, min(first + batch_photos, len(manifest)))
            submitted = [pool.submit(_pixels, photos[row], preprocessing, tta) for row in rows]
            reading.append((rows, submitted))
            if len(reading) > ahead:
                yield next_read()
        while reading:
            yield next_read()
    finally:
        pool.shutdown(cancel_futures=True)


def _batch(rows: range, outcomes: Sequence[_Read | PhotoError], photo_ids: pl.Series) -> PixelBatch:
    read: dict[int, _Read] = {}
    failures = []
    for row, outcome in zip(rows, outcomes, strict=True):
        if isinstance(outcome, PhotoError):
            failures.append(PhotoFailure(photo_ids[row], str(outcome), outcome.reason))
        else:
            read[row] = outcome
    return PixelBatch(
        rows=list(read),
        pixels=np.concatenate([pixels for pixels, _ in read.values()])
        if read
        else np.zeros(0, np.float32),
        sha256=np.frombuffer(b"".join(digest for _, digest in read.values()), np.uint8).reshape(
            len(read), SHA256_BYTES
        ),
        failures=failures,
        photos=len(rows),
    )


def score_batches(
    forward: Forward,
    manifest: Manifest,
    *,
    species: SpeciesList,
    preprocessing: Preprocessing,
    tta: tuple[Crop, ...] = NO_TTA,
    workers: int | None = None,
    batch_photos: int = 16,
) -> Iterator[Scores]:
    """Read, preprocess and score the photos of a manifest in its order, batch by batch.

    Args:
        forward: [photos, 3, pixels, pixels] float32 -> logits [photos, species] and OOD scores
            [photos] or None.
        manifest: the photos; those without a species get the truth -1.
        species: columns of the logits.
        preprocessing: resize and normalisation of each photo.
        tta: crops of each photo; logits and OOD scores are averaged over them.
        workers: threads that read photos; by default one a processor core.
        batch_photos: photos of one call of ``forward``.

    Yields:
        Scores of a batch: one row for each readable photo. An unreadable photo is in
        `Scores.failures` with its reason and has no row.

    Raises:
        InputError: when the manifest holds a species that the list does not.
    """
    truth = manifest.truth(species)
    for batch in pixel_batches(
        manifest,
        preprocessing=preprocessing,
        tta=tta,
        workers=workers,
        batch_photos=batch_photos,
    ):
        logits: NDArray[np.float32] = np.zeros((0, len(species)), np.float32)
        ood_score = None
        if batch.rows:
            found, ood = forward(batch.pixels)
            logits = mean_over_crops(found, len(tta))
            ood_score = None if ood is None else mean_over_crops(ood, len(tta))
        yield Scores(
            logits=logits,
            species=species,
            truth=truth[batch.rows],
            failures=tuple(batch.failures),
            ood_score=ood_score,
            sha256=batch.sha256,
            **row_texts(manifest, np.array(batch.rows, np.int64)),
        )


def joined_batches(
    batches: Iterable[Scores],
    species: SpeciesList,
    *,
    progress: Callable[[int], None] | None = None,
) -> Scores:
    """Concatenate the scores of batches, of which there may be none.

    Args:
        batches: scores of the same columns.
        species: these columns.
        progress: called with the number of photos done since the last call.
    """
    parts = [Scores(np.zeros((0, len(species)), np.float32), species, (), _NO_TRUTH, (), ())]
    for batch in batches:
        parts.append(batch)
        if progress:
            progress(len(batch) + len(batch.failures))
    return concatenate(parts)


def _pixels(
    path: Path | PackedPhoto, preprocessing: Preprocessing, tta: tuple[Crop, ...]
) -> _Read | PhotoError:
    """Return the crops of a photo, and the digest of the bytes that were decoded."""
    side = preprocessing.pixels
    try:
        if isinstance(path, PackedPhoto):
            photo = read_packed(path, side) if tta == NO_TTA else read_photo(path)
            digest = path.source_sha256
        else:
            data, name = read_bytes(path), str(path)
            photo = decode_resized(data, side, name) if tta == NO_TTA else decode(data, name)
            digest = hashlib.sha256(data).digest()
    except PhotoError as error:
        return error
    if isinstance(photo, np.ndarray):
        return normalise(photo[None], preprocessing), digest
    return network_input(photo, preprocessing, tta), digest


def row_texts(manifest: Manifest, rows: NDArray[np.int64]) -> dict[str, Any]:
    """Return the texts of some rows of a manifest, by their names in `Scores`."""
    return {
        name: tuple(manifest.table[column].gather(rows))
        for name, column in (
            ("photo_ids", "photo_id"),
            ("countries", "country"),
            ("observations", "observation"),
        )
    }
