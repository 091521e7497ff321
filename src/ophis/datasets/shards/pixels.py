"""The pixels of packed photos, without a detour."""

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
    """Read a packed photo as a square: [pixels, pixels, 3].

    Nothing is resized where the pack has that size already.

    Raises:
        PhotoError: as `read_photo`, and for a packed photo that is not of the pack's size.
    """
    if photo.pack.metadata.pixels == pixels:
        return packed_square(photo)
    return resize(read_photo(photo), pixels)


def packed_square(photo: PackedPhoto) -> NDArray[np.uint8]:
    """The pixels that were packed, [side, side, 3]: a view of raw ones, decoded ones else."""
    side = photo.pack.metadata.pixels
    if photo.pack.metadata.raw:
        return photo.pack.square(photo.place)
    data = photo.pack.member(photo.place)
    square = _decoded(data, side)
    if square is None:
        square = np.asarray(decode(bytes(data), str(photo)))
    if square.shape != (side, side, 3):
        raise PhotoError(f"{photo}: is not of {side} x {side} pixels; pack again")
    return square


def _decoded(data: memoryview, side: int) -> NDArray[np.uint8] | None:
    """The pixels by simplejpeg: those of Pillow in less time. None where it is Pillow's to say."""
    decoder = simplejpeg()
    if decoder is None:
        return None
    try:
        height, width, space, _ = decoder.decode_jpeg_header(data, strict=True)
        if (height, width, space) != (side, side, "YCbCr"):
            return None
        return decoder.decode_jpeg(data, "RGB", strict=True, buffer=_memory(3 * side * side))
    except (ValueError, RuntimeError, KeyError, MemoryError):
        return None


def _memory(size: int) -> NDArray[np.uint8]:
    """Memory that nobody holds any more, or else new.

    New pages would cost a third of the time that decoding takes. Each thread has memory of its
    own, and whoever keeps a square, or a view of it, keeps that.
    """
    free = getattr(_OWN, "memory", None)
    if free is None or len(free) != size or sys.getrefcount(free) > _UNUSED:
        free = _OWN.memory = np.empty(size, np.uint8)
    return free


_OWN = local()
_UNUSED = 3  # references to memory that only `_OWN` holds: its own, `free`, and the argument
