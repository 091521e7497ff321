"""Hostile, damaged and odd synthetic photos, each with the expected outcome.

Their bytes are reproducible. None shows a snake; readable ones show smooth colours.
"""

from __future__ import annotations

import io
import struct
import zipfile
import zlib
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image, TiffImagePlugin

if TYPE_CHECKING:
    from collections.abc import Iterator

ANSWER, REFUSE = "answer", "refuse"
_MANY = 200_000  # parts
_INFLATED = 200 << 20  # bytes


def picture(width: int = 320, height: int = 240, mode: str = "RGB") -> Image.Image:
    """Return smooth colours with some noise, so that a file of it has a photo's size."""
    rng = np.random.default_rng(0)
    coarse = Image.fromarray(rng.integers(0, 256, (6, 8, 3), np.uint8))
    pixels = np.asarray(coarse.resize((width, height), Image.Resampling.BICUBIC)).astype(int)
    noisy = np.clip(pixels + rng.integers(-9, 10, pixels.shape), 0, 255)
    return Image.fromarray(noisy.astype(np.uint8)).convert(mode)


def saved(photo: Image.Image, kind: str, **options: object) -> bytes:
    """Return the bytes of a file."""
    file = io.BytesIO()
    photo.save(file, kind, **options)
    return file.getvalue()


def chunk(kind: bytes, data: bytes) -> bytes:
    """Return a chunk of a PNG."""
    checksum = struct.pack(">I", zlib.crc32(kind + data))
    return struct.pack(">I", len(data)) + kind + data + checksum


def segment(marker: int, data: bytes) -> bytes:
    """Return a segment of a JPEG."""
    return bytes([0xFF, marker]) + struct.pack(">H", len(data) + 2) + data


def png(width: int, height: int, pixels: bytes, *before: bytes) -> bytes:
    """Return a grey PNG of any size, with any deflated pixels."""
    header = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0))
    chunks = (header, *before, chunk(b"IDAT", pixels), chunk(b"IEND", b""))
    return b"\x89PNG\r\n\x1a\n" + b"".join(chunks)


def deflated(size: int) -> bytes:
    """Return zeros, compressed to a thousandth of their size."""
    packer = zlib.compressobj(9)
    parts = [packer.compress(bytes(1 << 20)) for _ in range(size >> 20)]
    return b"".join(parts) + packer.compress(bytes(size & 0xFFFFF)) + packer.flush()


def passes(width: int, height: int, number: int) -> bytes:
    """Return a grey progressive JPEG: one pass for the means, the others without content.

    Each of the others has a few bytes for every 32,767 blocks, but a decoder visits all blocks.
    """
    blocks = -(-width // 8) * -(-height // 8)
    bits = []
    while blocks >= 16384:  # the code 0: a run of 16,384 blocks plus a number of 14 bits
        run = min(blocks, 32767)
        bits.append("0" + format(run - 16384, "014b"))
        blocks -= run
    bits.append("10" * blocks)  # the code 10: one block
    text = "".join(bits)
    text += "1" * (-len(text) % 8)
    nothing = int(text, 2).to_bytes(len(text) // 8, "big").replace(b"\xff", b"\xff\x00")
    means = bytes(-(-(-(-width // 8) * -(-height // 8)) // 8))
    return b"".join((
        b"\xff\xd8",
        segment(0xDB, b"\0" + bytes([16] * 64)),
        segment(0xC2, struct.pack(">BHHB", 8, height, width, 1) + b"\x01\x11\x00"),
        segment(0xC4, b"\x00\x01" + bytes(15) + b"\x00"),
        segment(0xC4, b"\x10\x01\x01" + bytes(14) + b"\xe0\x00"),
        segment(0xDA, b"\x01\x01\x00\x00\x00\x00") + means,
        (segment(0xDA, b"\x01\x01\x00\x01\x3f\x00") + nothing) * (number - 1),
        b"\xff\xd9",
    ))  # fmt: skip


def unusual_sampling() -> bytes:
    """Return a JPEG of 500 blocks and 20 bytes with chroma sampling that few decoders support."""
    return b"".join((
        b"\xff\xd8",
        segment(0xDB, b"\0" + bytes([16] * 64)),
        segment(0xC0, struct.pack(">BHHB", 8, 127, 254, 3) + b"\x01\x41\0\x02\x14\0\x03\x11\0"),
        segment(0xC4, b"\x00\x01" + bytes(15) + b"\x00"),
        segment(0xC4, b"\x10\x01" + bytes(15) + b"\x00"),
        segment(0xDA, b"\x03\x01\0\x02\0\x03\0\0\x3f\0") + bytes(20),
        b"\xff\xd9",
    ))  # fmt: skip


def hostile_photos() -> Iterator[tuple[str, bytes, str]]:
    """Yield name, bytes and expected outcome of each: `ANSWER` or `REFUSE`."""
    for make in (_ordinary, _cut, _misnamed, _bombs, _many_parts, _animated, _joined, _lost, _exif):
        yield from make()


def _ordinary() -> Iterator[tuple[str, bytes, str]]:
    """Yield rare but valid files."""
    deep = (np.asarray(picture(mode="L")).astype(np.uint16) * 257).copy()
    kinds = {
        "cmyk.jpg": saved(picture(mode="CMYK"), "JPEG"),
        "grey.jpg": saved(picture(mode="L"), "JPEG"),
        "progressive.jpg": saved(picture(), "JPEG", progressive=True),
        "all-passes-allowed.jpg": passes(320, 240, 1_000),
        "sixteen-bits.png": saved(Image.fromarray(deep), "PNG"),
        "palette-see-through.png": saved(picture().quantize(40), "PNG", transparency=3),
        "see-through.webp": saved(picture(mode="RGBA"), "WEBP"),
        "one-bit.png": saved(picture(mode="1"), "PNG"),
        "garbage-profile.jpg": saved(picture(), "JPEG", icc_profile=b"\xff" * 70_000),
        "garbage-profile.png": saved(picture(), "PNG", icc_profile=b"no profile at all"),
        "garbage-profile.webp": saved(picture(), "WEBP", icc_profile=bytes(1000)),
    }
    # The file of many passes shows a flat picture and is valid.
    for name, data in kinds.items():
        yield name, data, ANSWER


def _cut() -> Iterator[tuple[str, bytes, str]]:
    """Yield files that are truncated or end in zeros, as incomplete downloads do."""
    whole = {
        "plain.jpg": saved(picture(), "JPEG"),
        "progressive.jpg": saved(picture(), "JPEG", progressive=True),
        "plain.png": saved(picture(), "PNG"),
        "plain.webp": saved(picture(), "WEBP"),
    }
    for name, data in whole.items():
        for hundredth in (1, 5, *range(10, 100, 10), 95, 99):
            yield f"cut-{hundredth}-{name}", data[: len(data) * hundredth // 100], REFUSE
        zeros = data[: len(data) // 2] + bytes(len(data) - len(data) // 2)
        yield f"zeros-after-half-{name}", zeros, REFUSE
    yield "empty.jpg", b"", REFUSE
    yield "zeros.jpg", bytes(1 << 20), REFUSE
    yield "signature.png", b"\x89PNG\r\n\x1a\n", REFUSE


def _misnamed() -> Iterator[tuple[str, bytes, str]]:
    """Yield files with the suffix of another format."""
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        archive.writestr(zipfile.ZipInfo("a.jpg"), saved(picture(), "JPEG"))
    yield "jpeg-named.png", saved(picture(), "JPEG"), ANSWER
    yield "webp-named.jpg", saved(picture(), "WEBP"), ANSWER
    for name, data in {
        "zip-named.jpg": packed.getvalue(),
        "gif-named.jpg": saved(picture(), "GIF"),
        "tiff-named.jpg": saved(picture(), "TIFF"),
        "bmp-named.png": saved(picture(), "BMP"),
        "html-named.jpg": b"<html><script>alert(1)</script></html>",
        "svg-named.png": b'<svg xmlns="http://www.w3.org/2000/svg"/>',
        "pdf-named.jpg": b"%PDF-1.7\n" + saved(picture(), "JPEG"),
        "postscript-named.jpg": b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 320 240\n",
        "film-named.jpg": b"\x00\x00\x00\x18ftypmp42" + bytes(200),
        "program-named.png": b"\x7fELF" + bytes(200),
    }.items():
        yield name, data, REFUSE


def _bombs() -> Iterator[tuple[str, bytes, str]]:
    """Yield small files that hold, or declare, large pictures, texts or tables."""
    flat = saved(picture(), "JPEG")
    frame = flat.index(b"\xff\xc0") + 5  # height and width
    large = flat[:frame] + struct.pack(">HH", 65500, 65500) + flat[frame + 4 :]
    just = flat[:frame] + struct.pack(">HH", 8900, 8900) + flat[frame + 4 :]
    webp = bytearray(saved(picture(), "WEBP"))
    webp[26:30] = struct.pack("<HH", 0x3FFF, 0x3FFF)
    inflated = deflated(_INFLATED)
    for name, data in {
        "declares-65500.jpg": large,
        "declares-8900.jpg": just,  # an allowed size, but the data is missing
        "unusual-sampling.jpg": unusual_sampling(),
        "declares-16383.webp": bytes(webp),
        "declares-65500.png": png(65500, 65500, b""),
        "declares-2147483647.png": png(0x7FFFFFFF, 0x7FFFFFFF, b""),
        "declares-nothing.png": png(0, 0, b""),
        "has-100-million-pixels.png": png(10_000, 10_000, deflated(10_000 * 10_001)),
        "text-of-200-mb.png": png(64, 64, b"", chunk(b"zTXt", b"a\0\0" + inflated)),
        "profile-of-200-mb.png": png(64, 64, b"", chunk(b"iCCP", b"a\0\0" + inflated)),
        "many-passes.jpg": passes(65000, 1224, 2000),
        "more-passes-than-allowed.jpg": passes(10_000, 8_000, 16),
    }.items():
        yield name, data, REFUSE
    yield "more-pixels-than-declared.png", png(64, 64, inflated), ANSWER


def _many_parts() -> Iterator[tuple[str, bytes, str]]:
    jpeg, still, webp = (saved(picture(), kind) for kind in ("JPEG", "PNG", "WEBP"))
    grown = b"WEBP" + webp[12:] + (b"abcd" + bytes(4)) * _MANY
    for name, data in {
        "comments.jpg": jpeg[:2] + segment(0xFE, b"") * _MANY + jpeg[2:],
        "application-data.jpg": jpeg[:2] + segment(0xE5, b"") * _MANY + jpeg[2:],
        "own-chunks.png": still[:33] + chunk(b"prVt", b"") * _MANY + still[33:],
        "texts.png": still[:33] + chunk(b"tEXt", b"a\0") * _MANY + still[33:],
        "chunks.webp": b"RIFF" + struct.pack("<I", len(grown)) + grown,
    }.items():
        yield name, data, REFUSE


def _animated() -> Iterator[tuple[str, bytes, str]]:
    """Yield animations; only an animated PNG contains a still picture too."""
    frames = [picture(64, 64).point(lambda v, n=n: (v + n) % 256) for n in range(100)]
    rest = {"save_all": True, "append_images": frames[1:]}
    yield "animation.webp", saved(frames[0], "WEBP", method=0, **rest), REFUSE
    yield "animation.gif", saved(frames[0], "GIF", **rest), REFUSE
    yield "animation.png", saved(frames[0], "PNG", compress_level=1, **rest), ANSWER


def _joined() -> Iterator[tuple[str, bytes, str]]:
    """Yield two formats in one file: read by its first bytes, or refused."""
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        archive.writestr(zipfile.ZipInfo("../evil.sh"), "rm")
    page = b"<html><script>alert(1)</script></html>"
    yield "photo-and-zip.jpg", saved(picture(), "JPEG") + packed.getvalue(), ANSWER
    yield "photo-and-page.png", saved(picture(), "PNG") + page, ANSWER
    yield "photo-with-page-in-comment.jpg", saved(picture(), "JPEG", comment=page), ANSWER
    yield "gif-and-photo.jpg", b"GIF89a" + saved(picture(), "JPEG"), REFUSE
    yield "script-and-photo.jpg", b"#!/bin/sh\n" + saved(picture(), "JPEG"), REFUSE


def _lost() -> Iterator[tuple[str, bytes, str]]:
    """Yield files with damaged pixel data."""
    for name, options in {"plain": {}, "progressive": {"progressive": True}}.items():
        data = bytearray(saved(picture(), "JPEG", quality=90, **options))
        rng = np.random.default_rng(1)
        for place in rng.integers(len(data) // 3, len(data) - 100, 40):
            data[place] = rng.integers(0, 255)
        yield f"forty-bytes-changed-{name}.jpg", bytes(data), REFUSE
    still = bytearray(saved(picture(), "PNG"))
    still[len(still) // 2] ^= 1
    yield "one-bit-flipped.png", bytes(still), REFUSE


def _exif() -> Iterator[tuple[str, bytes, str]]:
    """Yield valid pixels with EXIF that is cyclic, out of range or nonsense."""
    loop = b"Exif\0\0MM\0*\0\0\0\x08" + struct.pack(">H", 1)
    entry = struct.pack(">HHII", 0x8769, 4, 1, 8)  # the directory of details is this directory
    away = struct.pack(">HHII", 0x0112, 3, 0x40000000, 0xFFFFFF00)
    count = b"Exif\0\0MM\0*\0\0\0\x08" + struct.pack(">H", 0xFFFF) + entry
    plain = saved(picture(), "JPEG")
    exif = Image.Exif()
    exif[0x0112] = 6
    exif[0x010E] = "x" * 60_000
    rational = Image.Exif()
    rational[0x011A] = TiffImagePlugin.IFDRational(1, 0)
    for name, data in {
        "loop.jpg": loop + entry + struct.pack(">I", 8),
        "far-away.jpg": loop + away + struct.pack(">I", 0xFFFFFFF0),
        "far-too-many.jpg": count,
        "nothing.jpg": b"Exif\0\0",
        "noise.jpg": b"Exif\0\0II*\0" + np.random.default_rng(0).bytes(5000),
        "long.jpg": b"Exif\0\0" + exif.tobytes()[6:],
        "by-zero.jpg": b"Exif\0\0" + rational.tobytes()[6:],
    }.items():
        yield f"exif-{name}", plain[:2] + segment(0xE1, data) + plain[2:], ANSWER
