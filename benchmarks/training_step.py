"""Training time of a micro-batch of BiT-R50x1 at 456 pixels on the CPU, against the original.

    python benchmarks/training_step.py [--rounds 3] [--micro-batch 8 32]

ophis is `ophis.train.gradient.accumulate` as `ophis train` calls it: kernels standardised once a
step, bfloat16 autocast, channels last, fast backward of group norm. The paper's step has 16
micro-batches, this one two of 8 photos or one of 32, which is the harder case for ophis. The peer
is Big Transfer as its authors run it (`bit_original.py`): float32, default layout, kernels
standardised in each forward pass. Memory is the peak of a process that takes one step.
"""

from __future__ import annotations

import argparse
import os
import sys
from dataclasses import replace
from importlib.metadata import version
from typing import TYPE_CHECKING

import torch
from bit_original import with_weights_of
from side_by_side import Row, alone, arguments, report, row, timed
from torch.nn import functional

from ophis import read_recipe
from ophis.inference.memory import keep_freed_memory
from ophis.train.batches import MicroBatch
from ophis.train.gradient import accumulate
from ophis.train.networks.model import create_model
from ophis.train.processes import Processes

if TYPE_CHECKING:
    from collections.abc import Callable

    from torch import nn

SPECIES, SIDE = 783, 456
THREADS = os.cpu_count() or 1
REACH = {8: 2.7, 32: 2.8}
PROGRAMS = ("ophis", "peer")


def main() -> None:
    """Measure the memory of both, then their time."""
    parser = arguments(__doc__)
    parser.set_defaults(rounds=3)
    parser.add_argument("--micro-batch", type=int, nargs="+", default=[8, 32], help="photos")
    parser.add_argument("--micro-batches", type=int, help="of a step; by default of 16 photos")
    parser.add_argument("--alone", choices=PROGRAMS, help=argparse.SUPPRESS)
    options = parser.parse_args()
    torch.set_num_threads(THREADS)
    if options.alone != "peer":
        keep_freed_memory()  # as in `ophis train`; the peer would gain time and need more memory
    if options.alone:
        (photos,) = options.micro_batch
        steps(photos, options.micro_batches or 1)[PROGRAMS.index(options.alone)]()
        return
    # Memory first: later this process holds the memory of both.
    memory = {photos: memory_row(photos) for photos in options.micro_batch}
    found = []
    for photos, held in memory.items():
        batches = options.micro_batches or max(1, 16 // photos)
        found += [time_row(photos, batches, options.rounds), held]
    report(found, options.rows)


def steps(photos: int, batches: int) -> tuple[Callable[[], nn.Module], Callable[[], nn.Module]]:
    """Return functions that compute the gradient of a step, by ophis and by the peer."""
    torch.manual_seed(0)
    model = create_model("resnetv2_50x1_bit", species=SPECIES, weights="none", head="random")
    original = with_weights_of(model, SPECIES)
    model = model.to(memory_format=torch.channels_last)
    recipe = replace(
        read_recipe("paper_in21k"), mixup_alpha=0.0, batch_photos=photos * batches,
        micro_batch_photos=photos,
    )  # fmt: skip
    given = [
        (torch.randn(photos, 3, SIDE, SIDE), torch.randint(SPECIES, (photos,)))
        for _ in range(batches)
    ]

    def own() -> nn.Module:
        model.zero_grad(set_to_none=True)
        parts = (MicroBatch(0, n, pixels, truth) for n, (pixels, truth) in enumerate(given))
        accumulate(model, parts, recipe, Processes(torch.device("cpu")), torch.bfloat16)
        return model

    def other() -> nn.Module:
        original.zero_grad(set_to_none=True)
        for pixels, truth in given:
            loss = functional.cross_entropy(original(pixels), truth)
            (loss / batches).backward()
        return original

    return own, other


def time_row(photos: int, batches: int, rounds: int) -> Row:
    """Return the seconds of a micro-batch."""
    own, other = steps(photos, batches)
    apart = angle(own(), other())
    figures = timed(own, other, rounds=rounds)
    each = tuple([seconds / batches for seconds in turns] for turns in figures)
    return row(
        f"training micro-batch, {photos} photos, bfloat16 (torch {version('torch')}),"
        f" {THREADS} threads",
        "Big Transfer, re-written, float32",
        (each[0], each[1]),
        difference=f"gradients' cosine {apart:.4f}",
        reach=REACH.get(photos),
    )


def angle(own: nn.Module, other: nn.Module) -> float:
    """Return the cosine between the gradients of the heads' kernels."""
    grads = (own.get_parameter("head.fc.weight").grad, other.get_parameter("head.3.weight").grad)
    flat = [grad.flatten().double() for grad in grads if grad is not None]
    return float(functional.cosine_similarity(*flat, dim=0))


def memory_row(photos: int) -> Row:
    """Return the peak memory of one micro-batch, each in a separate process."""
    script = [sys.executable, "-W", "ignore", __file__, "--micro-batches", "1"]
    peaks = [
        alone([*script, "--alone", program, "--micro-batch", str(photos)]).megabytes
        for program in PROGRAMS
    ]
    return row(
        f"the same, peak memory, {photos} photos",
        "Big Transfer, re-written, float32",
        ([peaks[0]], [peaks[1]]),
        difference="-",
        reach=round(1 / 0.6, 2) if photos == 32 else None,
        unit="MB",
    )


if __name__ == "__main__":
    main()
