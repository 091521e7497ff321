"""Measures of p(species | place) on held-out records, with intervals over cells.

Part of `location_prior.py`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    Floats = NDArray[np.float64]
    Flags = NDArray[np.bool_]

SET_LEVEL = 0.95  # probability that a set of species holds
EXCLUDED = 1e-3  # a species with a smaller p(s | place) is practically excluded
BINS = 15  # of the calibration error
DRAWS = 1000

MEASURES = (
    "top-1", "top-5", "macro top-5", "log loss", "macro log loss", "set size", "set coverage",
    "macro coverage", "p < 1e-3", "macro p < 1e-3", "ECE",
)  # fmt: skip


@dataclass(frozen=True, eq=False)
class Outcomes:
    """Results of one model on the held-out records, [records] each.

    Attributes:
        truth: column of the species.
        p: p(s | place) of that species.
        rank: number of species with a higher probability.
        size: species of the smallest set that holds 95 %.
        covered: True if the species is in that set.
        confidence: the highest probability.
    """

    truth: NDArray[np.int64]
    p: Floats
    rank: NDArray[np.int64]
    size: NDArray[np.int64]
    covered: Flags
    confidence: Floats

    @classmethod
    def of(cls, probability: Floats, truth: NDArray[np.int64]) -> Outcomes:
        """Return the results of probabilities, [records, species]."""
        p = probability[np.arange(len(truth)), truth]
        ordered = -np.sort(-probability, axis=1)
        size = np.count_nonzero(np.cumsum(ordered, axis=1) < SET_LEVEL, axis=1) + 1
        rank = np.count_nonzero(probability > p[:, None], axis=1)
        return cls(truth, p, rank, size, rank < size, ordered[:, 0])

    def __getitem__(self, rows: Flags) -> Outcomes:
        return Outcomes(*(values[rows] for values in vars(self).values()))

    @classmethod
    def joined(cls, parts: Sequence[Outcomes]) -> Outcomes:
        """Return the results of several folds."""
        columns = zip(*(vars(part).values() for part in parts), strict=True)
        return cls(*map(np.concatenate, columns))

    def values(self, measure: str) -> NDArray:
        """Return the values that a measure is a mean of, [records]."""
        return {
            "top-1": self.rank < 1,
            "top-5": self.rank < 5,
            "log loss": -np.log(self.p),
            "set size": self.size,
            "set coverage": self.covered,
            "coverage": self.covered,
            "p < 1e-3": self.p < EXCLUDED,
        }[measure.removeprefix("macro ")]


class Cells:
    """Resamples of whole cells; the first has each cell once.

    Attributes:
        cell: number of the cell of each record.
        weight: records that each tested record stands for.
        weights: times that each cell is drawn, [1 + draws, cells].
    """

    def __init__(self, cell: NDArray[np.int64], weight: Floats, *, draws: int = DRAWS) -> None:
        self.cell, self.weight, number = cell, weight, int(cell.max()) + 1
        drawn = np.random.default_rng(0).multinomial(number, np.full(number, 1 / number), draws)
        self.weights = np.concatenate([np.ones((1, number)), drawn])

    def sums(
        self, group: NDArray[np.int64], values: NDArray, rows: Flags, groups: int | None = None
    ) -> Floats:
        """Sum values of chosen records by group, [1 + draws, groups]."""
        groups = groups or int(group.max()) + 1
        cell_groups = (self.cell * groups + group)[rows]
        table = np.bincount(
            cell_groups, (values * self.weight)[rows], self.weights.shape[1] * groups
        )
        return self.weights @ table.reshape(-1, groups)

    def measure(self, name: str, outcomes: Outcomes, rows: Flags) -> Floats:
        """Return a measure over chosen records in each resample, [1 + draws]."""
        ones = np.ones(len(rows))
        if name == "ECE":
            part = np.minimum((outcomes.confidence * BINS).astype(np.int64), BINS - 1)
            gaps = self.sums(part, outcomes.confidence - (outcomes.rank < 1), rows)
            return np.abs(gaps).sum(axis=1) / self.sums(part, ones, rows).sum(axis=1)
        macro = name.startswith("macro ")
        group = outcomes.truth if macro else np.zeros_like(outcomes.truth)
        total, number = self.sums(group, outcomes.values(name), rows), self.sums(group, ones, rows)
        means = np.divide(total, number, out=np.full_like(total, np.nan), where=number > 0)
        return np.nanmean(means, axis=1)

    def macro_f1(self, answer: NDArray[np.int64], truth: NDArray[np.int64], rows: Flags) -> Floats:
        """Return the macro F1 over the species of chosen records, [1 + draws]."""
        ones, species = np.ones(len(rows)), int(max(answer.max(), truth.max())) + 1
        hits = self.sums(truth, answer == truth, rows, species)
        true = self.sums(truth, ones, rows, species)
        both = true + self.sums(answer, ones, rows, species)
        f1 = np.divide(2 * hits, both, out=np.zeros_like(hits), where=both > 0)
        return np.where(true > 0, f1, 0).sum(axis=1) / (true > 0).sum(axis=1)


def interval(resamples: Floats, digits: int = 3) -> str:
    """Return a value and the half width of its 95 % interval, by the spread of the resamples.

    Not by percentiles: a species of one cell is missing from a third of the resamples, so that
    their macro means are about other species.
    """
    return f"{resamples[0]:.{digits}f} ± {1.96 * resamples[1:].std():.{digits}f}"
