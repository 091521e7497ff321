"""Prior for a place: p(species | place), and its product with the image's probabilities."""

from __future__ import annotations

import json
from abc import ABC, abstractmethod
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np

from ophis.errors import InputError
from ophis.files.atomic import whole_file
from ophis.files.blocks import row_blocks
from ophis.priors.effect import PriorEffect, PriorUse
from ophis.scores.scores import log_probabilities
from ophis.taxonomy.species_list import require_same_species

if TYPE_CHECKING:
    from collections.abc import KeysView, Mapping, Sequence
    from pathlib import Path

    from numpy.typing import NDArray

    from ophis.geography.location import Place
    from ophis.priors.records import Nearby
    from ophis.scores.scores import Scores
    from ophis.taxonomy.species_list import SpeciesList

# Likelihood ratio of a photo below which it contradicts its country.
CONTRADICTION = 0.05


@dataclass(frozen=True, eq=False)
class Prior(ABC):
    """Prior: factors for the probabilities of species, given a country.

    Attributes:
        species: the columns.
    """

    species: SpeciesList

    @abstractmethod
    def log_factors(self, country: str) -> tuple[NDArray[np.float64], PriorUse]:
        """Return the terms added to the log-probabilities of a photo from a country, [species].

        Args:
            country: a key, as `places.country_key` writes it.
        """

    @abstractmethod
    def ratios(self, country: str) -> NDArray[np.float64]:
        """Return p(s | country) / p(s), [species]; 1 where species or country are unknown.

        Args:
            country: a key.
        """

    def at(self, place: Place) -> Prior | None:
        """Return the prior of a place, itself for one country; None if it uses nothing of it."""
        if len(place.weights) > 1:
            return MixedPrior(self, place.weights)
        return self if place.weights else None

    def nearby(self, place: Place) -> Nearby | None:  # noqa: ARG002 - priors with records use it
        """Return the records around a position; None without a position or without records."""
        return None

    def overridden(self, country: str) -> bool:  # noqa: ARG002 - priors with overrides use it
        """Return True if prior overrides for a country apply."""
        return False

    def factors_of(
        self, countries: Sequence[str]
    ) -> tuple[NDArray[np.float64], NDArray[np.object_]]:
        """Return `log_factors` of each photo's country, [photos, species], and use, [photos]."""
        factors, uses, rows = self._by_country(countries)
        return factors[rows], uses[rows]

    def _by_country(
        self, countries: Sequence[str]
    ) -> tuple[NDArray[np.float64], NDArray[np.object_], NDArray[np.int64]]:
        """Return `log_factors` and use of each distinct country, and its number for each photo."""
        rows, names = numbered(countries)
        for name in names - self._found.keys():
            self._found[name] = self.log_factors(name)
        found = [self._found[name] for name in names]
        factors = np.array([factors for factors, _ in found]).reshape(-1, len(self.species))
        return factors, np.array([use for _, use in found], dtype=object), rows

    @cached_property
    def _found(self) -> dict[str, tuple[NDArray[np.float64], PriorUse]]:
        """Cache of `log_factors` by country, for many blocks of photos."""
        return {}

    @abstractmethod
    def describe(self) -> str:
        """Return a short description for the model card."""

    @abstractmethod
    def write(self, path: str | Path) -> Path:
        """Write the prior for `read_prior`."""

    @property
    def suffix(self) -> str:
        """Suffix of the file that `write` writes."""
        return ".toml"

    @property
    def temperature(self) -> float:
        """Temperature that divides the logits of the image before the product."""
        return 1.0

    def spelling(self, country: str) -> str:
        """Return the key of a country in this prior."""
        return country

    def merged(self) -> list[tuple[str, ...]]:
        """Return groups of names that mean one country and are counted as one."""
        return []

    def adjust(self, scores: Scores) -> Scores:
        """Multiply by the factors and normalise over the species; see `adjust_with_effect`."""
        return replace(scores, logits=self._joint(scores)[0])

    def adjust_with_effect(self, scores: Scores) -> tuple[Scores, tuple[PriorEffect, ...]]:
        """Multiply by the factors, and return the effect of the country on each photo.

        Where the product is zero for every species, the image's probabilities are kept.

        Returns:
            Scores whose logits are float64, -inf where a factor is zero, and the effect on each
            photo.

        Raises:
            InputError: the species of scores and prior differ in name or order.
        """
        joint, use = self._joint(scores)
        image = scores.logits / np.float64(self.temperature)
        contradicts = self.likelihood(image, scores.countries) < CONTRADICTION
        overridden = {country: self.overridden(country) for country in set(scores.countries)}
        effects = (
            PriorEffect(kind, bool(odd), overridden[country])
            for kind, odd, country in zip(use, contradicts, scores.countries, strict=True)
        )
        return replace(scores, logits=joint), tuple(effects)

    def _joint(self, scores: Scores) -> tuple[NDArray[np.float64], NDArray[np.object_]]:
        """Return the logarithm of the product, [photos, species], and the use of the country.

        Not normalised, because a constant added to a row changes nothing.
        """
        self.require_species(scores)
        factors, uses, row_of = self._by_country(scores.countries)
        joint, use = np.empty(scores.logits.shape), uses[row_of]
        for rows in row_blocks(scores.logits):
            image = scores.logits[rows]
            if self.temperature != 1:
                image = image / np.float64(self.temperature)
            part = np.take(factors, row_of[rows], axis=0, out=joint[rows], mode="clip")
            part += image
            excluded = np.isneginf(part.max(axis=1, initial=-np.inf))
            part[excluded] = image[excluded]
            use[rows][excluded] = PriorUse.EXCLUDED
        return joint, use

    def require_species(self, scores: Scores) -> None:
        """Raise an error for scores of other species or another order.

        Raises:
            InputError: the message names the first species that differs.
        """
        require_same_species(
            scores.species,
            self.species,
            names=("the scores", "the prior"),
            fix="fit the prior with the species of the scores",
        )

    def likelihood(
        self, image: NDArray[np.float64], countries: tuple[str, ...]
    ) -> NDArray[np.float64]:
        """Return the likelihood ratio p(x | c) / p(x) of each photo, [photos].

        It is the sum over species of p(s | x) times the `ratios`. Below `CONTRADICTION` the photo
        contradicts its country.

        Args:
            image: logits from the image alone, [photos, species].
            countries: of the photos.
        """
        rows, names = numbered(countries)
        ratios = np.reshape([self.ratios(name) for name in names], (-1, len(self.species)))
        return np.einsum("ps,ps->p", np.exp(log_probabilities(image)), ratios[rows])


@dataclass(frozen=True, eq=False)
class MixedPrior(Prior):
    """Mixture at a place near borders: p(s | place) = sum over c of w_c p(s | c).

    The countries of photos are ignored.

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
        if not all(weight > 0 for weight in weights) or abs(sum(weights) - 1) > 1e-6:
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
        """Raise an error, because a mixture belongs to one place."""
        raise InputError(f"{path}: the prior of one place is not written; write that of countries")


def numbered(names: Sequence[str]) -> tuple[NDArray[np.int64], KeysView[str]]:
    """Return a number for each name, [names], and the distinct names in that order."""
    place = {name: number for number, name in enumerate(dict.fromkeys(names))}
    return np.fromiter(map(place.__getitem__, names), np.int64, len(names)), place.keys()


def write_settings(path: Path, settings: Mapping[str, Any]) -> Path:
    """Write the TOML file of a prior.

    Raises:
        InputError: when the name does not end in .toml, or the place cannot be written.
    """
    if path.suffix != ".toml":
        raise InputError(f"{path}: such a prior is written as .toml, with its tables beside it")
    with whole_file(path) as temporary:
        # Numbers, lists of them, true and false, and plain words are alike in JSON and TOML.
        lines = [f"{name} = {json.dumps(value)}\n" for name, value in settings.items()]
        temporary.write_text("".join(lines), encoding="utf-8")
    return path


def part_of(path: Path, what: str) -> Path:
    """Return the path of a table beside prior.toml, such as prior_range_map.csv."""
    return path.with_name(f"{path.stem}_{what}.csv")
