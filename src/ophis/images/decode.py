"""Decoding of untrusted photo files to upright 8-bit RGB, with limits on bytes and pixels.

Pillow's own colour conversion of a whole photo holds it three times and more in memory: over a
gigabyte for 80 million pixels. Here all but the result is converted some rows at a time.
"""

from __future__ import annotations

import io
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

import numpy as np
from PIL import Image, UnidentifiedImageError

from ophis.errors import PhotoError, Reason, first_line
from ophis.files.atomic import NO_PLAIN_FILE, plain_file
from ophis.images.formats import describe, formats_of
from ophis.images.jpeg import jpeg_pixels, require_whole
from ophis.images.orientation import DAMAGED, orientation, upright
from ophis.images.structure import (
    MAX_PIXELS,
    repaired,
    structure_error,
    too_large,
    webp_without_end,
    with_end,
)

if TYPE_CHECKING:
    from collections.abc import Generator

    from numpy.typing import NDArray

MAX_BYTES = 64 * 2**20
MIN_SIDE = 32  # pixels; nothing smaller shows a snake
_CONVERTED_PIXELS = 1 << 18  # at a time


class StoredPhoto(Protocol):
    """Photo inside another file, such as a shard; usable in place of a path."""

    def read_bytes(self) -> bytes:
        """Return the bytes of the stored image file."""
        ...

    def read_pixels(self) -> NDArray[np.uint8] | None:
        """Return stored pixels, [rows, columns, 3]; None where an image file is stored."""
        ...


def read_bytes(path: str | Path | StoredPhoto) -> bytes:
    """Read the bytes of a photo file or a stored photo.

    Raises:
        PhotoError: naming the file when it is missing, no plain file, or over 64 MiB; the stored
            photo when its bytes fail their checksum.
    """
    if not isinstance(path, str | Path):
        return path.read_bytes()
    path = Path(path)
    try:
        if not path.is_file():
            raise PhotoError(f"{path}: {_no_file(path)}")
        with plain_file(path) as file:
            data = file.read(MAX_BYTES + 1)
    except OSError as error:
        raise PhotoError(f"{path}: cannot be read: {error.strerror or error}") from None
    if len(data) > MAX_BYTES:
        raise PhotoError(
            f"{path}: larger than {MAX_BYTES // 2**20} MiB; send a smaller photo",
            reason=Reason.TOO_LARGE,
        )
    return data


def _no_file(path: Path) -> str:
    if path.is_dir():
        return "this is a folder"
    return f"is {NO_PLAIN_FILE}" if path.exists() else "there is no such photo"


def read_photo(path: str | Path | StoredPhoto) -> Image.Image:
    """Read a photo as an upright RGB image: `read_bytes`, then `decode`.

    Raises:
        PhotoError: as those two.
    """
    if not isinstance(path, str | Path):
        pixels = path.read_pixels()
        if pixels is not None:
            return Image.fromarray(pixels)
    return decode(read_bytes(path), str(path))


def decode(data: bytes, name: str = "photo") -> Image.Image:
    """Decode the bytes of a photo to an upright image of 8-bit RGB.

    EXIF orientation is applied (in a HEIC the orientation of its own boxes). Grey, palette, CMYK
    and 16-bit images are converted. Transparent pixels are composited over white, as a browser
    shows them. Only the first frame is used, of a HEIC the primary image.

    Args:
        data: a whole JPEG, PNG or WebP file; HEIC where pillow-heif is installed.
        name: the photo's name in error messages.

    Raises:
        PhotoError: when the bytes are no such image, are damaged or cut short, or have more than
            80 million pixels (checked before any is decoded) or fewer than 32 a side.
    """
    with open_photo(data, name) as (photo, whole):
        require_whole(whole, photo)
        _require_whole_webp(data)
        return upright_rgb(photo)


def decode_jpeg(
    data: bytes, name: str = "photo"
) -> tuple[NDArray[np.uint8], Image.Transpose | None] | None:
    """Decode a plain JPEG to its pixels as stored, in less time than `decode`.

    Args:
        data: a whole file.
        name: the photo's name in error messages.

    Returns:
        Pixels, [rows, columns, 3], and the transposition that turns them upright; together they
        are the pixels of `decode`. None where `decode` has to be called: for other formats, other
        colour spaces, and without simplejpeg.

    Raises:
        PhotoError: as `decode`.
    """
    with open_photo(data, name) as (photo, whole):
        pixels = jpeg_pixels(whole, photo)
        return None if pixels is None else (pixels, orientation(photo))


@contextmanager
def open_photo(data: bytes, name: str) -> Generator[tuple[Image.Image, bytes]]:
    """Open a photo of an allowed size without decoding its pixels; also return its repaired bytes.

    Errors that Pillow raises inside the `with` block become the errors of `decode`; the block must
    contain nothing but decoding.
    """
    if not data:
        raise PhotoError(f"{name}: the file is empty; copy it again", reason=Reason.EMPTY)
    if error := structure_error(data):
        reason, message = error
        raise PhotoError(f"{name}: {message}", reason=reason)
    try:
        data = repaired(data)
        with Image.open(io.BytesIO(with_end(data)), formats=formats_of(data)) as photo:
            _require_size(photo, name)
            yield photo, data
    except PhotoError:
        raise
    except UnidentifiedImageError:
        reason, message = describe(data)
        message = f"{name}: {message}; send a JPEG, PNG or WebP photo"
        raise PhotoError(message, reason=reason) from None
    except (Image.DecompressionBombError, Image.DecompressionBombWarning):
        raise _too_large(name) from None
    except DAMAGED as error:
        detail = first_line(error)
        message = f"{name}: damaged or cut short ({detail}); send the photo again"
        raise PhotoError(message, reason=Reason.DAMAGED) from None


def _require_size(photo: Image.Image, name: str) -> None:
    width, height = photo.size
    if width * height > MAX_PIXELS:
        raise _too_large(name)
    if min(width, height) < MIN_SIDE:
        raise PhotoError(
            f"{name}: {width} x {height} pixels show nothing; send a photo of {MIN_SIDE} or more"
            " a side",
            reason=Reason.TOO_SMALL,
        )


def _too_large(name: str) -> PhotoError:
    reason, message = too_large()
    return PhotoError(f"{name}: {message}", reason=reason)


def _require_whole_webp(data: bytes) -> None:
    """Raise an error for a WebP that was cut short and filled up with zeros."""
    if not (shorter := webp_without_end(data)):
        return
    try:
        with Image.open(io.BytesIO(shorter), formats=("WEBP",)) as photo:
            photo.load()
    except DAMAGED:
        return  # the zeros are pixels
    raise ValueError("it ends in zeros")


def upright_rgb(photo: Image.Image) -> Image.Image:
    """Decode an opened photo to upright 8-bit RGB; the argument must not be used afterwards."""
    photo.load()
    return rgb(upright(photo))


def rgb(photo: Image.Image) -> Image.Image:
    """Convert any mode to 8-bit RGB without EXIF, colour profile or comment.

    Args:
        photo: a loaded image; it must not be used afterwards, because its pixels may have moved.
    """
    plain = Image.new("RGB", photo.size, None)
    if photo.mode == "RGB" and "transparency" not in photo.info:
        plain.im = photo.im
        return plain
    rows = max(1, _CONVERTED_PIXELS // photo.width)
    for top in range(0, photo.height, rows):
        part = photo.crop((0, top, photo.width, min(top + rows, photo.height)))
        plain.paste(_rgb_of_part(part), (0, top))
    return plain


def _rgb_of_part(photo: Image.Image) -> Image.Image:
    if photo.mode.startswith("I") or photo.mode == "F":
        # 16-bit grey: Pillow's own conversion clips at 255 instead of scaling.
        values = np.asarray(photo).astype(np.float64)
        if (clear := photo.info.get("transparency")) is not None:
            values[values == clear] = 65535
        return Image.fromarray(np.clip(values / 257 + 0.5, 0, 255).astype(np.uint8)).convert("RGB")
    if photo.mode in ("RGBA", "LA", "PA", "La", "RGBa") or "transparency" in photo.info:
        over = photo.convert("RGBA")
        white = Image.new("RGBA", over.size, "white")
        return Image.alpha_composite(white, over).convert("RGB")
    return photo.convert("RGB")
