"""EXIF orientation: the transposition that turns a stored image upright."""

from __future__ import annotations

import struct
import zlib

from PIL import ExifTags, Image

# Exceptions of Pillow on damaged files. Any other exception is a fault of this package.
# Warnings are included for callers who turn warnings into errors; warning filters are not changed
# here, because that is not thread-safe.
DAMAGED = (
    OSError,
    ValueError,
    SyntaxError,
    EOFError,
    IndexError,
    KeyError,
    TypeError,
    OverflowError,
    MemoryError,
    RuntimeError,  # of pillow-heif
    struct.error,
    zlib.error,
    Warning,
)
_TRANSPOSITIONS = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}


def upright(photo: Image.Image) -> Image.Image:
    """Apply the EXIF orientation; a photo with damaged EXIF stays as it is stored."""
    transposition = orientation(photo)
    return photo if transposition is None else photo.transpose(transposition)


def orientation(photo: Image.Image) -> Image.Transpose | None:
    """Return the transposition of the EXIF tag; None without a valid one."""
    try:
        return _TRANSPOSITIONS.get(photo.getexif().get(ExifTags.Base.Orientation, 1))
    except DAMAGED:
        return None
