"""Coverage of the intervals of macro F1 for two models and their difference.

    python benchmarks/intervals.py [--entries FOLDER] [--draws 600] [--bootstrap]

FOLDER holds truth.csv, entry2.csv and entry3.csv of SnakeCLEF 2021 (photo id and species each).
Their photos are the population, from which tests of several sizes are drawn with replacement; the
synthetic worlds have many species with few photos, or several photos a snake. The target is the
expected macro F1 over the species with photos: the mean of 2,000 tests of the same size.
`--bootstrap` measures the percentile bootstrap of scikit-learn's macro F1 too, for 150 draws. The
table also has the macro F1 of the whole population: its difference is the bias of small tests.
"""

from __future__ import annotations

import argparse
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from ophis import read_submissions
from ophis.evaluation.counts import count_species
from ophis.evaluation.intervals import PERCENTILES, jackknife_interval
from ophis.evaluation.metrics import Answers, predictions

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from numpy.typing import NDArray

EXPECTATION_DRAWS, BOOTSTRAP_DRAWS, RESAMPLES = 2000, 150, 200
SIZES = (590, 1000, 5000, 14029)


@dataclass(frozen=True)
class Population:
    """Snakes with the true species, [snakes], and the answers of two models.

    Attributes:
        answers: [models, snakes, photos of a snake].
    """

    truth: NDArray[np.int64]
    answers: NDArray[np.int64]
    species: int

    def draw(self, snakes: int, rng: np.random.Generator) -> list[Answers]:
        """Return the answers of both models on random snakes."""
        return self._of(rng.integers(0, len(self.truth), snakes))

    def whole(self) -> list[Answers]:
        """Return the answers on all snakes."""
        return self._of(np.arange(len(self.truth)))

    def _of(self, rows: NDArray[np.int64]) -> list[Answers]:
        photos = self.answers.shape[2]
        truth = np.repeat(self.truth[rows], photos)
        names = tuple(np.repeat(np.arange(len(rows)), photos).astype(str).tolist())
        rank = np.zeros_like(truth)
        return [
            Answers(truth, each[rows].ravel(), rank, names, self.species) for each in self.answers
        ]


def main() -> None:
    """Print coverage and bias, a row for each world and size."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--entries", type=Path)
    parser.add_argument("--draws", type=int, default=600)
    parser.add_argument("--bootstrap", action="store_true")
    options = parser.parse_args()
    print("| world | observations | macro F1, expected | in the population | coverage A, B, B - A |"
          + (" percentile bootstrap |" if options.bootstrap else ""))  # fmt: skip
    print("|---" * (6 if options.bootstrap else 5) + "|")
    for name, population, snakes in worlds(options.entries):
        rng = np.random.default_rng(0)
        means = [macro_f1s(population.draw(snakes, rng)) for _ in range(EXPECTATION_DRAWS)]
        expected = np.mean(means, axis=0)
        cells = [
            f"{snakes:,}",
            shown(expected, 3),
            shown(macro_f1s(population.whole()), 3),
            shown(100 * coverage(population, snakes, expected, jackknife, options.draws), 1),
        ]
        if options.bootstrap:
            of_union = [
                macro_f1s(population.draw(snakes, rng), with_photos=False)
                for _ in range(EXPECTATION_DRAWS)
            ]
            found = coverage(
                population, snakes, np.mean(of_union, axis=0), bootstrap, BOOTSTRAP_DRAWS
            )
            cells.append(shown(100 * found, 1))
        print(f"| {name} | {' | '.join(cells)} |", flush=True)


def worlds(entries: Path | None) -> Iterator[tuple[str, Population, int]]:
    """Return the worlds: name, population and number of observations of a test."""
    if entries:
        population = of_entries(entries)
        for photos in SIZES:
            yield "entries of 2021", population, photos
    for species, snakes, photos, tail in (
        (2000, 500, 1, False),
        (2000, 2000, 1, False),
        (2000, 6000, 1, False),
        (783, 300, 1, True),
        (5000, 3000, 1, True),
        (30, 600, 1, True),
        (30, 60, 1, False),
        (200, 300, 3, True),
        (200, 300, 10, True),
    ):
        name = f"{species:,} species, {'long tail' if tail else 'equal'}, {photos} photos a snake"
        yield name, synthetic(species, photos, tail=tail), snakes


def of_entries(folder: Path) -> Population:
    """Return the photos of two real entries, an observation each."""
    files = [folder / "entry2.csv", folder / "entry3.csv"]
    entries = read_submissions(files, folder / "truth.csv")
    answers = np.stack([predictions(scores) for scores in entries])[:, :, None]
    return Population(entries[0].truth, answers, len(entries[0].species))


def synthetic(species: int, photos: int, *, tail: bool) -> Population:
    """Return 100,000 snakes; species differ in difficulty, and both models share most errors."""
    rng, snakes = np.random.default_rng(1), 100_000
    weights = 1 / np.arange(1, species + 1) if tail else np.ones(species)
    truth = rng.choice(species, snakes, p=weights / weights.sum())
    hard = rng.beta(2, 2, species)[truth][:, None]
    luck, shape = rng.random((snakes, 1)), (snakes, photos)
    wrong = (truth[:, None] + rng.integers(1, 6, shape)) % species
    answers = []
    for accuracy in (0.65, 0.7):
        own = np.where(rng.random(shape) < 0.7, luck, rng.random(shape))
        answers.append(np.where(own < accuracy + 0.3 * (0.5 - hard), truth[:, None], wrong))
    return Population(truth, np.stack(answers), species)


def macro_f1s(answers: list[Answers], *, with_photos: bool = True) -> NDArray[np.float64]:
    """Return macro F1 of A, of B, and B - A."""
    a, b = (
        float(count_species(x.truth, x.answer, x.species).macro_f1(with_photos=with_photos)[0])
        for x in answers
    )
    return np.array([a, b, b - a])


Bounds = tuple["NDArray[np.float64]", "NDArray[np.float64]"]


def coverage(
    population: Population,
    snakes: int,
    expected: NDArray[np.float64],
    intervals: Callable[[list[Answers], np.random.Generator], Bounds],
    draws: int,
) -> NDArray[np.float64]:
    """Return the fraction of tests whose intervals hold the expected values."""
    rng = np.random.default_rng(2)
    held = np.zeros(3)
    for _ in range(draws):
        low, high = intervals(population.draw(snakes, rng), rng)
        held += (low <= expected) & (expected <= high)
    return held / draws


def jackknife(answers: list[Answers], _: np.random.Generator) -> Bounds:
    """Return the bounds of the intervals of `compare`."""
    (a, left_a), (b, left_b) = (x.figures(with_photos=True) for x in answers)
    found = [
        jackknife_interval(value[2], left_out[:, 2])
        for value, left_out in ((a, left_a), (b, left_b), (b - a, left_b - left_a))
    ]
    return np.array([each.low for each in found]), np.array([each.high for each in found])


def bootstrap(answers: list[Answers], rng: np.random.Generator) -> Bounds:
    """Return the bounds of the percentile bootstrap; absent species drop out of a resample."""
    number = np.unique(answers[0].observations, return_inverse=True)[1]
    count = int(number.max()) + 1
    rows_of = [np.flatnonzero(number == each) for each in range(count)]
    resampled = []
    for _ in range(RESAMPLES):
        rows = np.concatenate([rows_of[each] for each in rng.integers(0, count, count)])
        parts = [
            Answers(x.truth[rows], x.answer[rows], x.rank[rows], (), x.species) for x in answers
        ]
        resampled.append(macro_f1s(parts, with_photos=False))
    low, high = np.percentile(resampled, PERCENTILES, axis=0)
    return low, high


def shown(values: NDArray[np.float64], digits: int) -> str:
    """Format three values."""
    return ", ".join(f"{value:.{digits}f}" for value in values)


if __name__ == "__main__":
    main()
