"""Parts of HEIC files made by hand, without pixels that a decoder could read."""

import struct

import pytest

from ophis.errors import Reason
from ophis.images.heif import MAX_PARTS, TooManyPartsError, heif_damage
from ophis.images.structure import structure_error


def box(kind: bytes, content: bytes, *, wide: bool = False) -> bytes:
    size = len(content) + (16 if wide else 8)
    return struct.pack(">I4sQ", 1, kind, size) + content if wide else struct.pack(
        ">I4s", size, kind
    ) + content  # fmt: skip


def unit(content: bytes) -> bytes:
    return struct.pack(">I", len(content)) + content


def heif(
    *items: bytes, version: int = 0, method: int = 0, wide: bool = False, kind: bytes = b"hvc1"
) -> bytes:
    """Return a file with one extent for each item."""
    head = box(b"ftyp", b"heic\0\0\0\0mif1heic")
    wide_number = ">I" if version > 1 else ">H"
    count = struct.pack(wide_number, len(items))
    infos = [
        box(b"infe", bytes((3 if version > 1 else 2, 0, 0, 0)) + struct.pack(wide_number, number)
            + bytes(2) + kind + b"\0")
        for number in range(len(items))
    ]  # fmt: skip
    iinf = box(b"iinf", bytes((version > 1, 0, 0, 0)) + count + b"".join(infos))

    def meta(first: int) -> bytes:
        iloc = struct.pack(">IBB", version << 24, 0x44, 0x00) + count
        for number, item in enumerate(items):
            iloc += struct.pack(wide_number, number)
            iloc += struct.pack(">H", method) if version else b""
            iloc += struct.pack(">HHII", 0, 1, first, len(item))
            first += len(item)
        boxes = box(b"hdlr", bytes(24)) + iinf + box(b"iloc", iloc)
        return box(b"meta", bytes(4) + boxes, wide=wide)

    start = len(head) + len(meta(0)) + 8
    return head + meta(start) + box(b"mdat", b"".join(items))


PIXELS = unit(b"\1" * 80) + unit(b"\2" * 80)
FILLED = PIXELS[:-16] + bytes(16)
WRONG = "zeros or partial units in its pixels"
LONG = "its parts are longer than the file"


@pytest.mark.parametrize("version", [0, 1, 2])
@pytest.mark.parametrize("wide", [False, True])
def test_zeros_in_place_of_pixels_are_found(version, wide):
    layout = {"version": version, "wide": wide}
    assert heif_damage(heif(PIXELS, PIXELS, **layout)) is None
    assert heif_damage(heif(PIXELS[:-15] + bytes(15), **layout)) is None
    for wrong in (
        FILLED, bytes(90), bytes(16) + PIXELS, unit(b"\1" * 80 + bytes(3) + b"\1" * 80),
        PIXELS[:100] + bytes(64) + PIXELS[164:],
    ):  # fmt: skip
        assert heif_damage(heif(PIXELS, wrong, **layout)) == WRONG
        assert heif_damage(heif(wrong, PIXELS, **layout)) == WRONG


@pytest.mark.parametrize(("run", "damage"), [
    (b"\0\0\0", WRONG), (b"\0\0\1", WRONG), (b"\0\0\2", WRONG), (b"\0\0\3", None),
    (b"\0\1\0", None),
])  # fmt: skip
def test_runs_that_no_unit_holds_are_damage(run, damage):
    assert heif_damage(heif(unit(b"\1" * 40 + run + b"\1" * 40))) == damage


@pytest.mark.parametrize("rest", [unit(b"\1" * 80)[:-1], b"\1", unit(b"\1" * 80)[:50]])
def test_partial_unit_is_damage(rest):
    assert heif_damage(heif(PIXELS + rest)) == WRONG
    assert heif_damage(heif(PIXELS + rest, PIXELS)) == WRONG


def test_items_without_pixels_may_hold_zeros():
    exif = b"\0\0\0\6Exif\0\0MM\0*" + bytes(80)
    assert heif_damage(heif(exif, kind=b"Exif")) is None
    assert heif_damage(heif(PIXELS) + bytes(99)) is None
    assert heif_damage(heif(FILLED, version=1, method=1)) is None


@pytest.mark.parametrize("lost", [1, 30, 100, 160])
def test_pixels_beyond_the_end_of_the_file_are_damage(lost):
    assert heif_damage(heif(PIXELS)[:-lost]) == LONG


def test_items_that_share_their_pixels_are_damage():
    """Each is decoded: a small file would take the time of many."""
    twice = heif(unit(b"\1" * 4000), b"")
    start = struct.pack(">I", twice.index(unit(b"\1" * 4000)))
    end = struct.pack(">I", len(twice))
    shared = twice.replace(end + bytes(4), start + struct.pack(">I", 4004))
    assert shared != twice
    assert heif_damage(twice) is None
    assert heif_damage(shared) == LONG


@pytest.mark.parametrize("cut", [4, 12, 30, 60, 100])
def test_file_without_its_boxes_is_left_to_the_decoder(cut):
    assert heif_damage(heif(FILLED)[:cut]) is None


def test_file_has_65536_parts_at_most():
    head = box(b"ftyp", b"heic")
    items = struct.pack(">HHH", 0, 0, 0xFFFF) * 2  # extents without bytes
    extents = head + box(b"meta", bytes(4) + box(b"iloc", bytes(7) + b"\2" + items))
    other = struct.pack(">HHHH", 0, 1, 0, 0xFFFF) * 2  # offsets into another box
    others = head + box(b"meta", bytes(4) + box(b"iloc", b"\1" + bytes(6) + b"\2" + other))
    boxes = head + box(b"free", b"") * (MAX_PARTS + 1)
    units = heif(unit(b"\1") * MAX_PARTS + unit(bytes(16)))
    for data in (extents, others, boxes, units):
        with pytest.raises(TooManyPartsError):
            heif_damage(data)
        assert structure_error(data) == (
            Reason.UNREADABLE,
            f"made of more than {MAX_PARTS:,} parts; save the photo anew",
        )
    assert structure_error(heif(FILLED)) == (
        Reason.DAMAGED,
        f"damaged or cut short ({WRONG}); send the photo again",
    )
