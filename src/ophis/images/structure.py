"""Structure of an image file: segments and chunks, checked before decoding.

A decoder spends time and memory on each part, however small: a file of 64 MiB can hold millions of
empty comments, or a hundred thousand scans of the same 80 million pixels.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING
from zlib import crc32

from ophis.errors import Reason

if TYPE_CHECKING:
    from collections.abc import Iterator

MAX_SEGMENTS = 4096  # of a JPEG; 64 MiB of colour profile and previews are 1,024
MAX_SCANS = 100  # of a JPEG's pixels; encoders write about 20 at most
MAX_CHUNKS = 65_536  # of a PNG or WebP; libpng splits 64 MiB into 8,192
_JPEG, _PNG = b"\xff\xd8\xff", b"\x89PNG\r\n\x1a\n"
# Markers, without stuffed bytes and restart markers, which are inside the pixel data.
_MARKER = re.compile(rb"\xff[\x01-\xcf\xd8-\xfe]")
_START, _END, _SCAN = 0xD8, 0xD9, 0xDA
_SEQUENTIAL = (0xC0, 0xC1)  # Huffman-coded frames with the bits of a block in one scan
_NEEDED = (b"IHDR", b"PLTE", b"tRNS", b"IDAT")  # PNG chunks that the pixels depend on
_ZEROS, _REMOVED = 64, 32  # bytes at the end of compressed pixels; see `webp_without_end`
_TOO_MANY = Reason.UNREADABLE, f"made of more than {MAX_CHUNKS:,} parts; save the photo anew"
_FRAMES = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}
_DECODED = (*_SEQUENTIAL, 0xC2, 0xC9, 0xCA)  # frames; the last two have arithmetic coding


def structure_error(data: bytes) -> tuple[Reason, str] | None:
    """Return the reason and the message of the first structural fault of a file.

    Args:
        data: a whole file.

    Returns:
        None for a file without a fault that is visible before decoding.
    """
    if data.startswith(_JPEG):
        return _jpeg_error(data)
    if data.startswith(_PNG):
        return _png_error(data)
    if data[:4] == b"RIFF" and data[8:12] == b"WEBP":
        return _webp_error(data)
    return None


def _jpeg_error(data: bytes) -> tuple[Reason, str] | None:
    """Check for too many segments or scans, and for fewer bits than blocks of pixels.

    A Huffman-coded block of 64 pixels takes at least one bit for its mean and one for its end.
    """
    starts: list[int] = []
    needed = 0
    for number, (kind, start) in enumerate(_segments(data), start=1):
        if number > MAX_SEGMENTS:
            message = f"made of more than {MAX_SEGMENTS:,} parts; save the photo anew"
            return Reason.UNREADABLE, message
        if kind == _SCAN:
            starts.append(start + int.from_bytes(data[start : start + 2], "big"))
        elif kind in _FRAMES:
            if message := _frame_error(kind, data[start + 2 : start + 5]):
                return Reason.OTHER_FORMAT, f"{message} are not read; save the photo anew"
            height, width = (int.from_bytes(data[start + n : start + n + 2], "big") for n in (3, 5))
            needed = 2 * (width // 8) * (height // 8) if kind in _SEQUENTIAL else 0
        if len(starts) > MAX_SCANS:
            message = f"its pixels come in more than {MAX_SCANS} passes; save the photo anew"
            return Reason.UNREADABLE, message
    if starts and 8 * (len(data) - starts[0]) < needed:
        return _damaged("fewer bits than blocks of pixels")
    return None


def _frame_error(kind: int, content: bytes) -> str | None:
    """Return the name of an unsupported kind of JPEG.

    libjpeg-turbo up to 3.1.3 ignores a requested scale in lossless JPEGs: its pixels overflow the
    buffer of the smaller size.

    Args:
        kind: of the frame.
        content: the bits of a value and the height, 3 bytes.
    """
    if kind not in _DECODED:
        return "lossless and hierarchical JPEGs"
    if content and content[0] != 8:
        return f"JPEGs of {content[0]} bits a value"
    return "JPEGs without their height" if content[1:] == b"\0\0" else None


def _damaged(detail: str) -> tuple[Reason, str]:
    return Reason.DAMAGED, f"damaged or cut short ({detail}); send the photo again"


def _segments(data: bytes) -> Iterator[tuple[int, int]]:
    """Yield the kind of each segment up to the end of the image, and the offset of its length."""
    place = 2
    while marker := _MARKER.search(data, place):
        kind, place = data[marker.end() - 1], marker.end()
        if kind == _END:
            return
        yield kind, place
        if kind not in (0x01, _START):  # these two kinds have no length
            place += int.from_bytes(data[place : place + 2], "big")


def _png_error(data: bytes) -> tuple[Reason, str] | None:
    """Check for too many chunks and for wrong checksums, which Pillow ignores in pixel data."""
    view = memoryview(data)
    for number, (start, end) in enumerate(_png_chunks(data), start=1):
        if number > MAX_CHUNKS:
            return _TOO_MANY
        expected = int.from_bytes(view[end : end + 4], "big")
        if view[start : start + 4] in _NEEDED and crc32(view[start:end]) != expected:
            return _damaged("a checksum differs")
    return None


def _webp_error(data: bytes) -> tuple[Reason, str] | None:
    """Check for too many chunks and for animations.

    An animated PNG has a still image for decoders without animation; a WebP has none.
    """
    frames = 0
    for number, (kind, _, _) in enumerate(_webp_chunks(data), start=1):
        frames += kind == b"ANMF"
        if frames > 1:
            return Reason.OTHER_FORMAT, "this is an animation; send one picture of it"
        if number > MAX_CHUNKS:
            return _TOO_MANY
    return None


def webp_without_end(data: bytes) -> bytes | None:
    """Return a WebP without the last bytes of its pixels, where these end in 64 zeros, else None.

    WebP has no checksums, and decoders accept zeros as pixels: a file that was cut short and filled
    up with zeros shows no error. Pixels of one colour end in zeros too, but need all of them, so
    that the shorter file cannot be decoded. That of a filled file can.

    Args:
        data: a whole file of any format.
    """
    if data[:4] != b"RIFF" or data[8:12] != b"WEBP":
        return None
    for kind, start, end in _webp_chunks(data):
        if kind in (b"VP8 ", b"VP8L") and data[max(start, end - _ZEROS) : end] == bytes(_ZEROS):
            pixels = data[start : end - _REMOVED]
            parts = kind, len(pixels).to_bytes(4, "little"), pixels, bytes(len(pixels) % 2)
            body = data[12 : start - 8] + b"".join(parts) + data[end + end % 2 :]
            return b"RIFF" + (len(body) + 4).to_bytes(4, "little") + b"WEBP" + body
    return None


def _png_chunks(data: bytes) -> Iterator[tuple[int, int]]:
    """Yield the offsets of each chunk's kind and end, up to the end of the image."""
    place = len(_PNG)
    while len(data) >= place + 8 and data[place + 4 : place + 8] != b"IEND":
        end = place + 8 + int.from_bytes(data[place : place + 4], "big")
        yield place + 4, end
        place = end + 4


def _webp_chunks(data: bytes) -> Iterator[tuple[bytes, int, int]]:
    """Yield the kind of each chunk and the offsets of its content and its end."""
    place, whole = 12, 8 + int.from_bytes(data[4:8], "little")
    while min(len(data), whole) >= place + 8:
        end = place + 8 + int.from_bytes(data[place + 4 : place + 8], "little")
        yield data[place : place + 4], place + 8, end
        place = end + end % 2
