"""Guarantees by conformal prediction: for the set of names, and for the danger verdict."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from ophis.decision.conformal import PredictionSets, fit_known, fit_sets
from ophis.errors import InputError, require_numbers
from ophis.taxonomy.danger import dangerous

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from ophis.scores.scores import Scores
    from ophis.taxonomy.species_list import SpeciesList

NAMES_COVERAGE = 0.95  # of the true species by the set of names; no rule has less
DANGER_COVERAGE = 0.99  # of venomous snakes by the danger verdict; no rule has less
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
        names: coverage of the true species by the set of names, on average over fits, below 1 and
            at least `NAMES_COVERAGE`.
        danger: fraction of venomous snakes that are not excluded, below 1 and at least
            `DANGER_COVERAGE`.
        confidence: of the danger, see `fit_sets`.

    Raises:
        InputError: a probability lies outside its range, or no photo has a known species.
    """
    require_numbers("names", [names], least=NAMES_COVERAGE)
    require_numbers("danger", [danger], least=DANGER_COVERAGE)
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
    return Guarantees(
        names=names_from_dict(values["names"], species, "image.names"),
        danger=sets_from_dict(
            values["danger"], species, field="image.danger", coverage=DANGER_COVERAGE, threshold=0
        ),
    )


def names_from_dict(values: dict[str, Any], species: SpeciesList, field: str) -> PredictionSets:
    """Return sets of names of `sets_as_dict`; raises as `sets_from_dict` does."""
    return sets_from_dict(
        values, species, field=field, coverage=NAMES_COVERAGE, threshold=MIN_SINGLE_NAME
    )


def sets_as_dict(sets: PredictionSets) -> dict[str, Any]:
    """Return sets as JSON values for `sets_from_dict`."""
    return {
        "coverage": sets.coverage,
        "confidence": sets.confidence,
        "observations": sets.observations.tolist(),
        "thresholds": [finite_or_none(value) for value in sets.thresholds.tolist()],
    }


def sets_from_dict(
    values: dict[str, Any],
    species: SpeciesList,
    *,
    field: str,
    coverage: float,
    threshold: float,
) -> PredictionSets:
    """Return the sets of `sets_as_dict`.

    Args:
        values: the JSON values.
        species: species list of the numbers.
        field: their place in the file, for messages.
        coverage: least coverage that a fit has.
        threshold: lowest threshold that a fit has.

    Raises:
        ValueError, KeyError, TypeError: a value is missing or of the wrong kind.
        InputError: the numbers are of other species, or one is impossible.
    """
    numbers = list(values["observations"])
    require_numbers(f"{field}.coverage", [values["coverage"]], least=coverage)
    require_numbers(f"{field}.observations", numbers, least=0)
    finite = [x for x in values["thresholds"] if x is not None]
    require_numbers(f"{field}.thresholds", finite, least=threshold)
    if (confidence := values["confidence"]) is not None:
        require_numbers(f"{field}.confidence", [confidence], least=0)
    try:
        return PredictionSets(
            species=species,
            coverage=float(values["coverage"]),
            thresholds=np.array([infinite_if_none(x) for x in values["thresholds"]], np.float64),
            observations=np.array(numbers, np.int64),
            confidence=None if confidence is None else float(confidence),
        )
    except InputError as error:
        raise InputError(f"`{field}`: {error}") from None


def finite_or_none(value: float) -> float | None:
    """Return a threshold for JSON, which has no infinity: None."""
    return float(value) if np.isfinite(value) else None


def infinite_if_none(value: float | None) -> float:
    """Return the threshold of `finite_or_none`."""
    return np.inf if value is None else float(value)
