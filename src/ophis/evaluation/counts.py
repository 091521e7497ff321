"""Numbers of photos by species, and the macro F1 that follows from them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

FEW_PHOTOS = 5  # below, F1 of a species takes few values and is biased


@dataclass(frozen=True)
class SpeciesCounts:
    """Numbers of photos by species, [..., species].

    Attributes:
        hit: photos answered correctly.
        true: photos of the species.
        answered: photos answered with the species.
    """

    hit: NDArray[np.int64]
    true: NDArray[np.int64]
    answered: NDArray[np.int64]

    @property
    def f1(self) -> NDArray[np.float64]:
        """F1 of each species, [..., species]; 0 for one in neither truth nor answers."""
        return 2 * self.hit / np.maximum(self.true + self.answered, 1)

    def macro_f1(self, *, with_photos: bool = False) -> NDArray[np.float64]:
        """Return the mean F1 of the species in truth or answers, [...].

        Args:
            with_photos: average over the species in the truth, a label set that does not depend on
                the model.
        """
        label = (self.true if with_photos else self.true + self.answered) > 0
        return (self.f1 * label).sum(axis=-1) / np.maximum(label.sum(axis=-1), 1)

    def total(self) -> SpeciesCounts:
        """Return the sum over the first axis."""
        return SpeciesCounts(*(part.sum(axis=0) for part in self._parts()))

    def left_out(self) -> SpeciesCounts:
        """Return the total without each row of the first axis."""
        return SpeciesCounts(*(part.sum(axis=0) - part for part in self._parts()))

    def _parts(self) -> Sequence[NDArray[np.int64]]:
        return self.hit, self.true, self.answered


def count_species(
    truth: NDArray[np.int64],
    answer: NDArray[np.int64],
    species: int,
    *,
    groups: NDArray[np.int64] | None = None,
) -> SpeciesCounts:
    """Count the photos of each group by species, [groups, species].

    Args:
        truth: [photos], columns.
        answer: [photos], columns.
        species: number of columns.
        groups: [photos], from 0; by default all photos are group 0.
    """
    row = np.zeros(len(truth), np.int64) if groups is None else groups
    shape = (int(row.max()) + 1, species)

    def count(column: NDArray[np.int64], rows: NDArray[np.int64]) -> NDArray[np.int64]:
        return np.bincount(rows * species + column, minlength=shape[0] * species).reshape(shape)

    right = truth == answer
    return SpeciesCounts(
        hit=count(truth[right], row[right]), true=count(truth, row), answered=count(answer, row)
    )


def sparse_species(truth: NDArray[np.int64]) -> tuple[int, int]:
    """Return the number of species with fewer than 5 photos, and of those with a photo."""
    photos = np.unique(truth, return_counts=True)[1]
    return int((photos < FEW_PHOTOS).sum()), len(photos)


def macro_f1_note(few: int, species: int) -> str:
    """Return a note beside a macro F1; empty if no species has fewer than 5 photos.

    Args:
        few: species with fewer than 5 photos.
        species: species with photos.
    """
    if not few:
        return ""
    many = f"more than half of the species ({few:,} of {species:,})"
    who = many if 2 * few > species else f"{few:,} of {species:,} species"
    return (
        f"Macro F1 depends on the number of photos: {who} have fewer than {FEW_PHOTOS}. Compare it"
        " only with figures from the same photos."
    )
