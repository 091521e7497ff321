"""Prior of a position: p(species | place) from records around it.

Kernel sums of the records replace p(s | country) where there are records: the widest kernel is
smoothed towards the countries around the position, each narrower one towards the wider one. Only
the probability of the recorded species is redistributed, and only among them.
"""

from __future__ import annotations

from dataclasses import dataclass, field, fields
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from ophis.errors import InputError
from ophis.priors.bayes import BayesPrior, bayes_prior
from ophis.priors.effect import PriorUse
from ophis.priors.prior import MixedPrior, Prior, part_of
from ophis.priors.records import Records, read_records, records_file
from ophis.taxonomy.species_list import SpeciesList, require_same_species

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from ophis.geography.location import Place
    from ophis.priors.records import Nearby

MAX_SCALES = 8
_MAX_KM = 2000.0


@dataclass(frozen=True, kw_only=True)
class LocationSettings:
    """Kernels of p(s | place); fitted by `location_fitting.fit_location`.

    Attributes:
        bandwidths_km: standard deviations of the Gaussian kernels, the widest first.
        record_exponent: exponent of the kernel sums; below 1, many records of a species, as those
            of a well-studied area, count for less than their number.
        place_records: pseudo-records of each kernel, distributed as by the wider one, and of the
            widest as in the countries around the position.
    """

    bandwidths_km: tuple[float, ...] = (200.0, 100.0, 50.0, 25.0, 12.5)
    record_exponent: float = 0.5
    place_records: float = 3.0

    def __post_init__(self) -> None:
        widths = self.bandwidths_km
        if not 1 <= len(widths) <= MAX_SCALES or list(widths) != sorted(set(widths))[::-1]:
            raise InputError(
                f"bandwidths_km = {list(widths)} should be 1 to {MAX_SCALES}, the widest first"
            )
        if not all(1 <= width <= _MAX_KM for width in widths):
            raise InputError(f"bandwidths_km = {list(widths)} should be from 1 to {_MAX_KM:g}")
        if not 0 < self.record_exponent <= 1:
            raise InputError(
                f"record_exponent = {self.record_exponent} should be above 0 and at most 1"
            )
        if not 0 < self.place_records < np.inf:
            raise InputError(f"place_records = {self.place_records} should be a number above 0")


@dataclass(frozen=True, eq=False)
class LocationPrior(Prior):
    """Prior of a position by records around it; without a position that of the country.

    Attributes:
        species: the columns, those of the prior by country.
        base: prior by country; its temperature and exponent apply to places too.
        records: records of the species.
        settings: kernels.

    Raises:
        InputError: the species of records and prior differ.
    """

    species: SpeciesList = field(init=False)
    base: BayesPrior
    records: Records
    settings: LocationSettings = LocationSettings()

    def __post_init__(self) -> None:
        object.__setattr__(self, "species", self.base.species)
        require_same_species(
            self.base.species,
            self.records.species,
            names=("the prior by country", "the records"),
            fix="give records of the same species",
        )

    @property
    def temperature(self) -> float:
        """Temperature of the prior by country."""
        return self.base.temperature

    def at(self, place: Place) -> Prior | None:
        """Return the prior of a place: by position if it has one, else as that of the country.

        None without countries, if there is no position or no record within 100 km either.
        """
        found = self.nearby(place)
        if found is None:
            return super().at(place)
        return PlacePrior(self, place, found) if place.weights or found.total else None

    def nearby(self, place: Place) -> Nearby | None:
        """Return the records around a position; None without one."""
        return self.records.near(place.position) if place.position else None

    def log_factors(self, country: str) -> tuple[NDArray[np.float64], PriorUse]:
        """Return those of the prior by country."""
        return self.base.log_factors(country)

    def ratios(self, country: str) -> NDArray[np.float64]:
        """Return those of the prior by country."""
        return self.base.ratios(country)

    def overridden(self, country: str) -> bool:
        """Return True if there are overrides for a country."""
        return self.base.overridden(country)

    def spelling(self, country: str) -> str:
        """Return the name of a country in the counts."""
        return self.base.spelling(country)

    def merged(self) -> list[tuple[str, ...]]:
        """Return groups of names that mean one country and are counted as one."""
        return self.base.merged()

    def describe(self) -> str:
        """Return a short description."""
        widths = ", ".join(f"{width:g}" for width in self.settings.bandwidths_km)
        number = int(self.records.count.sum())
        return (
            f"{self.base.describe()}; with a position by {number:,} records of"
            f" {self.records.known.sum():,} species (kernels of {widths} km)"
        )

    def write(self, path: str | Path) -> Path:
        """Write `NAME.toml` and its tables: those of the prior by country, species and records.

        Raises:
            InputError: the name does not end in .toml, or the file cannot be written.
        """
        path = Path(path)
        self.base.write_with(path, {"kind": "location", **vars(self.settings)})
        self.species.write(part_of(path, "species"))
        self.records.write(records_file(path))
        return path


@dataclass(frozen=True, eq=False)
class PlacePrior(Prior):
    """Prior at one position; the countries of photos are ignored.

    Attributes:
        species: the columns, those of the prior.
        prior: prior of any position.
        place: the position, and the countries around it.
        found: records around the position.
    """

    species: SpeciesList = field(init=False)
    prior: LocationPrior
    place: Place
    found: Nearby = field(repr=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "species", self.prior.species)

    @property
    def temperature(self) -> float:
        """Temperature of the prior by country."""
        return self.prior.temperature

    @cached_property
    def probability(self) -> NDArray[np.float64]:
        """p(s | place), [species]; it is above 0 except by overrides, and sums to 1."""
        weights = self.place.weights
        return self._with_records(
            self._base.mean_probability(weights) if weights else self._base.world
        )

    def log_factors(self, country: str) -> tuple[NDArray[np.float64], PriorUse]:
        """Return log p(s | place) - ``world_exponent`` * log p(s), and the use of the place."""
        if self.found.total or self._around is None:
            use = PriorUse.PLACE
        else:
            use = self._around.log_factors(country)[1]
        return self._base.log_ratio(self.probability), use

    def ratios(self, country: str) -> NDArray[np.float64]:
        """Return p(s | place) / p(s), with the countries assumed to be right."""
        around = 1.0 if self._around is None else self._around.ratios(country)
        return self._with_records(around * self._base.world) / self._base.world

    def overridden(self, country: str) -> bool:
        """Return True if there are overrides for one of the countries around the position."""
        return self._around is not None and self._around.overridden(country)

    def describe(self) -> str:
        """Return a short description."""
        return f"{self.prior.describe()}, at a position"

    def write(self, path: str | Path) -> Path:
        """Raise an error, because the prior belongs to one position."""
        raise InputError(f"{path}: the prior of one place is not written; write that of all places")

    @property
    def _base(self) -> BayesPrior:
        return self.prior.base

    @cached_property
    def _around(self) -> MixedPrior | None:
        """Prior by country of the countries around the position."""
        return MixedPrior(self._base, self.place.weights) if self.place.weights else None

    def _with_records(self, countries: NDArray[np.float64]) -> NDArray[np.float64]:
        """Redistribute the probability of the recorded species by the records, [species].

        Args:
            countries: p(s | the countries around the position), [species].
        """
        free = self._free
        mass = countries[free].sum()
        if not mass > 0:
            return countries
        settings, above = self.prior.settings, countries[free] / mass
        evidence = self._sums[:, free] ** settings.record_exponent
        p = countries.copy()
        p[free] = mass * smoothed_over_scales(above, evidence, settings.place_records)
        return p

    @cached_property
    def _free(self) -> NDArray[np.bool_]:
        """True for species with a record anywhere and without override here, [species]."""
        free = self.prior.records.known.copy()
        for country in self.place.weights:
            free &= ~self._base.columns_overridden(country)
        return free

    @cached_property
    def _sums(self) -> NDArray[np.float64]:
        assert self.place.position is not None
        widths = self.prior.settings.bandwidths_km
        return self.prior.records.kernel_sums(self.place.position, widths)


def smoothed_over_scales(
    countries: NDArray[np.float64], evidence: NDArray[np.float64], place_records: float
) -> NDArray[np.float64]:
    """Return p(s | place) among the recorded species, [..., species]; it sums to 1.

    Args:
        countries: p(s | the countries around the place) among them, [..., species], summing to 1.
        evidence: kernel sums to the power of ``record_exponent``, the widest kernel first,
            [bandwidths, ..., species].
        place_records: see `LocationSettings`.
    """
    here = countries
    for scale in evidence:
        here = (scale + place_records * here) / (scale.sum(axis=-1, keepdims=True) + place_records)
    return here


def location_prior(
    path: Path, settings: dict[str, Any], species: SpeciesList | None
) -> LocationPrior:
    """Return the prior that `LocationPrior.write` wrote; see `prior_file.read_prior`."""
    names = [field.name for field in fields(LocationSettings)]
    location = LocationSettings(**{name: settings.pop(name) for name in names})
    listed = SpeciesList.read(part_of(path, "species"))
    species = species or listed
    base = bayes_prior(path, settings, species)
    return LocationPrior(base, read_records(records_file(path), listed, species), location)
