"""Units of the pixels in a HEIC file, checked for damage that the decoder does not report.

HEVC has no checksums, and its decoder accepts any bits as pixels, without a warning: a file that
was cut short and filled up with zeros shows no error. But no unit of HEVC ends in a zero or holds
one of three runs of bytes (ISO/IEC 23008-2, 7.4.2): zeros in place of pixels are visible.
"""

from __future__ import annotations

import re
from io import BytesIO
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

MAX_PARTS = 65_536  # boxes, extents and units; a large photo of a phone has some hundred
_ZEROS = 16  # bytes; some programs write a few between units
_FORBIDDEN = re.compile(rb"\0\0[\0-\2]")  # inside a unit
_PIXELS = (b"hvc1", b"hev1")  # types of items


class TooManyPartsError(ValueError):
    """More than `MAX_PARTS` boxes, extents or units."""


def heif_damage(data: bytes) -> str | None:
    """Return the damage that is visible in the pixels of a file; None without any.

    Args:
        data: a whole HEIC file.

    Raises:
        TooManyPartsError: before more parts are read.
    """
    meta, end = _box(data, b"meta", 0, len(data))
    pixels = _pixel_items(data, *_box(data, b"iinf", meta + 4, end))
    parts = size = 0
    for item, extents in _located(data[slice(*_box(data, b"iloc", meta + 4, end))]):
        parts += len(extents)
        if parts > MAX_PARTS:
            raise TooManyPartsError
        if item not in pixels:
            continue
        size += sum(last - first for first, last in extents)
        if size > len(data) or any(last > len(data) for _, last in extents):
            return "its parts are longer than the file"  # or overlap, and take as long to decode
        content = b"".join(data[first:last] for first, last in extents)
        for unit in _units(content):
            parts += 1
            if parts > MAX_PARTS:
                raise TooManyPartsError
            if unit is None or _FORBIDDEN.search(unit):
                return "zeros or partial units in its pixels"
    return None


def _units(content: bytes) -> Iterator[bytes | None]:
    """Yield the units of an item without a few zeros at their ends; None for a wrong unit."""
    place = 0
    while place < len(content):
        size = int.from_bytes(content[place : place + 4], "big")
        unit = content[place + 4 : place + 4 + size]
        plain = unit.rstrip(b"\0")
        zeros = content[place : place + _ZEROS] == bytes(_ZEROS)
        yield None if zeros or len(unit) < size or len(unit) - len(plain) >= _ZEROS else plain
        place += 4 + size


def _pixel_items(data: bytes, start: int, end: int) -> set[int]:
    """Return the items of HEVC pixels (ISO/IEC 14496-12, 8.11.6)."""
    found = set()
    wide = 4 if data[start : start + 1] != b"\0" else 2  # of the number of items
    for kind, place, _ in _boxes(data, start + 4 + wide, end):
        wide = 4 if data[place : place + 1] == b"\3" else 2  # of the id
        number = place + 4 + wide
        if kind == b"infe" and data[number + 2 : number + 6] in _PIXELS:
            found.add(int.from_bytes(data[place + 4 : number], "big"))
    return found


def _located(content: bytes) -> Iterator[tuple[int, list[tuple[int, int]]]]:
    """Yield each item and the offsets of its extents in the file (ISO/IEC 14496-12, 8.11.3)."""
    file = BytesIO(content)

    def number(size: int) -> int:
        return int.from_bytes(file.read(size), "big")

    version, sizes = number(4) >> 24, number(2)
    offset_size, length_size, base_size = sizes >> 12, sizes >> 8 & 15, sizes >> 4 & 15
    index_size = sizes & 15 if version else 0
    wide = 4 if version > 1 else 2
    for _ in range(number(wide)):
        item = number(wide)
        method = number(2) & 15 if version else 0
        number(2)  # the file
        base = number(base_size)
        extents: list[tuple[int, int]] = []
        for _ in range(number(2)):
            number(index_size)
            start = base + number(offset_size)
            size = number(length_size)
            # 0: an offset into the file
            extents.append((0, 0) if method else (start, start + size))
        yield item, extents
        if file.tell() >= len(content):
            return


def _box(data: bytes, kind: bytes, place: int, end: int) -> tuple[int, int]:
    """Return the offsets of the content and the end of the first box of a kind; 0 without one."""
    boxes = _boxes(data, place, end)
    return next(((start, last) for found, start, last in boxes if found == kind), (0, 0))


def _boxes(data: bytes, place: int, end: int) -> Iterator[tuple[bytes, int, int]]:
    """Yield the kind of each box and the offsets of its content and its end."""
    for _ in range(MAX_PARTS):
        size, head = int.from_bytes(data[place : place + 4], "big"), 8
        if size == 1:
            size, head = int.from_bytes(data[place + 8 : place + 16], "big"), 16
        last = min(place + size, end) if size else end
        yield data[place + 4 : place + 8], place + head, last
        if last >= end or size < head:
            return
        place = last
    raise TooManyPartsError
