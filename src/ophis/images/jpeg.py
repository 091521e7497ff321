"""Plain JPEG files by simplejpeg: the pixels of Pillow, but faster, and whether any were lost.

Anything odd is left to Pillow, which decides what else is refused and why: other colour spaces, and
files of which libjpeg-turbo has a warning that says nothing of pixels.
"""

from __future__ import annotations

import re
from functools import lru_cache
from importlib import import_module
from typing import TYPE_CHECKING

from PIL import JpegImagePlugin

if TYPE_CHECKING:
    from types import ModuleType

    import numpy as np
    from numpy.typing import NDArray
    from PIL import Image

FEW_BYTES, FEW_SHARE = 512, 0.02
_TOO_MANY = re.compile(r"Corrupt JPEG data: ([0-9]+) extraneous bytes before marker")
_LOSSES = ("Corrupt JPEG data", "Premature end of JPEG file")  # libjpeg's words
_COLOUR_SPACES = {"RGB": ("YCbCr", "RGB"), "L": ("Gray",)}  # of the file, by Pillow's mode


def jpeg_pixels(data: bytes, photo: Image.Image) -> NDArray[np.uint8] | None:
    """Pixels of a whole file as they are stored: [rows, columns, 3].

    Args:
        data: the file.
        photo: the same, opened by Pillow, which has read its header and no pixel.

    Returns:
        The pixels that Pillow would give in RGB; None where it is Pillow that has to decode.

    Raises:
        ValueError: when pixels were lost; see `require_whole`.
    """
    return _decoded(data, photo, "RGB")


def require_whole(data: bytes, photo: Image.Image) -> None:
    """Refuse a JPEG some of whose pixels are made up because their bits are damaged.

    Pillow does not tell, and a guess at half a picture is worse than none. It is decoded at an
    eighth of its size: all bits are read, few pixels are made, in a quarter of the time.

    Args:
        data: the file.
        photo: the same, opened by Pillow; others than JPEGs are passed over.

    Raises:
        ValueError: saying what libjpeg-turbo says.
    """
    _decoded(data, photo, "GRAY", shrink=8)


def _decoded(
    data: bytes, photo: Image.Image, space: str, *, shrink: int = 1
) -> NDArray[np.uint8] | None:
    decoder = simplejpeg()
    if decoder is None or not isinstance(photo, JpegImagePlugin.JpegImageFile):
        return None
    least = 1 if shrink > 1 else 0  # a side; 0 leaves the size as it is
    try:
        height, width, own, _ = decoder.decode_jpeg_header(data, strict=True)
        if (width, height) != photo.size or own not in _COLOUR_SPACES.get(photo.mode, ()):
            return None
        return decoder.decode_jpeg(
            data, space, strict=True, min_height=least, min_width=least, min_factor=shrink
        )
    except (ValueError, RuntimeError, KeyError, MemoryError) as error:  # KeyError: a strange space
        if _is_loss(str(error), len(data)):
            raise ValueError(str(error)) from None
        return None


def _is_loss(reason: str, size: int) -> bool:
    """Whether a warning means that pixels were lost: not, if a few bytes too many were found.

    Some cameras write such bytes behind their pixels. Many of them are pixels that were passed
    over after damage.
    """
    if found := _TOO_MANY.match(reason):
        return int(found[1]) > max(FEW_BYTES, size * FEW_SHARE)
    return reason.startswith(_LOSSES)


@lru_cache(maxsize=1)
def simplejpeg() -> ModuleType | None:
    """The package, where it is installed."""
    try:
        return import_module("simplejpeg")
    except ImportError:  # nobody built it for this platform
        return None
