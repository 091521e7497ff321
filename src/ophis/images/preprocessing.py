"""Preprocessing of an upright RGB photo to the network's input: resize, then normalise."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from PIL import Image

from ophis.errors import InputError
from ophis.files.content import content_of, read_json
from ophis.images.decode import decode, decode_jpeg

if TYPE_CHECKING:
    from numpy.typing import NDArray

MAX_SIDE = 8192  # pixels of the network's input
_CONSTANTS = {
    "interpolation": "bilinear, antialiased",
    "channels": "RGB",
    "layout": "photo, channel, row, column",
}


@dataclass(frozen=True)
class Preprocessing:
    """Size, mean and std of the network's input.

    Attributes:
        pixels: side of the square to which the photo is resized.
        mean: per channel, subtracted from values in [0, 1].
        std: per channel, divided by.
    """

    pixels: int
    mean: tuple[float, float, float]
    std: tuple[float, float, float]

    def table(self) -> NDArray[np.float32]:
        """Return the normalised value of each byte in each channel: [3, 256], float32.

        Computed in float64 and rounded once, so that training, ONNX and the browser have the same
        values to the last bit.
        """
        return _table(self)

    def write(self, path: str | Path) -> Path:
        """Write images.json."""
        path = Path(path)
        path.write_text(json.dumps(asdict(self) | _CONSTANTS, indent=2) + "\n", encoding="utf-8")
        return path

    @classmethod
    def read(cls, path: str | Path) -> Preprocessing:
        """Read images.json.

        Raises:
            InputError: naming the file and the key that is missing or invalid.
        """
        values = read_json(path, "file")
        with content_of(path, "not the preprocessing of a bundle"):
            return cls._of(values)

    @classmethod
    def _of(cls, values: Any) -> Preprocessing:  # noqa: ANN401 - any JSON value
        if not isinstance(values, dict):
            raise InputError("should hold keys and values")
        for key, value in _CONSTANTS.items():
            if values.get(key) != value:
                found = values.get(key)
                raise InputError(f"{key} = {found!r}, but only {value!r} is known")
        pixels, mean, std = (values.get(key) for key in ("pixels", "mean", "std"))
        if not isinstance(pixels, int) or isinstance(pixels, bool) or not 1 <= pixels <= MAX_SIDE:
            raise InputError(f"pixels = {pixels!r} should be a whole number to {MAX_SIDE}")
        for key, numbers in (("mean", mean), ("std", std)):
            if not _three_numbers(numbers) or (key == "std" and not all(n > 0 for n in numbers)):
                raise InputError(f"{key} = {numbers!r} should be three numbers, above 0")
        return cls(pixels, _triple(mean), _triple(std))


def _triple(numbers: list[float]) -> tuple[float, float, float]:
    red, green, blue = map(float, numbers)
    return red, green, blue


def _three_numbers(value: object) -> bool:
    return (
        isinstance(value, list)
        and len(value) == 3
        and all(isinstance(n, int | float) and np.isfinite(n) for n in value)
    )


@lru_cache(maxsize=8)
def _table(preprocessing: Preprocessing) -> NDArray[np.float32]:
    values = np.arange(256) / 255
    mean, std = np.array(preprocessing.mean), np.array(preprocessing.std)
    table = ((values[None] - mean[:, None]) / std[:, None]).astype(np.float32)
    table.setflags(write=False)  # shared by all callers
    return table


def resize(photo: Image.Image, pixels: int) -> NDArray[np.uint8]:
    """Resize to a square by antialiased bilinear interpolation: [pixels, pixels, 3]."""
    return np.asarray(photo.resize((pixels, pixels), Image.Resampling.BILINEAR))


def decode_resized(data: bytes, pixels: int, name: str = "photo") -> NDArray[np.uint8]:
    """Decode and resize a photo: `resize` of `decode`, with the same pixels in less time.

    Raises:
        PhotoError: as `decode`.
    """
    jpeg = decode_jpeg(data, name)
    if jpeg is None:
        return resize(decode(data, name), pixels)
    stored, transposition = jpeg
    photo = Image.fromarray(stored)
    return resize(photo if transposition is None else photo.transpose(transposition), pixels)


def normalise(pixels: NDArray[np.uint8], preprocessing: Preprocessing) -> NDArray[np.float32]:
    """Normalise bytes [..., rows, columns, 3] to float32 [..., 3, rows, columns]."""
    table = preprocessing.table()
    shape = (*pixels.shape[:-3], 3, *pixels.shape[-3:-1])
    values = np.empty(shape, np.float32)
    for channel in range(3):
        values[..., channel, :, :] = table[channel].take(pixels[..., channel])
    return values


def preprocess(photo: Image.Image, preprocessing: Preprocessing) -> NDArray[np.float32]:
    """Resize and normalise an upright RGB photo: [3, pixels, pixels], float32."""
    return normalise(resize(photo, preprocessing.pixels), preprocessing)
