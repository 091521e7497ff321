"""Speed of training batches from packed shards: ophis and webdataset on the same shards.

    python benchmarks/packed_loader.py [--photos MANIFEST] [--pixels 512] [--batches 32]

Both give batches of 16 photos, [16, 3, 456, 456], float32, normalised, on the CPU: a
random crop of 456 from the packed 512, mirrored half of the time. Both decode JPEG by simplejpeg
(libjpeg-turbo). webdataset crops before the conversion to float and mirrors in torch, which is
fastest; its DataLoader keeps its processes between epochs, in the number that gave the shortest of
a few epochs. ophis reads in threads, in the exact order of a run.
"""

from __future__ import annotations

import os
import random
import sys
import tempfile
import time
from dataclasses import dataclass, replace
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import polars as pl
import simplejpeg
import torch
from side_by_side import Row, arguments, report, row, timed

from ophis import Manifest, read_manifest, read_recipe
from ophis.datasets.shards.writer import pack
from ophis.datasets.synthetic import sample
from ophis.images.preprocessing import normalise
from ophis.train.batches import Batches
from ophis.train.pixels import read_resized

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from numpy.typing import NDArray

    from ophis.recipe import Recipe

webdataset: Any = import_module("webdataset")  # it has no types

CROP = 456
BATCH = 16
SHARDS = 8
SYNTHETIC = 64
REACH = 1.8


@dataclass(frozen=True)
class Numbers:
    """Transform of webdataset for a decoded photo; pickled to its processes.

    Attributes:
        mean: per channel, of values in [0, 1].
        std: per channel.
    """

    mean: tuple[float, float, float]
    std: tuple[float, float, float]

    def __call__(self, photo: NDArray[np.uint8]) -> torch.Tensor:
        """Crop, mirror and normalise: [3, CROP, CROP], float32."""
        positions = photo.shape[0] - CROP + 1
        top, left = random.randrange(positions), random.randrange(positions)
        return self.of_crop(photo, top, left, mirrored=random.random() < 0.5)

    def of_crop(
        self, photo: NDArray[np.uint8], top: int, left: int, *, mirrored: bool
    ) -> torch.Tensor:
        """Transform a crop at a given position."""
        crop = photo[top : top + CROP, left : left + CROP]
        pixels = torch.from_numpy(crop).permute(2, 0, 1).contiguous()
        if mirrored:
            pixels = pixels.flip(2)
        mean, std = (torch.tensor(x).view(3, 1, 1) for x in (self.mean, self.std))
        return pixels.float().div_(255).sub_(mean).div_(std)


def main() -> None:
    """Pack, compare, print."""
    parser = arguments(__doc__)
    parser.add_argument("--batches", type=int, default=32, help="of 16 photos, an epoch")
    parser.add_argument("--pixels", type=int, default=512, help="side of the packed photos")
    parser.add_argument(
        "--cores", type=int, default=2, help="threads of ophis; webdataset tries one process more"
    )
    options = parser.parse_args()
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as folder:
        manifest = photos_of(options.photos, Path(folder), options.batches * BATCH)
        rows = []
        for quality, reach in ((95, REACH), (None, None)):
            out = Path(folder) / str(quality)
            pack(
                manifest,
                out,
                pixels=options.pixels,
                quality=quality,
                shard_photos=-(-len(manifest) // SHARDS),
            )
            rows.append(compared(out, cores=options.cores, rounds=options.rounds, reach=reach))
    report(rows, options.rows)


def photos_of(path: Path | None, folder: Path, number: int) -> Manifest:
    """Return rows of real photos, or of a few synthetic ones repeated."""
    path = path or sample(folder / "synthetic", count=SYNTHETIC)
    manifest = read_manifest(path)
    table = manifest.table[np.arange(number) % len(manifest)]
    named = table["photo_id"] + pl.Series([f"#{row}" for row in range(number)])
    return Manifest(table.with_columns(photo_id=named), manifest.folder)


def compared(out: Path, *, cores: int, rounds: int, reach: float | None) -> Row:
    """Return a row: an epoch of a pack through both."""
    manifest = read_manifest(out)
    recipe = recipe_of(len(manifest))
    counts = range(cores + 2)
    seconds = {count: shortest(epochs_of(peer(out, recipe, count))) for count in counts}
    best = min(seconds, key=lambda count: seconds[count])
    tried = ", ".join(f"{count}: {second:.2f} s" for count, second in seconds.items())
    print(f"webdataset, epochs by number of processes: {tried}", file=sys.stderr)
    own = ophis_epochs(manifest, recipe, cores)
    other = epochs_of(peer(out, recipe, best))
    form = Path(out).name
    kind = "raw" if form == "None" else f"JPEG {form}"
    return row(
        f"epoch of {len(manifest)} packed photos, {kind}, crop {CROP}, {cores} threads",
        f"webdataset {webdataset.__version__}, simplejpeg {simplejpeg.__version__},"
        f" {best} processes",
        timed(own, other, rounds=rounds),
        difference=f"{difference(manifest, out, recipe):.1e}",
        reach=reach,
    )


def recipe_of(photos: int) -> Recipe:
    """Return a recipe of one epoch, a batch a step, with crop and flip only."""
    return replace(
        read_recipe("paper_in21k"),
        resize_pixels=512,
        crop_pixels=CROP,
        flip_probability=0.5,
        rotation_degrees=0.0,
        colour_jitter=0.0,
        least_area=1.0,
        mixup_alpha=0.0,
        batch_photos=BATCH,
        micro_batch_photos=BATCH,
        steps=photos // BATCH,
        warmup_steps=0,
        decay_steps=(),
    )


def ophis_epochs(manifest: Manifest, recipe: Recipe, cores: int) -> Callable[[], None]:
    """Return an epoch of ophis."""
    truth = manifest.truth(manifest.species_list())

    def epoch() -> None:
        batches = Batches(recipe, manifest.photos(), truth, workers=cores)
        taken(batch.pixels for batch in batches.micro_batches(0))

    return epoch


def peer(out: Path, recipe: Recipe, processes: int) -> Any:  # noqa: ANN401
    """Return webdataset's loader of the shards: shuffled, decoded, cropped, in batches."""
    numbers = Numbers(recipe.mean, recipe.std)
    shards = [str(path) for path in sorted(out.glob("*.tar"))]
    dataset = (
        webdataset.WebDataset(shards, shardshuffle=len(shards), empty_check=False)
        .shuffle(1000)
        .decode(webdataset.handle_extension("jpg", decoded))
        .to_tuple("jpg;npy", "cls")
        .map_tuple(numbers, int)
        .batched(BATCH, partial=True)
    )
    kept = {"persistent_workers": True} if processes else {}
    return webdataset.WebLoader(dataset, batch_size=None, num_workers=processes, **kept)


def decoded(data: bytes) -> NDArray[np.uint8]:
    """Return a JPEG's pixels."""
    return simplejpeg.decode_jpeg(data, "RGB")


def epochs_of(loader: Any) -> Callable[[], None]:  # noqa: ANN401
    """Return an epoch of a loader."""
    return lambda: taken(pixels for pixels, _ in loader)


def taken(batches: Iterator[torch.Tensor]) -> None:
    """Consume every batch and check its shape; the last may be smaller."""
    for pixels in batches:
        if pixels.shape[1:] != (3, CROP, CROP) or pixels.dtype != torch.float32:
            sys.exit(f"a batch of {tuple(pixels.shape)}, {pixels.dtype}")


def shortest(epoch: Callable[[], None], times: int = 3) -> float:
    """Return the seconds of the shortest epoch, after one to warm up."""
    epoch()
    found = []
    for _ in range(times):
        started = time.perf_counter()
        epoch()
        found.append(time.perf_counter() - started)
    return min(found)


def difference(manifest: Manifest, out: Path, recipe: Recipe) -> float:
    """Return the largest difference between both after the same crop of some photos."""
    numbers = Numbers(recipe.mean, recipe.std)
    shards = [str(path) for path in sorted(out.glob("*.tar"))]
    dataset = webdataset.WebDataset(shards, shardshuffle=False)
    dataset = dataset.decode(webdataset.handle_extension("jpg", decoded)).to_tuple("jpg;npy")
    largest = 0.0
    for packed, (photo,) in zip(manifest.photos()[:32], dataset, strict=False):
        resized = read_resized(packed, recipe.resize_pixels)
        if not np.array_equal(resized, photo):
            sys.exit(f"{packed}: the pixels differ from webdataset's")
        other = numbers.of_crop(photo, 20, 30, mirrored=True).numpy()
        crop = resized[20 : 20 + CROP, 30 : 30 + CROP][:, ::-1]
        own = normalise(np.ascontiguousarray(crop), recipe.preprocessing)
        largest = max(largest, float(np.abs(own - other).max()))
    return largest


if __name__ == "__main__":
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    main()
