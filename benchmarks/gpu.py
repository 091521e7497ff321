"""Training speed of BiT-R50x1 at 456 pixels on one CUDA device: eager, compiled and timm's model.

    python benchmarks/gpu.py [--steps 5] [--micro-batch 32]

Each row is one optimiser step of 512 photos in micro-batches, with mixup, in bfloat16 by autocast:
`eager` and `compiled` are those of `ophis train` without and with --compile, `timm` is timm's
network, loss and optimiser. Photos are random and lie on the device, so that no row waits for a
loader. The median over the steps is printed, after two steps that warm up or compile.
"""

from __future__ import annotations

import argparse
import sys
import time
from dataclasses import replace
from statistics import median
from typing import TYPE_CHECKING

import timm
import torch
from timm.loss import SoftTargetCrossEntropy
from timm.optim import create_optimizer_v2
from torch.nn import functional

from ophis import read_recipe
from ophis.train.batches import MicroBatch, mix, mixup_coefficient, mixup_partners
from ophis.train.gradient import accumulate
from ophis.train.networks.compilation import compile_network, require_compiler
from ophis.train.networks.model import create_model
from ophis.train.processes import Processes
from ophis.train.training_state import create_optimiser

if TYPE_CHECKING:
    from collections.abc import Callable

    from ophis.recipe import Recipe

SPECIES, PHOTOS = 783, 512
WARM_UP_STEPS = 2


def batches_of(recipe: Recipe, device: torch.device) -> list[MicroBatch]:
    """Return the micro-batches of one step: random photos on the device."""
    rng = torch.Generator(device).manual_seed(0)
    shape = (recipe.micro_batch_photos, 3, recipe.crop_pixels, recipe.crop_pixels)
    return [
        MicroBatch(
            0,
            number,
            torch.rand(shape, generator=rng, device=device).mul_(2).sub_(1),
            torch.randint(SPECIES, shape[:1], generator=rng, device=device),
        )
        for number in range(recipe.micro_batches)
    ]


def ophis_step(recipe: Recipe, batches: list[MicroBatch], *, compiled: bool) -> Callable[[], None]:
    """Return an optimiser step of `ophis train`."""
    device = batches[0].pixels.device
    model = create_model(recipe.backbone, species=SPECIES, weights="none", head="random")
    model = model.to(device).to(memory_format=torch.channels_last).train()
    network = compile_network(model) if compiled else model
    optimiser = create_optimiser(recipe, list(model.parameters()))
    processes = Processes(device)

    def step() -> None:
        optimiser.zero_grad(set_to_none=True)
        accumulate(network, iter(batches), recipe, processes, torch.bfloat16)
        optimiser.step()

    return step


def timm_step(recipe: Recipe, batches: list[MicroBatch]) -> Callable[[], None]:
    """Return an optimiser step of timm's train.py, written after its options.

    --amp --amp-dtype bfloat16 --channels-last --opt momentum --mixup 0.1 --grad-accum-steps 16
    """
    device = batches[0].pixels.device
    model = timm.create_model(recipe.backbone, num_classes=SPECIES)
    model = model.to(device).to(memory_format=torch.channels_last).train()
    optimiser = create_optimizer_v2(model, opt="momentum", lr=1e-4, momentum=0.9, weight_decay=0.0)
    criterion = SoftTargetCrossEntropy()
    coefficient = mixup_coefficient(recipe, 0)

    def step() -> None:
        optimiser.zero_grad()
        for batch in batches:
            partners = mixup_partners(recipe, batch).to(device)
            target = functional.one_hot(batch.truth, SPECIES).float()
            pixels = mix(batch.pixels, coefficient, partners)
            with torch.autocast(device.type, torch.bfloat16):
                logits = model(pixels.contiguous(memory_format=torch.channels_last))
                loss = criterion(logits, mix(target, coefficient, partners)) / len(batches)
            loss.backward()
        optimiser.step()

    return step


def seconds_of(step: Callable[[], None], steps: int) -> float:
    """Return the median seconds of a step."""
    times = []
    for _ in range(WARM_UP_STEPS + steps):
        torch.cuda.synchronize()
        started = time.perf_counter()
        step()
        torch.cuda.synchronize()
        times.append(time.perf_counter() - started)
    return median(times[WARM_UP_STEPS:])


def main() -> int:
    """Print a row for each way; 2 without a CUDA device."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--steps", type=int, default=5, help="optimiser steps measured")
    parser.add_argument("--micro-batch", type=int, default=32, help="photos of a micro-batch")
    options = parser.parse_args()
    if not torch.cuda.is_available():
        print("gpu: this machine has no CUDA device", file=sys.stderr)
        return 2
    device = torch.device("cuda")
    require_compiler(device)
    torch.backends.cudnn.benchmark = True
    recipe = replace(
        read_recipe("paper_in1k"), batch_photos=PHOTOS, micro_batch_photos=options.micro_batch
    )
    batches = batches_of(recipe, device)
    ways = {
        "eager": lambda: ophis_step(recipe, batches, compiled=False),
        "compiled": lambda: ophis_step(recipe, batches, compiled=True),
        "timm": lambda: timm_step(recipe, batches),
    }
    print(f"{torch.cuda.get_device_name()}, torch {torch.__version__}, timm {timm.__version__}\n")
    print("| way | photos/s | ms a micro-batch | peak GiB |\n|---|---|---|---|")
    for name, begin in ways.items():
        torch.cuda.empty_cache()
        torch.cuda.reset_peak_memory_stats()
        seconds = seconds_of(begin(), options.steps)
        peak = torch.cuda.max_memory_allocated() / 2**30
        milliseconds = 1000 * seconds / recipe.micro_batches
        print(f"| {name} | {PHOTOS / seconds:,.0f} | {milliseconds:.1f} | {peak:.1f} |", flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
