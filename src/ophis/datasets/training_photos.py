"""Training photos of a network by the content of their files, and their overlap with other photos.

A calibration or a guarantee that is fitted on training photos does not hold. Therefore a run
folder and a bundle list the first 8 bytes of the sha256 of each training photo's file. Of a packed
photo it is the file that it was packed from. Two different files among a million training and a
hundred thousand validation photos share these bytes with a probability of 5e-9.
"""

from __future__ import annotations

import hashlib
import os
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from ophis.errors import InputError, PhotoError
from ophis.files.npz import read_npz, write_npz
from ophis.images.decode import read_bytes

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from numpy.typing import NDArray

    from ophis.datasets.manifest import Manifest

    Digests = NDArray[np.uint64]

TRAINING_PHOTOS = "training_photos.npz"  # in a run folder and in a bundle
UNREADABLE = 0  # digest of a photo that cannot be read
_ARRAY = "sha256_first_8_bytes"


def content_digest(data: bytes) -> int:
    """Return the digest of a file's content: the first 8 bytes of its sha256."""
    return int.from_bytes(hashlib.sha256(data).digest()[:8])


def content_digests(manifest: Manifest, *, workers: int | None = None) -> Digests:
    """Return the digest of each photo, [photos]; `UNREADABLE` where it cannot be read.

    Each file is read once. Those of packed photos are in the index of the pack.
    """
    if manifest.pack:
        packed = manifest.pack.photos(manifest.table["photo_id"])
        return np.array([int.from_bytes(p.source_sha256[:8]) for p in packed], np.uint64)
    with ThreadPoolExecutor(workers or os.cpu_count() or 1) as pool:
        return np.array(list(pool.map(_digest_of_file, manifest.paths())), np.uint64)


def _digest_of_file(path: Path) -> int:
    try:
        return content_digest(read_bytes(path))
    except PhotoError:
        return UNREADABLE


def first_bytes(sha256: NDArray[np.uint8] | None) -> Digests:
    """Return the digests of the photos of scores, [photos].

    Args:
        sha256: those of `Scores`, [photos, 32].

    Raises:
        InputError: when the scores have none.
    """
    if sha256 is None:
        raise InputError(
            "the scores hold no sha256 of the photos, so training photos among them cannot be"
            " found; score the photos again: ophis score"
        )
    return np.ascontiguousarray(sha256[:, :8]).view(">u8")[:, 0].astype(np.uint64)


def changed_photos(
    photo_ids: Sequence[str], sha256: NDArray[np.uint8] | None, now: Mapping[str, int]
) -> list[str]:
    """Return the photos of scores whose files have another content now.

    Args:
        photo_ids: of the scores.
        sha256: those of `Scores`, [photos, 32]; without them no photo is compared.
        now: digests by photo id.
    """
    if sha256 is None:
        return []
    before = zip(photo_ids, first_bytes(sha256).tolist(), strict=True)
    return [
        photo for photo, digest in before if now.get(photo, UNREADABLE) not in (digest, UNREADABLE)
    ]


def training_rows(digests: Digests, training: Digests) -> NDArray[np.bool_]:
    """Return which photos have the content of a training photo, [photos]."""
    return np.isin(digests, training) & (digests != UNREADABLE)


def require_unseen(photo_ids: Sequence[str], digests: Digests, training: Digests) -> None:
    """Refuse validation photos that have the content of a training photo.

    Raises:
        InputError: naming one of them and their number.
    """
    seen = training_rows(digests, training)
    if seen.any():
        raise InputError(
            f"validation: {seen.sum():,} of {len(seen):,} photos are training photos too, by the"
            f" content of their files, the first is {photo_ids[int(seen.argmax())]!r}; take them"
            " out: figures and guarantees do not hold on training photos"
        )


def union(lists: Iterable[Digests] = ()) -> Digests:
    """Return the digests of all lists, sorted, each once; without those of unreadable photos."""
    whole = np.unique(np.concatenate([np.zeros(0, np.uint64), *lists]))
    return whole[whole != UNREADABLE]


def write_training_photos(folder: Path, digests: Digests) -> Path:
    """Write the list of training photos into the folder of a run or a bundle."""
    return write_npz(folder / TRAINING_PHOTOS, {_ARRAY: union([digests])}, stored=(_ARRAY,))


def read_training_photos(folder: str | Path) -> Digests | None:
    """Read the training photos of a run or a bundle; None if it does not list them.

    Raises:
        InputError: naming the file when it is damaged or another.
    """
    path = Path(folder) / TRAINING_PHOTOS
    if not path.is_file():
        return None
    found = read_npz(path, what="list of training photos").get(_ARRAY)
    if found is None or found.dtype != np.uint64 or found.ndim != 1:
        raise InputError(f"{path}: not a list of training photos of ophis; copy it again")
    return found


def require_unseen_by(
    folder: Path, photo_ids: Sequence[str], sha256: NDArray[np.uint8] | None
) -> None:
    """Refuse the photos of scores if they are, or may be, training photos of a run or a bundle.

    Args:
        folder: of the run or the bundle.
        photo_ids: of the scores.
        sha256: of the scores.

    Raises:
        InputError: when one is a training photo, or the folder or the scores do not tell.
    """
    training = read_training_photos(folder)
    if training is None:
        raise InputError(
            f"{folder}: {TRAINING_PHOTOS} is missing, so the validation photos may be among the"
            " training photos; copy the whole folder, or make it again: ophis train, ophis export"
        )
    require_unseen(photo_ids, first_bytes(sha256), training)
