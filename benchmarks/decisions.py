"""Evaluation of the decision layer behind a real model: guarantees on test photos.

    python benchmarks/decisions.py RUNS --non-snakes FOLDER [--range-map MAP] [--seeds 3]
        [--splits 20]

RUNS is the output of benchmarks/real_photos.py: train.csv, test.csv and the runs photos-0, ...
FOLDER holds photos without snakes, which nothing is fitted on. MAP is the organisers' table of
species by country, for the metric of 2021. The test photos of each run are split repeatedly by
observation: one half serves as the validation photos of a bundle (calibration and prior from a half
of it, the rule from the rest, as in `ophis export`), the other half is evaluated. The output is
means over splits and seeds, and the std between seeds.
"""

from __future__ import annotations

import argparse
from collections import defaultdict
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from ophis import evaluate, load, read_manifest, read_recipe, read_scores
from ophis.decision.calibration import reliability
from ophis.decision.decision import State
from ophis.decision.out_of_distribution import ood_detection
from ophis.decision.rule import fit_rule
from ophis.decision.vector_scaling import default_calibration
from ophis.decision.verdict import Verdict
from ophis.evaluation.metrics import risk_coverage
from ophis.evaluation.snakeclef_metrics import least_cost, snakeclef_metric, trade_off
from ophis.priors.country_counts import read_counts
from ophis.priors.range_maps import read_range_map
from ophis.priors.selection import default_prior
from ophis.scores.aggregation import aggregate_observations
from ophis.scores.scores import log_probabilities
from ophis.taxonomy.danger import Danger, danger, dangerous
from ophis.train import fit
from ophis.train.export import export

if TYPE_CHECKING:
    from ophis import Manifest, Scores
    from ophis.decision.decision import Decision
    from ophis.priors.range_maps import RangeMap

Figures = dict[str, float]
METRICS = ("snakeclef2020", "snakeclef2022", "snakeclef2023-track1", "snakeclef2023-track2")


def main() -> None:
    """Score what is missing and print the table."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("runs", type=Path)
    parser.add_argument("--non-snakes", type=Path, required=True)
    parser.add_argument("--range-map", type=Path)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--splits", type=int, default=20)
    options = parser.parse_args()
    range_map = read_range_map(options.range_map) if options.range_map else None
    seeds: list[Figures] = []
    for seed in range(options.seeds):
        snakes, others = scored(options.runs, f"photos-{seed}", options.non_snakes)
        run = options.runs / f"photos-{seed}"
        print(f"seed {seed}: {len(snakes)} photos of snakes, {len(others)} without")
        seeds.append(whole(snakes, others) | splits(snakes, others, run, options.splits, range_map))
    print_table(seeds)


def scored(runs: Path, name: str, folder: Path) -> tuple[Scores, Scores]:
    """Return scores with OOD scores of the test photos and of the photos without snakes."""
    run = runs / name
    if read_scores(run / "scores.npz").ood_score is None:  # a run older than OOD scores
        recipe = read_recipe(run / "recipe.toml")
        train, test = (read_manifest(runs / f"{part}.csv") for part in ("train", "test"))
        fit(recipe, train=train, validation=test, out=run)
    saved = runs / f"others-{name}.npz"
    if not saved.exists():
        bundle = export(run, runs / f"bundle-{name}")
        load(bundle).score(photos_in(folder, runs / "others.csv")).write(saved)
    return read_scores(run / "scores.npz"), read_scores(saved)


def photos_in(folder: Path, table: Path) -> Manifest:
    """Return a manifest of all photos below a folder, without species."""
    found = sorted(p for p in folder.rglob("*") if p.suffix.lower() in (".jpg", ".jpeg", ".png"))
    lines = "".join(f'"{path.relative_to(folder).as_posix()}",\n' for path in found)
    table.write_text(f"photo,species\n{lines}", encoding="utf-8")
    return read_manifest(table, photos=folder)


def whole(snakes: Scores, others: Scores) -> Figures:
    """Return how well four scores separate non-snakes from snakes, over all photos."""
    figures: Figures = {}
    for name, (a, b) in {
        "feature distance": (snakes, others),
        "energy": (replace(snakes, ood_score=None), replace(others, ood_score=None)),
        "maximum logit": (
            by(snakes, -snakes.logits.max(axis=1)),
            by(others, -others.logits.max(1)),
        ),
        "maximum probability": (by(snakes, doubt(snakes)), by(others, doubt(others))),
    }.items():
        found = ood_detection(a, b)
        figures[f"AUROC by {name}"] = found.auroc
        figures[f"AUROC by {name}, interval from"] = found.low
        figures[f"AUROC by {name}, interval to"] = found.high
        figures[f"rejected by {name} when 90 % of snakes pass"] = found.rejected
    return figures


def by(scores: Scores, measure: np.ndarray) -> Scores:
    """Return the scores with another out-of-distribution score."""
    return replace(scores, ood_score=measure)


def doubt(scores: Scores) -> np.ndarray:
    """Return the negated highest log probability."""
    return -log_probabilities(scores.logits).max(axis=1)


def splits(
    snakes: Scores, others: Scores, run: Path, repeats: int, range_map: RangeMap | None
) -> Figures:
    """Return means over splits into validation and test photos."""
    counts = read_counts(run / "prior.csv", snakes.species)
    gathered: dict[str, list[float]] = defaultdict(list)
    observations = np.array(snakes.observations)
    names = np.unique(observations)
    for split in range(repeats):
        order = np.random.default_rng(split).permutation(names)
        quarters = np.array_split(order, 4)
        # A bundle halves its validation photos by a hash, which does not depend on the split.
        fitting, rule_fitting = (snakes.take(np.isin(observations, q)) for q in quarters[:2])
        test = snakes.take(np.isin(observations, order[len(order) // 2 :]))
        prior, calibration = default_prior(counts, fitting), default_calibration(fitting)
        assert calibration
        rule = fit_rule(rule_fitting, calibration=calibration, prior=prior)
        is_ood = rule.is_ood(test)
        figures = {
            "real snakes that pass": 1 - is_ood.mean(),
            "photos without snakes rejected": rule.is_ood(others).mean(),
            **probabilities("image, raw", test),
            **probabilities("image, calibrated", calibration.apply(test)),
            **probabilities("paper's product", counts.adjust(test)),
        }
        modes, image = {"image": calibration.apply(test)}, calibration.apply(test)
        places: dict[str, dict[str, Any]] = {"image": {}}
        if prior:
            modes["country"], effects = prior.adjust_with_effect(test)
            of_country = np.array([effect.of_country for effect in effects])
            places["country"] = {"adjusted": modes["country"], "of_country": of_country}
            figures |= probabilities("country", modes["country"])
        for mode, scores in modes.items():
            sets = rule.decide(image, is_ood=np.zeros(len(test), bool), **places[mode])
            figures |= of_sets(mode, sets, test)
            figures |= of_costs(mode, scores)
            if range_map:
                figures[f"{mode}: snakeclef2021"] = snakeclef_metric(
                    "snakeclef2021", scores, range_map=range_map
                )
            decisions = rule.decide(image, is_ood=is_ood, **places[mode])
            figures |= of_states(mode, decisions, test)
            figures |= of_risk(mode, scores)
        for name, value in figures.items():
            gathered[name].append(float(value))
    return {name: float(np.mean(values)) for name, values in gathered.items()}


def probabilities(name: str, scores: Scores) -> Figures:
    """Return the paper's metrics, the SnakeCLEF metrics and reliability."""
    figures: Figures = {
        f"{name}: {key}": float(value)
        for key, value in evaluate(scores).as_dict().items()
        if key in ("top1", "top5", "macro_f1")
    }
    for metric in METRICS:
        figures[f"{name}: {metric}"] = snakeclef_metric(
            metric,
            scores,
            venomous=known_venomous(scores),
        )
    finite = np.isfinite(log_probabilities(scores.logits)[np.arange(len(scores)), scores.truth])
    if finite.all():
        figures |= {f"{name}: {key}": v for key, v in reliability(scores).as_dict().items()}
    return figures


def known_venomous(scores: Scores) -> np.ndarray:
    """Return a mask of the species known to be venomous, [species]."""
    return np.array([danger(name) is Danger.VENOMOUS for name in scores.species])


def of_costs(mode: str, scores: Scores) -> Figures:
    """Return metrics of least-cost answers, and missed venomous snakes against false alarms."""
    venomous, one = known_venomous(scores), aggregate_observations(scores)
    answers = least_cost(one, venomous)
    cheapest = replace(one, logits=np.eye(len(scores.species))[answers])
    figures = {
        f"{mode}: {metric} of least-cost answers": snakeclef_metric(
            metric, cheapest, venomous=venomous
        )
        for metric in METRICS[2:]
    }
    costs = np.array([1.0, 2.0, 5.0, 10.0, 20.0, 50.0])
    for row in trade_off(scores, venomous, costs).iter_rows(named=True):
        for name in ("missed", "alarms", "top1"):
            figures[f"{mode}: {name} when a miss costs {row['vh_cost']:g}"] = row[name]
    return figures


def of_sets(mode: str, decisions: list[Decision], test: Scores) -> Figures:
    """Return the coverage and size of the sets without rejection."""
    held = [t in d.species for d, t in zip(decisions, test.truth, strict=True)]
    venomous = dangerous(test.species)[test.truth]
    sizes = np.array([len(d.species) for d in decisions])
    warned = np.array([d.verdict is Verdict.MAY_BE_VENOMOUS for d in decisions])
    return {
        f"{mode}: sets that hold the true species": float(np.mean(held)),
        f"{mode}: the same of venomous or unknown kinds": float(np.mean(np.array(held)[venomous])),
        f"{mode}: species in a set": float(sizes.mean()),
        f"{mode}: venomous or unknown kinds warned of": float(warned[venomous].mean()),
    }


def of_states(mode: str, decisions: list[Decision], test: Scores) -> Figures:
    """Return the frequency of each kind of answer, and its accuracy."""
    figures: Figures = {}
    for state in State:
        rows = [n for n, d in enumerate(decisions) if d.state is state]
        figures[f"{mode}: answers of state {state}"] = len(rows) / len(decisions)
        if rows and state in (State.SPECIES, State.GENUS, State.FAMILY):
            right = [test.truth[n] in decisions[n].species for n in rows]
            figures[f"{mode}: right at state {state}"] = float(np.mean(right))
    return figures


def of_risk(mode: str, scores: Scores) -> Figures:
    """Return the error among the most certain answers."""
    curve = risk_coverage(scores)
    risk = curve["risk"].to_numpy()
    figures = {
        f"{mode}: error among the most certain {fraction:.0%}": float(
            risk[int(fraction * len(risk)) - 1]
        )
        for fraction in (0.5, 0.7, 0.8, 0.9, 1.0)
    }
    return figures | {f"{mode}: area under risk and coverage": float(risk.mean())}


def print_table(seeds: list[Figures]) -> None:
    """Print the mean and std of each figure over the seeds, in Markdown."""
    print("\n| figure | mean | std between seeds, same photos |\n|---|---|---|")
    for name in seeds[0]:
        values = [figures[name] for figures in seeds if name in figures]
        spread = f"{np.std(values, ddof=1):.4f}" if len(values) > 1 else "-"
        print(f"| {name} | {np.mean(values):.4f} | {spread} |")


if __name__ == "__main__":
    main()
