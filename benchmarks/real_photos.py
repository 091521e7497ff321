"""Fine-tuning on real snake photos: pretrained and random weights, several seeds, test photos.

    python benchmarks/real_photos.py FOLDER --out runs/real [--seeds 3]

FOLDER holds manifest.csv (photo, species, country, group, source) and the photos. A fixed part of
the groups (30 %, split seed 0) is the test part: no recipe was tuned on it. Each seed trains both
recipes on the rest. For comparison, a linear head on the frozen pretrained network is trained on
the same photos. Everything is evaluated on the same test photos, also within each source, because
style and species are confounded between sources; there only the source's own species compete.
Existing runs are not repeated.
"""

from __future__ import annotations

import argparse
import json
import time
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from sklearn.linear_model import LogisticRegressionCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from ophis import read_manifest, read_recipe, read_scores
from ophis.datasets.split import split
from ophis.evaluation.metrics import answers_of
from ophis.images.decode import read_photo
from ophis.images.preprocessing import preprocess
from ophis.scores.scores import Scores
from ophis.train import fit
from ophis.train.export.imagenet17 import PREPROCESSING
from ophis.train.networks.weights import pretrained_lite0

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from ophis import Interval, Manifest

RECIPES = ("photos", "photos_scratch")


def main() -> None:
    """Run what is missing and print the table."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--seeds", type=int, default=3)
    options = parser.parse_args()
    train, test = halves(options.folder, options.out)
    rows = {}
    for pixels in (PREPROCESSING.pixels, read_recipe("photos").test_pixels):
        scores = linear_head(train, test, options.out, pixels=pixels)
        rows[f"frozen network, linear head, {pixels} pixels"] = [figures(scores, test)]
    for name in RECIPES:
        rows[name] = [run(name, seed, train, test, options.out) for seed in range(options.seeds)]
        print_table(rows, test)


def halves(folder: Path, out: Path) -> tuple[Manifest, Manifest]:
    """Return the fixed split, written at the first call."""
    paths = (out / "train.csv", out / "test.csv")
    if not all(path.exists() for path in paths):
        manifest = read_manifest(folder / "manifest.csv")
        parts = split(manifest, 0.3)
        for part, path in zip(parts, paths, strict=True):
            part.write(path)
    train, test = (read_manifest(path) for path in paths)
    print(f"{len(train):,} photos for training, {len(test):,} for testing")
    return train, test


def run(name: str, seed: int, train: Manifest, test: Manifest, out: Path) -> dict[str, Any]:
    """Train one recipe with one seed and evaluate it."""
    folder = out / f"{name}-{seed}"
    minutes = folder / "minutes.json"
    if not minutes.exists():
        started = time.monotonic()
        recipe = replace(read_recipe(name), seed=seed)
        fit(recipe, train=train, validation=test, out=folder)
        minutes.write_text(json.dumps((time.monotonic() - started) / 60))
    found = figures(read_scores(folder / "scores.npz"), test)
    return {**found, "minutes": json.loads(minutes.read_text())}


def figures(scores: Scores, test: Manifest) -> dict[str, Any]:
    """Return top-1 and macro F1 over all, and within each source over its own species."""
    sources = np.array(test.table["source"].to_list())
    result: dict[str, Any] = {"all": with_intervals(scores)}
    for source in np.unique(sources):
        part = scores.take(sources == source)
        own = np.unique(part.truth)  # the style is given: only the source's species compete
        logits = np.full_like(part.logits, -np.inf)
        logits[:, own] = part.logits[:, own]
        result[str(source)] = with_intervals(replace(part, logits=logits))
    return result


def with_intervals(scores: Scores) -> dict[str, Interval]:
    """Return top-1, top-5 and macro F1 with their sampling intervals."""
    return answers_of(scores).intervals()


def linear_head(train: Manifest, test: Manifest, out: Path, *, pixels: int) -> Scores:
    """Return scores of a cross-validated linear head on frozen features."""
    saved = out / f"linear-{pixels}.npz"
    if saved.exists():
        return read_scores(saved)
    species = train.species_list()
    head = make_pipeline(
        StandardScaler(),
        LogisticRegressionCV(
            Cs=np.logspace(-5, -1, 5).tolist(), cv=5, max_iter=500, l1_ratios=(0,),
            use_legacy_attributes=False, scoring="accuracy",
        ),
    )  # fmt: skip
    head.fit(features(train, pixels), train.truth(species))
    scores = Scores(
        logits=head.predict_log_proba(features(test, pixels)),
        species=species,
        photo_ids=tuple(test.table["photo_id"]),
        truth=test.truth(species),
        countries=tuple(test.table["country"]),
        observations=tuple(test.table["observation"]),
    )
    scores.write(saved)
    return scores


@torch.inference_mode()
def features(manifest: Manifest, pixels: int) -> NDArray[np.float32]:
    """Return the features of the frozen network, [photos, 1280]."""
    preprocessing = replace(PREPROCESSING, pixels=pixels)
    model = pretrained_lite0().eval()
    rows = []
    for path in manifest.photos():
        photo = torch.from_numpy(preprocess(read_photo(path), preprocessing))[None]
        whole = model.forward_features(photo)  # ty: ignore[not-callable]
        pooled = model.forward_head(whole, pre_logits=True)  # ty: ignore[not-callable]
        rows.append(pooled[0].numpy())
    return np.stack(rows)


def print_table(rows: dict[str, list[dict[str, Any]]], test: Manifest) -> None:
    """Print the mean over the seeds, their std, and half the 95 % interval of the test photos."""
    places = ["all", *sorted(set(test.table["source"]))]
    print("\n| model | seeds | " + " | ".join(f"{p}: top-1, F1" for p in places) + " | minutes |")
    print("|---" * (len(places) + 3) + "|")
    for name, runs in rows.items():
        cells = []
        for place in places:
            top1, f1 = ([r[place][key] for r in runs] for key in ("top1", "macro_f1"))
            cells.append(f"{spread(top1)}, {spread(f1)}")
        minutes = [r["minutes"] for r in runs if "minutes" in r]
        took = f"{np.mean(minutes):.1f}" if minutes else "-"
        print(f"| {name} | {len(runs)} | {' | '.join(cells)} | {took} |")


def spread(found: list[Interval]) -> str:
    """Return the mean, the std of training and the sampling error of the photos apart."""
    values = [each.value for each in found]
    std = f"seeds {np.std(values, ddof=1):.3f}, " if len(values) > 1 else ""
    sampling = np.mean([each.high - each.low for each in found]) / 2
    return f"{np.mean(values):.3f} ({std}photos ± {sampling:.3f})"


if __name__ == "__main__":
    main()
