"""Where in a photo a network found what speaks for a species; no gradient is needed for it.

A network that averages its last feature maps before one linear layer gives each species the logit
mean over places of w_s . f(place), plus a bias. The terms of that mean are its evidence, place by
place (class activation maps, Zhou et al. 2016): they are exact, not an explanation after the fact,
but each place has seen more of the photo than itself.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from ophis.taxonomy.species_list import SpeciesList

OUTPUTS = ("evidence", "evidence_species")  # of a network that has it
DIGITS = 4  # of a value; a picture of them has 256 shades


@dataclass(frozen=True)
class Evidence:
    """A coarse map over a photo, as the network saw it: the whole photo as a square.

    Attributes:
        species: what the evidence is for.
        rows, columns: of the map.
        values: row by row from the upper left, from 0 (nothing, or against it) to 1 (the most).
    """

    species: str
    rows: int
    columns: int
    values: tuple[float, ...]


def evidence_of(
    maps: NDArray[np.float32], columns: NDArray[np.integer], species: SpeciesList
) -> tuple[Evidence, ...]:
    """The maps of one photo as a network gives them.

    Args:
        maps: [species shown, rows, columns], the terms of their logits.
        columns: [species shown], which species they are.
        species: the columns of the network's logits.
    """
    found = []
    for values, column in zip(maps, columns, strict=True):
        positive = np.maximum(values, 0)
        share = np.round(positive / max(float(positive.max()), 1e-12), DIGITS)
        rows, width = values.shape
        numbers = tuple(share.astype(np.float64).ravel().tolist())
        found.append(Evidence(species[int(column)], rows, width, numbers))
    return tuple(found)


def evidence_for(species: str | None, found: Sequence[Evidence]) -> Evidence | None:
    """The map of a species; where it was not among those kept, or is None, there is none."""
    return next((evidence for evidence in found if evidence.species == species), None)
