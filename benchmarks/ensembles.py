"""Gain and cost of test-time augmentation, larger images, ensembles and several photos of a snake.

    python benchmarks/ensembles.py RUNS [--seeds 3] [--pixels 288 432 480]

RUNS is the output of benchmarks/real_photos.py: test.csv and the runs photos-0, ... The plain way
is the whole photo, once, at the recipe's test_pixels. Nothing is selected: every way is printed, on
the test photos. Gains are differences to the plain way of the same seed, paired photo by photo, in
points, with their std over the seeds; the column photos has half the 95 % interval of the gain in
top-1 over the test photos. Each seed is one member of the ensemble, whose gain is over
the mean of the members; p is of the sign-flip test, seed by seed. Costs are CPU time a photo,
decoding included, as a ratio to the plain way in the same process.

There are no real photos of one snake. Two random photos of the same species and source replace
them: their errors correlate less than those of one snake's photos, so this gain is an upper bound.
"""

from __future__ import annotations

import argparse
import time
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from ophis import compare, evaluate, load, read_manifest
from ophis.evaluation.snakeclef_metrics import snakeclef_metric
from ophis.images.test_time_augmentation import tta_crops
from ophis.scores.aggregation import aggregate_observations
from ophis.scores.ensemble import ensemble
from ophis.taxonomy.danger import Danger, danger
from ophis.train.export import write_bundle
from ophis.train.run_folder import model_of, read_run

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    from ophis import Comparison, Manifest, Scores
    from ophis.images.test_time_augmentation import Crop

SETS = {
    "mirrored too": tta_crops("flip"),
    "four corners too": tta_crops("crops"),
    "corners, all mirrored too": tta_crops("flip", "crops"),
}


@dataclass(frozen=True)
class Way:
    """Scores of the test photos, and CPU seconds a photo."""

    scores: Scores
    seconds: float


def main() -> None:
    """Score every way and print the table."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("runs", type=Path)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--pixels", type=int, nargs="+", default=[288, 432, 480])
    options = parser.parse_args()
    test = read_manifest(options.runs / "test.csv")
    seeds = [ways(options.runs, seed, test, options.pixels) for seed in range(options.seeds)]
    print("\n| way | top-1 | macro F1 | track 1 | gain top-1 | F1 | track 1 | photos | p | cost |")
    print("|---" * 9 + "|")
    plain = [found["plain"] for found in seeds]
    for name in seeds[0]:
        print_row(name, [found[name] for found in seeds], plain)
    for name in ("plain", "mirrored too"):
        print_ensemble(name, [found[name] for found in seeds], plain)
    for name, aggregate in (
        ("mean logits", aggregate_observations),
        ("mean probabilities", by_probability),
    ):
        print_pairs(name, aggregate, [way.scores for way in plain], test)


def ways(runs: Path, seed: int, test: Manifest, sizes: list[int]) -> dict[str, Way]:
    """Return every way for one run, the plain one first; bundles are kept beside the runs."""
    run = runs / f"photos-{seed}"
    own = read_run(run).recipe.test_pixels
    plain = network(run, runs, own)
    found = {"plain": timed(plain, test)}
    for name, crops in SETS.items():
        found[name] = timed(plain, test, crops)
    for pixels in sizes:
        found[f"{pixels} pixels"] = timed(network(run, runs, pixels), test)
    largest = network(run, runs, sizes[-1])
    found[f"{sizes[-1]} pixels, mirrored too"] = timed(largest, test, tta_crops("flip"))
    return found


def network(run: Path, runs: Path, pixels: int) -> Path:
    """Return a bundle of a run at a test size, with the network only."""
    out = runs / f"{run.name}-at-{pixels}"
    if not out.exists():
        trained = read_run(run)
        write_bundle(
            model_of(trained),
            out,
            species=trained.species,
            preprocessing=replace(trained.recipe, test_pixels=pixels).preprocessing,
            calibration=None,
            prior=None,
            rule=None,
        )
    return out


def timed(bundle: Path, test: Manifest, crops: tuple[Crop, ...] | None = None) -> Way:
    """Return scores and the CPU time of a photo."""
    classifier = load(bundle)
    started = time.process_time()
    scores = classifier.score(test, tta=crops)
    return Way(scores, (time.process_time() - started) / len(test))


def figures(scores: Scores) -> NDArray[np.float64]:
    """Return top-1, macro F1 and SnakeCLEF 2023's track 1, in points."""
    venomous = np.array([danger(name) is Danger.VENOMOUS for name in scores.species])
    found = evaluate(scores)
    track1 = snakeclef_metric("snakeclef2023-track1", scores, venomous=venomous)
    return np.array([100 * found.top1, 100 * found.macro_f1, track1])


def print_row(name: str, found: list[Way], plain: list[Way]) -> None:
    """Print mean and std over the seeds, and half the paired interval of top-1 over the photos."""
    own = np.array([figures(way.scores) for way in found])
    gains = own - np.array([figures(way.scores) for way in plain])
    pairs = [(p.scores, w.scores) for p, w in zip(plain, found, strict=True)]
    tests = [compare(a, b, names=("plain", "other"), resamples=10) for a, b in pairs]
    cost = np.median([w.seconds / p.seconds for p, w in zip(plain, found, strict=True)])
    same = name == "plain"
    cells = [
        *(spread(own[:, column]) for column in range(3)),
        *("" if same else spread(gains[:, column], sign="+") for column in range(3)),
        "" if same else f"± {sampling(tests):.1f}",
        "" if same else ", ".join(f"{t.disagreement.p_value:.2g}" for t in tests),
        f"{cost:.1f}",
    ]
    print(f"| {name} | {' | '.join(cells)} |", flush=True)


def print_ensemble(name: str, found: list[Way], plain: list[Way]) -> None:
    """Print the ensemble of all seeds, by mean logits and by mean probabilities."""
    members = np.mean([figures(way.scores) for way in plain], axis=0)
    cost = sum(way.seconds for way in found) / np.mean([way.seconds for way in plain])
    parts = [way.scores for way in found]
    mean = np.mean([part.probabilities() for part in parts], axis=0)
    for kind, scores in (
        ("mean logits", ensemble(parts)),
        ("mean probabilities", replace(parts[0], logits=np.log(mean))),
    ):
        own = figures(scores)
        cells = [*(f"{v:.1f}" for v in own), *(f"{v:+.1f}" for v in own - members)]
        tests = [compare(p.scores, scores, names=("a", "b"), resamples=10) for p in plain]
        p_values = ", ".join(f"{t.disagreement.p_value:.2g}" for t in tests)
        title = f"{len(found)} networks, {name}, {kind}"
        cells += [f"± {sampling(tests):.1f}", p_values, f"{cost:.1f}"]
        print(f"| {title} | {' | '.join(cells)} |", flush=True)


def sampling(tests: list[Comparison]) -> float:
    """Return half the 95 % interval of the gain in top-1 over the photos, in points."""
    gains = [test.metrics[0].difference for test in tests]
    return float(np.mean([50 * (gain.high - gain.low) for gain in gains]))


def by_probability(scores: Scores) -> Scores:
    """Aggregate photos of one snake by their mean probability."""
    logits = aggregate_observations(replace(scores, logits=scores.probabilities())).logits
    return replace(aggregate_observations(scores), logits=np.log(logits))


def print_pairs(
    name: str, aggregate: Callable[[Scores], Scores], seeds: list[Scores], test: Manifest
) -> None:
    """Print the gain of random pairs of a species and source, ten rounds a seed."""
    source = np.array(test.table["source"].to_list())
    gains = []
    for seed, scores in enumerate(seeds):
        for number in range(10):
            rng = np.random.default_rng([seed, number])
            pairs = paired(scores, source, rng)
            single = replace(pairs, observations=pairs.photo_ids)
            gains.append(figures(aggregate(pairs)) - figures(single))
    whole = np.array(gains).reshape(len(seeds), 10, 3).mean(axis=1)
    cells = [
        "",
        "",
        "",
        *(spread(whole[:, column], sign="+") for column in range(3)),
        "",
        "",
        "2.0",
    ]
    print(f"| two photos as if of one snake, {name} | {' | '.join(cells)} |", flush=True)


def paired(scores: Scores, source: NDArray[np.str_], rng: np.random.Generator) -> Scores:
    """Return photos in pairs of one species and source, each pair an observation."""
    names = np.empty(len(scores), dtype=object)
    kinds = [f"{truth}/{place}" for truth, place in zip(scores.truth, source, strict=True)]
    for kind in sorted(set(kinds)):
        rows = rng.permutation([row for row, own in enumerate(kinds) if own == kind])
        for pair in range(len(rows) // 2):
            names[rows[2 * pair : 2 * pair + 2]] = f"{kind}/{pair}"
    kept = np.array([name is not None for name in names])
    return replace(scores.take(kept), observations=tuple(names[kept]))


def spread(values: NDArray[np.float64], sign: str = "") -> str:
    """Return mean and sample std over the seeds."""
    std = f" (seeds {np.std(values, ddof=1):.1f})" if len(values) > 1 else ""
    return f"{np.mean(values):{sign}.1f}{std}"


if __name__ == "__main__":
    main()
