"""Simulated worlds of snakes, their photos and a classifier, for `guarantees.py`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import torch
from sklearn.linear_model import LogisticRegression

from ophis import Scores, SpeciesList
from ophis.train.out_of_distribution import ood_model_from_features

if TYPE_CHECKING:
    from numpy.typing import NDArray

# Of long-tailed frequency, from common to rare; a third of the snakes is venomous.
HARMLESS = (
    "Thamnophis sirtalis", "Nerodia sipedon", "Pantherophis obsoletus", "Storeria dekayi",
    "Coluber constrictor", "Diadophis punctatus", "Lampropeltis getula", "Pituophis catenifer",
    "Pantherophis guttatus", "Opheodrys aestivus", "Nerodia rhombifer", "Thamnophis radix",
    "Carphophis amoenus", "Rhinocheilus lecontei", "Farancia abacura", "Python regius",
)  # fmt: skip
VENOMOUS = (
    "Agkistrodon contortrix", "Crotalus atrox", "Agkistrodon piscivorus", "Crotalus horridus",
    "Sistrurus miliarius", "Micrurus fulvius", "Crotalus viridis", "Naja naja",
)  # fmt: skip
SPECIES = SpeciesList(HARMLESS + VENOMOUS)
VENOMOUS_FRACTION = 1 / 3
DIMENSIONS = 8
SNAKE_FRACTION = 0.97  # of the variance around a species: the snake's own; the rest is the photo's
# Of a network that memorises its photos.
FEATURES, FEATURE_NOISE, TRAINING_PHOTOS, WEAK_PENALTY = 128, 3.5, 900, 10.0
CONFIDENCE = 1.5  # factor of the logits: the network is overconfident


@dataclass(frozen=True, eq=False)
class World:
    """Normal points around a point for each species, and the exact classifier, overconfident.

    Attributes:
        centres: [species, DIMENSIONS].
        frequencies: p(species), [species].
        noise: standard deviation of a photo around its species.
    """

    centres: NDArray[np.float64]
    frequencies: NDArray[np.float64]
    noise: float

    def photos(
        self,
        rng: np.random.Generator,
        *,
        snakes: int,
        photos: int = 1,
        venomous: bool = False,
    ) -> Scores:
        """Return scores of new snakes with some photos each.

        Args:
            rng: of snakes and photos.
            snakes: number of snakes, which are the observations.
            photos: of each snake.
            venomous: only venomous snakes.
        """
        p = np.where(np.arange(len(SPECIES)) >= len(HARMLESS) * venomous, self.frequencies, 0)
        truth = np.repeat(rng.choice(len(SPECIES), size=snakes, p=p / p.sum()), photos)
        points = self.centres[truth] + self.noise * _correlated(rng, snakes, photos, DIMENSIONS)
        ids = rng.integers(2**62, size=snakes)
        return Scores(
            logits=CONFIDENCE * self._log_posterior(points),
            species=SPECIES,
            photo_ids=tuple(f"{snake}-{n}" for snake in ids for n in range(photos)),
            truth=truth,
            countries=("UNKNOWN",) * len(truth),
            observations=tuple(str(snake) for snake in ids for _ in range(photos)),
            ood_score=np.exp(0.3 * _correlated(rng, snakes, photos, 1)[:, 0]),
        )

    def _log_posterior(self, points: NDArray[np.float64]) -> NDArray[np.float64]:
        squares = (self.centres**2).sum(axis=1) - 2 * points @ self.centres.T
        return np.log(self.frequencies) - squares / (2 * self.noise**2)


def world(seed: int, *, noise: float = 0.8) -> World:
    """Return a world with species of its own."""
    rng = np.random.default_rng(seed)
    frequencies = [
        fraction * tail / tail.sum()
        for names, fraction in (
            (HARMLESS, 1 - VENOMOUS_FRACTION),
            (VENOMOUS, VENOMOUS_FRACTION),
        )
        for tail in [1 / np.arange(1, len(names) + 1)]
    ]
    centres = rng.normal(size=(len(SPECIES), DIMENSIONS))
    return World(centres, np.concatenate(frequencies), noise)


def memorised(seed: int) -> tuple[Scores, Scores, Scores]:
    """Return scores of training photos, of validation photos and of new snakes.

    The network is a linear head on more features than photos, almost without regularisation, with
    the out-of-distribution model that training fits.
    """
    rng = np.random.default_rng(seed)
    centres = rng.normal(size=(len(SPECIES), FEATURES))
    p = world(seed).frequencies

    def photos(number: int) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
        truth = rng.choice(len(SPECIES), size=number, p=p)
        truth[: len(SPECIES)] = np.arange(len(SPECIES))
        points = centres[truth] + FEATURE_NOISE * rng.normal(size=(number, FEATURES))
        return points, truth

    train = photos(TRAINING_PHOTOS)
    head = LogisticRegression(C=WEAK_PENALTY, max_iter=1000).fit(*train)
    ood = ood_model_from_features(*train, species=len(SPECIES))

    def scores(name: str, points: NDArray[np.float64], truth: NDArray[np.int64]) -> Scores:
        ids = tuple(f"{name} {n}" for n in range(len(truth)))
        return Scores(
            logits=head.decision_function(points),
            species=SPECIES,
            photo_ids=ids,
            truth=truth,
            countries=("UNKNOWN",) * len(ids),
            observations=ids,
            ood_score=ood(torch.from_numpy(points)).numpy().astype(np.float64),
        )

    unseen = photos(TRAINING_PHOTOS)
    return scores("train", *train), scores("validation", *unseen), scores("new", *photos(1000))


def _correlated(
    rng: np.random.Generator, snakes: int, photos: int, dimensions: int
) -> NDArray[np.float64]:
    """Return normal values, [snakes * photos, dimensions], alike in the photos of a snake."""
    snake = np.repeat(rng.normal(size=(snakes, dimensions)), photos, axis=0)
    photo = rng.normal(size=(snakes * photos, dimensions))
    return np.sqrt(SNAKE_FRACTION) * snake + np.sqrt(1 - SNAKE_FRACTION) * photo
