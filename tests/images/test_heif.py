"""Parts of HEIC files made by hand, without pixels that a decoder could read."""

import struct

import pytest

from ophis.errors import Reason
from ophis.images.heif import MAX_PARTS, TooManyPartsError, ends_in_zeros
from ophis.images.structure import structure_error


def box(kind: bytes, content: bytes, *, wide: bool = False) -> bytes:
    size = len(content) + (16 if wide else 8)
    return struct.pack(">I4sQ", 1, kind, size) + content if wide else struct.pack(
        ">I4s", size, kind
    ) + content  # fmt: skip


def unit(content: bytes) -> bytes:
    return struct.pack(">I", len(content)) + content


def heif(*items: bytes, version: int = 0, method: int = 0, wide: bool = False) -> bytes:
    """Return a file with one extent for each item."""
    head = box(b"ftyp", b"heic\0\0\0\0mif1heic")

    def meta(first: int) -> bytes:
        wide_number = ">I" if version > 1 else ">H"
        iloc = struct.pack(">IBB", version << 24, 0x44, 0x00) + struct.pack(wide_number, len(items))
        for number, item in enumerate(items):
            iloc += struct.pack(wide_number, number)
            iloc += struct.pack(">H", method) if version else b""
            iloc += struct.pack(">HHII", 0, 1, first, len(item))
            first += len(item)
        return box(b"meta", bytes(4) + box(b"hdlr", bytes(24)) + box(b"iloc", iloc), wide=wide)

    start = len(head) + len(meta(0)) + 8
    return head + meta(start) + box(b"mdat", b"".join(items))


PIXELS = unit(b"\1" * 80) + unit(b"\2" * 80)
FILLED = PIXELS[:-16] + bytes(16)


@pytest.mark.parametrize("version", [0, 1, 2])
@pytest.mark.parametrize("wide", [False, True])
def test_unit_that_ends_in_zeros_is_found(version, wide):
    layout = {"version": version, "wide": wide}
    assert not ends_in_zeros(heif(PIXELS, PIXELS, **layout))
    assert ends_in_zeros(heif(PIXELS, FILLED, **layout))
    assert ends_in_zeros(heif(FILLED, PIXELS, **layout))
    assert ends_in_zeros(heif(PIXELS, bytes(90), **layout))
    assert not ends_in_zeros(heif(PIXELS[:-16] + b"\1" + bytes(15), **layout))


def test_other_items_may_end_in_zeros():
    exif = b"\0\0\0\6Exif\0\0MM\0*" + bytes(80)
    assert not ends_in_zeros(heif(exif, PIXELS))
    assert not ends_in_zeros(heif(PIXELS) + bytes(99))
    assert not ends_in_zeros(heif(FILLED, version=1, method=1))


@pytest.mark.parametrize("cut", [4, 12, 30, 60, 100, 200])
def test_parts_beyond_the_end_are_left_to_the_decoder(cut):
    assert not ends_in_zeros(heif(FILLED)[:cut])


def test_file_has_65536_parts_at_most():
    head = box(b"ftyp", b"heic")
    items = struct.pack(">HHH", 0, 0, 0xFFFF) * 2  # extents without bytes
    extents = head + box(b"meta", bytes(4) + box(b"iloc", bytes(7) + b"\2" + items))
    boxes = head + box(b"free", b"") * (MAX_PARTS + 1)
    units = heif(unit(b"\1") * MAX_PARTS + unit(bytes(16)))
    for data in (extents, boxes, units):
        with pytest.raises(TooManyPartsError):
            ends_in_zeros(data)
        assert structure_error(data) == (
            Reason.UNREADABLE,
            f"made of more than {MAX_PARTS:,} parts; save the photo anew",
        )
    assert structure_error(heif(FILLED)) == (
        Reason.DAMAGED,
        "damaged or cut short (it ends in zeros); send the photo again",
    )
