"""Species, country and snake of every synthetic photo, with a long tail of rare species."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ophis.datasets.synthetic.species import SPECIES, SyntheticSpecies
from ophis.errors import InputError, require_whole

MIN_PHOTOS_PER_SPECIES = 3
MIN_PHOTOS = MIN_PHOTOS_PER_SPECIES * len(SPECIES)
MAX_PHOTOS = 99_999  # five digits in a file name
_RAREST_FRACTION = 1 / 17.5  # photos of the rarest species / photos of the most frequent
_UNKNOWN_FRACTION = 0.08
_SNAKE_PHOTOS = (1, 2, 3)
_SNAKE_FRACTIONS = (0.76, 0.16, 0.08)


@dataclass(frozen=True)
class Sighting:
    """Row of the manifest: photo ``number`` shows snake ``snake``."""

    number: int  # from 0
    species: SyntheticSpecies
    country: str
    snake: int

    @property
    def photo(self) -> str:
        """Path of the photo inside the sample's folder."""
        return f"photos/synthetic-{self.number + 1:05d}.jpg"

    @property
    def observation(self) -> str:
        """Observation id, shared by the photos of one snake."""
        return f"snake-{self.snake + 1:05d}"


def sightings(photos: int, *, seed: int) -> list[Sighting]:
    """Draw species, country and snake of every photo, in random order.

    Raises:
        InputError: when ``photos`` or ``seed`` is outside its range.
    """
    require_whole("count", photos, least=1)
    if not MIN_PHOTOS <= photos <= MAX_PHOTOS:
        raise InputError(
            f"count = {photos} should lie between {MIN_PHOTOS} and {MAX_PHOTOS}; each of the"
            f" {len(SPECIES)} species needs {MIN_PHOTOS_PER_SPECIES} photos"
        )
    require_whole("seed", seed, least=0)
    rng = np.random.default_rng((seed, 0))
    snakes = [
        (species, _country(species, rng), size)
        for species, count in zip(SPECIES, species_counts(photos), strict=True)
        for size in _snake_sizes(count, rng)
    ]
    snakes = [snakes[row] for row in rng.permutation(len(snakes))]
    owners = np.repeat(np.arange(len(snakes)), [size for _, _, size in snakes])
    return [
        Sighting(number, snakes[snake][0], snakes[snake][1], int(snake))
        for number, snake in enumerate(rng.permutation(owners))
    ]


def species_counts(photos: int) -> list[int]:
    """Return the photos of each species, most frequent first: a geometric tail of at least 3."""
    fractions = _RAREST_FRACTION ** np.linspace(0, 1, len(SPECIES))
    counts = np.round(photos * fractions / fractions.sum()).astype(int)
    counts = np.maximum(counts, MIN_PHOTOS_PER_SPECIES)
    while (excess := int(counts.sum()) - photos) != 0:
        # The most frequent species absorbs the rounding error, but keeps the minimum.
        change = min(excess, int(counts.max()) - MIN_PHOTOS_PER_SPECIES) if excess > 0 else excess
        counts[counts.argmax()] -= change
    return sorted(counts.tolist(), reverse=True)


def _snake_sizes(count: int, rng: np.random.Generator) -> list[int]:
    """Split the photos of a species into snakes, at least three, so that they can be split."""
    sizes: list[int] = []
    while (left := count - sum(sizes)) > 0:
        most = max(1, min(left, count // MIN_PHOTOS_PER_SPECIES))
        sizes.append(min(most, int(rng.choice(_SNAKE_PHOTOS, p=_SNAKE_FRACTIONS))))
    return sizes


def _country(species: SyntheticSpecies, rng: np.random.Generator) -> str:
    if rng.random() < _UNKNOWN_FRACTION:
        return "UNKNOWN"
    return str(rng.choice(list(species.countries), p=list(species.countries.values())))
