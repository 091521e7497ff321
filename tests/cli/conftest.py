"""Scores and a prior for the tests of commands."""

from pathlib import Path

import numpy as np
import pytest

from ophis import CountryPrior, Scores


@pytest.fixture
def scores_folder(tmp_path, coloured) -> Path:
    """Write scores of synthetic logits and a prior; return their folder."""
    species = coloured.species_list()
    rng = np.random.default_rng(0)
    truth = coloured.truth(species)
    Scores(
        logits=rng.normal(size=(36, 3)) + 0.5 * np.eye(3)[truth],
        species=species,
        photo_ids=tuple(coloured.table["photo_id"]),
        truth=truth,
        countries=tuple(coloured.table["country"]),
        observations=tuple(coloured.table["observation"]),
        sha256=rng.integers(0, 256, (36, 32), np.uint8),  # not those of `coloured`
    ).write(tmp_path / "scores.npz")
    CountryPrior.fit(coloured).write(tmp_path / "prior.csv")
    return tmp_path
