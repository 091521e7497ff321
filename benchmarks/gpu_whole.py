"""The whole of training: `ophis.train.fit` on photos from the disk, against its steps alone."""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from dataclasses import replace
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING

import numpy as np
from gpu_figures import PAPER_PHOTOS, Figures
from gpu_work import peak
from PIL import Image

from ophis.train import fit

if TYPE_CHECKING:
    from gpu_work import Work

    from ophis.datasets.manifest import Manifest

HELD = 8  # photos that are judged and not learned from


def made_photos(folder: Path, *, photos: int, side: int, kinds: int = 10) -> Path:
    """Photos of coarse colours, as JPEG files of 4 to 3, with their manifest.

    They cost a reader what a photo of their size costs; there is nothing to learn from them.
    """
    folder.mkdir(parents=True, exist_ok=True)
    chance = np.random.default_rng(0)
    lines = ["photo,species,country"]
    for number in range(photos):
        coarse = chance.integers(0, 256, size=(side // 16, side // 12, 3), dtype=np.uint8)
        photo = Image.fromarray(coarse).resize((side * 4 // 3, side), Image.Resampling.BICUBIC)
        photo.save(folder / f"{number}.jpg", quality=90)
        lines.append(f"{number}.jpg,Made kind{number % kinds:03},UNKNOWN")
    manifest = folder / "manifest.csv"
    manifest.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return manifest


def packed(manifest: Path, out: Path, *, pixels: int, raw: bool) -> Path:
    """The photos of a manifest packed by `ophis pack`, as JPEG files or as raw pixels.

    Raises:
        RuntimeError: with the verb's own words, also where this version has no such verb.
    """
    command = [sys.executable, "-m", "ophis", "pack", str(manifest), "--out", str(out)]
    command += ["--pixels", str(pixels), *(["--raw"] if raw else [])]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        words = (done.stderr or done.stdout).strip().splitlines()
        raise RuntimeError(f"ophis pack: {words[-1] if words else done.returncode}")
    return out


def trained(
    name: str, manifest: Manifest, work: Work, *, steps: int, fused: bool, workers: int | None
) -> Figures:
    """Speed of a short run by its own log, without its first two steps.

    The run repeats the photos as often as the steps need them.
    """
    recipe = replace(work.recipe, steps=steps, evaluate_every_steps=steps)
    every = np.arange(len(manifest))
    with tempfile.TemporaryDirectory() as folder:
        run = fit(
            recipe,
            train=manifest.take(every[HELD:]),
            validation=manifest.take(every[:HELD]),
            out=Path(folder) / "run",
            device=str(work.device),
            workers=workers,
            fused=fused,
            quiet=True,
        )
        log = (run / "log.jsonl").read_text(encoding="utf-8").splitlines()
    done = [json.loads(line) for line in log if "photos_per_second" in line]
    clock = [(n + 1) * work.photos / line["photos_per_second"] for n, line in enumerate(done)]
    seconds = np.diff(clock)[1:]
    speed = work.photos / median(seconds)
    found = peak(work.device)
    return Figures(
        name,
        photos_per_second=speed,
        low=work.photos / float(np.quantile(seconds, 0.75)),
        high=work.photos / float(np.quantile(seconds, 0.25)),
        piece_ms=1000 * median(seconds) / work.pieces,
        peak_share=speed * work.photo_gflop / (1000 * found[0]) if found else None,
        paper_minutes=PAPER_PHOTOS / speed / 60,
    )
