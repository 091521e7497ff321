"""Time and memory of the paper's recipe: some steps of BiT-R50x1 at 456 pixels.

    python benchmarks/paper_steps.py MANIFEST --out FOLDER [--steps 2] [--batch-photos 64]

The weights are random, with the names and shapes of the published ones, written to an .npz and read
like the real file. --batch-photos sets the number of micro-batches of a step: 512 is the
paper's, and takes about an hour a step on two cores.
"""

from __future__ import annotations

import argparse
import resource
import sys
import time
from dataclasses import replace
from pathlib import Path

from ophis import read_manifest, read_recipe
from ophis.datasets.split import split
from ophis.train import fit

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
from tests.support.made_weights import write_bit_npz


def main() -> None:
    """Train, and print minutes and peak memory."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("manifest", type=Path)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--steps", type=int, default=2)
    parser.add_argument("--batch-photos", type=int, default=64)
    options = parser.parse_args()
    options.out.mkdir(parents=True, exist_ok=True)
    recipe = replace(
        read_recipe("paper_in1k"),
        steps=options.steps,
        batch_photos=options.batch_photos,
        evaluate_every_steps=options.steps,
    )
    write_bit_npz(options.out / recipe.weights, seed=0)
    manifest = read_manifest(options.manifest)
    train, test = split(manifest, 0.01, near_duplicates=False)
    started = time.monotonic()
    fit(
        recipe,
        train=train,
        validation=test,
        out=options.out / "run",
        weights_folder=options.out,
    )
    seconds = time.monotonic() - started
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
    print(
        f"{options.steps} steps of {options.batch_photos} photos in micro-batches of"
        f" {recipe.micro_batch_photos} at {recipe.crop_pixels} pixels and {len(test)} validation"
        f" photos: {seconds / 60:.1f} minutes, peak {peak:.2f} GiB"
    )
    print(f"photos a second while training: see {options.out / 'run' / 'log.jsonl'}")


if __name__ == "__main__":
    main()
