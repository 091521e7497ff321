"""Which snake is on which photo: a long tail of kinds, each in its own countries."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ophis.datasets.synthetic.species import KINDS, DrawnKind
from ophis.errors import InputError

FEWEST_PER_KIND = 3
FEWEST_PHOTOS = FEWEST_PER_KIND * len(KINDS)
MOST_PHOTOS = 99_999  # five digits in a file name
_RAREST_SHARE = 1 / 17.5  # photos of the rarest kind to those of the most frequent
_UNKNOWN_SHARE = 0.08
_SNAKE_PHOTOS = (1, 2, 3)
_SNAKE_SHARES = (0.76, 0.16, 0.08)


@dataclass(frozen=True)
class Sighting:
    """One row of the manifest: photo ``number`` shows snake ``snake``."""

    number: int  # from 0
    kind: DrawnKind
    country: str
    snake: int

    @property
    def photo(self) -> str:
        """Path of the picture inside the sample's folder."""
        return f"photos/synthetic-{self.number + 1:05d}.jpg"

    @property
    def observation(self) -> str:
        """Name of the snake: its photos share it."""
        return f"snake-{self.snake + 1:05d}"


def sightings(photos: int, *, seed: int) -> list[Sighting]:
    """Decide kind, country and snake of every photo, in an order that tells nothing.

    Raises:
        InputError: when ``photos`` or ``seed`` is outside its range.
    """
    if not FEWEST_PHOTOS <= photos <= MOST_PHOTOS:
        raise InputError(
            f"photos: {photos} is outside {FEWEST_PHOTOS} to {MOST_PHOTOS}; each of the"
            f" {len(KINDS)} drawn kinds needs {FEWEST_PER_KIND}"
        )
    if seed < 0:
        raise InputError(f"seed: {seed} is negative; give 0 or more")
    rng = np.random.default_rng((seed, 0))
    snakes = [
        (kind, _country(kind, rng), size)
        for kind, count in zip(KINDS, kind_counts(photos), strict=True)
        for size in _snake_sizes(count, rng)
    ]
    snakes = [snakes[row] for row in rng.permutation(len(snakes))]
    owners = np.repeat(np.arange(len(snakes)), [size for _, _, size in snakes])
    return [
        Sighting(number, snakes[snake][0], snakes[snake][1], int(snake))
        for number, snake in enumerate(rng.permutation(owners))
    ]


def kind_counts(photos: int) -> list[int]:
    """Photos of each kind, most frequent first: a geometric tail, at least three each."""
    shares = _RAREST_SHARE ** np.linspace(0, 1, len(KINDS))
    counts = np.maximum(np.round(photos * shares / shares.sum()).astype(int), FEWEST_PER_KIND)
    while (excess := int(counts.sum()) - photos) != 0:
        # The most frequent kind gives or takes what rounding left over, never below the floor.
        change = min(excess, int(counts.max()) - FEWEST_PER_KIND) if excess > 0 else excess
        counts[counts.argmax()] -= change
    return sorted(counts.tolist(), reverse=True)


def _snake_sizes(count: int, rng: np.random.Generator) -> list[int]:
    """Split the photos of a kind into snakes, so that a split by snake still leaves two sides."""
    sizes: list[int] = []
    while (left := count - sum(sizes)) > 0:
        most = max(1, min(left, count // FEWEST_PER_KIND))
        sizes.append(min(most, int(rng.choice(_SNAKE_PHOTOS, p=_SNAKE_SHARES))))
    return sizes


def _country(kind: DrawnKind, rng: np.random.Generator) -> str:
    if rng.random() < _UNKNOWN_SHARE:
        return "UNKNOWN"
    return str(rng.choice(list(kind.countries), p=list(kind.countries.values())))
