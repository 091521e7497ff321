"""Split of validation scores: one half to fit on, one half to calibrate guarantees on."""

from __future__ import annotations

from hashlib import sha256
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from ophis.scores.scores import Scores

MIN_FITTING_PHOTOS = (
    50  # labelled photos; with fewer, a bundle's calibration and prior keep defaults
)


def validation_halves(scores: Scores) -> tuple[Scores, Scores]:
    """Return one half to fit calibration and prior on, and one half to fit the guarantees on.

    A guarantee does not hold on photos that the calibration or the prior is fitted on. Photos of
    one observation stay in one half. The observations of each species are taken in the order of
    their SHA-256 digests and alternate between the halves, so that each half has half of every
    species. The order of rows has no effect.
    """
    strata: dict[str, list[str]] = {}
    for observation, species in _species_of(scores).items():
        strata.setdefault(species, []).append(observation)
    first: set[str] = set()
    for species, observations in strata.items():
        # A species with one observation is as often in one half as in the other.
        start = _digest(species)[0] % 2
        first.update(sorted(observations, key=_digest)[start::2])
    in_first = np.array([name in first for name in scores.observations], bool)
    return scores.take(in_first), scores.take(~in_first)


def _species_of(scores: Scores) -> dict[str, str]:
    """Return the species of each observation; "" if none of its photos has one."""
    found: dict[str, str] = {}
    for observation, column in zip(scores.observations, scores.truth.tolist(), strict=True):
        species = scores.species[column] if column >= 0 else ""
        found[observation] = max(species, found.get(observation, ""))
    return found


def _digest(name: str) -> bytes:
    return sha256(name.encode()).digest()
