"""Guarantees by conformal prediction: for the set of names, and for the danger verdict."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from ophis.decision.conformal import PredictionSets, fit_known, fit_sets
from ophis.taxonomy.danger import dangerous

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from ophis.scores.scores import Scores
    from ophis.taxonomy.species_list import SpeciesList

# Least probability with which an answer gives a single species, however good the network.
MIN_SINGLE_NAME = 0.8


@dataclass(frozen=True, eq=False)
class Guarantees:
    """Conformal sets of the image alone, for names and for danger.

    Attributes:
        names: sets that hold the true species with the stated coverage, among venomous species and
            among the others.
        danger: sets that hold nearly every venomous species; other species have no meaning here.
    """

    names: PredictionSets
    danger: PredictionSets

    @property
    def danger_guaranteed(self) -> bool:
        """True if there were enough observations of venomous species to exclude danger."""
        venomous = dangerous(self.danger.species)
        return bool(venomous.any() and np.isfinite(self.danger.thresholds[venomous]).all())

    def may_be_venomous(self, scores: Scores) -> NDArray[np.bool_]:
        """Return the photos that may show a venomous species, [photos].

        All photos, if the sets were fitted with too few observations of venomous species or the
        species list has none: then an empty set is no evidence.

        Raises:
            InputError: the scores are of other species.
        """
        possible = self.names.sets(scores) | self.danger.sets(scores)
        if not self.danger_guaranteed:
            return np.ones(len(scores), np.bool_)
        found: NDArray[np.bool_] = np.any(possible & dangerous(scores.species), axis=1)
        return found

    def as_dict(self) -> dict[str, Any]:
        """Return the guarantees as JSON values for `guarantees_from_dict`."""
        return {"names": sets_as_dict(self.names), "danger": sets_as_dict(self.danger)}


def fit_guarantees(
    scores: Scores, *, names: float, danger: float, confidence: float | None
) -> Guarantees:
    """Fit the thresholds of both kinds of sets.

    Args:
        scores: with the calibration applied, one photo of each observation, which nothing else is
            fitted on.
        names: coverage of the true species by the set of names, in (0, 1), on average over fits.
        danger: fraction of venomous snakes that are not excluded, in (0, 1).
        confidence: of the danger, see `fit_sets`.

    Raises:
        InputError: a probability lies outside (0, 1), or no photo has a known species.
    """
    groups = dangerous(scores.species).astype(np.int64)
    return Guarantees(
        names=_names(fit_sets(scores, coverage=names, groups=groups)),
        danger=fit_sets(scores, coverage=danger, confidence=confidence, groups=groups),
    )


def fit_country_names(scores: Scores, *, names: float) -> PredictionSets:
    """Fit the thresholds of the sets of names with a country; infinite without any photo.

    Args:
        scores: with the prior applied, one photo of each observation.
        names: coverage of the true species by the set of names, in (0, 1), on average over fits.
    """
    groups = dangerous(scores.species).astype(np.int64)
    known = scores.take(scores.truth >= 0)
    return _names(fit_known(known, coverage=names, confidence=None, groups=groups))


def group_observations(sets: PredictionSets) -> tuple[int, int]:
    """Return the observations of species that may be dangerous, and of the others, in a fit."""
    groups = dangerous(sets.species)
    harmful, others = (int(sets.observations[own].max(initial=0)) for own in (groups, ~groups))
    return harmful, others


def _names(sets: PredictionSets) -> PredictionSets:
    """Return sets that give a single species only with `MIN_SINGLE_NAME`.

    A network with more coverage than requested would name one of two equally probable species.
    """
    return replace(sets, thresholds=np.maximum(sets.thresholds, MIN_SINGLE_NAME))


def guarantees_from_dict(values: dict[str, Any], species: SpeciesList) -> Guarantees:
    """Return the guarantees of `Guarantees.as_dict`.

    Raises:
        ValueError, KeyError, TypeError: a value is missing or of the wrong kind.
        InputError: the numbers are of other species, or one is impossible.
    """
    return Guarantees(**{name: sets_from_dict(part, species) for name, part in values.items()})


def sets_as_dict(sets: PredictionSets) -> dict[str, Any]:
    """Return sets as JSON values for `sets_from_dict`."""
    return {
        "coverage": sets.coverage,
        "confidence": sets.confidence,
        "observations": sets.observations.tolist(),
        "thresholds": [finite_or_none(value) for value in sets.thresholds.tolist()],
    }


def sets_from_dict(values: dict[str, Any], species: SpeciesList) -> PredictionSets:
    """Return the sets of `sets_as_dict`.

    Raises:
        ValueError, KeyError, TypeError: a value is missing or of the wrong kind.
        InputError: the numbers are of other species, or one is impossible.
    """
    confidence = values["confidence"]
    return PredictionSets(
        species=species,
        coverage=float(values["coverage"]),
        thresholds=np.array([infinite_if_none(x) for x in values["thresholds"]], np.float64),
        observations=np.array(values["observations"], np.int64),
        confidence=None if confidence is None else float(confidence),
    )


def finite_or_none(value: float) -> float | None:
    """Return a threshold for JSON, which has no infinity: None."""
    return float(value) if np.isfinite(value) else None


def infinite_if_none(value: float | None) -> float:
    """Return the threshold of `finite_or_none`."""
    return np.inf if value is None else float(value)
