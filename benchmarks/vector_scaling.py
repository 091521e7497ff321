"""Temperature and vector scaling on validation photos, and the automatic choice between them.

    python benchmarks/vector_scaling.py [SCORES ...] [--splits 20]

On synthetic scores whose truth is known: one temperature, or factors and offsets that differ by
species. The observations of scores files, such as those of benchmarks/real_photos.py, are split
repeatedly: a fraction is for fitting, the rest for testing. The output is means.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from ophis import Scores, SpeciesList, evaluate, read_scores
from ophis.decision.calibration import fit_temperature, reliability
from ophis.decision.vector_scaling import choose_calibration, fit_vector
from ophis.scores.scores import softmax

if TYPE_CHECKING:
    from collections.abc import Iterable

SPECIES, STRENGTH, TESTED = 11, 3.0, 4000
FRACTIONS = (0.25, 0.5, 0.8)


def main() -> None:
    """Print a table for synthetic scores and one for each file."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("scores", type=Path, nargs="*")
    parser.add_argument("--splits", type=int, default=20)
    options = parser.parse_args()
    print("| scores | photos fitted on | log loss raw | temperature | vector | chosen | top-1"
          " temperature | vector | vector chosen |\n|" + "---|" * 9)  # fmt: skip
    for name, spread in (("synthetic, a temperature", 0.0), ("synthetic, a vector", 0.5)):
        for photos in (100, 150, 300, 1000):
            seeds = range(options.splits)
            print_row(name, [figures(*made(photos, spread, seed)) for seed in seeds])
    for path in options.scores:
        scores = read_scores(path)
        for fraction in FRACTIONS:
            pairs = (split(scores, fraction, seed) for seed in range(options.splits))
            print_row(path.stem, [figures(*pair) for pair in pairs])


def made(photos: int, spread: float, seed: int) -> tuple[Scores, Scores]:
    """Return scores to fit and to test, whose truth follows the calibrated logits."""
    rng = np.random.default_rng(seed)
    factor = 0.5 * np.exp(spread / 2 * rng.normal(size=SPECIES))
    offset = 1.4 * spread * rng.normal(size=SPECIES)
    logits = STRENGTH * rng.normal(size=(photos + TESTED, SPECIES))
    below = softmax(logits).cumsum(axis=1) < rng.random((photos + TESTED, 1))
    names = tuple(map(str, range(photos + TESTED)))
    whole = Scores(
        logits=(logits - offset) / factor,
        species=SpeciesList(tuple(f"species {n}" for n in range(SPECIES))),
        photo_ids=names,
        truth=np.minimum(below.sum(axis=1), SPECIES - 1),
        countries=("UNKNOWN",) * len(names),
        observations=names,
    )
    return whole.take(np.arange(photos)), whole.take(np.arange(photos, photos + TESTED))


def split(scores: Scores, fraction: float, seed: int) -> tuple[Scores, Scores]:
    """Return a fraction of the observations, and the rest."""
    observations = np.array(scores.observations)
    order = np.random.default_rng(seed).permutation(np.unique(observations))
    fitted = np.isin(observations, order[: int(fraction * len(order))])
    return scores.take(fitted), scores.take(~fitted)


def figures(fitted: Scores, test: Scores) -> list[float]:
    """Return a row of the table."""
    temperature, vector = fit_temperature(fitted), fit_vector(fitted)
    chosen = choose_calibration(fitted).calibration
    calibrated = [one.apply(test) for one in (temperature, vector, chosen)]
    return [
        len(fitted),
        *(reliability(scores).log_loss for scores in (test, *calibrated)),
        *(evaluate(scores).top1 for scores in calibrated[:2]),
        chosen.by_species,
    ]


def print_row(name: str, rows: Iterable[list[float]]) -> None:
    """Print means over the rows, in Markdown."""
    photos, *losses, temperature, vector, chosen = np.mean(list(rows), axis=0)
    cells = [f"{photos:.0f}", *(f"{loss:.4f}" for loss in losses)]
    cells += [f"{top1:.1%}" for top1 in (temperature, vector)] + [f"{chosen:.0%}"]
    print(f"| {name} | {' | '.join(cells)} |", flush=True)


if __name__ == "__main__":
    main()
