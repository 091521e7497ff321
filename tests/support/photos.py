"""Small photo files for tests, made from arrays."""

import io
import struct
import zlib

import numpy as np
import pytest
from PIL import ExifTags, Image


def picture(mode: str = "RGB", size: tuple[int, int] = (64, 48)) -> Image.Image:
    """Return four different quarters, so that every rotation and mirroring is visible."""
    width, height = size
    pixels = np.zeros((height, width, 3), np.uint8)
    pixels[: height // 2, : width // 2] = (250, 20, 20)
    pixels[: height // 2, width // 2 :] = (20, 250, 20)
    pixels[height // 2 :, : width // 2] = (20, 20, 250)
    return Image.fromarray(pixels).convert(mode)


def encode(photo: Image.Image, kind: str, **options: object) -> bytes:
    buffer = io.BytesIO()
    photo.save(buffer, kind, **options)
    return buffer.getvalue()


def png_header(width: int, height: int) -> bytes:
    """Return a PNG with the header of a large image and few pixels."""
    header = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)

    def chunk(kind: bytes, data: bytes) -> bytes:
        checksum = struct.pack(">I", zlib.crc32(kind + data))
        return struct.pack(">I", len(data)) + kind + data + checksum

    flat = zlib.compress(b"\x00" * 1000)
    return (
        b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", flat) + chunk(b"IEND", b"")
    )


def photo(seed: int = 0, side: int = 80, kind: str = "PNG") -> bytes:
    """Return noise, large enough to be accepted."""
    colours = np.random.default_rng(seed).integers(0, 255, (side, side, 3), np.uint8)
    file = io.BytesIO()
    Image.fromarray(colours).save(file, kind)
    return file.getvalue()


def located(latitude: tuple[float, ...], longitude: tuple[float, ...]) -> bytes:
    """Return noise as a JPEG with a GPS position, north and east, accurate to 35 m."""
    exif = Image.Exif()
    exif.get_ifd(ExifTags.IFD.GPSInfo).update(
        {
            ExifTags.GPS.GPSLatitude: latitude, ExifTags.GPS.GPSLatitudeRef: "N",
            ExifTags.GPS.GPSLongitude: longitude, ExifTags.GPS.GPSLongitudeRef: "E",
            ExifTags.GPS.GPSHPositioningError: 35.0,
        }
    )  # fmt: skip
    file = io.BytesIO()
    with Image.open(io.BytesIO(photo())) as whole:
        whole.save(file, "JPEG", exif=exif.tobytes())
    return file.getvalue()


def heic(image: Image.Image, **options: object) -> bytes:
    """Return a HEIC file, nearly lossless. Skips the test where pillow-heif is not installed."""
    pillow_heif = pytest.importorskip("pillow_heif", reason="pillow-heif is not installed")
    pillow_heif.register_heif_opener()
    buffer = io.BytesIO()
    image.save(buffer, "HEIF", quality=-1, chroma=444, **options)
    return buffer.getvalue()


def kathmandu_photo() -> bytes:
    """Return noise with the GPS position of Kathmandu."""
    return located((27.0, 43.0, 1.92), (85.0, 19.0, 26.4))
