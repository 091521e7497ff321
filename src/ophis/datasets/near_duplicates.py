"""Near duplicates: photos with equal bytes, or with nearly equal perceptual hashes."""

from __future__ import annotations

import hashlib
import os
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image

from ophis.datasets.groups import join_groups
from ophis.datasets.shards.reader import PackedPhoto
from ophis.errors import PhotoError
from ophis.images.decode import decode, read_bytes, read_photo

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from numpy.typing import NDArray

    from ophis.datasets.manifest import Manifest

SIDE = 8  # of the hash, which has 2 x 8 x 8 = 128 bits
BITS = 2 * SIDE * SIDE
# Bits that may differ in near duplicates. On 1,972 in-house photos with known groups, 8 bits give a
# recall of 92 % of the pairs and a precision of 99 % (docs/data.md has the curve). Of 578 million
# pairs of unrelated photos, 3 are joined at 8 bits and 19 at 12 (plain skies, dark edges); a table
# of 245,185 photos has 52 times as many pairs.
MAX_BITS = 8
PAIRS_AT_ONCE = 4_000_000  # candidate pairs compared at once: 64 MB


def near_duplicate_groups(
    manifest: Manifest,
    *,
    workers: int | None = None,
    progress: Callable[[int], None] | None = None,
) -> NDArray[np.int64]:
    """Return group numbers, equal for identical and nearly identical photos, [photos].

    Reads every photo. A photo that cannot be decoded is grouped by its bytes only; a missing photo
    is alone in its group.

    Args:
        manifest: the photos.
        workers: threads; default: one for each processor core.
        progress: called with 1 after each photo.
    """
    digests: list[str] = []
    hashes = np.zeros((len(manifest), BITS // 8), np.uint8)
    usable = np.zeros(len(manifest), bool)
    with ThreadPoolExecutor(workers or os.cpu_count() or 1) as pool:
        for row, (digest, bits) in enumerate(pool.map(_fingerprint, manifest.photos())):
            digests.append(digest)
            if bits is not None:
                hashes[row], usable[row] = bits, True
            if progress:
                progress(1)
    same_bytes = np.unique(digests, return_inverse=True)[1].astype(np.int64)
    near = np.arange(len(manifest)) + len(
        manifest
    )  # the undecodable photos keep these distinct numbers
    near[usable] = near_groups(hashes[usable])
    return join_groups(same_bytes, near)


def perceptual_hash(photo: Image.Image) -> NDArray[np.uint8]:
    """Return the difference hash of a photo: 128 bits in 16 bytes.

    Each bit compares a pixel of a 9 x 9 grey image with its right or lower neighbour. Resizing,
    recompression and small changes of brightness flip few bits; another pose flips about half.
    """
    grey = photo.convert("L").resize((SIDE + 1, SIDE + 1), Image.Resampling.BOX)
    values = np.asarray(grey, dtype=np.int16)
    right = values[:SIDE, 1:] > values[:SIDE, :-1]
    below = values[1:, :SIDE] > values[:-1, :SIDE]
    return np.packbits(np.concatenate([right.ravel(), below.ravel()]))


def _fingerprint(path: Path | PackedPhoto) -> tuple[str, NDArray[np.uint8] | None]:
    try:
        data = read_bytes(path)
    except PhotoError:
        return f"unread {path}", None
    digest = hashlib.sha256(data).hexdigest()
    try:
        photo = read_photo(path) if isinstance(path, PackedPhoto) else decode(data, str(path))
        return digest, perceptual_hash(photo)
    except PhotoError:
        return digest, None


def near_groups(hashes: NDArray[np.uint8]) -> NDArray[np.int64]:
    """Return group numbers, equal for hashes within `MAX_BITS` of each other.

    Exact, without comparing all pairs: two hashes that differ in at most 8 bits agree in at least
    one of 9 segments (pigeonhole principle), so only hashes with an equal segment are compared.
    Equal hashes are compared once.

    Args:
        hashes: [photos, 16], uint8.
    """
    hashes, row_of = np.unique(hashes, axis=0, return_inverse=True)
    bits = np.unpackbits(hashes, axis=1)
    numberings = []
    for segment in np.array_split(np.arange(BITS), MAX_BITS + 1):
        values = bits[:, segment] @ (1 << np.arange(len(segment)))
        numberings.append(_near_in_buckets(hashes.view(np.uint64), values))
    return join_groups(*numberings)[row_of.ravel()]


def _near_in_buckets(hashes: NDArray[np.uint64], values: NDArray[np.int64]) -> NDArray[np.int64]:
    """Apply `near_groups` within the hashes [photos, 2] of equal values."""
    label = np.arange(len(hashes))
    order = np.argsort(values, kind="stable")
    for bucket in np.split(order, np.flatnonzero(np.diff(values[order])) + 1):
        if len(bucket) < 2:
            continue
        rows = max(1, PAIRS_AT_ONCE // len(bucket))
        for start in range(0, len(bucket), rows):
            part = hashes[bucket[start : start + rows], None]
            differing = np.bitwise_count(part ^ hashes[None, bucket]).sum(axis=2, dtype=np.uint8)
            one, other = np.nonzero(differing <= MAX_BITS)
            _union(label, bucket[one + start], bucket[other])
    return np.array([_root(label, row) for row in range(len(label))])


def _union(label: NDArray[np.int64], one: NDArray[np.int64], other: NDArray[np.int64]) -> None:
    for a, b in zip(one[one < other], other[one < other], strict=True):
        root_a, root_b = _root(label, a), _root(label, b)
        label[max(root_a, root_b)] = min(root_a, root_b)


def _root(label: NDArray[np.int64], row: int) -> int:
    while label[row] != row:
        label[row] = label[label[row]]
        row = label[row]
    return int(row)
