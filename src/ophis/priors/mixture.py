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
        shares: of the countries, by key; above 0, summing to 1.

    Raises:
        InputError: they are not.
    """

    species: SpeciesList = field(init=False)
    prior: Prior
    shares: Mapping[str, float]

    def __post_init__(self) -> None:
        object.__setattr__(self, "species", self.prior.species)
        shares = list(self.shares.values())
        if not all(share > 0 for share in shares) or abs(sum(shares) - 1) > _ROUNDING:
            raise InputError(f"shares {dict(self.shares)} should be above 0 and sum to 1")

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
        """Logarithm of the shares' mean of the factors, and the use of the largest share.

        A country of which the paper's prior has seen no photo has no p(s | c) and is left out.
        """
        unseen = (PriorUse.UNSEEN, PriorUse.NO_COUNTRY)
        found = {key: self.prior.log_factors(key) for key in self.shares}
        seen = [key for key, (_, use) in found.items() if use not in unseen]
        if not seen:
            return np.zeros(len(self.species)), PriorUse.UNSEEN
        weights = np.array([self.shares[key] for key in seen])
        factors = np.array([found[key][0] for key in seen])
        mean = np.logaddexp.reduce(np.log(weights / weights.sum())[:, None] + factors)
        return mean, found[max(seen, key=self.shares.__getitem__)][1]

    def ratios(self, country: str) -> NDArray[np.float64]:  # noqa: ARG002
        """The shares' mean of those of each country."""
        return np.sum([w * self.prior.ratios(key) for key, w in self.shares.items()], axis=0)

    def overridden(self, country: str) -> bool:  # noqa: ARG002
        """Return True if there are overrides for one of the countries."""
        return any(map(self.prior.overridden, self.shares))

    def what_it_is(self) -> str:
        """Return a short description."""
        return f"{self.prior.what_it_is()}, at a place in {len(self.shares)} countries"

    def write(self, path: str | Path) -> Path:
        """Raise an error, because a mixture belongs to one place.

        Raises:
            InputError: always.
        """
        raise InputError(f"{path}: the prior of one place is not written; write that of countries")
