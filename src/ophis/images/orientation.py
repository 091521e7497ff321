"""An opened picture to upright 8-bit RGB, in as little memory as there is a way to.

Pillow's own conversions of a whole photo hold it three times and more; of one with 80 million
pixels that is a gigabyte and more. Here all but the result is done some rows at a time.
"""

from __future__ import annotations

import struct
import zlib

import numpy as np
from PIL import ExifTags, Image

_AT_ONCE = 1 << 18  # pixels that are converted at a time
# What Pillow raises on damaged files. Anything else is a mistake of ours and should be seen.
# Its warnings are among them for callers who turn warnings into errors; nobody's filters are
# touched here, because that is not safe in threads.
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
    RuntimeError,  # pillow-heif, of errors it has no name for
    struct.error,
    zlib.error,
    Warning,
)
_TURNS = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}


def upright(photo: Image.Image) -> Image.Image:
    """Turned as EXIF says; a photo whose EXIF is damaged is taken as it is."""
    turn = _turn(photo)
    return photo if turn is None else photo.transpose(turn)


def _turn(photo: Image.Image) -> Image.Transpose | None:
    try:
        return _TURNS.get(photo.getexif().get(ExifTags.Base.Orientation, 1))
    except DAMAGED:
        return None


def rgb(photo: Image.Image) -> Image.Image:
    """8-bit RGB of any mode, and nothing but that: no EXIF, no colour profile, no comment.

    Args:
        photo: a loaded picture; not to be used any more, its pixels may have moved.
    """
    plain = Image.new("RGB", photo.size, None)
    if photo.mode == "RGB" and "transparency" not in photo.info:
        plain.im = photo.im
        return plain
    rows = max(1, _AT_ONCE // photo.width)
    for top in range(0, photo.height, rows):
        part = photo.crop((0, top, photo.width, min(top + rows, photo.height)))
        plain.paste(_rgb(part), (0, top))
    return plain


def _rgb(photo: Image.Image) -> Image.Image:
    if photo.mode.startswith("I") or photo.mode == "F":
        # 16-bit grey: Pillow's own conversion clips at 255 instead of scaling.
        values = np.asarray(photo).astype(np.float64)
        return Image.fromarray(np.clip(values / 257 + 0.5, 0, 255).astype(np.uint8)).convert("RGB")
    if photo.mode in ("RGBA", "LA", "PA", "La", "RGBa") or "transparency" in photo.info:
        over = photo.convert("RGBA")
        white = Image.new("RGBA", over.size, "white")
        return Image.alpha_composite(white, over).convert("RGB")
    return photo.convert("RGB")
