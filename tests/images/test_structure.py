"""Faults in the structure of files made by hand, without pixels that a decoder could read."""

from zlib import crc32

import pytest

from ophis.errors import Reason
from ophis.images.structure import repaired, structure_error, webp_without_end, with_end
from tests.support.hostile_photos import passes, picture, saved

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


HEADER, END = chunk(b"IHDR", b"\0\0\0\x40\0\0\0\x40\x08\x02\0\0\0"), chunk(b"IEND")
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


MANY_PASSES = (Reason.UNREADABLE, "its pixels come in too many passes; save the photo anew")


@pytest.mark.parametrize(("size", "most"), [((8000, 10_000), 15), ((1250, 1000), 1000)])
def test_pixels_of_all_passes_of_a_jpeg_are_bounded(size, most):
    head = frame(0xC2, *size)
    assert structure_error(jpeg(head, SCAN * most)) is None
    assert structure_error(jpeg(head, SCAN * (most + 1))) == MANY_PASSES
    small = frame(0xC2, 8, 8)  # a decoder refuses the second frame
    assert structure_error(jpeg(head, SCAN, small, SCAN * most)) == MANY_PASSES
    assert structure_error(passes(*size, most + 1)) == MANY_PASSES


def test_pass_counts_once_for_each_of_its_components():
    head, three = frame(0xC2, 8000, 10_000), scan(0, 0, 0, 1, 2, 3)
    assert structure_error(jpeg(head, three * 5)) is None
    assert structure_error(jpeg(head, three * 5, SCAN)) == MANY_PASSES
    assert structure_error(jpeg(head)[:-2] + b"\xff\xda") is None


def test_progressive_photo_of_a_phone_is_below_the_bounds():
    for mode, most in (("RGB", 80_000_000), ("CMYK", 50_331_648)):  # 8,192 x 6,144
        scans = saved(picture(mode=mode), "JPEG", progressive=True, subsampling=0)
        width = most // 8000
        large = scans.replace(b"\x08\x00\xf0\x01\x40", b"\x08" + (8000).to_bytes(2, "big")
                              + width.to_bytes(2, "big"))  # fmt: skip
        assert large != scans
        assert structure_error(large) is None


LARGE = "more than {} million pixels{}; send a smaller photo"


@pytest.mark.parametrize(("depth", "colour", "millions"), [
    (8, 0, 80), (8, 3, 80), (8, 6, 80), (16, 4, 80), (16, 0, 80), (16, 2, 53), (16, 6, 40),
])  # fmt: skip
def test_png_has_few_pixels_of_many_bits(depth, colour, millions):
    width = {80: 10_000, 53: 6666, 40: 5000}[millions]
    bits = {53: " of 48 bits", 40: " of 64 bits"}.get(millions, "")

    def header(height: int) -> bytes:
        sizes = width.to_bytes(4, "big") + height.to_bytes(4, "big")
        return chunk(b"IHDR", sizes + bytes((depth, colour, 0, 0, 0)))

    assert structure_error(png(header(8000), END)) is None
    error = (Reason.TOO_LARGE, LARGE.format(millions, bits))
    assert structure_error(png(header(8001), END)) == error
    assert structure_error(png(HEADER, header(8001), END)) == error


def test_webp_has_52_million_pixels_at_most():
    error = (Reason.TOO_LARGE, LARGE.format(52, " as WebP"))

    def chunks(width: int, height: int) -> list[bytes]:
        sizes = [(one - 1).to_bytes(3, "little") for one in (width, height)]
        bits = (width - 1 | height - 1 << 14).to_bytes(4, "little")
        lossy = [one.to_bytes(2, "little") for one in (width, height)]
        return [
            riff(b"VP8X", bytes(4) + b"".join(sizes)),
            riff(b"VP8L", b"/" + bits),
            riff(b"VP8 ", bytes(3) + b"\x9d\x01\x2a" + b"".join(lossy)),
        ]

    for right, wrong in zip(chunks(6500, 8000), chunks(6500, 8001), strict=True):
        assert structure_error(webp(right)) is None
        assert structure_error(webp(wrong)) == structure_error(webp(right, wrong)) == error
    assert structure_error(webp(chunks(16_383, 16_383)[1])) == error


def test_jpeg_has_80_million_pixels_at_most():
    assert structure_error(jpeg(frame(0xC0, 8001, 10_000))) == (
        Reason.TOO_LARGE, LARGE.format(80, "")
    )  # fmt: skip


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


@pytest.mark.parametrize("kind", {*range(0xC3, 0xD0)} - {0xC4, 0xC8, 0xCC})
def test_lossless_and_other_rare_jpegs_are_refused(kind):
    """A lossless one overflows the buffer of a decoder that is to shrink it."""
    kinds = "arithmetic-coded, lossless and hierarchical JPEGs"
    message = f"{kinds} are not read; save the photo anew"
    for parts in ([], [frame(0xC0, 8, 8)]):
        assert structure_error(jpeg(*parts, frame(kind, 8, 8), SCAN)) == (
            Reason.OTHER_FORMAT,
            message,
        )


@pytest.mark.parametrize("kind", [0xC0, 0xC1, 0xC2])
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


def test_progressive_frames_need_no_bits_per_block():
    progressive = frame(0xC2, 800, 800)
    assert structure_error(jpeg(progressive, SCAN)) is None
    assert structure_error(jpeg(frame(0xC0, 800, 800), progressive, SCAN)) is None
    assert structure_error(jpeg(progressive, SCAN)[:-2]) is None


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
def test_webp_without_end_lacks_8_of_16_zeros(kind, length):
    pixels = b"\1" * (length - 16)
    before, after = riff(b"ICCP", b"profile"), riff(b"EXIF", b"odd")
    whole = webp(before, riff(kind, pixels + bytes(16)), after)
    assert webp_without_end(whole) == webp(before, riff(kind, pixels + bytes(8)), after)
    assert webp_without_end(webp(riff(kind, pixels + b"\1" + bytes(15)))) is None
    assert webp_without_end(webp(riff(kind, pixels + bytes(15) + b"\1"))) is None
    assert webp_without_end(webp(riff(kind, bytes(15)))) is None


def test_other_webp_chunks_may_end_in_zeros():
    assert webp_without_end(webp(riff(b"ALPH", bytes(100)), riff(b"VP8 ", b"\1" * 100))) is None
    assert webp_without_end(png(chunk(b"VP8 ", bytes(100)))) is None


def scan(first: int, last: int, bits: int, *components: int) -> bytes:
    table = b"".join(bytes((one, 0)) for one in components)
    return segment(0xDA, bytes((len(components),)) + table + bytes((first, last, bits)))


def test_repaired_jpeg_has_no_bytes_between_its_first_segments():
    parts = segment(0xE1, b"\xff\xd9 a thumbnail"), frame(0xC0, 8, 8)
    rest = SCAN + b"pixels \xff\xd0 \xff\xfe\0\x02 more"
    assert repaired(jpeg(parts[0], b"dirt\xff\xff", parts[1], b"\0", rest)) == jpeg(*parts, rest)
    for unread in (jpeg(*parts), jpeg(b"\xff\x01", b"dirt", *parts, rest)):
        assert repaired(unread) is unread
    whole = jpeg(*parts, rest)
    assert repaired(whole) is whole


def test_repaired_jpeg_has_a_known_version_and_known_parameters():
    old, new = (segment(0xE0, b"JFIF\0" + bytes((n, 1, 0, 0, 1, 0, 1, 0, 0))) for n in (1, 2))
    for kind, bad in ((0xC0, scan(0, 0, 0, 1)), (0xC1, scan(1, 63, 17, 1))):
        whole = jpeg(old, frame(kind, 8, 8), scan(0, 63, 0, 1), b"pixels")
        assert repaired(jpeg(new, frame(kind, 8, 8), bad, b"pixels")) == whole
    other = jpeg(segment(0xE0, b"JFXX\0\2"), frame(0xC2, 8, 8), scan(0, 0, 1, 1), b"pixels")
    assert repaired(other) == other


def test_repaired_png_has_no_wrong_checksums_without_pixels():
    pixels = chunk(b"IDAT", b"data")
    bad = chunk(b"tEXt", b"a", flip=1), chunk(b"eXIf", b"b", flip=1 << 31)
    whole = png(HEADER, chunk(b"gAMA", b"c"), pixels, END)
    assert repaired(whole) is whole
    dirty = png(HEADER, bad[0], chunk(b"gAMA", b"c"), bad[1], pixels, bad[0], END, b"after")
    assert repaired(dirty) == whole + b"after"
    for kind in (b"tRNS", b"IHDR", b"IDAT"):
        kept = png(HEADER, chunk(kind, b"data", flip=1), END)
        assert repaired(kept) == kept


@pytest.mark.parametrize("lost", [1, 2])
@pytest.mark.parametrize("scans", [
    (0xC0, scan(0, 63, 0, 1)),
    (0xC1, scan(9, 9, 9, 1)),
    (0xC2, scan(0, 0, 0, 1), scan(1, 63, 0, 1)),
    (0xC2, scan(0, 0, 1, 1), scan(1, 63, 2, 1), scan(1, 63, 0x21, 1), scan(0, 0, 0x10, 1),
     scan(1, 63, 0x10, 1)),
])  # fmt: skip
def test_jpeg_with_all_scans_may_lack_its_end(scans, lost):
    kind, *parts = scans
    whole = jpeg(frame(kind, 8, 8), segment(0xE1, b"\xff\xd9"), *parts, b"pixels")
    assert with_end(whole) is whole
    assert with_end(whole[:-lost]) == whole[:-lost] + b"\xff\xd9"
    some = jpeg(frame(kind, 8, 8), *parts[:-1])[:-2]
    assert with_end(some) is some


def test_jpeg_without_components_or_scans_gets_no_end():
    two = segment(0xC0, b"\x08\0\x08\0\x08\x02\x01\x11\0\x02\x11\0")
    for data in (
        jpeg(two, scan(0, 63, 0, 1))[:-2],
        jpeg(frame(0xC0, 8, 8))[:-2],
        jpeg(scan(0, 63, 0, 1))[:-2],
        jpeg(frame(0xC0, 8, 8), SCAN)[:-12],
        png(HEADER),
        b"",
    ):
        assert with_end(data) is data
    assert with_end(jpeg(two, scan(0, 63, 0, 2), scan(0, 63, 0, 1))[:-2])[-2:] == b"\xff\xd9"
