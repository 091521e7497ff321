"""Guarantees by conformal prediction: for the set of names, and for the danger verdict."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from ophis.decision.conformal import PredictionSets, fit_sets
from ophis.taxonomy.danger import dangerous

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from ophis.scores.scores import Scores
    from ophis.taxonomy.species_list import SpeciesList

# Least probability with which an answer gives a single species, however good the network.
MIN_SINGLE_NAME = 0.8


@dataclass(frozen=True, eq=False)
class Guarantees:
    """Conformal sets for names and for danger.

    Attributes:
        names: sets that hold the true species with the stated coverage, among venomous species and
            among the others.
        danger: sets that hold nearly every venomous species; other species have no meaning here.
    """

    names: PredictionSets
    danger: PredictionSets

    def may_be_venomous(self, scores: Scores) -> NDArray[np.bool_]:
        """Return the photos that may show a venomous species, [photos].

        All photos, if the sets were fitted with too few photos of venomous species or the species
        list has none: then an empty set is no evidence.

        Raises:
            InputError: the scores are of other species.
        """
        possible = self.names.sets(scores) | self.danger.sets(scores)
        venomous = dangerous(scores.species)
        guaranteed = np.isfinite(self.danger.thresholds[venomous])
        if not guaranteed.size or not guaranteed.all():
            return np.ones(len(scores), np.bool_)
        found: NDArray[np.bool_] = np.any(possible & venomous, axis=1)
        return found

    def as_dict(self) -> dict[str, Any]:
        """Return the guarantees as JSON values for `guarantees_from_dict`."""
        return {
            name: {
                "coverage": sets.coverage,
                "photos": sets.photos,
                "thresholds": [finite_or_none(value) for value in sets.thresholds.tolist()],
            }
            for name, sets in (("names", self.names), ("danger", self.danger))
        }


def fit_guarantees(scores: Scores, *, names: float, danger: float) -> Guarantees:
    """Fit the thresholds of both kinds of sets.

    Args:
        scores: with calibration or prior applied, of photos that nothing is fitted on.
        names: coverage of the true species by the set of names, in (0, 1).
        danger: fraction of venomous snakes that are not excluded, in (0, 1).

    Raises:
        InputError: a coverage lies outside (0, 1), or no photo has a known species.
    """
    groups = dangerous(scores.species).astype(np.int64)
    sets = fit_sets(scores, coverage=names, groups=groups)
    # A network with more coverage than requested would name one of two equally probable species.
    return Guarantees(
        names=replace(sets, thresholds=np.maximum(sets.thresholds, MIN_SINGLE_NAME)),
        danger=fit_sets(scores, coverage=danger, groups=groups),
    )


def guarantees_from_dict(values: dict[str, Any], species: SpeciesList) -> Guarantees:
    """Return the guarantees of `Guarantees.as_dict`.

    Raises:
        ValueError, KeyError, TypeError: a value is missing or of the wrong kind.
        InputError: the thresholds are of other species, or one is NaN.
    """
    sets = {
        name: PredictionSets(
            species=species,
            coverage=float(part["coverage"]),
            thresholds=np.array(
                [infinite_if_none(value) for value in part["thresholds"]], np.float64
            ),
            photos=int(part["photos"]),
        )
        for name, part in values.items()
    }
    return Guarantees(**sets)


def finite_or_none(value: float) -> float | None:
    """Return a threshold for JSON, which has no infinity: None."""
    return float(value) if np.isfinite(value) else None


def infinite_if_none(value: float | None) -> float:
    """Return the threshold of `finite_or_none`."""
    return np.inf if value is None else float(value)
