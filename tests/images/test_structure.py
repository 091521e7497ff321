"""Faults in the structure of files made by hand, without pixels that a decoder could read."""

from zlib import crc32

import pytest

from ophis.errors import Reason
from ophis.images.structure import structure_error, webp_without_end

PARTS = "made of more than {} parts; save the photo anew"
DAMAGED = "damaged or cut short ({}); send the photo again"


def segment(kind: int, content: bytes = b"") -> bytes:
    return bytes((0xFF, kind)) + (2 + len(content)).to_bytes(2, "big") + content


def frame(kind: int, height: int, width: int) -> bytes:
    size = height.to_bytes(2, "big") + width.to_bytes(2, "big")
    return segment(kind, b"\x08" + size + b"\x01\x01\x11\x00")


def jpeg(*parts: bytes) -> bytes:
    return b"\xff\xd8" + b"".join(parts) + b"\xff\xd9"


COMMENT = segment(0xFE)
SCAN = segment(0xDA, b"\x01\x01\x00\x00\x3f\x00")
FEW_BITS = (Reason.DAMAGED, DAMAGED.format("fewer bits than blocks of pixels"))
MANY_SEGMENTS = (Reason.UNREADABLE, PARTS.format("4,096"))


def chunk(kind: bytes, content: bytes = b"", *, flip: int = 0) -> bytes:
    checksum = crc32(kind + content) ^ flip
    return len(content).to_bytes(4, "big") + kind + content + checksum.to_bytes(4, "big")


def png(*chunks: bytes) -> bytes:
    return b"\x89PNG\r\n\x1a\n" + b"".join(chunks)


HEADER, END = chunk(b"IHDR", b"thirteen byte"), chunk(b"IEND")
WRONG_CHECKSUM = (Reason.DAMAGED, DAMAGED.format("a checksum differs"))
MANY_CHUNKS = (Reason.UNREADABLE, PARTS.format("65,536"))


def riff(kind: bytes, content: bytes = b"") -> bytes:
    return kind + len(content).to_bytes(4, "little") + content + bytes(len(content) % 2)


def webp(*chunks: bytes) -> bytes:
    content = b"WEBP" + b"".join(chunks)
    return b"RIFF" + len(content).to_bytes(4, "little") + content


ANIMATION = (Reason.OTHER_FORMAT, "this is an animation; send one picture of it")


@pytest.mark.parametrize("data", [
    b"",
    b"GIF89a" + bytes(100),
    b"\xff\xd8" + b"?" + COMMENT * 5000,
    b"RIFF" + webp(riff(b"ANMF") * 2)[4:8] + b"WAVE" + riff(b"ANMF") * 2,
    b"RIFX" + webp(riff(b"ANMF") * 2)[4:],
    png(chunk(b"IDAT", flip=1))[1:],
])  # fmt: skip
def test_only_known_formats_are_checked(data):
    assert structure_error(data) is None


def test_jpeg_has_4096_segments_at_most():
    assert structure_error(jpeg(COMMENT * 4096)) is None
    assert structure_error(jpeg(COMMENT * 4097)) == MANY_SEGMENTS


@pytest.mark.parametrize("kind", [0x01, 0xD8])
def test_markers_without_length_are_counted(kind):
    assert structure_error(jpeg(bytes((0xFF, kind)) * 4096)) is None
    assert structure_error(jpeg(bytes((0xFF, kind)) * 4097)) == MANY_SEGMENTS


def test_content_of_a_segment_is_not_counted():
    thumbnail = segment(0xE1, COMMENT * 5000)
    assert structure_error(jpeg(thumbnail, COMMENT * 4095)) is None
    assert structure_error(jpeg(thumbnail, COMMENT * 4096)) == MANY_SEGMENTS


@pytest.mark.parametrize("marker", [b"\xff\x00", b"\xff\xd0", b"\xff\xd7", b"\xff\xff"])
def test_stuffed_bytes_and_restart_markers_are_not_counted(marker):
    assert structure_error(jpeg(SCAN, marker * 5000)) is None


def test_bytes_after_the_end_of_a_jpeg_are_not_counted():
    assert structure_error(jpeg(COMMENT * 4096) + COMMENT * 5000) is None


def test_jpeg_has_100_scans_at_most():
    message = "its pixels come in more than 100 passes; save the photo anew"
    assert structure_error(jpeg(SCAN * 100)) is None
    assert structure_error(jpeg(SCAN * 101)) == (Reason.UNREADABLE, message)


@pytest.mark.parametrize("kind", [0xC0, 0xC1])
@pytest.mark.parametrize("size", [(80, 800), (87, 807), (800, 80)])
def test_sequential_jpeg_has_two_bits_per_block(kind, size):
    parts = frame(kind, *size), segment(0xC4, bytes(19)), SCAN
    assert structure_error(jpeg(*parts, bytes(248))) is None  # 2,000 bits with the end marker
    assert structure_error(jpeg(*parts, bytes(247))) == FEW_BITS


def test_bits_of_all_scans_are_added():
    frames = frame(0xC0, 80, 800)
    scans = 248 - len(SCAN)
    assert structure_error(jpeg(frames, SCAN, bytes(100), SCAN, bytes(scans - 100))) is None
    assert structure_error(jpeg(frames, SCAN, bytes(100), SCAN, bytes(scans - 101))) == FEW_BITS


@pytest.mark.parametrize("kind", [0xC3, 0xC5, 0xC6, 0xC7, 0xCB, 0xCD, 0xCE, 0xCF])
def test_lossless_and_hierarchical_jpegs_are_refused(kind):
    """A lossless one overflows the buffer of a decoder that is to shrink it."""
    message = "lossless and hierarchical JPEGs are not read; save the photo anew"
    for parts in ([], [frame(0xC0, 8, 8)]):
        assert structure_error(jpeg(*parts, frame(kind, 8, 8), SCAN)) == (
            Reason.OTHER_FORMAT,
            message,
        )


@pytest.mark.parametrize("kind", [0xC0, 0xC1, 0xC2, 0xC9, 0xCA])
def test_jpeg_has_8_bits_a_value_and_a_height(kind):
    whole, unread = frame(kind, 8, 8), "are not read; save the photo anew"
    assert structure_error(jpeg(whole, SCAN, bytes(9))) is None
    assert structure_error(jpeg(whole.replace(b"\x08", b"\x0c", 1), SCAN)) == (
        Reason.OTHER_FORMAT,
        f"JPEGs of 12 bits a value {unread}",
    )
    assert structure_error(jpeg(frame(kind, 0, 8), SCAN)) == (
        Reason.OTHER_FORMAT,
        f"JPEGs without their height {unread}",
    )
    assert structure_error(jpeg(whole)[:6]) is None


@pytest.mark.parametrize("kind", [0xC2, 0xC9, 0xCA])
def test_other_frames_need_no_bits_per_block(kind):
    assert structure_error(jpeg(frame(kind, 800, 800), SCAN)) is None
    assert structure_error(jpeg(frame(0xC0, 800, 800), frame(kind, 800, 800), SCAN)) is None
    assert structure_error(jpeg(frame(kind, 800, 800), SCAN)[:-2]) is None


def test_scan_without_frame_is_left_to_the_decoder():
    assert structure_error(jpeg(SCAN)[:-2]) is None


@pytest.mark.parametrize("kind", [0xC4, 0xC8, 0xCC, 0xBF, 0xE0])
def test_segments_of_other_kinds_are_no_frames(kind):
    assert structure_error(jpeg(frame(0xC0, 800, 800), frame(kind, 8, 8), SCAN)) == FEW_BITS


def test_frame_without_scan_is_left_to_the_decoder():
    assert structure_error(jpeg(frame(0xC0, 800, 800))) is None


@pytest.mark.parametrize("kind", [b"IHDR", b"PLTE", b"tRNS", b"IDAT"])
def test_wrong_checksum_of_a_chunk_with_pixels_is_found(kind):
    assert structure_error(png(HEADER, chunk(kind, b"data"), END)) is None
    for flip in (1, 1 << 31):
        assert structure_error(png(HEADER, chunk(kind, b"data", flip=flip), END)) == WRONG_CHECKSUM


def test_other_checksums_and_bytes_after_the_end_are_ignored():
    assert structure_error(png(HEADER, chunk(b"tEXt", b"data", flip=1), END)) is None
    assert structure_error(png(HEADER, END, chunk(b"IDAT", flip=1))) is None


@pytest.mark.parametrize("kept", [8, 9, 12, 15])
def test_png_cut_inside_a_chunk_is_damaged(kept):
    cut = png(HEADER, chunk(b"IDAT", b"data")[:kept])
    assert structure_error(cut) == WRONG_CHECKSUM


def test_png_cut_before_a_kind_is_left_to_the_decoder():
    assert structure_error(png(HEADER, chunk(b"IDAT", b"data")[:7])) is None


def test_png_has_65536_chunks_at_most():
    assert structure_error(png(chunk(b"tEXt") * 65_536, END)) is None
    assert structure_error(png(chunk(b"tEXt") * 65_537, END)) == MANY_CHUNKS


def test_webp_has_one_frame_at_most():
    assert structure_error(webp(riff(b"ANIM"), riff(b"ANMF", b"odd"))) is None
    assert structure_error(webp(riff(b"ANMF", b"odd"), riff(b"ANMF"))) == ANIMATION
    assert structure_error(webp(riff(b"ANMF", b"even"), riff(b"ANMF"))) == ANIMATION


def test_bytes_after_the_size_of_a_webp_are_ignored():
    assert structure_error(webp(riff(b"ANMF")) + riff(b"ANMF")) is None
    whole = webp(riff(b"ANMF"), riff(b"ANMF"))
    assert structure_error(whole[:-1]) is None
    size = int.from_bytes(whole[4:8], "little")
    assert structure_error(whole[:4] + (size - 1).to_bytes(4, "little") + whole[8:]) is None


def test_webp_has_65536_chunks_at_most():
    assert structure_error(webp(riff(b"EXIF") * 65_536)) is None
    assert structure_error(webp(riff(b"EXIF") * 65_537)) == MANY_CHUNKS


@pytest.mark.parametrize("kind", [b"VP8 ", b"VP8L"])
@pytest.mark.parametrize("length", [300, 301])
def test_webp_without_end_lacks_32_of_64_zeros(kind, length):
    pixels = b"\1" * (length - 64)
    before, after = riff(b"ICCP", b"profile"), riff(b"EXIF", b"odd")
    whole = webp(before, riff(kind, pixels + bytes(64)), after)
    assert webp_without_end(whole) == webp(before, riff(kind, pixels + bytes(32)), after)
    assert webp_without_end(webp(riff(kind, pixels + b"\1" + bytes(63)))) is None
    assert webp_without_end(webp(riff(kind, pixels + bytes(63) + b"\1"))) is None
    assert webp_without_end(webp(riff(kind, bytes(63)))) is None


def test_other_webp_chunks_may_end_in_zeros():
    assert webp_without_end(webp(riff(b"ALPH", bytes(100)), riff(b"VP8 ", b"\1" * 100))) is None
    assert webp_without_end(png(chunk(b"VP8 ", bytes(100)))) is None
