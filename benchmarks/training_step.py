"""A training micro-step of BiT-R50x1 at 456 pixels on the processor: bfloat16 against the original.

    python benchmarks/training_step.py [--photos MANIFEST] [--rounds 3] [--photos-a-piece 8 32]

Ours is `ophis.train.gradient.accumulate`, as `ophis train` calls it: pieces of one optimiser step,
kernels standardised once for all of them, bfloat16 autocast, channels last, group norm's fast
backward. The paper's step has 16 pieces, here it has two of 8 photos or one
of 32, which is less kind to ours. The
peer is Big Transfer as its authors run it (`bit_original.py`): float32, the default layout, kernels
standardised in each forward pass. Seconds are a piece's. Memory is the peak of a process of its own
that does one step and nothing else.
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
from side_by_side import Row, alone, arguments, row, tell, timed
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
SIDES = ("ours", "theirs")


def main() -> None:
    """Look at the memory of each, then time both."""
    parser = arguments(__doc__)
    parser.set_defaults(rounds=3)
    parser.add_argument("--photos-a-piece", type=int, nargs="+", default=[8, 32])
    parser.add_argument("--pieces", type=int, help="of a step; by default of 16 photos together")
    parser.add_argument("--alone", choices=SIDES, help=argparse.SUPPRESS)
    options = parser.parse_args()
    torch.set_num_threads(THREADS)
    if options.alone != "theirs":
        keep_freed_memory()  # as `ophis train` does; the peer gains time by it, and pays memory
    if options.alone:
        (photos,) = options.photos_a_piece
        steps(photos, options.pieces or 1)[SIDES.index(options.alone)]()
        return
    # Memory first: afterwards this process itself holds what both sides need.
    memory = {photos: memory_row(photos) for photos in options.photos_a_piece}
    found = []
    for photos, held in memory.items():
        pieces = options.pieces or max(1, 16 // photos)
        found += [time_row(photos, pieces, options.rounds), held]
    tell(found, options.rows)


def steps(photos: int, pieces: int) -> tuple[Callable[[], nn.Module], Callable[[], nn.Module]]:
    """One optimiser step without the optimiser, ours and the peer's, on the same photos."""
    torch.manual_seed(0)
    model = create_model("resnetv2_50x1_bit", species=SPECIES, weights="none", head="random")
    original = with_weights_of(model, SPECIES)
    model = model.to(memory_format=torch.channels_last)
    recipe = replace(
        read_recipe("paper_in21k"), mixup_alpha=0.0, batch_photos=photos * pieces,
        micro_batch_photos=photos,
    )  # fmt: skip
    given = [
        (torch.randn(photos, 3, SIDE, SIDE), torch.randint(SPECIES, (photos,)))
        for _ in range(pieces)
    ]

    def ours() -> nn.Module:
        model.zero_grad(set_to_none=True)
        batches = (MicroBatch(0, n, pixels, truth) for n, (pixels, truth) in enumerate(given))
        accumulate(model, batches, recipe, Processes(torch.device("cpu")), torch.bfloat16)
        return model

    def theirs() -> nn.Module:
        original.zero_grad(set_to_none=True)
        for pixels, truth in given:
            loss = functional.cross_entropy(original(pixels), truth)
            (loss / pieces).backward()
        return original

    return ours, theirs


def time_row(photos: int, pieces: int, rounds: int) -> Row:
    """Seconds a piece."""
    ours, theirs = steps(photos, pieces)
    apart = angle(ours(), theirs())
    figures = timed(ours, theirs, rounds=rounds)
    a_piece = tuple([seconds / pieces for seconds in side] for side in figures)
    return row(
        f"training micro-step, {photos} photos, bfloat16 (torch {version('torch')}),"
        f" {THREADS} threads",
        "Big Transfer, re-written, float32",
        (a_piece[0], a_piece[1]),
        difference=f"gradients' cosine {apart:.4f}",
        reach=REACH.get(photos),
    )


def angle(ours: nn.Module, theirs: nn.Module) -> float:
    """Cosine between the gradients of the heads' kernels: bfloat16 rounds, but does not turn."""
    grads = (ours.get_parameter("head.fc.weight").grad, theirs.get_parameter("head.3.weight").grad)
    flat = [grad.flatten().double() for grad in grads if grad is not None]
    return float(functional.cosine_similarity(*flat, dim=0))


def memory_row(photos: int) -> Row:
    """Peak memory of one piece, each side in a process of its own."""
    script = [sys.executable, "-W", "ignore", __file__, "--pieces", "1"]
    peaks = [
        alone([*script, "--alone", side, "--photos-a-piece", str(photos)]).megabytes
        for side in SIDES
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
