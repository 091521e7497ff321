"""Photos as upright squares: the pixels of `ophis.images`, got in the fastest way there is."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from PIL import Image

from ophis.datasets.shards.pixels import packed_square
from ophis.datasets.shards.reader import PackedPhoto
from ophis.images.decode import MIN_SIDE, decode, open_photo, read_bytes, read_photo, upright_rgb
from ophis.images.jpeg import jpeg_pixels
from ophis.images.orientation import upright
from ophis.images.preprocessing import resize
from ophis.images.resampling import AS_STORED, Turn, resampler_once_worthwhile

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

    from ophis.images.preprocessing import Preprocessing


def read_square(path: str | Path | PackedPhoto, pixels: int) -> NDArray[np.uint8]:
    """A photo squeezed to a square: `read_bytes`, then `square`.

    Where a pack holds that square already, nothing is resized, and of raw pixels nothing is
    copied: what comes is a view of the shard.

    Raises:
        PhotoError: as `read_photo`, and for a packed photo that is not of the pack's size.
    """
    if isinstance(path, PackedPhoto):
        if path.pack.metadata.pixels == pixels:
            return packed_square(path)
        if path.pack.metadata.raw:  # its bytes are no JPEG, PNG or WebP
            return resize(read_photo(path), pixels)
    return square(read_bytes(path), pixels, str(path))


def square(data: bytes, pixels: int, name: str = "photo") -> NDArray[np.uint8]:
    """Bytes of a photo as an upright square: `resize` of `decode` to the last bit, but faster.

    Args:
        data: a whole JPEG, PNG or WebP file.
        pixels: side of the square.
        name: what to call the photo when it is refused.

    Returns:
        [pixels, pixels, 3], uint8, perhaps read-only.

    Raises:
        PhotoError: as `decode`.
    """
    resampler = resampler_once_worthwhile()
    if resampler is None or pixels < MIN_SIDE:
        return resize(decode(data, name), pixels)
    with open_photo(data, name) as photo:
        stored, turn = jpeg_pixels(data, photo), AS_STORED
        if stored is None:
            stored = _four_bytes(upright_rgb(photo))
        else:
            turn = _turn(photo)
    return resampler.squeezed(stored, pixels, turn)


def look_up(
    pixels: NDArray[np.uint8], preprocessing: Preprocessing, out: NDArray[np.float32]
) -> None:
    """The network's numbers of one photo: those of `normalise`, but channels last in memory.

    Args:
        pixels: [rows, columns, 3]; may be a view.
        preprocessing: whose table has them.
        out: where they are written, [rows, columns, 3].
    """
    table = preprocessing.table()
    if resampler := resampler_once_worthwhile():
        resampler.kernels.looked_up(pixels, table, out)
        return
    for channel in range(3):
        out[..., channel] = table[channel].take(pixels[..., channel])


def _four_bytes(photo: Image.Image) -> NDArray[np.uint8]:
    """RGB as Pillow itself keeps it, [rows, columns, 4]: to have three takes twice as long."""
    four = np.frombuffer(photo.tobytes("raw", "RGBX"), np.uint8)
    return four.reshape(photo.height, photo.width, 4)


def _turn(photo: Image.Image) -> Turn:
    """What `upright` does to a photo, seen by six numbered pixels that go through the same."""
    numbers = Image.fromarray(np.arange(6, dtype=np.uint8).reshape(2, 3))
    numbers.info = photo.info
    numbers.getexif = photo.getexif
    turned = np.asarray(upright(numbers))
    row, column = divmod(int(turned[0, 0]), 3)  # where the first pixel of the upright one was
    return Turn(row > 0, column > 0, swapped=turned.shape == (3, 2))
