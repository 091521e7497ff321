"""Plain JPEG files decoded by simplejpeg: Pillow's pixels in less time, and a check for lost ones.

All other JPEGs are left to Pillow: other colour spaces, and files for which libjpeg-turbo has a
warning that does not concern pixels.
"""

from __future__ import annotations

import re
from functools import lru_cache
from importlib import import_module
from typing import TYPE_CHECKING

from PIL import JpegImagePlugin

from ophis.images.structure import with_end

if TYPE_CHECKING:
    from types import ModuleType

    import numpy as np
    from numpy.typing import NDArray
    from PIL import Image

MAX_EXTRA_BYTES, MAX_EXTRA_FRACTION = 512, 0.02  # before a marker: no damage up to here
_TOO_MANY = re.compile(r"Corrupt JPEG data: ([0-9]+) extraneous bytes before marker")
_LOSSES = ("Corrupt JPEG data", "Premature end of JPEG file")  # messages of libjpeg-turbo
# Of the file, by Pillow's mode.
_COLOUR_SPACES = {"RGB": ("YCbCr", "RGB"), "L": ("Gray",), "CMYK": ("CMYK", "YCCK")}


def jpeg_pixels(data: bytes, photo: Image.Image) -> NDArray[np.uint8] | None:
    """Decode a whole file to its pixels as stored: [rows, columns, 3].

    Args:
        data: the file.
        photo: the same file, opened by Pillow but not decoded.

    Returns:
        Pillow's RGB pixels; None where Pillow has to decode.

    Raises:
        ValueError: when pixels were lost; see `require_whole`.
    """
    return None if photo.mode == "CMYK" else _decoded(data, photo, "RGB")


def require_whole(data: bytes, photo: Image.Image) -> None:
    """Raise an error for a JPEG with pixels lost to damaged bits.

    Pillow replaces such pixels without a warning. The file is decoded at an eighth of its size:
    all bits are read and few pixels computed, in a quarter of the time.

    Args:
        data: the file.
        photo: the same file, opened by Pillow; other formats than JPEG are skipped.

    Raises:
        ValueError: with the message of libjpeg-turbo.
    """
    _decoded(data, photo, "CMYK" if photo.mode == "CMYK" else "GRAY", shrink=8)


def _decoded(
    data: bytes, photo: Image.Image, space: str, *, shrink: int = 1
) -> NDArray[np.uint8] | None:
    if not isinstance(photo, JpegImagePlugin.JpegImageFile):
        return None
    decoder, whole, pixels, warning = simplejpeg(), with_end(data), None, _LOSSES[1]
    min_side = 1 if shrink > 1 else 0  # 0 keeps the size
    try:
        if decoder:
            height, width, file_space, _ = decoder.decode_jpeg_header(whole, strict=True)
            if (width, height) == photo.size and file_space in _COLOUR_SPACES.get(photo.mode, ()):
                pixels = decoder.decode_jpeg(
                    whole,
                    space,
                    strict=True,
                    min_height=min_side,
                    min_width=min_side,
                    min_factor=shrink,
                )
    except (ValueError, RuntimeError, KeyError, MemoryError) as error:  # KeyError: colour space
        warning = str(error)
        if _is_loss(warning, len(data)):
            raise ValueError(warning) from None
    if pixels is None and whole is not data:  # an end that is not confirmed
        raise ValueError(warning)
    return pixels


def _is_loss(reason: str, size: int) -> bool:
    """Return True for a warning about lost pixels.

    A few extra bytes are no loss: some cameras write them after the pixels. Many extra bytes are
    pixels that the decoder skipped after damage.
    """
    if found := _TOO_MANY.match(reason):
        return int(found[1]) > max(MAX_EXTRA_BYTES, size * MAX_EXTRA_FRACTION)
    return reason.startswith(_LOSSES)


@lru_cache(maxsize=1)
def simplejpeg() -> ModuleType | None:
    """Return the package where it is installed, else None."""
    try:
        return import_module("simplejpeg")
    except ImportError:  # no build for this platform
        return None
