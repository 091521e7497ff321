"""The parts that a photo's file is made of, walked through before any decoder sees them.

A decoder takes time and memory for each part, however small: a file of 64 MiB may hold millions of
empty comments, or a hundred thousand passes over the same 80 million pixels.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING
from zlib import crc32

from ophis.errors import Reason

if TYPE_CHECKING:
    from collections.abc import Iterator

MOST_SEGMENTS = 4096  # of a JPEG; 64 MiB of colour profile and previews come to 1,024
MOST_PASSES = 100  # over a JPEG's pixels; encoders make up to 20 or so
MOST_CHUNKS = 65_536  # of a PNG or WebP; 64 MiB in libpng's pieces come to 8,192
_JPEG, _PNG = b"\xff\xd8\xff", b"\x89PNG\r\n\x1a\n"
# What is no pixel: neither a stuffed byte nor a mark to start anew from.
_MARKER = re.compile(rb"\xff[\x01-\xcf\xd8-\xfe]")
_START, _END, _PASS = 0xD8, 0xD9, 0xDA
_SEQUENTIAL = (0xC0, 0xC1)  # frames in Huffman's code, each block's bits in one piece
_NEEDED = (b"IHDR", b"PLTE", b"tRNS", b"IDAT")  # of a PNG's chunks, for its pixels
_ZEROS = 64  # bytes
_TOO_MANY = Reason.UNREADABLE, f"made of more than {MOST_CHUNKS:,} parts; save the photo anew"
_FRAMES = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}


def structure_error(data: bytes) -> tuple[Reason, str] | None:
    """What is wrong with the parts of a file, and the mend; None where nothing is seen.

    Not seen is what takes decoding to see.

    Args:
        data: a whole file.
    """
    if data.startswith(_JPEG):
        return _wrong_segments(data)
    if data.startswith(_PNG):
        return _wrong_png(data)
    if data[:4] == b"RIFF" and data[8:12] == b"WEBP":
        return _wrong_webp(data)
    return None


def _wrong_segments(data: bytes) -> tuple[Reason, str] | None:
    """Of a JPEG: too many, too many passes, or fewer bits than there are blocks of pixels.

    In Huffman's code a block of 64 pixels takes a bit for its mean and a bit for its end at least.
    """
    starts: list[int] = []
    needed = 0
    for number, (kind, start) in enumerate(_segments(data), start=1):
        if number > MOST_SEGMENTS:
            told = f"made of more than {MOST_SEGMENTS:,} parts; save the photo anew"
            return Reason.UNREADABLE, told
        if kind == _PASS:
            starts.append(start + int.from_bytes(data[start : start + 2], "big"))
        elif kind in _FRAMES:
            height, width = (int.from_bytes(data[start + n : start + n + 2], "big") for n in (3, 5))
            needed = 2 * (width // 8) * (height // 8) if kind in _SEQUENTIAL else 0
        if len(starts) > MOST_PASSES:
            told = f"its pixels come in more than {MOST_PASSES} passes; save the photo anew"
            return Reason.UNREADABLE, told
    if starts and 8 * (len(data) - starts[0]) < needed:
        return _damaged("fewer bits than blocks of pixels")
    return None


def _damaged(told: str) -> tuple[Reason, str]:
    return Reason.DAMAGED, f"damaged or cut short ({told}); send the photo again"


def _segments(data: bytes) -> Iterator[tuple[int, int]]:
    """Kind of each segment of a JPEG up to the end of its picture, and where its length stands."""
    place = 2
    while marker := _MARKER.search(data, place):
        kind, place = data[marker.end() - 1], marker.end()
        if kind == _END:
            return
        yield kind, place
        if kind not in (0x01, _START):  # these two have no length
            place += int.from_bytes(data[place : place + 2], "big")


def _wrong_png(data: bytes) -> tuple[Reason, str] | None:
    """Of a PNG: too many, or one that is not as its checksum says; of pixels Pillow checks none."""
    view = memoryview(data)
    for number, (start, end) in enumerate(_png_chunks(data), start=1):
        if number > MOST_CHUNKS:
            return _TOO_MANY
        said = int.from_bytes(view[end : end + 4], "big")
        if view[start : start + 4] in _NEEDED and crc32(view[start:end]) != said:
            return _damaged("a checksum differs")
    return None


def _wrong_webp(data: bytes) -> tuple[Reason, str] | None:
    """Of a WebP: too many, several pictures, or pixels that end in zeros.

    An animated PNG has a still picture for those who know of no animations, a WebP has none. It has
    no checksum either, and decoders take zeros for pixels; squeezed pixels never end in so many.
    """
    pictures = 0
    for number, (kind, end) in enumerate(_webp_chunks(data), start=1):
        pictures += kind == b"ANMF"
        if pictures > 1:
            return Reason.OTHER_FORMAT, "this is an animation; send one picture of it"
        if number > MOST_CHUNKS:
            return _TOO_MANY
        if kind in (b"VP8 ", b"VP8L") and data[max(0, end - _ZEROS) : end] == bytes(_ZEROS):
            return _damaged("it ends in zeros")
    return None


def _png_chunks(data: bytes) -> Iterator[tuple[int, int]]:
    """Where the kind of each chunk stands, up to the end of the picture, and where it ends."""
    place = len(_PNG)
    while len(data) >= place + 8 and data[place + 4 : place + 8] != b"IEND":
        end = place + 8 + int.from_bytes(data[place : place + 4], "big")
        yield place + 4, end
        place = end + 4


def _webp_chunks(data: bytes) -> Iterator[tuple[bytes, int]]:
    """The kind of each chunk, and where its content ends."""
    place, whole = 12, 8 + int.from_bytes(data[4:8], "little")
    while min(len(data), whole) >= place + 8:
        end = place + 8 + int.from_bytes(data[place + 4 : place + 8], "little")
        yield data[place : place + 4], end
        place = end + end % 2
