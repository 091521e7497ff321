"""Mixture of priors for a place near borders: p(s | place) = sum over c of w_c p(s | c)."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from ophis.errors import InputError
from ophis.priors.prior import Prior, PriorUse

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from numpy.typing import NDArray

    from ophis.taxonomy.species_list import SpeciesList

_ROUNDING = 1e-6


@dataclass(frozen=True, eq=False)
class MixedPrior(Prior):
    """Prior at one place; the countries of photos are ignored.

    Attributes:
        species: the columns, those of the prior.
        prior: prior of each country.
        weights: weight of each country, by key; above 0, summing to 1.

    Raises:
        InputError: when the weights are not above 0 or do not sum to 1.
    """

    species: SpeciesList = field(init=False)
    prior: Prior
    weights: Mapping[str, float]

    def __post_init__(self) -> None:
        object.__setattr__(self, "species", self.prior.species)
        weights = list(self.weights.values())
        if not all(weight > 0 for weight in weights) or abs(sum(weights) - 1) > _ROUNDING:
            raise InputError(f"weights {dict(self.weights)} should be above 0 and sum to 1")

    @property
    def temperature(self) -> float:
        """Temperature of the prior."""
        return self.prior.temperature

    def spelling(self, country: str) -> str:
        """Return the key of a country in the prior."""
        return self.prior.spelling(country)

    def merged(self) -> list[tuple[str, ...]]:
        """Return the merged names of the prior."""
        return self.prior.merged()

    def log_factors(self, country: str) -> tuple[NDArray[np.float64], PriorUse]:  # noqa: ARG002
        """Return the logarithm of the weighted mean factor, and the use of the heaviest country.

        A country without a training photo has no p(s | c) in the paper's prior and is left out.
        """
        unseen = (PriorUse.UNSEEN, PriorUse.NO_COUNTRY)
        found = {key: self.prior.log_factors(key) for key in self.weights}
        seen = [key for key, (_, use) in found.items() if use not in unseen]
        if not seen:
            return np.zeros(len(self.species)), PriorUse.UNSEEN
        weights = np.array([self.weights[key] for key in seen])
        factors = np.array([found[key][0] for key in seen])
        mean = np.logaddexp.reduce(np.log(weights / weights.sum())[:, None] + factors)
        return mean, found[max(seen, key=self.weights.__getitem__)][1]

    def ratios(self, country: str) -> NDArray[np.float64]:  # noqa: ARG002
        """Return the weighted mean of the countries' ratios."""
        return np.sum([w * self.prior.ratios(key) for key, w in self.weights.items()], axis=0)

    def overridden(self, country: str) -> bool:  # noqa: ARG002
        """Return True if there are overrides for one of the countries."""
        return any(map(self.prior.overridden, self.weights))

    def describe(self) -> str:
        """Return a short description."""
        return f"{self.prior.describe()}, at a place in {len(self.weights)} countries"

    def write(self, path: str | Path) -> Path:
        """Raise an error, because a mixture belongs to one place.

        Raises:
            InputError: always.
        """
        raise InputError(f"{path}: the prior of one place is not written; write that of countries")
