"""Speed of reading training batches from a folder of photos, against three loaders on 2 cores.

    python benchmarks/loader.py --photos manifest.csv

All resize to 512 x 512 pixels, crop 456 at random, mirror half and normalise to float32; the
resized images are the same pixels. ophis reads in two threads; the others in two processes that
stay between turns, each with one thread, which is their best setting on two cores.
"""

from __future__ import annotations

import tempfile
from dataclasses import replace
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch
from fastai.data.block import CategoryBlock, DataBlock
from fastai.data.transforms import Normalize, get_image_files, parent_label
from fastai.vision.augment import FlipItem, RandomCrop, Resize, ResizeMethod
from fastai.vision.core import PILImage
from fastai.vision.data import ImageBlock
from PIL import Image
from side_by_side import Row, arguments, report, row, timed
from sized_photos import sized_photos
from timm.data import create_dataset, create_loader
from timm.data.transforms import ToNumpy
from torch.utils.data import DataLoader
from torchvision import transforms
from torchvision.datasets import ImageFolder

from ophis import read_recipe
from ophis.train.batches import Batches
from ophis.train.pixels import read_resized

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from numpy.typing import NDArray

    from ophis.recipe import Recipe

WORKERS = 2
BATCH = 32
RESIZED, CROP = 512, 456
HALF = (0.5, 0.5, 0.5)  # mean and std
REACH = {"torchvision": 1.9, "timm": 2.2, "fastai": 2.4}


def _cut_and_mirrored() -> list[object]:
    return [
        transforms.Resize((RESIZED, RESIZED)),
        transforms.RandomCrop(CROP),
        transforms.RandomHorizontalFlip(),
    ]


def torchvision_loader(folder: Path) -> Iterable[object]:
    """Return ImageFolder in a DataLoader, as in torch's tutorial."""
    steps = [*_cut_and_mirrored(), transforms.ToTensor(), transforms.Normalize(HALF, HALF)]
    return DataLoader(
        ImageFolder(str(folder), transforms.Compose(steps)),
        BATCH,
        shuffle=True,
        num_workers=WORKERS,
        persistent_workers=True,
        prefetch_factor=4,
    )


def timm_loader(folder: Path) -> Iterable[object]:
    """Return timm's loader: bytes from its processes, normalised by its prefetcher."""
    loader = create_loader(
        create_dataset("", root=str(folder)),
        input_size=(3, CROP, CROP),
        batch_size=BATCH,
        is_training=True,
        mean=HALF,
        std=HALF,
        num_workers=WORKERS,
        persistent_workers=True,
        device=torch.device("cpu"),
        pin_memory=False,
    )
    loader.dataset.transform = transforms.Compose([*_cut_and_mirrored(), ToNumpy()])
    return loader


def fastai_loader(folder: Path) -> Iterable[object]:
    """Return fastai's loader: transforms a photo, normalisation a batch."""
    block = DataBlock(
        blocks=[ImageBlock, CategoryBlock],
        get_items=get_image_files,
        get_y=parent_label,
        splitter=lambda items: (range(len(items)), []),
        item_tfms=[Resize(RESIZED, method=ResizeMethod.Squish), RandomCrop(CROP), FlipItem(0.5)],
        batch_tfms=[Normalize.from_stats(HALF, HALF, cuda=False)],
    )
    return block.dataloaders(
        folder, bs=BATCH, num_workers=WORKERS, persistent_workers=True, device=torch.device("cpu")
    ).train


def by_fastai(path: Path) -> NDArray[np.uint8]:
    """Return the resized image of fastai."""
    squish = Resize(RESIZED, method=ResizeMethod.Squish)
    return np.asarray(squish(PILImage.create(path), split_idx=0))


def by_torchvision(path: Path) -> NDArray[np.uint8]:
    """Return the resized image of torchvision, which timm's loader uses too."""
    with Image.open(path) as photo:
        return np.asarray(transforms.Resize((RESIZED, RESIZED))(photo.convert("RGB")))


def require_same_pixels(paths: list[Path]) -> None:
    """Raise an AssertionError where two loaders differ by more than 1 of 255."""
    for path in paths:
        own = read_resized(path, RESIZED).astype(int)
        if any(np.abs(own - read(path)).max() > 1 for read in (by_torchvision, by_fastai)):
            raise AssertionError(f"{path}: the pixels differ")


def drained(loader: Iterable[object], photos: int) -> Callable[[], None]:
    """Return an epoch that requires every photo, as float32."""

    def turn() -> None:
        seen = 0
        for pixels, _ in loader:  # ty: ignore[not-iterable]
            if pixels.dtype != torch.float32 or pixels.shape[1:] != (3, CROP, CROP):
                raise AssertionError(f"{pixels.dtype} {tuple(pixels.shape)}")
            seen += len(pixels)
        if seen != photos:
            raise AssertionError(f"{seen} photos of {photos}")

    return turn


def ophis_turn(recipe: Recipe, paths: list[Path]) -> Callable[[], None]:
    """Return an epoch through `Batches`."""
    truth = np.arange(len(paths)) % 2

    def batches() -> Iterable[object]:
        for batch in Batches(recipe, paths, truth, workers=WORKERS).micro_batches(0):
            yield batch.pixels, batch.truth

    def turn() -> None:
        drained(batches(), len(paths))()

    return turn


def written(photos: list[bytes], folder: Path) -> list[Path]:
    """Write photos in a folder a species, the layout of ImageFolder."""
    paths = []
    for number, data in enumerate(photos):
        path = folder / f"species-{number % 2}" / f"{number:05}.jpg"
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(data)
        paths.append(path)
    return paths


def main() -> None:
    """Time each peer in turn with ophis."""
    parser = arguments(__doc__)
    parser.add_argument("--count", type=int, default=192, help="photos a turn, a multiple of 32")
    parser.add_argument("--size", type=int, nargs=2, default=(1024, 768), help="of each photo")
    options = parser.parse_args()
    torch.set_num_threads(1)
    recipe = replace(
        read_recipe("paper_in21k"),
        steps=options.count // BATCH,
        batch_photos=BATCH,
        micro_batch_photos=BATCH,
    )
    rows: list[Row] = []
    width, height = options.size
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        photos = sized_photos(options.count, (width, height), manifest=options.photos)
        paths = written(photos, folder)
        require_same_pixels(paths[:8])
        makers = (torchvision_loader, timm_loader, fastai_loader)
        for name, make in zip(REACH, makers, strict=True):
            peer = drained(make(folder), options.count)
            rows.append(
                row(
                    f"{options.count} photos of {width}x{height} in a folder to batches of {BATCH},"
                    f" {CROP} pixels, float32; {WORKERS} cores",
                    f"{name} {version(name)}",
                    timed(ophis_turn(recipe, paths), peer, rounds=options.rounds),
                    reach=REACH[name],
                    difference="at most 1 of 255; each loader draws its own crops and flips",
                )
            )
    report(rows, options.rows)


if __name__ == "__main__":
    main()
