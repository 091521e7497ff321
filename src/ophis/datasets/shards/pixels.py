"""Pixels of packed photos, decoded into reused memory."""

from __future__ import annotations

import sys
from threading import local
from typing import TYPE_CHECKING

import numpy as np

from ophis.errors import PhotoError
from ophis.images.decode import decode, read_photo
from ophis.images.jpeg import simplejpeg
from ophis.images.preprocessing import resize

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from ophis.datasets.shards.reader import PackedPhoto


def read_packed(photo: PackedPhoto, pixels: int) -> NDArray[np.uint8]:
    """Read a packed photo, resized to [pixels, pixels, 3].

    A pack of that size is read without a resize; raw pixels are a read-only view of the shard.

    Raises:
        PhotoError: as `read_photo`, and for a photo that does not have the size of the pack.
    """
    if photo.pack.metadata.pixels == pixels:
        return _stored_pixels(photo)
    return resize(read_photo(photo), pixels)


def _stored_pixels(photo: PackedPhoto) -> NDArray[np.uint8]:
    side = photo.pack.metadata.pixels
    if (raw := photo.read_pixels()) is not None:
        return raw
    data = photo.pack.member(photo.position)
    decoded = _decode(data, side)
    if decoded is None:
        decoded = np.asarray(decode(bytes(data), str(photo)))
    if decoded.shape != (side, side, 3):
        raise PhotoError(f"{photo}: is not of {side} x {side} pixels; pack again")
    return decoded


def _decode(data: memoryview, side: int) -> NDArray[np.uint8] | None:
    """Decode by simplejpeg, faster and with equal pixels; None where Pillow has to decode."""
    decoder = simplejpeg()
    if decoder is None:
        return None
    try:
        height, width, space, _ = decoder.decode_jpeg_header(data, strict=True)
        if (height, width, space) != (side, side, "YCbCr"):
            return None
        return decoder.decode_jpeg(data, "RGB", strict=True, buffer=_buffer(3 * side * side))
    except (ValueError, RuntimeError, KeyError, MemoryError):
        return None


def _buffer(size: int) -> NDArray[np.uint8]:
    """Return this thread's buffer, or a new one while an array or view refers to it.

    Touching new pages would take a third of the decoding time.
    """
    buffer = getattr(_THREAD, "buffer", None)
    if buffer is None or len(buffer) != size or sys.getrefcount(buffer) > _UNREFERENCED:
        buffer = _THREAD.buffer = np.empty(size, np.uint8)
    return buffer


_THREAD = local()
_UNREFERENCED = 3  # references to an unused buffer: `_THREAD`, the local name, the argument
