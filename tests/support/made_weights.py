"""Made Big Transfer weights: random numbers under the published names and shapes."""

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

BLOCKS = {50: (3, 4, 6, 3), 101: (3, 4, 23, 3), 152: (3, 8, 36, 3)}


def bit_shapes(
    *, blocks: tuple[int, ...] = BLOCKS[50], width: int = 1, classes: int = 1000
) -> dict[str, tuple[int, ...]]:
    """Return shapes by published name, kernels [rows, columns, in, out], as in Google's BiT-*.npz.

    Source: Kolesnikov et al. 2020, "Big Transfer"; the names are those of the published files.
    """
    shapes: dict[str, tuple[int, ...]] = {}
    inside = 64 * width
    shapes["resnet/root_block/standardized_conv2d/kernel"] = (7, 7, 3, inside)
    for block, units in enumerate(blocks):
        middle = 64 * width * 2**block
        for unit in range(units):
            place = f"resnet/block{block + 1}/unit{unit + 1:02}"
            if unit == 0:
                kernel = (1, 1, inside, 4 * middle)
                shapes[f"{place}/a/proj/standardized_conv2d/kernel"] = kernel
            for letter, side, before, after in (
                ("a", 1, inside, middle),
                ("b", 3, middle, middle),
                ("c", 1, middle, 4 * middle),
            ):
                shapes[f"{place}/{letter}/group_norm/gamma"] = (before,)
                shapes[f"{place}/{letter}/group_norm/beta"] = (before,)
                kernel = (side, side, before, after)
                shapes[f"{place}/{letter}/standardized_conv2d/kernel"] = kernel
            inside = 4 * middle
    shapes["resnet/group_norm/gamma"] = (inside,)
    shapes["resnet/group_norm/beta"] = (inside,)
    shapes["resnet/head/conv2d/kernel"] = (1, 1, inside, classes)
    shapes["resnet/head/conv2d/bias"] = (classes,)
    return shapes


def bit_tensors(
    *, blocks: tuple[int, ...] = BLOCKS[50], width: int = 1, classes: int = 1000, seed: int = 0
) -> dict[str, NDArray[np.float32]]:
    """Return random tensors by published name: kernels after He et al. 2015, gammas about 1."""
    rng = np.random.default_rng(seed)
    tensors: dict[str, NDArray[np.float32]] = {}
    for name, shape in bit_shapes(blocks=blocks, width=width, classes=classes).items():
        made = rng.standard_normal(shape, np.float32)
        if name.endswith("/kernel"):
            made *= np.float32((2 / np.prod(shape[:3])) ** 0.5)
        elif name.endswith("/gamma"):
            made = 1 + made / 10
        else:
            made /= 10
        tensors[name] = made
    return tensors


def write_bit_npz(
    path: Path,
    *,
    blocks: tuple[int, ...] = BLOCKS[50],
    width: int = 1,
    classes: int = 1000,
    seed: int = 0,
) -> Path:
    """Write random weights as an .npz and return its path."""
    tensors = bit_tensors(blocks=blocks, width=width, classes=classes, seed=seed)
    np.savez(path, allow_pickle=False, **tensors)
    return path
