"""Scores of a simulated network in a small world where country and species are correlated."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import polars as pl

from ophis import CountryPrior, Scores, SpeciesList
from ophis.priors.range_maps import RangeMap

SPECIES = SpeciesList(("adder", "boa", "cobra"))
RANGE_MAP = RangeMap(
    {"adder": frozenset({"FR", "DE"}), "boa": frozenset({"BR"}), "cobra": frozenset({"IN", "NP"})},
    frozenset({"FR", "DE", "BR", "IN", "NP"}),
)


def seen(countries, truth, probabilities) -> Scores:
    """Return scores of photos with these probabilities."""
    names = tuple(f"photo {n}" for n in range(len(countries)))
    return Scores(
        logits=np.log(np.array(probabilities)),
        species=SPECIES,
        photo_ids=names,
        truth=np.array(truth),
        countries=tuple(countries),
        observations=names,
    )


def simulated(photos, seed) -> Scores:
    """Return scores of a calibrated network in a world where country and species are correlated.

    Pictures are noisy one-hot vectors, so that p(s | x) is known exactly.
    """
    rng = np.random.default_rng(seed)
    joint = np.array([[0.6, 0.05, 0.0], [0.02, 0.13, 0.05], [0.1, 0.0, 0.05]])  # countries, species
    cells = rng.choice(9, size=photos, p=joint.ravel())
    places, truth = np.divmod(cells, 3)
    pictures = np.eye(3)[truth] + rng.normal(scale=0.8, size=(photos, 3))
    logits = pictures / 0.8**2 + np.log(joint.sum(axis=0))
    names = ("france", "brazil", "india")
    scores = seen([names[p] for p in places], truth, np.full((photos, 3), 1 / 3))
    return replace(scores, logits=logits)


def learned_from(photos, seed) -> CountryPrior:
    """Return the counts of such photos."""
    return counts_of(simulated(photos, seed))


def counts_of(scores) -> CountryPrior:
    """Return the counts of photos by true species and country."""
    table = pl.DataFrame(
        {
            "species": [SPECIES[s] for s in scores.truth],
            "country": scores.countries,
            "photos": 1,
        }
    )
    return CountryPrior.from_counts(table, SPECIES)


def shuffled_countries(scores, seed) -> Scores:
    """Give each photo the country of another, so that countries are pure noise."""
    order = np.random.default_rng(seed).permutation(len(scores))
    return replace(scores, countries=tuple(scores.countries[n] for n in order))
