"""Real processes that train, for the tests that stop or kill them."""

import os
import subprocess
import sys
import time
from pathlib import Path

import numpy as np

from ophis import Manifest, Recipe

# One machine and only its loopback: any free port, no name resolution.
TORCHRUN = ("torch.distributed.run", "--standalone", "--local-addr=127.0.0.1", "--max-restarts=3")


def train_words(
    out: Path,
    manifest: Manifest,
    recipe: Recipe,
    *,
    folder: Path,
    workers: int = 1,
    save_every: float = 300,
) -> list[str]:
    """Return arguments of `ophis`: train on the first 24 photos, validate on the others."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "recipe.toml").write_text(recipe.to_toml())
    train, validation = manifest.take(np.arange(24)), manifest.take(np.arange(24, len(manifest)))
    train.write(folder / "train.csv")
    validation.write(folder / "validation.csv")
    words = ["train", folder / "recipe.toml", "--train", folder / "train.csv"]
    words += ["--validation", folder / "validation.csv", "--out", out, "--follow-links"]
    return [str(word) for word in (*words, "--workers", workers, "--save-every", save_every)]


def start_training(
    out: Path,
    manifest: Manifest,
    recipe: Recipe,
    *,
    folder: Path,
    processes: int = 1,
    save_every: float = 300,
) -> subprocess.Popen[str]:
    """Start `train_words` in a process, or under torchrun in several."""
    start = [sys.executable, "-m"]
    if processes > 1:
        start += [*TORCHRUN, f"--nproc-per-node={processes}", "-m"]
    words = train_words(out, manifest, recipe, folder=folder, save_every=save_every)
    environment = os.environ | {"OMP_NUM_THREADS": "1", "TF_CPP_MIN_LOG_LEVEL": "3"}
    return subprocess.Popen(
        [*start, "ophis", *words], stderr=subprocess.PIPE, text=True, env=environment
    )


def wait_for_steps(out: Path, steps: int, process: subprocess.Popen[str]) -> None:
    """Wait until a run has logged this number of steps, repeated ones included."""
    log, deadline = out / "log.jsonl", time.monotonic() + 600
    while not (log.exists() and log.read_text().count('"loss"') >= steps):
        assert process.poll() is None, process.communicate()[1]
        assert time.monotonic() < deadline
        time.sleep(0.02)
