"""Many photos through one model: rows stay where they are, bad photos are listed."""

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
from ophis.errors import PhotoError, PhotoFailure
from ophis.images.decode import decode, read_bytes, read_photo
from ophis.images.preprocessing import decode_resized, normalise
from ophis.images.test_time_augmentation import NO_TTA, mean_over_crops, network_input
from ophis.scores.scores import SHA256_BYTES, Scores, concatenate

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from concurrent.futures import Future
    from pathlib import Path

    import polars as pl
    from numpy.typing import NDArray

    from ophis.datasets.manifest import Manifest
    from ophis.images.preprocessing import Preprocessing
    from ophis.images.test_time_augmentation import Crop
    from ophis.taxonomy.species_list import SpeciesList

    _Seen = tuple[NDArray[np.float32], bytes]
    Outputs = tuple[NDArray[np.float32], NDArray[np.float32] | None]
    Forward = Callable[[NDArray[np.float32]], Outputs]

_NO_TRUTH = np.zeros(0, np.int64)


@dataclass(frozen=True, eq=False)
class PixelBatch:
    """Some photos of a manifest, read and preprocessed.

    Attributes:
        rows: of the manifest, one a readable photo.
        pixels: [rows * crops, 3, side, side] float32, the crops of a photo one after the other; of
            no meaning where there are no rows.
        sha256: [rows, 32], uint8: digests of the files, see `Scores`.
        failures: the unreadable ones.
        photos: both together.
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
    start: int = 0,
) -> Iterator[PixelBatch]:
    """Read the photos of a manifest in its order from row ``start``, some at a time, in threads.

    While one batch is looked at, as many more are read as keep all workers busy. As many pixels
    are kept of each as of ``batch_photos`` whole photos, or those of one photo.
    """
    workers = workers or os.cpu_count() or 1
    photos, photo_ids = manifest.photos(), manifest.table["photo_id"]
    batch_photos = max(1, batch_photos // len(tta))
    ahead = -(-workers // batch_photos)
    reading: deque[tuple[range, list[Future[_Seen | PhotoError]]]] = deque()

    def next_read() -> PixelBatch:
        rows, outcomes = reading.popleft()
        return _batch(rows, [outcome.result() for outcome in outcomes], photo_ids)

    pool = ThreadPoolExecutor(workers)
    try:
        for first in range(start, len(manifest), batch_photos):
            rows = range(first, min(first + batch_photos, len(manifest)))
            submitted = [pool.submit(_pixels, photos[row], preprocessing, tta) for row in rows]
            reading.append((rows, submitted))
            if len(reading) > ahead:
                yield next_read()
        while reading:
            yield next_read()
    finally:
        pool.shutdown(cancel_futures=True)


def _batch(rows: range, outcomes: Sequence[_Seen | PhotoError], photo_ids: pl.Series) -> PixelBatch:
    read: dict[int, _Seen] = {}
    failures = []
    for row, outcome in zip(rows, outcomes, strict=True):
        if isinstance(outcome, PhotoError):
            failures.append(PhotoFailure(photo_ids[row], str(outcome), outcome.reason))
        else:
            read[row] = outcome
    return PixelBatch(
        rows=list(read),
        pixels=np.concatenate([seen for seen, _ in read.values()])
        if read
        else np.zeros(0, np.float32),
        sha256=np.frombuffer(b"".join(digest for _, digest in read.values()), np.uint8).reshape(
            len(read), SHA256_BYTES
        ),
        failures=failures,
        photos=len(rows),
    )


def score_photos(
    forward: Forward,
    manifest: Manifest,
    *,
    species: SpeciesList,
    preprocessing: Preprocessing,
    tta: tuple[Crop, ...] = NO_TTA,
    workers: int | None = None,
    batch_photos: int = 16,
    progress: Callable[[int], None] | None = None,
) -> Scores:
    """Read, preprocess and score every photo of a manifest.

    Args:
        forward: [photos, 3, pixels, pixels] float32 -> logits [photos, species] and OOD scores
            [photos] or None.
        manifest: the photos; those without a species get the truth -1.
        species: the columns of the logits.
        preprocessing: what is done to each photo.
        tta: crops of each photo; logits and OOD scores are averaged over them.
        workers: threads that read photos; by default one a processor core.
        batch_photos: photos a call of ``forward``.
        progress: called with the number of photos done since the last call.

    Returns:
        Scores: a row a readable photo, in the manifest's order; each unreadable photo stands in
        `Scores.failures` with its reason and has no row.

    Raises:
        InputError: when the manifest holds a species that the list does not.
    """
    nothing = Scores(np.zeros((0, len(species)), np.float32), species, (), _NO_TRUTH, (), ())
    parts = [nothing]
    for part in score_batches(
        forward,
        manifest,
        species=species,
        preprocessing=preprocessing,
        tta=tta,
        workers=workers,
        batch_photos=batch_photos,
    ):
        parts.append(part)
        if progress:
            progress(len(part) + len(part.failures))
    return concatenate(parts)


def score_batches(
    forward: Forward,
    manifest: Manifest,
    *,
    species: SpeciesList,
    preprocessing: Preprocessing,
    tta: tuple[Crop, ...] = NO_TTA,
    workers: int | None = None,
    batch_photos: int = 16,
    start: int = 0,
) -> Iterator[Scores]:
    """The same, some photos at a time as they are done, from a row of the manifest on.

    Each part has rows and failures of the photos that follow those of the part before. See
    `score_photos` for what else is given, and raised.
    """
    truth = manifest.truth(species)
    for batch in pixel_batches(
        manifest,
        preprocessing=preprocessing,
        tta=tta,
        workers=workers,
        batch_photos=batch_photos,
        start=start,
    ):
        logits: NDArray[np.float32] = np.zeros((0, len(species)), np.float32)
        ood_score = None
        if batch.rows:
            found, strange = forward(batch.pixels)
            logits = mean_over_crops(found, len(tta))
            ood_score = None if strange is None else mean_over_crops(strange, len(tta))
        yield Scores(
            logits=logits,
            species=species,
            truth=truth[batch.rows],
            failures=tuple(batch.failures),
            ood_score=ood_score,
            sha256=batch.sha256,
            **texts(manifest, np.array(batch.rows, np.int64)),
        )


def _pixels(
    path: Path | PackedPhoto, preprocessing: Preprocessing, tta: tuple[Crop, ...]
) -> _Seen | PhotoError:
    """The crops of a photo, and the digest of the very bytes that they were made from."""
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


def texts(manifest: Manifest, rows: NDArray[np.int64]) -> dict[str, Any]:
    """What `Scores` holds of rows of a manifest, by the names that it has there."""
    return {
        name: tuple(manifest.table[column].gather(rows))
        for name, column in (
            ("photo_ids", "photo_id"),
            ("countries", "country"),
            ("observations", "observation"),
        )
    }
