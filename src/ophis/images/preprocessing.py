"""Photos: untrusted bytes to upright RGB to float32. The one preprocessing of training and use."""

from __future__ import annotations

import io
import json
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image, UnidentifiedImageError

from ophis.datasets.shards.reader import PackedPhoto
from ophis.errors import InputError, PhotoError, Reason
from ophis.files.atomic import NO_PLAIN_FILE, plain_file
from ophis.images.formats import formats_of, what
from ophis.images.jpeg import require_whole
from ophis.images.orientation import DAMAGED, rgb, upright
from ophis.images.parts import wrong_parts

if TYPE_CHECKING:
    from collections.abc import Generator

    from numpy.typing import NDArray

MOST_BYTES = 64 * 2**20
MOST_PIXELS = 80_000_000  # below where Pillow itself begins to warn
_TOO_LARGE = f"more than {MOST_PIXELS // 10**6} million pixels; send a smaller photo"
MOST_SIDE = 8192  # pixels of the square that a network sees
USABLE_SIDE = 64  # pixels; with fewer a snake may be seen, but not told from others
LEAST_CONTRAST = 12  # of 255, between the darkest and the lightest twentieth of a photo
LEAST_SIDE = 32  # pixels; nothing smaller shows a snake
_WAYS = {
    "interpolation": "bilinear, antialiased",
    "channels": "RGB",
    "layout": "photo, channel, row, column",
}


@dataclass(frozen=True)
class Preprocessing:
    """What is done to an upright RGB photo before the network sees it.

    Attributes:
        pixels: side of the square that the photo is squeezed to.
        mean: per channel, subtracted from values in [0, 1].
        deviation: per channel, divided by.
    """

    pixels: int
    mean: tuple[float, float, float]
    deviation: tuple[float, float, float]

    def table(self) -> NDArray[np.float32]:
        """The value of each byte in each channel: [3, 256], float32.

        Computed in float64 and rounded once. Whoever looks values up here (training, ONNX, the
        browser) has the same numbers to the last bit, whatever its arithmetic.
        """
        return _table(self)

    def write(self, path: str | Path) -> Path:
        """Write images.json."""
        path = Path(path)
        path.write_text(json.dumps(asdict(self) | _WAYS, indent=2) + "\n", encoding="utf-8")
        return path

    @classmethod
    def read(cls, path: str | Path) -> Preprocessing:
        """Read images.json.

        Raises:
            InputError: naming the file and the key that is missing or has no meaning here.
        """
        try:
            values = json.loads(Path(path).read_text(encoding="utf-8"))
        except FileNotFoundError:
            raise InputError(f"{path}: there is no such file") from None
        except (OSError, ValueError, RecursionError) as error:
            raise InputError(f"{path}: cannot be read as JSON: {error}") from None
        if not isinstance(values, dict):
            raise InputError(f"{path}: should hold keys and values")
        for key, way in _WAYS.items():
            if values.get(key) != way:
                raise InputError(f"{path}: {key} = {values.get(key)!r}, but only {way!r} is known")
        pixels, mean, deviation = (values.get(key) for key in ("pixels", "mean", "deviation"))
        if not isinstance(pixels, int) or isinstance(pixels, bool) or not 1 <= pixels <= MOST_SIDE:
            raise InputError(f"{path}: pixels = {pixels!r} should be a whole number to {MOST_SIDE}")
        for key, numbers in (("mean", mean), ("deviation", deviation)):
            if not _three_numbers(numbers) or (
                key == "deviation" and not all(n > 0 for n in numbers)
            ):
                raise InputError(f"{path}: {key} = {numbers!r} should be three numbers, above 0")
        return cls(pixels, _triple(mean), _triple(deviation))


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
    mean, deviation = np.array(preprocessing.mean), np.array(preprocessing.deviation)
    table = ((values[None] - mean[:, None]) / deviation[:, None]).astype(np.float32)
    table.setflags(write=False)  # shared by all callers
    return table


def read_bytes(path: str | Path | PackedPhoto) -> bytes:
    """The bytes of a photo file, or of a photo in a pack.

    Raises:
        PhotoError: naming the file when it is missing, no plain file, or over 64 MiB; the packed
            photo when it is not as it was packed.
    """
    if isinstance(path, PackedPhoto):
        return path.read_bytes()
    path = Path(path)
    try:
        if not path.is_file():
            raise PhotoError(f"{path}: {_no_file(path)}")
        with plain_file(path) as file:
            data = file.read(MOST_BYTES + 1)
    except OSError as error:
        raise PhotoError(f"{path}: cannot be read: {error.strerror or error}") from None
    if len(data) > MOST_BYTES:
        raise PhotoError(
            f"{path}: larger than {MOST_BYTES // 2**20} MiB; send a smaller photo",
            reason=Reason.TOO_LARGE,
        )
    return data


def _no_file(path: Path) -> str:
    if path.is_dir():
        return "this is a folder"
    return f"is {NO_PLAIN_FILE}" if path.exists() else "there is no such photo"


def read_photo(path: str | Path | PackedPhoto) -> Image.Image:
    """A photo file as an upright RGB picture: `read_bytes`, then `decode`. Packed ones are square.

    Raises:
        PhotoError: as those two.
    """
    if isinstance(path, PackedPhoto) and path.pack.metadata.raw:
        return Image.fromarray(path.pack.square(path.place))
    return decode(read_bytes(path), str(path))


def decode(data: bytes, name: str = "photo") -> Image.Image:
    """Bytes of a photo as an upright picture of 8-bit RGB.

    Turned as its EXIF says, a HEIC as its own boxes say; grey, palette, CMYK and 16-bit pictures
    are converted; transparent pixels are laid over white, as a browser shows them. Only the first
    frame counts, of a HEIC the primary picture.

    Args:
        data: a whole JPEG, PNG or WebP file; HEIC where pillow-heif is installed.
        name: what to call the photo when it is refused.

    Raises:
        PhotoError: when it is no such picture, is damaged or cut short, has more than 80 million
            pixels (decided before any is decoded) or fewer than 32 a side.
    """
    with opened(data, name) as photo:
        require_whole(data, photo)
        return decoded(photo)


@contextmanager
def opened(data: bytes, name: str) -> Generator[Image.Image]:
    """A photo of an allowed size, of which no pixel is decoded yet.

    Whatever turns out to be damaged while it is open is refused as in `decode`: let nothing else
    happen there.
    """
    if not data:
        raise PhotoError(f"{name}: the file is empty; copy it again", reason=Reason.EMPTY)
    if wrong := wrong_parts(data):
        reason, told = wrong
        raise PhotoError(f"{name}: {told}", reason=reason)
    try:
        with Image.open(io.BytesIO(data), formats=formats_of(data)) as photo:
            _require_size(photo, name)
            yield photo
    except PhotoError:
        raise
    except UnidentifiedImageError:
        reason, told = what(data)
        raise PhotoError(f"{name}: {told}; send a JPEG, PNG or WebP photo", reason=reason) from None
    except (Image.DecompressionBombError, Image.DecompressionBombWarning):
        raise PhotoError(f"{name}: {_TOO_LARGE}", reason=Reason.TOO_LARGE) from None
    except DAMAGED as error:
        told = (str(error).splitlines() or [type(error).__name__])[0]
        raise PhotoError(
            f"{name}: damaged or cut short ({told}); send the photo again", reason=Reason.DAMAGED
        ) from None


def decoded(photo: Image.Image) -> Image.Image:
    """An opened photo as an upright picture of 8-bit RGB; it is not to be used any more."""
    photo.load()
    return rgb(upright(photo))


def _require_size(photo: Image.Image, name: str) -> None:
    width, height = photo.size
    if width * height > MOST_PIXELS:
        raise PhotoError(f"{name}: {_TOO_LARGE}", reason=Reason.TOO_LARGE)
    if min(width, height) < LEAST_SIDE:
        raise PhotoError(
            f"{name}: {width} x {height} pixels show nothing; send a photo of {LEAST_SIDE} or more"
            " a side",
            reason=Reason.TOO_SMALL,
        )


def unusable(photo: Image.Image) -> str | None:
    """Why nobody should be told a name from this upright photo: "small" or "flat"; None: usable.

    Flat is a photo with next to no contrast: a lens cap, a wall, the sky, a page.
    """
    if min(photo.size) < USABLE_SIDE:
        return "small"
    # Averages over some pixels, so that the noise of a dark sensor is no contrast.
    grey = photo.convert("L").resize((USABLE_SIDE, USABLE_SIDE), Image.Resampling.BOX)
    greys = np.sort(np.asarray(grey), axis=None)
    # As np.percentile, which loads numpy.ma: a third of the time that NumPy itself takes.
    dark, light = np.interp(
        (0.05 * (greys.size - 1), 0.95 * (greys.size - 1)), np.arange(greys.size), greys
    )
    return "flat" if light - dark < LEAST_CONTRAST else None


def resize(photo: Image.Image, pixels: int) -> NDArray[np.uint8]:
    """Squeeze to a square by antialiased bilinear interpolation: [pixels, pixels, 3], uint8."""
    return np.asarray(photo.resize((pixels, pixels), Image.Resampling.BILINEAR))


def normalise(pixels: NDArray[np.uint8], preprocessing: Preprocessing) -> NDArray[np.float32]:
    """Bytes [..., rows, columns, 3] to the network's numbers [..., 3, rows, columns], float32."""
    table = preprocessing.table()
    shape = (*pixels.shape[:-3], 3, *pixels.shape[-3:-1])
    values = np.empty(shape, np.float32)
    for channel in range(3):
        values[..., channel, :, :] = table[channel].take(pixels[..., channel])
    return values


def preprocess(photo: Image.Image, preprocessing: Preprocessing) -> NDArray[np.float32]:
    """An upright RGB photo as the network sees it: [3, pixels, pixels], float32."""
    return normalise(resize(photo, preprocessing.pixels), preprocessing)
