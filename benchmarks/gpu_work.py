"""What every side of `gpu.py` trains: network, photos of a step, the device and its peak."""

from __future__ import annotations

import copy
from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING

import torch
from torch.utils.flop_counter import FlopCounterMode

from ophis import read_recipe
from ophis.train.batches import MicroBatch, mixup_share
from ophis.train.networks.model import create_model

if TYPE_CHECKING:
    from torch import nn

    from ophis.recipe import Recipe

# Dense bfloat16, TFLOP/s. NVIDIA's data sheets print twice as much for the Hopper cards: with
# sparsity. The first name that is part of the device's counts.
PEAKS = (
    ("H200 NVL", 835.5, "H200 data sheet, 1,671 with sparsity"),
    ("H200", 989.4, "H200 data sheet, 1,979 with sparsity"),
    ("H100 NVL", 835.5, "H100 data sheet, 1,671 with sparsity"),
    ("H100 PCIe", 756.4, "H100 data sheet, 1,513 with sparsity"),
    ("H100", 989.4, "H100 data sheet (SXM), 1,979 with sparsity"),
    ("A100", 312.0, "A100 data sheet, 624 with sparsity"),
)


@dataclass(frozen=True)
class Work:
    """Training steps of one size.

    Attributes:
        backbone: timm's name.
        species: logits.
        pixels: side of a photo.
        piece_photos: photos of a micro-batch.
        pieces: micro-batches of an optimiser step.
        device: where.
    """

    backbone: str
    species: int
    pixels: int
    piece_photos: int
    pieces: int
    device: torch.device

    @property
    def photos(self) -> int:
        """Of an optimiser step."""
        return self.piece_photos * self.pieces

    @cached_property
    def recipe(self) -> Recipe:
        """The paper's, in this size."""
        return replace(
            read_recipe("paper_in1k"),
            backbone=self.backbone,
            weights="none",
            head="random",
            resize_pixels=self.pixels * 512 // 456,
            crop_pixels=self.pixels,
            test_pixels=self.pixels,
            batch_photos=self.photos,
            micro_batch_photos=self.piece_photos,
        )

    @cached_property
    def step(self) -> int:
        """The first step of the recipe in which mixup really mixes."""
        return next(s for s in range(10_000) if 0.2 < mixup_share(self.recipe, s) < 0.8)

    @cached_property
    def batches(self) -> list[MicroBatch]:
        """The pieces of the step, made of chance and already on the device: no loader counts."""
        chance = torch.Generator(self.device).manual_seed(0)
        shape = (self.piece_photos, 3, self.pixels, self.pixels)
        made = []
        for number in range(self.pieces):
            pixels = torch.rand(shape, generator=chance, device=self.device) * 2 - 1
            truth = torch.randint(
                self.species, shape[:1], generator=chance, device=self.device
            )  # fmt: skip
            made.append(MicroBatch(self.step, number, pixels, truth))
        return made

    def model(self) -> nn.Module:
        """The network with the same random weights each time, on the processor."""
        torch.manual_seed(0)
        return create_model(self.backbone, species=self.species, weights="none", head="random")

    @cached_property
    def photo_gflop(self) -> float:
        """GFLOP of one photo's training: three times the forward pass, multiply-add as two.

        Convolutions and the head are counted, norms and the stem's missing gradient are not.
        """
        with torch.device("meta"):
            model = copy.deepcopy(self.model()).to("meta").eval()
            photo = torch.empty(1, 3, self.pixels, self.pixels)
        with FlopCounterMode(display=False) as counter, torch.no_grad():
            model(photo)
        return 3 * counter.get_total_flops() / 1e9


def device_name(device: torch.device) -> str:
    """What the device is called."""
    return torch.cuda.get_device_name(device) if device.type == "cuda" else str(device)


def peak(device: torch.device) -> tuple[float, str] | None:
    """TFLOP/s of dense bfloat16 by the device's name, and where that is written."""
    name = device_name(device)
    return next((entry[1:] for entry in PEAKS if entry[0] in name), None)
