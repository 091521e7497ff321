"""Commands of the synthetic photos: `sample` writes them, `demo` trains and evaluates on them."""

from __future__ import annotations

import sys
import time
from contextlib import nullcontext, redirect_stdout
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ophis.cli.options import Json, Whole
from ophis.cli.outcome import finish
from ophis.cli.terminal.streams import print_json

if TYPE_CHECKING:
    from collections.abc import Mapping

    from ophis.datasets.manifest import Manifest
    from ophis.evaluation.metrics import Evaluation
    from ophis.inference.answer import Answer

# Model A and model B of the paper: one network, without and with pretraining.
RECIPES = {"a": "demo_scratch", "b": "demo"}
NAMES = {"a": "A no pretraining", "b": "B ImageNet-1k"}
VALIDATION_FRACTION = 0.25


@dataclass(frozen=True)
class DemoResult:
    """Files and results of the demo.

    Attributes:
        bundle: folder of the better model.
        report: page that compares both models.
        evaluations: by model and whether the country was used.
        answer: for one validation photo.
        seconds: run time.
    """

    bundle: Path
    report: Path
    evaluations: Mapping[tuple[str, bool], Evaluation]
    answer: Answer
    seconds: float

    def as_dict(self) -> dict[str, Any]:
        """Return the result as JSON values."""
        from ophis.evaluation.table import EvaluationTable

        return {
            "bundle": str(self.bundle),
            "report": str(self.report),
            "evaluations": EvaluationTable(dict(self.evaluations)).rows(),
            "answer": self.answer.as_dict(),
            "seconds": self.seconds,
        }


def sample(out: Path, *, count: Whole = 600, seed: Whole = 0, json: Json = False) -> int:
    """Write synthetic photos of invented snakes, to try every command without a download.

    Args:
        out: Folder to write: photos, manifest.csv and a README.
        count: Number of photos.
        seed: Equal seeds give equal photos.
        json: One JSON object: the manifest and the number of photos.
    """
    from ophis.cli.terminal.progress import bar
    from ophis.datasets import synthetic

    with bar(count) as advance:
        manifest = synthetic.sample(out, count=count, seed=seed, progress=advance)
    return finish(manifest, {"manifest": manifest, "photos": count}, json=json)


def demo(
    *, out: Path = Path("demo"), count: Whole = 600, seed: Whole = 0, json: Json = False
) -> None:
    """Run the whole workflow on synthetic photos: train two models, compare, export, identify.

    Args:
        out: Folder to write.
        count: Number of synthetic photos.
        seed: Of the photos and of the split.
        json: One JSON object with the files and results; the text goes to stderr.
    """
    with redirect_stdout(sys.stderr) if json else nullcontext():
        result = _run(out, count=count, seed=seed)
    if json:
        print_json(result.as_dict())


def _run(out: Path, *, count: int, seed: int) -> DemoResult:
    started = time.monotonic()
    print("1. drawing synthetic photos", flush=True)
    train, validation = _split_sample(out, count=count, seed=seed)
    for letter, recipe in RECIPES.items():
        print(f"\n2. training model {NAMES[letter]} (recipe {recipe})", flush=True)
        _train(recipe, train=train, validation=validation, out=out / f"run-{letter}")
    print(f"\n3. results on {len(validation)} validation photos, without and with the country")
    evaluations = _evaluate(out)
    best = max(NAMES, key=lambda letter: evaluations[NAMES[letter], True].macro_f1)
    bundle = _compare_and_export(out, best, train, validation)
    print(f"\n4. identifying the snake in one validation photo with model {best.upper()}")
    photo, species, at = _one_photo(validation, seed=seed)
    answer = _identify(bundle, photo, at)
    print(f"(true species: {species})")
    seconds = time.monotonic() - started
    _print_files(out, bundle, photo, at, seconds)
    return DemoResult(bundle, out / "report.html", evaluations, answer, seconds)


def _split_sample(out: Path, *, count: int, seed: int) -> tuple[Manifest, Manifest]:
    from ophis import CountryPrior, read_manifest
    from ophis.cli.terminal.progress import bar
    from ophis.cli.terminal.tables import print_counts
    from ophis.datasets.split import split
    from ophis.datasets.synthetic import sample

    with bar(count) as advance:
        manifest = read_manifest(sample(out / "sample", count=count, seed=seed, progress=advance))
    print_counts(manifest)
    train, validation = split(
        manifest,
        VALIDATION_FRACTION,
        seed=seed,
        train=out / "train.csv",
        validation=out / "validation.csv",
    )
    CountryPrior.fit(train).write(out / "prior.csv")
    return train, validation


def _train(recipe: str, *, train: Manifest, validation: Manifest, out: Path) -> None:
    from ophis import read_recipe
    from ophis.cli.terminal.training import TrainingProgress
    from ophis.train import fit

    with TrainingProgress() as progress:
        fit(read_recipe(recipe), train=train, validation=validation, out=out, progress=progress)


def _evaluate(out: Path) -> dict[tuple[str, bool], Evaluation]:
    """Print the table of both models and return its rows."""
    from ophis import evaluate, read_prior, read_scores
    from ophis.cli.terminal.tables import print_evaluations

    rows: dict[tuple[str, bool], Evaluation] = {}
    for letter, name in NAMES.items():
        scores = read_scores(out / f"run-{letter}" / "scores.npz")
        prior = read_prior(out / "prior.csv", scores.species)
        rows[name, False] = evaluate(scores)
        rows[name, True] = evaluate(prior.adjust(scores))
    print_evaluations(rows)
    return rows


def _compare_and_export(out: Path, best: str, train: Manifest, validation: Manifest) -> Path:
    from ophis import fit_prior, read_occurrences, read_scores
    from ophis.cli.terminal.progress import waiting
    from ophis.evaluation.report.comparison_report import write_comparison
    from ophis.evaluation.run import read_scored_run
    from ophis.train.explain import explain_runs
    from ophis.train.export import export

    a, b = (read_scored_run(out / f"run-{letter}", name=NAMES[letter]) for letter in NAMES)
    explain = explain_runs((out / "run-a", out / "run-b"), validation)
    species = train.species_list()
    records = read_occurrences(out / "sample" / "occurrences.csv", species=species)
    with waiting("comparing both models"):
        report = out / "report.html"
        write_comparison(a, b, report, photos=validation, explain=explain, records=records)
    run = out / f"run-{best}"
    with waiting("fitting the prior"):
        scores = read_scores(run / "scores.npz")
        fitted = fit_prior(train, out / "place.toml", occurrences=records, validation=scores)
    return export(run, out / "bundle", prior=fitted.prior)


def _identify(bundle: Path, photo: Path, at: tuple[float, float]) -> Answer:
    from ophis import load
    from ophis.cli.terminal.answer_text import print_answer

    answer = load(bundle).identify(photo, at=at, top=3)
    print_answer(answer)
    return answer


def _one_photo(validation: Manifest, *, seed: int) -> tuple[Path, str, tuple[float, float]]:
    """Return path and species of the first photo of a known country, and a position there."""
    from ophis.datasets.synthetic.occurrences import records
    from ophis.geography.countries import UNKNOWN, country_key

    row = int((validation.table["country"] != UNKNOWN).arg_max() or 0)
    country, species = validation.table["country"][row], validation.table["species"][row]
    there = [r for r in records(seed=seed) if r.species == species]
    near = next(record for record in there if country_key(record.country) == country)
    return validation.paths()[row], species, (round(near.latitude, 1), round(near.longitude, 1))


def _print_files(
    out: Path, bundle: Path, photo: Path, at: tuple[float, float], seconds: float
) -> None:
    print(f"\nwritten in {seconds:.0f} s (synthetic, not photographed):")
    files = {
        out / "sample": "photos and their manifest, records of the species",
        out / "run-a": "model A: checkpoint, log, scores",
        out / "run-b": "model B",
        out / "report.html": "both compared: figures, largest discrepancies, saliency maps",
        bundle: "the better model, for use without torch",
    }
    for path, content in files.items():
        print(f"  {path!s:17} {content}")
    print(f"next: ophis identify {bundle} {photo} --at {at[0]},{at[1]}")
