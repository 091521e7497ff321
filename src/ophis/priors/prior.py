"""What the country says of the species: p(species | country), and its product with the image."""

from __future__ import annotations

import json
from abc import ABC, abstractmethod
from dataclasses import dataclass, replace
from enum import StrEnum
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np

from ophis.errors import InputError
from ophis.files.atomic import whole_file
from ophis.files.blocks import row_blocks
from ophis.scores.scores import log_probabilities
from ophis.taxonomy.species_list import require_same_species

if TYPE_CHECKING:
    from collections.abc import KeysView, Mapping, Sequence
    from pathlib import Path

    from numpy.typing import NDArray

    from ophis.scores.scores import Scores
    from ophis.taxonomy.species_list import SpeciesList

# Below this, a photo is as much rarer from the country than from anywhere: worth a word.
CONTRADICTION = 0.05


class PriorUse(StrEnum):
    """What of a country made its factors; the words for it are in `words`."""

    APPLIED = "applied"
    UNKNOWN = "unknown"
    UNSEEN = "unseen"
    EXCLUDED = "excluded"
    WEIGHED = "weighed"
    CONTINENT = "continent"
    WORLD = "world"
    LISTED = "listed"
    UNLISTED = "unlisted"
    NO_COUNTRY = "no country"
    NO_PRIOR = "no prior"


@dataclass(frozen=True)
class PriorEffect:
    """What the country did to an answer.

    Attributes:
        use: what its factors were made of.
        contradicts: whether the photo looks like species that are hardly expected there.
        overridden: whether a person's overrides for the country count in it.
    """

    use: PriorUse
    contradicts: bool = False
    overridden: bool = False


@dataclass(frozen=True, eq=False)
class Prior(ABC):
    """What a country says of the species; in front of it no model is seen.

    Attributes:
        species: the columns.
    """

    species: SpeciesList

    @abstractmethod
    def log_factors(self, country: str) -> tuple[NDArray[np.float64], PriorUse]:
        """What is added to the log-probabilities of a photo from a country: [species].

        Args:
            country: a key, as `places.country_key` writes it.
        """

    @abstractmethod
    def ratios(self, country: str) -> NDArray[np.float64]:
        """How much likelier each species is in a country than anywhere, [species].

        Of a species of which the prior cannot tell, and of a country that is not known: 1.

        Args:
            country: a key.
        """

    def overridden(self, country: str) -> bool:  # noqa: ARG002 - for the priors that have overrides
        """Whether a person's overrides for a country count in its factors."""
        return False

    def factors_of(
        self, countries: Sequence[str]
    ) -> tuple[NDArray[np.float64], NDArray[np.object_]]:
        """`log_factors` of each photo's country, [photos, species], and their use, [photos]."""
        factors, uses, rows = self._by_country(countries)
        return factors[rows], uses[rows]

    def _by_country(
        self, countries: Sequence[str]
    ) -> tuple[NDArray[np.float64], NDArray[np.object_], NDArray[np.int64]]:
        """`log_factors` and use of each distinct country, and which of them each photo has."""
        rows, names = numbered(countries)
        for name in names - self._found.keys():
            self._found[name] = self.log_factors(name)
        found = [self._found[name] for name in names]
        factors = np.array([factors for factors, _ in found]).reshape(-1, len(self.species))
        return factors, np.array([use for _, use in found], dtype=object), rows

    @cached_property
    def _found(self) -> dict[str, tuple[NDArray[np.float64], PriorUse]]:
        """`log_factors` of the countries that were asked for: many blocks of photos ask again."""
        return {}

    @abstractmethod
    def what_it_is(self) -> str:
        """The prior in a few words, for the card of a bundle."""

    @abstractmethod
    def write(self, path: str | Path) -> Path:
        """Write the prior so that `read_prior` reads it back."""

    @property
    def temperature(self) -> float:
        """What the logits of the image are divided with before the country is heard."""
        return 1.0

    def spelling(self, country: str) -> str:
        """A country's key as this prior knows it."""
        return country

    def merged(self) -> list[tuple[str, ...]]:
        """Names that mean one country and are counted together; none where nothing is counted."""
        return []

    def adjust(self, scores: Scores) -> Scores:
        """Multiply by the factors and normalise over the species; see `adjust_with_effect`."""
        return replace(scores, logits=self._joint(scores)[0])

    def adjust_with_effect(self, scores: Scores) -> tuple[Scores, tuple[PriorEffect, ...]]:
        """Multiply, normalise, and say for each photo what the country did.

        Where the product is zero for every species, the image's own probabilities stand: never
        NaN, never an empty answer.

        Returns:
            Scores whose logits are float64, -inf where a factor is zero, and for each photo what
            the country did.

        Raises:
            InputError: when the species of the scores are not those of the prior, in order.
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
        """Logarithm of the product, [photos, species], and what the factors were made of.

        Not normalised: a constant a photo changes nothing. Some rows at a time, while they are in
        the processor's cache.
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
        """Refuse scores whose species are not those of the prior, in order.

        Raises:
            InputError: naming the first species that differs.
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
        """How much likelier each photo is from its country than from anywhere, [photos].

        p(x | c) / p(x), which is the sum over species of p(s | x) times the `ratios`. Below
        `CONTRADICTION` photo and country do not fit together.

        Args:
            image: logits from the image alone, [photos, species].
            countries: of the photos.
        """
        rows, names = numbered(countries)
        ratios = np.reshape([self.ratios(name) for name in names], (-1, len(self.species)))
        return np.einsum("ps,ps->p", np.exp(log_probabilities(image)), ratios[rows])


def numbered(names: Sequence[str]) -> tuple[NDArray[np.int64], KeysView[str]]:
    """A number for each name, [names], and the distinct names in the order of the numbers."""
    place = {name: number for number, name in enumerate(dict.fromkeys(names))}
    return np.fromiter(map(place.__getitem__, names), np.int64, len(names)), place.keys()


def write_settings(path: Path, settings: Mapping[str, str | float | bool]) -> Path:
    """Write the TOML file of a prior.

    Raises:
        InputError: when the name does not end in .toml, or the place cannot be written.
    """
    if path.suffix != ".toml":
        raise InputError(f"{path}: such a prior is written as .toml, with its tables beside it")
    with whole_file(path) as temporary:
        # Numbers, true and false, and plain words are written alike in JSON and TOML.
        lines = [f"{name} = {json.dumps(value)}\n" for name, value in settings.items()]
        temporary.write_text("".join(lines), encoding="utf-8")
    return path


def part_of(path: Path, what: str) -> Path:
    """The table of a part: prior_range_map.csv beside prior.toml."""
    return path.with_name(f"{path.stem}_{what}.csv")
