"""What is promised of sets of names and of the danger, and the thresholds that keep it."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from ophis.decision.conformal import ROUNDING, PredictionSets, fit_sets
from ophis.scores.scores import log_probabilities
from ophis.taxonomy.danger import dangerous

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from ophis.scores.scores import Scores
    from ophis.taxonomy.species_list import SpeciesList

SURE = 0.8  # no species is named alone with less probability, however good the network
HEARD = 1 - SURE  # of danger; with that much, by the image alone, no country takes it away


@dataclass(frozen=True, eq=False)
class Guarantees:
    """The two kinds of sets.

    Attributes:
        names: hold the true species as often as promised, among the venomous and among the others.
        danger: hold nearly every venomous species; others have no meaning here.
    """

    names: PredictionSets
    danger: PredictionSets

    def may_be(self, scores: Scores) -> NDArray[np.bool_]:
        """Which photos may show a venomous species, [photos].

        All of them, where nothing was promised of the venomous: with too few photos of them, or
        none in the list of species, that none is left says nothing.

        Raises:
            InputError: when the scores are of other species.
        """
        left = self.names.sets(scores) | self.danger.sets(scores)
        venomous = dangerous(scores.species)
        promised = np.isfinite(self.danger.thresholds[venomous])
        if not promised.size or not promised.all():
            return np.ones(len(scores), np.bool_)
        may_be: NDArray[np.bool_] = np.any(left & venomous, axis=1)
        return may_be

    def as_dict(self) -> dict[str, Any]:
        """The guarantees as JSON has them; `guarantees_from_dict` reads them back."""
        return {
            name: {
                "coverage": sets.coverage,
                "photos": sets.photos,
                "thresholds": [finite_or_none(value) for value in sets.thresholds.tolist()],
            }
            for name, sets in (("names", self.names), ("danger", self.danger))
        }


def seen_danger(image: Scores) -> NDArray[np.bool_]:
    """Which photos show a species that may be dangerous to who does not ask for the country.

    A country may have no training photo of a species, and an animal may come from elsewhere: what
    the photo shows as clearly as that keeps its warning, whatever the country says.

    Args:
        image: of the image alone, calibrated.

    Returns:
        [photos].
    """
    probability = np.exp(log_probabilities(image.logits))
    risk = probability[:, dangerous(image.species)].sum(axis=1)
    seen: NDArray[np.bool_] = risk >= HEARD - ROUNDING
    return seen


def fit_guarantees(scores: Scores, *, names: float, danger: float) -> Guarantees:
    """Find the thresholds that keep both.

    Args:
        scores: with the calibration or the prior applied, of photos that nothing was fitted on.
        names: how often the set of names is to hold the true species, in (0, 1).
        danger: how many of the venomous are not to be excluded, in (0, 1).

    Raises:
        InputError: when a share lies outside (0, 1), or no photo has a known species.
    """
    groups = dangerous(scores.species).astype(np.int64)
    sets = fit_sets(scores, coverage=names, groups=groups)
    # A network that is right more often than promised would name one of two equally probable.
    return Guarantees(
        names=replace(sets, thresholds=np.maximum(sets.thresholds, SURE)),
        danger=fit_sets(scores, coverage=danger, groups=groups),
    )


def guarantees_from_dict(values: dict[str, Any], species: SpeciesList) -> Guarantees:
    """What `Guarantees.as_dict` gave.

    Raises:
        ValueError, KeyError, TypeError: when something is missing or of the wrong kind.
        InputError: when the thresholds are of other species, or one is no number.
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
    """A threshold as JSON has it, which knows no infinity: None."""
    return float(value) if np.isfinite(value) else None


def infinite_if_none(value: float | None) -> float:
    """What `finite_or_none` was given."""
    return np.inf if value is None else float(value)
