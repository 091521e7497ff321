"""Decode JPEGs and resize them to 512 x 512 pixels: Pillow, simplejpeg, torchvision.

    python benchmarks/decode.py --photos manifest.csv

CPU time on one thread; a ratio above 1 is faster than Pillow. Scoring decodes by simplejpeg and
resizes by Pillow (`decode_resized`, Pillow's pixels); training resizes by torchvision.
"""

from __future__ import annotations

import io
import time
from importlib.metadata import version
from typing import TYPE_CHECKING

import numpy as np
import torch
from PIL import Image, ImageOps
from side_by_side import Row, arguments, report, row, timed
from sized_photos import sized_photos

from ophis.images.decode import decode_jpeg
from ophis.images.preprocessing import decode_resized
from ophis.train.pixels import resize_uint8

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

PIXELS = 512
SIZES = ((1024, 768), (768, 1024), (2048, 1536))


def by_pillow(data: bytes) -> NDArray[np.uint8]:
    """Decode, turn upright and resize by Pillow alone, without checks."""
    with Image.open(io.BytesIO(data)) as photo:
        upright = ImageOps.exif_transpose(photo).convert("RGB")
    return np.asarray(upright.resize((PIXELS, PIXELS), Image.Resampling.BILINEAR))


def by_simplejpeg_and_pillow(data: bytes) -> NDArray[np.uint8]:
    """Decode and resize as scoring does, with all checks of untrusted files."""
    return decode_resized(data, PIXELS)


def by_simplejpeg_and_torchvision(data: bytes) -> NDArray[np.uint8]:
    """Decode and resize as training does, with all checks of untrusted files."""
    jpeg = decode_jpeg(data)
    if jpeg is None:
        raise AssertionError("simplejpeg does not decode this photo")
    return resize_uint8(jpeg[0], PIXELS)


def rows_of(size: tuple[int, int], photos: list[bytes], rounds: int) -> list[Row]:
    """Time both pairs against Pillow on photos of one size."""
    work = f"decode {len(photos)} JPEGs of {size[0]}x{size[1]}, resize to {PIXELS}, 1 thread"
    expected = [by_pillow(data) for data in photos]

    def measured(name: str, decoder: Callable[[bytes], NDArray[np.uint8]]) -> Row:
        off = [np.abs(decoder(d).astype(int) - e) for d, e in zip(photos, expected, strict=True)]
        seconds = timed(
            lambda: [decoder(data) for data in photos],
            lambda: [by_pillow(data) for data in photos],
            rounds=rounds,
            clock=time.process_time,
        )
        return row(
            f"{work}: {name}",
            f"Pillow {version('pillow')}",
            seconds,
            difference=f"at most {max(int(o.max()) for o in off)} of 255,"
            f" in {np.mean([(o > 0).mean() for o in off]):.2%} of the values",
        )

    torchvision = f"torchvision {version('torchvision')}"
    return [
        measured("simplejpeg and Pillow", by_simplejpeg_and_pillow),
        measured(f"simplejpeg and {torchvision}", by_simplejpeg_and_torchvision),
    ]


def main() -> None:
    """Print the table of all sizes."""
    parser = arguments(__doc__)
    parser.add_argument("--count", type=int, default=6, help="photos a turn")
    options = parser.parse_args()
    torch.set_num_threads(1)
    rows: list[Row] = []
    for size in SIZES:
        photos = sized_photos(options.count, size, manifest=options.photos)
        rows += rows_of(size, photos, options.rounds)
    report(rows, options.rows)


if __name__ == "__main__":
    main()
