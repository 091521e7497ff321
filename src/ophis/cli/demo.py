"""The whole way in one go, on drawn photos: what `make demo` runs."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from ophis import CountryPrior, evaluate, load, read_manifest, read_prior, read_recipe, read_scores
from ophis.cli.terminal.answer_text import print_answer
from ophis.cli.terminal.progress import bar, waiting
from ophis.cli.terminal.tables import evaluations_of, print_counts, print_evaluations
from ophis.datasets.near_duplicates import near_duplicate_groups
from ophis.datasets.synthetic import draw_sample
from ophis.evaluation.run import read_side
from ophis.geography.countries import UNKNOWN
from ophis.train.study import write_comparison

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from ophis.datasets.manifest import Manifest
    from ophis.evaluation.metrics import Evaluation
    from ophis.inference.answer import Answer

# The paper's letters: the same network and training, B from the better pretraining.
RECIPES = {"a": "demo_scratch", "b": "demo"}
NAMES = {"a": "A no pretraining", "b": "B ImageNet-1k"}


@dataclass(frozen=True)
class Made:
    """What the demo made and measured.

    Attributes:
        bundle: of the better model.
        report: both models compared.
        evaluations: by model and whether the country was used.
        answer: to one held-out photo.
        seconds: it took.
    """

    bundle: Path
    report: Path
    evaluations: Mapping[tuple[str, bool], Evaluation]
    answer: Answer
    seconds: float

    def as_dict(self) -> dict[str, Any]:
        """The same as JSON has it."""
        return {
            "bundle": str(self.bundle),
            "report": str(self.report),
            "evaluations": evaluations_of(self.evaluations, {}),
            "answer": self.answer.as_dict(),
            "seconds": self.seconds,
        }


def run_demo(out: Path, *, photos: int = 600, seed: int = 0) -> Made:
    """Draw photos, train two models, judge them with and without the country, export, identify.

    Args:
        out: folder to make; what an earlier demo left there is used again where it fits.
        photos: how many to draw.
        seed: of the drawing and of the split.

    Returns:
        The bundle of the better model, and what was measured on the way.
    """
    started = time.monotonic()
    print("1. drawing photos (synthetic, not photographed)", flush=True)
    with bar(photos) as advance:
        drawn = draw_sample(out / "sample", photos=photos, seed=seed, progress=advance)
    manifest = read_manifest(drawn)
    print_counts(manifest)
    groups = near_duplicate_groups(manifest)
    train, validation = manifest.split(0.25, seed=seed, groups=groups)
    train.write(out / "train.csv")
    validation.write(out / "validation.csv")
    CountryPrior.fit(train).write(out / "prior.csv")
    for letter, recipe in RECIPES.items():
        print(f"\n2. training model {NAMES[letter]} (recipe {recipe})", flush=True)
        # Here, so that importing the demo does not load torch.
        from ophis.cli.terminal.training import TrainingProgress
        from ophis.train import fit

        with TrainingProgress() as progress:
            fit(
                read_recipe(recipe),
                train=train,
                validation=validation,
                out=out / f"run-{letter}",
                progress=progress,
            )
    print(f"\n3. judged on {len(validation)} held-out photos, without and with the country")
    rows = _judge(out)
    best = max(NAMES, key=lambda letter: rows[NAMES[letter], True].macro_f1)
    a, b = (read_side(out / f"run-{letter}", name=NAMES[letter]) for letter in "ab")
    with waiting("comparing both, and drawing the report"):
        write_comparison(a, b, out / "report.html", photos=validation)
    bundle = _export(out / f"run-{best}", out / "bundle")
    print(f"\n4. naming the snake in one held-out photo with model {best.upper()}")
    photo, country, species = _one_photo(validation)
    answer = load(bundle).identify(photo, country=country, top=3)
    print_answer(answer)
    print(f"(drawn as: {species})")
    seconds = time.monotonic() - started
    _farewell(out, bundle, photo, country, seconds)
    return Made(bundle, out / "report.html", rows, answer, seconds)


def _judge(out: Path) -> dict[tuple[str, bool], Evaluation]:
    """Print the paper's table and return it."""
    rows: dict[tuple[str, bool], Evaluation] = {}
    for letter, name in NAMES.items():
        scores = read_scores(out / f"run-{letter}" / "scores.npz")
        prior = read_prior(out / "prior.csv", scores.species)
        rows[name, False] = evaluate(scores)
        rows[name, True] = evaluate(prior.adjust(scores))
    print_evaluations(rows)
    return rows


def _export(run: Path, out: Path) -> Path:
    from ophis.train.export import export

    return export(run, out)


def _one_photo(validation: Manifest) -> tuple[Path, str, str]:
    """The first held-out photo whose country is known."""
    row = int((validation.table["country"] != UNKNOWN).arg_max() or 0)
    country, species = validation.table["country"][row], validation.table["species"][row]
    return validation.paths()[row], country, species


def _farewell(out: Path, bundle: Path, photo: Path, country: str, seconds: float) -> None:
    print(f"\nmade in {seconds:.0f} s, synthetic, not photographed:")
    made = {
        out / "sample": "photos and their table",
        out / "run-a": "model A: checkpoint, log, scores",
        out / "run-b": "model B",
        out / "report.html": "both compared: figures, largest discrepancies, where each looks",
        bundle: "the better one, ready to use without torch",
    }
    for path, what in made.items():
        print(f"  {path!s:17} {what}")
    print(f"next: ophis identify {bundle} {photo} --country {country}")
