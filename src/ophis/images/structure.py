"""Structure of an image file: segments and chunks, checked and repaired before decoding.

A decoder spends time and memory on each part, however small: a file of 64 MiB can hold millions of
empty comments, or a hundred thousand scans of the same 80 million pixels. The bounds, which photos
of cameras do not reach, keep the work for a file of few bytes below twice that for a large photo.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING
from zlib import crc32

from ophis.errors import Reason
from ophis.images.formats import is_heif
from ophis.images.heif import TooManyPartsError, heif_damage

if TYPE_CHECKING:
    from collections.abc import Iterator

MAX_SEGMENTS = 4096  # of a JPEG; 64 MiB of colour profile and previews are 1,024
MAX_PIXELS = 80_000_000  # below the limit from which Pillow itself warns
# Pixels of a JPEG times the components in all its scans. Progressive files have 14 components in 10
# scans (CMYK: 24 in 18), 0.7 (1.2) thousand million for the 50 million pixels of a phone.
MAX_SCANNED_PIXELS = 1_250_000_000
MAX_PNG_BITS = 32 * MAX_PIXELS  # of all values; with 16 bits and transparency 40 million pixels
MAX_WEBP_PIXELS = 52_000_000  # 16 bytes each while decoding; a phone's photo has 50.3 million
MAX_CHUNKS = 65_536  # of a PNG, WebP or HEIC; libpng splits 64 MiB into 8,192
_JPEG, _PNG, _EOI = b"\xff\xd8\xff", b"\x89PNG\r\n\x1a\n", b"\xff\xd9"
# Markers, without stuffed bytes and restart markers, which are inside the pixel data.
_MARKER = re.compile(rb"\xff[\x01-\xcf\xd8-\xfe]")
_START, _END, _SCAN, _JFIF = 0xD8, 0xD9, 0xDA, 0xE0
_WITHOUT_LENGTH = (0x01, _START)
_SEQUENTIAL = (0xC0, 0xC1)  # Huffman-coded frames with the bits of a block in one scan
_ANCILLARY = 0x20  # bit of the first letter of a PNG chunk
_PNG_VALUES = {0: 1, 2: 3, 3: 1, 4: 2}  # of a pixel, by colour type; else 4
_NEEDED = (b"IHDR", b"PLTE", b"tRNS", b"IDAT")  # PNG chunks that the pixels depend on
# Bytes at the end of compressed pixels; see `webp_without_end`. Encoders write 4 more than needed.
_ZEROS, _REMOVED = 16, 8
_TOO_MANY = Reason.UNREADABLE, f"made of more than {MAX_CHUNKS:,} parts; save the photo anew"
_FRAMES = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}
_DECODED = (*_SEQUENTIAL, 0xC2)


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
    return _heif_error(data) if is_heif(data) else None


def _jpeg_error(data: bytes) -> tuple[Reason, str] | None:
    """Check for too many segments or scanned pixels, and for fewer bits than blocks of pixels.

    A Huffman-coded block of 64 pixels takes at least one bit for its mean and one for its end.
    """
    starts: list[int] = []
    needed = pixels = scanned = 0
    for number, (kind, start) in enumerate(_segments(data), start=1):
        if number > MAX_SEGMENTS:
            message = f"made of more than {MAX_SEGMENTS:,} parts; save the photo anew"
            return Reason.UNREADABLE, message
        if kind == _SCAN:
            starts.append(start + int.from_bytes(data[start : start + 2], "big"))
            scanned += pixels * sum(data[start + 2 : start + 3])
        elif kind in _FRAMES:
            if message := _frame_error(kind, data[start + 2 : start + 5]):
                return Reason.OTHER_FORMAT, f"{message} are not read; save the photo anew"
            height, width = (int.from_bytes(data[start + n : start + n + 2], "big") for n in (3, 5))
            needed = 2 * (width // 8) * (height // 8) if kind in _SEQUENTIAL else 0
            if (pixels := max(pixels, width * height)) > MAX_PIXELS:
                return too_large()
        if scanned > MAX_SCANNED_PIXELS:
            return Reason.UNREADABLE, "its pixels come in too many passes; save the photo anew"
    if starts and 8 * (len(data) - starts[0]) < needed:
        return _damaged("fewer bits than blocks of pixels")
    return None


def _frame_error(kind: int, content: bytes) -> str | None:
    """Return the name of an unsupported kind of JPEG.

    Arithmetic coding does not show where a file was cut, and few programs read it. libjpeg-turbo up
    to 3.1.3 ignores a requested scale in lossless JPEGs: its pixels overflow the buffer of the
    smaller size.

    Args:
        kind: of the frame.
        content: the bits of a value and the height, 3 bytes.
    """
    if kind not in _DECODED:
        return "arithmetic-coded, lossless and hierarchical JPEGs"
    if content and content[0] != 8:
        return f"JPEGs of {content[0]} bits a value"
    return "JPEGs without their height" if content[1:] == b"\0\0" else None


def repaired(data: bytes) -> bytes:
    """Return a file without faults that concern no pixels.

    A decoder refuses them, or its warning about them hides a later one about pixels. JPEG: bytes
    between the first segments, a new version of JFIF, wrong parameters of the scan. PNG: wrong
    checksums of chunks without pixels; these chunks are removed, as browsers do.

    Args:
        data: a whole file without error of `structure_error`.
    """
    if data.startswith(_JPEG):
        return _repaired_jpeg(data)
    return _repaired_png(data) if data.startswith(_PNG) else data


def _repaired_jpeg(data: bytes) -> bytes:
    header, sequential = [data[:2]], False
    for kind, start in _segments(data):
        if kind in _WITHOUT_LENGTH:
            return data
        end = start + int.from_bytes(data[start : start + 2], "big")
        part = data[start - 2 : end]
        sequential |= kind in _SEQUENTIAL
        if kind == _JFIF and part[4:9] == b"JFIF\0":
            part = part[:9] + b"\1" + part[10:]
        if kind == _SCAN:
            header.append(part[:-3] + b"\x00\x3f\x00" if sequential else part)
            first = b"".join(header)
            return data if data.startswith(first) else first + data[end:]
        header.append(part)
    return data


def _repaired_png(data: bytes) -> bytes:
    kept, place = [], 0
    for start, end in _png_chunks(data):
        kind, expected = data[start : start + 4], int.from_bytes(data[end : end + 4], "big")
        if kind[0] & _ANCILLARY and kind not in _NEEDED and crc32(data[start:end]) != expected:
            kept.append(data[place : start - 4])
            place = end + 4
    return b"".join((*kept, data[place:])) if kept else data


def with_end(data: bytes) -> bytes:
    """Return a JPEG with its end marker, where nothing but this is missing.

    All scans are there; a decoder has to confirm that the last one has enough bits.

    Args:
        data: a whole file of any format.
    """
    if not data.startswith(_JPEG):
        return data
    sequential, missing = False, {(0, 0)}  # components and their coefficients
    for kind, start in _segments(data):
        content = data[start + 2 : start + int.from_bytes(data[start : start + 2], "big")]
        if kind in _DECODED:
            sequential = kind in _SEQUENTIAL
            missing = {(component, n) for component in content[6:18:3] for n in range(64)}
        elif kind == _SCAN:
            if data.rfind(_EOI, start) > 0:
                return data
            first, last, bits = content[-3:].rjust(3, b"\xff")
            if sequential or not bits & 15:  # the last bits of these coefficients
                numbers = range(64) if sequential else range(first, last + 1)
                missing -= {(component, n) for component in content[1:-3:2][:4] for n in numbers}
    return data if missing else data + _EOI


def too_large(most: int = MAX_PIXELS, kind: str = "") -> tuple[Reason, str]:
    """Return the error of a photo of more pixels than allowed, or than allowed for its kind."""
    return Reason.TOO_LARGE, f"more than {most // 10**6} million pixels{kind}; send a smaller photo"


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
        if kind not in _WITHOUT_LENGTH:
            place += int.from_bytes(data[place : place + 2], "big")


def _png_error(data: bytes) -> tuple[Reason, str] | None:
    """Check for too many chunks or pixels, and for wrong checksums.

    Pillow ignores checksums of pixel data.
    """
    view = memoryview(data)
    for number, (start, end) in enumerate(_png_chunks(data), start=1):
        if number > MAX_CHUNKS:
            return _TOO_MANY
        expected = int.from_bytes(view[end : end + 4], "big")
        if view[start : start + 4] in _NEEDED and crc32(view[start:end]) != expected:
            return _damaged("a checksum differs")
        if view[start : start + 4] == b"IHDR" and (error := _png_size_error(data[start + 4 : end])):
            return error
    return None


def _png_size_error(header: bytes) -> tuple[Reason, str] | None:
    width, height = (int.from_bytes(header[n : n + 4], "big") for n in (0, 4))
    depth, colour = header[8:10].ljust(2, b"\0")
    bits = depth * _PNG_VALUES.get(colour, 4)
    if width * height > MAX_PIXELS:
        return too_large()
    most = MAX_PNG_BITS // max(1, bits)
    return too_large(most, f" of {bits} bits") if width * height > most else None


def _webp_error(data: bytes) -> tuple[Reason, str] | None:
    """Check for too many chunks or pixels, and for animations.

    An animated PNG has a still image for decoders without animation; a WebP has none.
    """
    frames = 0
    for number, (kind, start, _) in enumerate(_webp_chunks(data), start=1):
        frames += kind == b"ANMF"
        if _webp_pixels(kind, data[start : start + 10]) > MAX_WEBP_PIXELS:
            return too_large(MAX_WEBP_PIXELS, " as WebP")
        if frames > 1:
            return Reason.OTHER_FORMAT, "this is an animation; send one picture of it"
        if number > MAX_CHUNKS:
            return _TOO_MANY
    return None


def _webp_pixels(kind: bytes, content: bytes) -> int:
    """Return the pixels that the header of a chunk declares; 0 for another chunk."""

    def number(place: int, size: int) -> int:
        return int.from_bytes(content[place : place + size], "little")

    if kind == b"VP8X":
        return (1 + number(4, 3)) * (1 + number(7, 3))
    if kind == b"VP8L":
        return (1 + (number(1, 2) & 0x3FFF)) * (1 + (number(1, 4) >> 14 & 0x3FFF))
    return (number(6, 2) & 0x3FFF) * (number(8, 2) & 0x3FFF) if kind == b"VP8 " else 0


def _heif_error(data: bytes) -> tuple[Reason, str] | None:
    """Check for too many parts and for visible damage."""
    try:
        return _damaged(damage) if (damage := heif_damage(data)) else None
    except TooManyPartsError:
        return _TOO_MANY


def webp_without_end(data: bytes) -> bytes | None:
    """Return a WebP without the last bytes of its pixels, where these end in 16 zeros, else None.

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
