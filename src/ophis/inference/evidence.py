"""Evidence maps: contributions of the places of a photo to the logit of a species.

A network that averages its last feature maps before one linear layer gives each species the logit
mean over places of w_s . f(place), plus a bias. The terms of that mean are its evidence, place by
place (class activation maps, Zhou et al. 2016). They need no gradient and are exact, but the
receptive field of a place is larger than the place.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from ophis.taxonomy.species_list import SpeciesList

OUTPUTS = ("evidence", "evidence_species")  # of a network with evidence maps
DIGITS = 4  # of a value; a picture of them has 256 shades


@dataclass(frozen=True)
class Evidence:
    """A coarse map over the resized photo.

    Attributes:
        species: species of the logit.
        rows, columns: size of the map.
        values: row by row from the upper left, from 0 (nothing, or against it) to 1 (the most).
    """

    species: str
    rows: int
    columns: int
    values: tuple[float, ...]


def evidence_of(
    maps: NDArray[np.float32], columns: NDArray[np.integer], species: SpeciesList
) -> tuple[Evidence, ...]:
    """Return the maps of one photo from the outputs of a network.

    Args:
        maps: [species shown, rows, columns], the terms of their logits.
        columns: [species shown], their columns among the logits.
        species: the columns of the network's logits.
    """
    found = []
    for values, column in zip(maps, columns, strict=True):
        positive = np.maximum(values, 0)
        fraction = np.round(positive / max(float(positive.max()), 1e-12), DIGITS)
        rows, width = values.shape
        numbers = tuple(fraction.astype(np.float64).ravel().tolist())
        found.append(Evidence(species[int(column)], rows, width, numbers))
    return tuple(found)


def evidence_for(species: str | None, found: Sequence[Evidence]) -> Evidence | None:
    """Return the map of a species, or None without one."""
    return next((evidence for evidence in found if evidence.species == species), None)
