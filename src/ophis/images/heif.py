"""Extents of the images in a HEIC file, checked for zeros in place of pixels.

HEVC has no checksums, and its decoder accepts zeros as pixels: a file that was cut short and filled
up with zeros shows no error. But no unit of HEVC ends in a zero (ISO/IEC 23008-2, 7.4.2).
"""

from __future__ import annotations

from io import BytesIO
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

MAX_PARTS = 65_536  # extents and units; a large photo of a phone has some hundred
_ZEROS = 16  # bytes; some programs write a few between units


class TooManyPartsError(ValueError):
    """More than `MAX_PARTS` extents and units."""


def ends_in_zeros(data: bytes) -> bool:
    """Return True for a file with pixels that end in zeros.

    Args:
        data: a whole HEIC file.

    Raises:
        TooManyPartsError: before more parts are read.
    """
    parts = 0
    for start, end in _extents(data):
        parts += 1
        if data[max(start, end - _ZEROS) : end] == bytes(_ZEROS):
            place, size = start, 1
            while place < end and size and parts <= MAX_PARTS:
                size = int.from_bytes(data[place : place + 4], "big")
                place += 4 + size
                parts += 1
            if place == end or not size:  # other items, such as EXIF, are no row of units
                return True
        if parts > MAX_PARTS:
            raise TooManyPartsError
    return False


def _extents(data: bytes) -> Iterator[tuple[int, int]]:
    """Yield the offsets of the parts of all items (ISO/IEC 14496-12, 8.11.3)."""
    meta, end = _box(data, b"meta", 0, len(data))
    yield from _located(data[slice(*_box(data, b"iloc", meta + 4, end))])


def _located(content: bytes) -> Iterator[tuple[int, int]]:
    file = BytesIO(content)

    def number(size: int) -> int:
        return int.from_bytes(file.read(size), "big")

    version, sizes = number(4) >> 24, number(2)
    offset_size, length_size, base_size = sizes >> 12, sizes >> 8 & 15, sizes >> 4 & 15
    index_size = sizes & 15 if version else 0
    wide = 4 if version > 1 else 2
    for _ in range(number(wide)):
        number(wide)  # the item
        method = number(2) & 15 if version else 0
        number(2)  # the file
        base = number(base_size)
        for _ in range(number(2)):
            number(index_size)
            start = base + number(offset_size)
            size = number(length_size)
            yield (start, start + size) if not method else (0, 0)  # 0: an offset into the file
        if file.tell() >= len(content):
            return


def _box(data: bytes, kind: bytes, place: int, end: int) -> tuple[int, int]:
    """Return the offsets of the content and the end of the first box of a kind; 0 without one."""
    for _ in range(MAX_PARTS):
        size, head = int.from_bytes(data[place : place + 4], "big"), 8
        if size == 1:
            size, head = int.from_bytes(data[place + 8 : place + 16], "big"), 16
        last = min(place + size, end) if size else end
        if data[place + 4 : place + 8] == kind:
            return place + head, last
        if last >= end or size < head:
            return 0, 0
        place = last
    raise TooManyPartsError
