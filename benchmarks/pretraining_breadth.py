"""Accuracy of a snake classifier after broader pretraining, also for rare species.

    python benchmarks/pretraining_breadth.py --objects OBJECTS --snakes SNAKES --out runs/breadth

OBJECTS is a folder with `train/CLASS/*.JPEG` and `val/CLASS/*.JPEG` (or a photos.tar of it), SNAKES
one with manifest.csv (photo, species, country, ...) and the photos. For every seed a small Big
Transfer is pretrained, for equal steps, on

- few: all photos of 20 random classes,
- spread: as many photos, taken evenly from all classes,
- all: all photos of all classes,

and each, and one without pretraining, is fine-tuned in the same way (`benchmarks/pretraining/`) on
the same long-tailed part of the snakes: 150 photos of one species down to 8 of another, in a random
order for every seed. They are evaluated on 30 % of the snakes, which none was trained on
(`split(manifest, 0.3)`, near duplicates in one part). `ophis study` does the
fine-tuning and writes the reports. Existing runs are not repeated.
"""

from __future__ import annotations

import argparse
import tarfile
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import polars as pl
from scipy.stats import t

from ophis import evaluate, read_manifest, read_recipe
from ophis.datasets.split import split
from ophis.evaluation.report.comparison_report import write_comparison
from ophis.evaluation.run import read_scored_run
from ophis.train import fit, study
from ophis.train.explain import explain_runs

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from ophis import Manifest
    from ophis.evaluation.run import ScoredRun
    from ophis.scores.scores import Scores

RECIPES = Path(__file__).with_name("pretraining")
PRETRAININGS = ("few", "spread", "all")
CLASSES = 20
MOST, LEAST = 150, 8  # training photos of the commonest and of the rarest species
RARE = 30


def main() -> None:
    """Run what is missing and print the table."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--objects", type=Path, required=True)
    parser.add_argument("--snakes", type=Path, required=True)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--seeds", type=int, default=3)
    options = parser.parse_args()
    learn, test = halves(options.snakes, options.out)
    objects = unpacked(options.objects, options.out / "objects")
    rows = []
    for seed in range(options.seeds):
        folder = options.out / f"seed{seed}"
        for name in PRETRAININGS:
            pretrain(name, seed, objects, folder / name)
        rows += fine_tune(seed, long_tail(learn, seed), test, folder)
        print_table(pl.DataFrame(rows))


def halves(snakes: Path, out: Path) -> tuple[Manifest, Manifest]:
    """Return the fixed split, written at the first call."""
    paths = (out / "learn.csv", out / "test.csv")
    if not all(path.exists() for path in paths):
        out.mkdir(parents=True, exist_ok=True)
        manifest = read_manifest(snakes / "manifest.csv")
        parts = split(manifest, 0.3)
        for part, path in zip(parts, paths, strict=True):
            part.write(path)
    learn, test = (read_manifest(path) for path in paths)
    print(f"{len(learn):,} snakes for training, {len(test):,} for testing")
    return learn, test


def unpacked(objects: Path, out: Path) -> Path:
    """Return the folder of the pretraining photos, unpacked from an archive."""
    if objects.is_dir():
        return objects
    if not out.exists():
        with tarfile.open(objects) as archive:
            archive.extractall(out, filter="data")
    return out


def pretrain(name: str, seed: int, objects: Path, out: Path) -> None:
    """Pretrain a network on one choice of photos."""
    train, validation = (read_manifest(objects / part) for part in ("train", "val"))
    rng = np.random.default_rng(seed)
    classes = np.array(train.species_list().names)
    few = set(rng.choice(classes, CLASSES, replace=False))
    if name == "few":
        train, validation = (within(each, few) for each in (train, validation))
    elif name == "spread":
        train = evenly(train, len(within(train, few)) // len(classes), rng)
    recipe = replace(read_recipe(RECIPES / "pretrain.toml"), seed=seed)
    print(f"seed {seed}: pretraining on {name}, {len(train):,} photos")
    fit(recipe, train=train, validation=validation, out=out)


def within(manifest: Manifest, species: set[str]) -> Manifest:
    """Return the photos of these species."""
    return manifest.take(manifest.table["species"].is_in(list(species)).to_numpy())


def evenly(manifest: Manifest, photos: int, rng: np.random.Generator) -> Manifest:
    """Return random rows with a number of photos for each species."""
    return sampled(manifest, dict.fromkeys(manifest.species_list().names, photos), rng)


def sampled(manifest: Manifest, photos: dict[str, int], rng: np.random.Generator) -> Manifest:
    """Return the given number of random photos of each species, or all where there are fewer."""
    names = np.array(manifest.table["species"].to_list())
    chosen = [
        rng.permutation(np.flatnonzero(names == name))[:number] for name, number in photos.items()
    ]
    return manifest.take(np.sort(np.concatenate(chosen)))


def long_tail(learn: Manifest, seed: int) -> Manifest:
    """Return snakes in geometrically falling numbers, in a random order of species."""
    rng = np.random.default_rng([seed, 1])
    names = learn.species_list().names
    numbers = rng.permutation(np.geomspace(MOST, LEAST, len(names)).round().astype(int))
    return sampled(learn, dict(zip(names, numbers.tolist(), strict=True)), rng)


def fine_tune(seed: int, train: Manifest, test: Manifest, folder: Path) -> list[dict[str, object]]:
    """Run two studies and the comparison across them; return a row for each pretraining."""
    recipes = {}
    for name in ("none", *PRETRAININGS):
        recipe = replace(read_recipe(RECIPES / f"snakes_{name}.toml"), seed=seed)
        recipes[name] = folder / "recipes" / f"{name}.toml"
        recipes[name].parent.mkdir(parents=True, exist_ok=True)
        recipes[name].write_text(recipe.to_toml())
    runs: dict[str, ScoredRun] = {}
    for pair in (("few", "all"), ("none", "spread")):
        out = folder / "_".join(pair)
        study(
            (recipes[pair[0]], recipes[pair[1]]),
            train=train,
            validation=test,
            out=out,
            weights_folder=folder,
        )
        for name, letter in zip(pair, "ab", strict=True):
            runs[name] = read_scored_run(out / letter, name=name)
    explain = explain_runs((folder / "none_spread" / "b", folder / "few_all" / "b"), test)
    report = folder / "spread_all.html"
    write_comparison(runs["spread"], runs["all"], report, photos=test, explain=explain)
    return [row(name, seed, run.scores, train) for name, run in runs.items()]


def row(name: str, seed: int, scores: Scores, train: Manifest) -> dict[str, object]:
    """Return figures of one run: over all, and the mean recall of rare and of common species."""
    truth = np.asarray(scores.truth)
    recall = np.array([
        (scores.logits[truth == kind].argmax(axis=1) == kind).mean()
        for kind in range(len(scores.species))
    ])  # fmt: skip
    photos = np.bincount(train.truth(scores.species), minlength=len(recall))
    metrics = evaluate(scores)
    return {
        "pretraining": name,
        "seed": seed,
        "top-1": metrics.top1,
        "macro F1": metrics.macro_f1,
        f"recall, species of {RARE} photos or fewer": mean(recall[photos <= RARE]),
        "recall, other species": mean(recall[photos > RARE]),
    }


def mean(values: NDArray[np.float64]) -> float:
    """Return the mean as a float."""
    return float(values.mean())


def print_table(rows: pl.DataFrame) -> None:
    """Print mean and std over the seeds, and the gain of `all` with its t interval over seeds.

    Neither has the sampling error of the test photos, which the reports give for each seed.
    """
    figures = rows.columns[2:]
    seeds = rows["seed"].n_unique()
    print(f"\n| pretraining, {seeds} seeds | " + " | ".join(figures) + " |")
    print("|---" * (len(figures) + 1) + "|")
    values = {
        name: rows.filter(pretraining=name).sort("seed").select(figures).to_numpy()
        for name in ("none", *PRETRAININGS)
    }
    for name, part in values.items():
        print(f"| {name} | " + " | ".join(map(spread, part.T)) + " |")
    for name in ("few", "spread"):
        gains = values["all"] - values[name]
        print(f"| all less {name} | " + " | ".join(map(t_interval, gains.T)) + " |")


def spread(values: NDArray[np.float64]) -> str:
    """Return mean and, of two or more values, std, in points."""
    text = f"{100 * values.mean():.1f}"
    return f"{text} (seeds {100 * values.std(ddof=1):.1f})" if len(values) > 1 else text


def t_interval(values: NDArray[np.float64]) -> str:
    """Return mean and, of two or more values, the 95 % interval of Student's t, in points."""
    mean, seeds = 100 * values.mean(), len(values)
    if seeds < 2:
        return f"{mean:.1f}"
    half = 100 * t.ppf(0.975, seeds - 1) * values.std(ddof=1) / np.sqrt(seeds)
    return f"{mean:.1f} ({mean - half:.1f} to {mean + half:.1f})"


if __name__ == "__main__":
    main()
