"""Prior by Bayes' rule: p(s | x, c) is proportional to p(s | x) p(s | c) / p(s).

The network's p(s | x) already contains the frequency p(s) of each species in training. The paper's
Eq. 2 multiplies by p(s | c) alone, which counts that frequency twice, and excludes species without
a training photo from a country. Here p(s | c) is smoothed: country by continent, continent by
world, and by range maps.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from ophis.errors import InputError
from ophis.geography.countries import (
    UNKNOWN,
    code_or_key,
    continent,
    country_code,
    country_key,
    same_country,
)
from ophis.priors.country_counts import CountryPrior, read_counts
from ophis.priors.effect import PriorUse
from ophis.priors.overrides import overrides_by_country, read_overrides, write_overrides
from ophis.priors.prior import Prior, part_of, write_settings
from ophis.priors.range_maps import RangeMap, read_range_map

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

    from ophis.priors.overrides import CountryOverrides, Override
    from ophis.taxonomy.species_list import SpeciesList


@dataclass(frozen=True, kw_only=True)
class Settings:
    """Smoothing of p(s | c); fitted on validation scores by `smoothing.fit_bayes`.

    Attributes:
        country_photos: pseudo-photos of a country, distributed as on its continent.
        continent_photos: pseudo-photos of a continent, distributed as in the world.
        range_map_photos: a species that lives in a country counts as if it had so many photos
            more there; a species that the range map does not contain, too. Without a range map it
            has no effect.
        wrong_country_fraction: fraction w of photos whose country is assumed to be wrong, with
            species as in the world: p(s | c) is at least w p(s), except by overrides, and a factor
            at least w p(s)^(1 - world_exponent): w by Bayes' rule.
        world_exponent: exponent of p(s) in the divisor: 1 is Bayes' rule, 0 the paper's product.
        temperature: divides the logits of the image before the product, because an overconfident
            network would outweigh the country.
    """

    country_photos: float = 30.0
    continent_photos: float = 30.0
    range_map_photos: float = 0.1
    wrong_country_fraction: float = 0.03
    world_exponent: float = 1.0
    temperature: float = 1.0

    def __post_init__(self) -> None:
        for name, value in vars(self).items():
            if not 0 <= value < np.inf:
                raise InputError(f"{name} = {value} should be a number, not below 0")
        for name in ("wrong_country_fraction", "world_exponent"):
            if getattr(self, name) > 1:
                raise InputError(f"{name} = {getattr(self, name)} should be at most 1")
        for name in ("country_photos", "continent_photos", "temperature"):
            if getattr(self, name) == 0:
                raise InputError(f"{name} should be above 0")


@dataclass(frozen=True, eq=False)
class BayesPrior(Prior):
    """Smoothed p(s | c) over p(s).

    Attributes:
        species: the columns, those of the counts.
        counts: training photos by country and species.
        settings: smoothing.
        range_map: countries of each species, or None.
        overrides: values of p(s | c) that replace smoothed ones.

    Raises:
        InputError: an override is invalid, or the range map has none of the species.
    """

    species: SpeciesList = field(init=False)
    counts: CountryPrior
    settings: Settings = Settings()
    range_map: RangeMap | None = None
    overrides: tuple[Override, ...] = ()

    def __post_init__(self) -> None:
        object.__setattr__(self, "species", self.counts.species)
        _ = self._overrides  # validates them
        if self.range_map:
            self.range_map.require_one_of(self.species)

    @property
    def temperature(self) -> float:
        """Temperature of the settings."""
        return self.settings.temperature

    def describe(self) -> str:
        """Return a short description."""
        settings = ", ".join(f"{name} {value:g}" for name, value in vars(self.settings).items())
        return f"Bayes' rule with smoothed p(species | country) ({settings})"

    def merged(self) -> list[tuple[str, ...]]:
        """Return groups of names that mean one country and are counted as one."""
        return same_country(self.counts.countries)

    def spelling(self, country: str) -> str:
        """Return the name of a country in the training table: "australia" for "au"."""
        return self.counts.spelling(country)

    def probability(self, country: str) -> NDArray[np.float64]:
        """Return smoothed p(s | c), [species]; it is above 0 except by overrides, and sums to 1."""
        return self._smoothed(country, wrong_country_fraction=self.settings.wrong_country_fraction)

    def mean_probability(self, weights: Mapping[str, float]) -> NDArray[np.float64]:
        """Return the mean of p(s | c) over countries with weights that sum to 1, [species]."""
        parts = [weight * self.probability(country) for country, weight in weights.items()]
        return np.sum(parts, axis=0)

    def _smoothed(self, country: str, *, wrong_country_fraction: float) -> NDArray[np.float64]:
        settings = self.settings
        here = self._here(country)
        if code := country_code(country):
            here = here + settings.range_map_photos * self._lives(code)
        above = self._of_continent(continent(country))
        p = (here + settings.country_photos * above) / (here.sum() + settings.country_photos)
        p = (1 - wrong_country_fraction) * p + wrong_country_fraction * self.world
        overrides = self._overrides.get(code_or_key(country))
        return overrides.applied(p, above) if overrides else p

    @cached_property
    def world(self) -> NDArray[np.float64]:
        """p(s) of the training photos, with one pseudo-photo of each species, [species]."""
        photos = self.counts.counts.sum(axis=0) + 1.0
        return photos / photos.sum()

    def log_factors(self, country: str) -> tuple[NDArray[np.float64], PriorUse]:
        """Return log p(s | c) - ``world_exponent`` * log p(s), and the use of the country."""
        use = PriorUse.UNKNOWN if country_key(country) == UNKNOWN else PriorUse.WEIGHED
        if not self._here(country).any():
            seen = continent(country) in self._continents
            use = PriorUse.CONTINENT if seen else PriorUse.WORLD
        return self.log_ratio(self.probability(country)), use

    def log_ratio(self, probability: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return log p(s | c) - ``world_exponent`` * log p(s), [species], of any p(s | c)."""
        with np.errstate(divide="ignore"):  # an override may exclude a species
            p = np.log(probability)
        return p - self.settings.world_exponent * np.log(self.world)

    def ratios(self, country: str) -> NDArray[np.float64]:
        """Return p(s | c) / p(s), with the country assumed to be right."""
        if country_key(country) == UNKNOWN:
            return np.ones(len(self.species))
        return self._smoothed(country, wrong_country_fraction=0.0) / self.world

    def overridden(self, country: str) -> bool:
        """Return True if there are overrides for a country, under any of its names."""
        return code_or_key(country) in self._overrides

    def columns_overridden(self, country: str) -> NDArray[np.bool_]:
        """Return the species that have an override in a country, [species]."""
        columns = np.zeros(len(self.species), np.bool_)
        if overrides := self._overrides.get(code_or_key(country)):
            columns[list(overrides.columns)] = True
        return columns

    def write(self, path: str | Path) -> Path:
        """Write `NAME.toml` and its tables: counts, range map and overrides.

        Raises:
            InputError: the name does not end in .toml, or the file cannot be written.
        """
        return self.write_with(Path(path), {"kind": "bayes"})

    def write_with(self, path: Path, settings: Mapping[str, Any]) -> Path:
        """Write the prior with further settings of a prior that contains it, ``kind`` first."""
        parts = {"range_map": self.range_map is not None, "overrides": bool(self.overrides)}
        write_settings(path, {**settings, **vars(self.settings), **parts})
        self.counts.write(path.with_suffix(".csv"))
        if self.range_map:
            self.range_map.write(part_of(path, "range_map"))
        if self.overrides:
            write_overrides(self.overrides, part_of(path, "overrides"))
        return path

    def _here(self, country: str) -> NDArray[np.float64]:
        """Return the training photos of each species in a country, under all its names."""
        return self._photos.get(code_or_key(country), self._none)

    @cached_property
    def _overrides(self) -> dict[str, CountryOverrides]:
        return overrides_by_country(self.overrides, self.species)

    @cached_property
    def _none(self) -> NDArray[np.float64]:
        return np.zeros(len(self.species))

    @cached_property
    def _photos(self) -> dict[str, NDArray[np.float64]]:
        """Photos by ISO code, or by key for a name without a code."""
        photos: dict[str, NDArray[np.float64]] = {}
        for name, row in zip(self.counts.countries, self.counts.counts, strict=True):
            place = code_or_key(name)
            photos[place] = photos.get(place, 0) + row
        return photos

    def _of_continent(self, name: str | None) -> NDArray[np.float64]:
        """Return p(s) on a continent, smoothed by the world; p(s) of the world for None."""
        if name not in self._continents:
            return self.world
        photos, more = self._continents[name], self.settings.continent_photos
        return (photos + more * self.world) / (photos.sum() + more)

    @cached_property
    def _continents(self) -> dict[str | None, NDArray[np.float64]]:
        photos: dict[str | None, NDArray[np.float64]] = {}
        for place, row in self._photos.items():
            if place != UNKNOWN and (name := continent(place)):
                photos[name] = photos.get(name, 0) + row
        return photos

    def _lives(self, code: str) -> NDArray[np.float64]:
        """Return 0 for species that the range map excludes from a country, else 1, [species]."""
        if self.range_map is None or code not in self.range_map.countries:
            return self._none
        return (~self.range_map.absent(self.species, code)).astype(np.float64)


def bayes_prior(path: Path, settings: dict[str, Any], species: SpeciesList | None) -> BayesPrior:
    """Return the prior that `BayesPrior.write` wrote; see `prior_file.read_prior`."""
    range_map, overrides = settings.pop("range_map"), settings.pop("overrides")
    return BayesPrior(
        read_counts(path.with_suffix(".csv"), species),
        Settings(**settings),
        read_range_map(part_of(path, "range_map")) if range_map else None,
        read_overrides(part_of(path, "overrides")) if overrides else (),
    )
