"""The pixels of plain JPEG files by simplejpeg, which is faster than Pillow and gives the same.

Anything odd is left to Pillow, which decides what is refused and why: other colour spaces, and all
files of which libjpeg-turbo has a warning (Pillow reads on where some of them are damaged).
"""

from __future__ import annotations

from functools import lru_cache
from importlib import import_module
from typing import TYPE_CHECKING

from PIL import JpegImagePlugin

if TYPE_CHECKING:
    from types import ModuleType

    import numpy as np
    from numpy.typing import NDArray
    from PIL import Image

_COLOUR_SPACES = {"RGB": ("YCbCr", "RGB"), "L": ("Gray",)}  # of the file, by Pillow's mode


def jpeg_pixels(data: bytes, photo: Image.Image) -> NDArray[np.uint8] | None:
    """Pixels of a whole file as they are stored: [rows, columns, 4], RGB and a byte of no meaning.

    Args:
        data: the file.
        photo: the same, opened by Pillow, which has read its header and no pixel.

    Returns:
        The pixels that Pillow would give in RGB; None where it is Pillow that has to decode.
    """
    decoder = simplejpeg()
    if decoder is None or not isinstance(photo, JpegImagePlugin.JpegImageFile):
        return None
    try:
        height, width, space, _ = decoder.decode_jpeg_header(data, strict=True)
        if (width, height) != photo.size or space not in _COLOUR_SPACES.get(photo.mode, ()):
            return None
        return decoder.decode_jpeg(data, "RGBX", strict=True)
    except (ValueError, RuntimeError, KeyError, MemoryError):  # KeyError: a space without a name
        return None


@lru_cache(maxsize=1)
def simplejpeg() -> ModuleType | None:
    """The package, where it is installed."""
    try:
        return import_module("simplejpeg")
    except ImportError:  # it comes with the extra `train`
        return None
