"""CPU time of scoring and loading photos, and operations and memory of the paper's training.

    python benchmarks/scale.py MANIFEST [--bundle FOLDER] [--photos 200]

Without a bundle the paper's network is used (BiT-R50x1 at 456 pixels, 783 species) with random
weights. CPU time hardly depends on other work on the machine.
"""

from __future__ import annotations

import argparse
import os
import resource
import tempfile
import time
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import polars as pl
import torch
from torch.utils.flop_counter import FlopCounterMode

from ophis import SpeciesList, load, read_manifest, read_recipe
from ophis.train.batches import Batches
from ophis.train.checkpoint import Checkpoint, save_checkpoint
from ophis.train.export import write_bundle
from ophis.train.networks.model import create_model
from ophis.train.training_state import create_optimiser

if TYPE_CHECKING:
    from torch import nn

    from ophis.datasets.manifest import Manifest

SPECIES = SpeciesList(tuple(f"Made {number}" for number in range(783)))
RECIPE = read_recipe("paper_in1k")


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("manifest", type=Path)
    parser.add_argument("--bundle", type=Path)
    parser.add_argument("--photos", type=int, default=200)
    options = parser.parse_args()
    rows = read_manifest(options.manifest)
    step = max(1, len(rows) // options.photos)
    rows = rows.take(np.arange(0, len(rows), step)[: options.photos])
    rows = replace(rows, table=rows.table.with_columns(species=pl.lit(None, pl.String)))
    with tempfile.TemporaryDirectory() as folder:
        if options.bundle:
            print_scoring(options.bundle, rows)
            return
        model = create_model(RECIPE.backbone, species=783, weights="none", head="zero")
        print_training(model, Path(folder))
        print_loading(rows)
        bundle = write_bundle(
            model, Path(folder) / "bundle", species=SPECIES, preprocessing=RECIPE.preprocessing,
            calibration=None, prior=None, rule=None,
        )  # fmt: skip
        print_scoring(bundle, rows)


def print_training(model: nn.Module, folder: Path) -> None:
    """Print parameters, operations, and size and time of a checkpoint."""
    numbers = sum(parameter.numel() for parameter in model.parameters())
    with FlopCounterMode(display=False) as forward:
        output = model.to("meta")(torch.zeros(1, 3, 456, 456, device="meta"))
    with FlopCounterMode(display=False) as backward:
        output.sum().backward()
    operations = forward.get_total_flops(), backward.get_total_flops()
    print(
        f"{numbers:,} parameters; {operations[0] / 1e9:.1f} GFLOP a photo forward,"
        f" {sum(operations) / 1e9:.1f} with the gradient (multiply-add = 2)"
    )
    model.to_empty(device="cpu")
    for parameter in model.parameters():
        torch.nn.init.normal_(parameter, std=0.02)
        parameter.grad = torch.zeros_like(parameter)
    optimiser = create_optimiser(RECIPE, list(model.parameters()))
    optimiser.step()
    started = time.monotonic()
    state = Checkpoint(1, "", "", model.state_dict(), optimiser.state_dict())
    path = save_checkpoint(state, folder)
    print(f"checkpoint {path.stat().st_size / 1e6:.0f} MB, {time.monotonic() - started:.1f} s")


def print_loading(rows: Manifest) -> None:
    """Print the CPU time of a training photo: decoded, resized, cropped."""
    batches = Batches(RECIPE, rows.paths(), np.zeros(len(rows), np.int64), workers=1)
    micro_batches = batches.micro_batches(0)
    next(micro_batches)
    started, photos = time.process_time(), 0
    for batch in micro_batches:
        photos += len(batch.truth)
        if photos >= 256:
            break
    used = time.process_time() - started
    print(f"a training photo: {used / photos * 1000:.1f} ms of CPU time")


def print_scoring(bundle: Path, rows: Manifest) -> None:
    """Print CPU time, memory and bytes of a scored photo, and the cost of a million."""
    classifier = load(bundle, threads=1)
    classifier.score(rows.take(np.arange(min(16, len(rows)))), workers=1)
    started = time.process_time()
    scores = classifier.score(rows, workers=1)
    each = (time.process_time() - started) / len(rows)
    with tempfile.TemporaryDirectory() as folder:
        size = scores.write(Path(folder) / "s.npz").stat().st_size / len(rows)
    photo = sum(path.stat().st_size for path in rows.paths()) / len(rows)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
    print(
        f"{len(rows)} photos of {photo / 1e3:.0f} kB: {each * 1000:.1f} ms of CPU time each,"
        f" so {each * 1e6 / 3600:.1f} core-hours a million; {photo / 1e3:.0f} GB read,"
        f" {size / 1e3:.2f} GB written; peak {peak:.1f} GiB, {os.cpu_count()} cores"
    )


if __name__ == "__main__":
    main()
