"""Made Big Transfer weights: random numbers under the official names and shapes. No model."""

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

BLOCKS = {50: (3, 4, 6, 3), 101: (3, 4, 23, 3)}


def bit_tensors(
    *, blocks: tuple[int, ...] = BLOCKS[50], width: int = 1, classes: int = 1000, seed: int = 0
) -> dict[str, NDArray[np.float32]]:
    """Name to tensor, kernels [rows, columns, in, out], as Google's BiT-*.npz files have them."""
    chance = np.random.default_rng(seed)
    tensors: dict[str, NDArray[np.float32]] = {}

    def kernel(name: str, side: int, inside: int, outside: int) -> None:
        deviation = (2 / (side * side * inside)) ** 0.5
        made = chance.standard_normal((side, side, inside, outside), np.float32)
        tensors[name] = made * np.float32(deviation)

    def norm(name: str, channels: int) -> None:
        tensors[f"{name}/gamma"] = chance.uniform(0.5, 1.5, channels).astype(np.float32)
        tensors[f"{name}/beta"] = chance.normal(0, 0.1, channels).astype(np.float32)

    kernel("resnet/root_block/standardized_conv2d/kernel", 7, 3, 64 * width)
    inside = 64 * width
    for block, units in enumerate(blocks):
        middle = 64 * width * 2**block
        for unit in range(units):
            place = f"resnet/block{block + 1}/unit{unit + 1:02}"
            if unit == 0:
                kernel(f"{place}/a/proj/standardized_conv2d/kernel", 1, inside, 4 * middle)
            norm(f"{place}/a/group_norm", inside)
            kernel(f"{place}/a/standardized_conv2d/kernel", 1, inside, middle)
            norm(f"{place}/b/group_norm", middle)
            kernel(f"{place}/b/standardized_conv2d/kernel", 3, middle, middle)
            norm(f"{place}/c/group_norm", middle)
            kernel(f"{place}/c/standardized_conv2d/kernel", 1, middle, 4 * middle)
            inside = 4 * middle
    norm("resnet/group_norm", inside)
    tensors["resnet/head/conv2d/kernel"] = chance.normal(0, 0.01, (1, 1, inside, classes)).astype(
        np.float32
    )
    tensors["resnet/head/conv2d/bias"] = np.zeros(classes, np.float32)
    return tensors


def write_bit_npz(
    path: Path,
    *,
    blocks: tuple[int, ...] = BLOCKS[50],
    width: int = 1,
    classes: int = 1000,
    seed: int = 0,
) -> Path:
    """Write made weights as an .npz."""
    tensors = bit_tensors(blocks=blocks, width=width, classes=classes, seed=seed)
    np.savez(path, allow_pickle=False, **tensors)
    return path
