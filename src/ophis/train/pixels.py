"""Pixels of training photos: resized by torchvision, normalised into a batch.

torchvision's uint8 resize takes a fifth of Pillow's time. It rounds its weights to 16 bits, so a
pixel differs from Pillow's by at most 1 of 255. Scoring, inference and packing use Pillow.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import torch
from PIL import Image
from torchvision.transforms.v2 import functional

from ophis.datasets.shards.pixels import read_packed
from ophis.datasets.shards.reader import PackedPhoto
from ophis.datasets.training_photos import content_digest
from ophis.errors import PhotoError
from ophis.images.decode import decode_jpeg, read_bytes
from ophis.images.preprocessing import decode_resized

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

    from ophis.images.preprocessing import Preprocessing


def read_resized(
    path: str | Path | PackedPhoto, pixels: int, digest: int | None = None
) -> NDArray[np.uint8]:
    """Read a photo as an upright square: [pixels, pixels, 3].

    A packed photo of this size is not resized again; of raw pixels the result is a view of the
    shard. JPEG files that shrink are resized by torchvision, other photos by Pillow.

    Args:
        path: of the photo, or the photo of a pack, which compares its bytes itself.
        pixels: of the result.
        digest: of the file as it was checked; see `content_digest`.

    Raises:
        PhotoError: as `ophis.images.decode.read_photo`, and when the file has another digest.
    """
    if isinstance(path, PackedPhoto):
        return read_packed(path, pixels)
    data = read_bytes(path)
    if digest is not None and content_digest(data) != digest:
        raise PhotoError(
            f"{path}: the file has changed since the photos were checked; put the former file back,"
            " or choose another run folder"
        )
    return decode_square(data, pixels, str(path))


def decode_square(data: bytes, pixels: int, name: str) -> NDArray[np.uint8]:
    """Decode the bytes of a photo's file as `read_resized` does.

    Raises:
        PhotoError: as `ophis.images.decode.decode`.
    """
    jpeg = decode_jpeg(data, name)
    # Enlarged noise differs by up to 2 of 255; photos that shrink, by at most 1.
    if jpeg is None or min(jpeg[0].shape[:2]) < pixels:
        return decode_resized(data, pixels, name)
    stored, transposition = jpeg
    resized = resize_uint8(stored, pixels)
    if transposition is None:
        return resized
    return np.asarray(Image.fromarray(resized).transpose(transposition))


def resize_uint8(stored: NDArray[np.uint8], pixels: int) -> NDArray[np.uint8]:
    """Resize pixels, [rows, columns, 3], by torchvision's antialiased bilinear interpolation."""
    image = torch.from_numpy(stored).permute(2, 0, 1)  # channels last in memory: the fast kernel
    return functional.resize(image, [pixels, pixels], antialias=True).permute(1, 2, 0).numpy()


def normalise_into(
    pixels: NDArray[np.uint8], preprocessing: Preprocessing, out: NDArray[np.float32]
) -> None:
    """Write the values of `normalise` for one photo, channels last in memory.

    Args:
        pixels: [rows, columns, 3]; may be a view.
        preprocessing: the values of each byte.
        out: destination, [rows, columns, 3].
    """
    table = preprocessing.table()
    for channel in range(3):
        out[..., channel] = table[channel].take(pixels[..., channel])
