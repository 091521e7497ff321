"""How fast does a JPEG become a square of 512 pixels, against Pillow with the very same pixels?

    python benchmarks/decode.py --photos manifest.csv

One thread each, processor time. Also decoding alone, and torch's resize of bytes: fast, but with
other pixels.
"""

from __future__ import annotations

import io
import time
from importlib.metadata import version
from typing import TYPE_CHECKING

import numpy as np
import simplejpeg
import torch
from PIL import Image, ImageOps
from side_by_side import Row, arguments, row, tell, timed
from sized_photos import sized_photos

from ophis.datasets.resized import square
from ophis.images.resampling import resampler

if TYPE_CHECKING:
    from numpy.typing import NDArray

SIDE = 512
REACH = {(1024, 768): 2.8, (2048, 1536): 1.9}
SIZES = ((500, 375), (1024, 768), (768, 1024), (2048, 1536), (4000, 3000))


def by_pillow(data: bytes) -> NDArray[np.uint8]:
    """As a careful user of Pillow writes it."""
    with Image.open(io.BytesIO(data)) as photo:
        upright = ImageOps.exif_transpose(photo).convert("RGB")
    return np.asarray(upright.resize((SIDE, SIDE), Image.Resampling.BILINEAR))


def decoded_by_pillow(data: bytes) -> NDArray[np.uint8]:
    """Pixels as an array, [rows, columns, 3]."""
    with Image.open(io.BytesIO(data)) as photo:
        return np.asarray(photo)


def by_torch(data: bytes) -> NDArray[np.uint8]:
    """Decoded by simplejpeg, squeezed by torch's kernel of bytes."""
    pixels = torch.from_numpy(simplejpeg.decode_jpeg(data)).permute(2, 0, 1)[None]
    small = torch.nn.functional.interpolate(
        pixels, size=(SIDE, SIDE), mode="bilinear", antialias=True
    )
    return small[0].permute(1, 2, 0).numpy()


def rows_of(size: tuple[int, int], photos: list[bytes], rounds: int) -> list[Row]:
    """Decode and resize; decoding alone; torch's resize, of which the difference is told."""
    work = f"of {len(photos)} JPEGs of {size[0]}x{size[1]}, 1 thread"
    for data in photos:
        if not np.array_equal(square(data, SIDE), by_pillow(data)):
            raise AssertionError("other pixels")
        if not np.array_equal(simplejpeg.decode_jpeg(data), decoded_by_pillow(data)):
            raise AssertionError("other pixels decoded")
    far = [np.abs(by_torch(data).astype(int) - by_pillow(data)) for data in photos]
    pillow = f"Pillow {version('pillow')}"
    torchs = f"simplejpeg {version('simplejpeg')} and torch {version('torch')}"

    def turns(ours, theirs) -> tuple[list[float], list[float]]:  # noqa: ANN001
        return timed(
            lambda: [ours(data) for data in photos],
            lambda: [theirs(data) for data in photos],
            rounds=rounds,
            clock=time.process_time,
        )

    return [
        row(
            f"decode and resize to {SIDE} {work}",
            pillow,
            turns(lambda data: square(data, SIDE), by_pillow),
            reach=REACH.get(size),
            difference="identical pixels",
        ),
        row(
            f"decoding alone (simplejpeg) {work}",
            pillow,
            turns(simplejpeg.decode_jpeg, decoded_by_pillow),
            difference="identical pixels",
        ),
        row(
            f"decode and resize to {SIDE} {work}",
            torchs,
            turns(lambda data: square(data, SIDE), by_torch),
            difference=f"torch's is off by {max(x.max() for x in far)} of 255 in"
            f" {np.mean([(x > 0).mean() for x in far]):.2%} of the bytes",
        ),
    ]


def main() -> None:
    """All sizes."""
    parser = arguments(__doc__)
    parser.add_argument("--count", type=int, default=6, help="photos a turn")
    options = parser.parse_args()
    torch.set_num_threads(1)
    if resampler() is None:
        raise SystemExit("numba is missing, or Pillow resizes in an unknown way")
    rows: list[Row] = []
    for size in SIZES:
        photos = sized_photos(options.count, size, manifest=options.photos)
        rows += rows_of(size, photos, options.rounds)
    tell(rows, options.rows)


if __name__ == "__main__":
    main()
