"""Valid files of many encoders and phones are read; cut ones are refused.

A sweep over some 20,000 files of ten encoders is in docs/log.md.
"""

import io
import itertools
import struct
import zlib

import numpy as np
import pytest
from PIL import Image

from ophis import PhotoError
from ophis.errors import Reason
from ophis.images import jpeg
from ophis.images.decode import decode, decode_jpeg
from tests.support.photos import encode, heic, picture

NOISE = Image.fromarray(np.random.default_rng(0).integers(0, 256, (75, 110, 3), np.uint8))
SMOOTH = NOISE.crop((0, 0, 12, 8)).resize((110, 75), Image.Resampling.BICUBIC)
FLAT = Image.new("RGB", (110, 75), (200, 180, 160))
HALF = FLAT.copy()
HALF.paste(SMOOTH.resize((110, 25)), (0, 0))
CONTENTS = {"noise": NOISE, "smooth": SMOOTH, "flat": FLAT, "half": HALF}
END = b"\xff\xd9"
OPTIONS = [
    {"quality": 85},
    {"quality": 85, "progressive": True},
    {"quality": 40, "optimize": True, "subsampling": "4:4:4"},
    {"quality": 95, "restart_marker_blocks": 3, "comment": b"x" * 60_000},
]
MODES = ["RGB", "L", "CMYK"]


@pytest.fixture(params=itertools.product(CONTENTS, MODES, range(len(OPTIONS))), ids=str)
def whole(request):
    content, mode, number = request.param
    return encode(CONTENTS[content].convert(mode), "JPEG", **OPTIONS[number])


def require_pixels(data: bytes, expected: bytes) -> None:
    """Require the pixels of another file, by both decoders."""
    photo = decode(data)
    with Image.open(io.BytesIO(expected)) as file:
        assert photo.tobytes() == file.convert("RGB").tobytes()
    fast = decode_jpeg(data)
    assert fast is None or fast[0].tobytes() == photo.tobytes()


def segment(kind: int, content: bytes) -> bytes:
    return bytes((0xFF, kind)) + struct.pack(">H", len(content) + 2) + content


@pytest.mark.parametrize("lost", [1, 2])
def test_jpeg_without_its_end_marker_is_read(whole, lost):
    require_pixels(whole[:-lost], whole)


@pytest.mark.parametrize("trailer", [
    END, b"\0" * 3000, b"\xff" * 900, b"\xff\xd8\xff\xe1", b"MotionPhoto_Data\0\0\0\x18ftypmp42",
    encode(picture(), "JPEG"),
])  # fmt: skip
def test_jpeg_with_bytes_after_its_end_is_read(whole, trailer):
    require_pixels(whole + trailer, whole)


def test_jpeg_with_bytes_between_its_segments_is_read(whole):
    parts, place = [whole[:2]], 2
    while whole[place + 1] != 0xDA:
        end = place + 2 + int.from_bytes(whole[place + 2 : place + 4], "big")
        parts.append(whole[place:end])
        place = end
    for dirt in (b"\xff", b"\xff" * 9, b"garbage", b"\0" * 700):
        require_pixels(dirt.join((b"".join(parts[:2]), *parts[2:], whole[place:])), whole)
    thumbnail = segment(0xE1, b"thumbnail " + encode(picture(), "JPEG"))
    require_pixels(b"".join((*parts, thumbnail * 30, whole[place:])), whole)


def test_jpeg_of_a_new_version_is_read(whole):
    newer = whole.replace(b"JFIF\0\1", b"JFIF\0\2", 1)
    require_pixels(newer, whole)


@pytest.mark.parametrize("kept", [0.3, 0.5, 0.7, 0.9, 0.97])
@pytest.mark.parametrize("version", [b"\1", b"\2"])
@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("content", ["noise", "smooth"])
def test_cut_jpegs_are_refused(content, mode, version, kept):
    """A warning about the version hides those about pixels."""
    for options in OPTIONS[:3]:
        data = encode(CONTENTS[content].convert(mode), "JPEG", **options)
        data = data.replace(b"JFIF\0\1", b"JFIF\0" + version, 1)
        start = data.index(b"\xff\xda") + 14
        cut = start + int((len(data) - start) * kept)
        ends = [b"", b"\xff", bytes(len(data) - cut)]
        if not options.get("progressive"):  # cut between two scans it is whole
            ends.append(END)
        for end in ends:
            with pytest.raises(PhotoError, match="damaged or cut short"):
                decode(data[:cut] + end)


def test_jpeg_without_its_end_marker_needs_simplejpeg(monkeypatch):
    data = encode(SMOOTH, "JPEG")
    monkeypatch.setattr(jpeg, "simplejpeg", lambda: None)
    decode(data)
    with pytest.raises(PhotoError, match="Premature end of JPEG file"):
        decode(data[:-2])


def chunk(kind: bytes, content: bytes, flip: int = 0) -> bytes:
    checksum = zlib.crc32(kind + content) ^ flip
    return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", checksum)


@pytest.mark.parametrize("mode", ["RGB", "L", "P", "LA", "1"])
@pytest.mark.parametrize("content", CONTENTS)
def test_png_with_odd_chunks_is_read(mode, content):
    data = encode(CONTENTS[content].convert(mode), "PNG")
    place = data.index(b"IDAT") - 4
    size = int.from_bytes(data[place : place + 4], "big")
    pixels, rest = data[place + 8 : place + 8 + size], data[place + 12 + size :]
    empty, text = chunk(b"IDAT", b""), chunk(b"tEXt", b"a\0b", flip=1)
    many = b"".join(chunk(b"IDAT", pixels[n : n + 9]) for n in range(0, len(pixels), 9))
    before = data[:place]
    for odd in (
        before + empty + many + empty + rest,
        before + text + chunk(b"eXIf", b"dirt", flip=9) + data[place:],
        data[:-12] + text + data[-12:],
        data[:-12],
        data[:-4] + b"\0\0\0\0",
        data + bytes(3000),
    ):
        assert decode(odd).tobytes() == decode(data).tobytes()
    for cut in range(place + 8, len(data) - 16, max(1, size // 20)):
        for end in (b"", bytes(len(data) - cut)):
            with pytest.raises(PhotoError, match="damaged or cut short"):
                decode(data[:cut] + end)


def test_transparent_pixels_of_16_bit_grey_are_white():
    values = np.full((40, 50), 1000, np.uint16)
    values[:20] = 40_000
    data = encode(Image.fromarray(values), "PNG", transparency=1000)
    found = np.asarray(decode(data))
    assert (found[20:] == 255).all()
    assert (found[:20] == round(40_000 / 257)).all()


@pytest.mark.parametrize(("data", "reason", "words"), [
    (b"\xff\xd8\xff\xd9" * 9, Reason.DAMAGED, "this photo is damaged"),
    (b"\x89PNG\r\n\x1a\n no header", Reason.DAMAGED, "this photo is damaged"),
    (b"\0\0\0\x18ftypmif1\0\0\0\0mif1avif", Reason.OTHER_FORMAT, "AVIF photos are not read"),
    (encode(FLAT, "TIFF", big_tiff=True), Reason.OTHER_FORMAT, "are not read"),
])  # fmt: skip
def test_reason_of_a_refusal_is_right(data, reason, words):
    with pytest.raises(PhotoError, match=words) as error:
        decode(data)
    assert error.value.reason == reason


def test_heic_of_another_brand_is_read():
    data = heic(SMOOTH)
    for other in (data[:8] + b"mif1" + data[12:], data + b"\0\0\0\x08free", data + bytes(99)):
        assert decode(other).tobytes() == decode(data).tobytes()


@pytest.mark.parametrize("content", ["noise", "smooth", "half"])
def test_heic_with_64_zeros_inside_is_refused(content):
    data = heic(CONTENTS[content])
    first = data.index(b"mdat") + 4
    for part in (0.3, 0.5, 0.9):
        place = first + int((len(data) - first - 64) * part)
        with pytest.raises(PhotoError, match="damaged or cut short"):
            decode(data[:place] + bytes(64) + data[place + 64 :])


@pytest.mark.parametrize("content", ["noise", "smooth", "half"])
def test_cut_heic_is_refused(content):
    data = heic(CONTENTS[content])
    for kept in (0.3, 0.5, 0.7, 0.9, 0.97):
        cut = min(int(len(data) * kept), len(data) - 20)
        for end in (b"", bytes(len(data) - cut)):
            with pytest.raises(PhotoError, match="damaged or cut short"):
                decode(data[:cut] + end)
