"""Macro F1 of the default prior in a simulated world.

The simulated classifier is calibrated at confidence 1, overconfident above and underconfident
below. Everything is seeded, so results are the same at each run.
"""

import numpy as np
import pytest

from tests.support.prior_simulation import COLUMNS, made_counts, simulate

SEEDS = (0, 1, 2)
# Standard deviation of the points of a species: image-only macro F1 of about 0.85, 0.57, 0.5.
NOISES = (1.1, 1.5, 1.6)
CONFIDENCES = (1.0, 2.0, 0.5)  # calibrated, overconfident, underconfident
HALF = (1.5, 1.6)


@pytest.fixture(scope="module")
def worlds() -> dict[tuple[float, float], list[dict[str, float]]]:
    """Macro F1 by column of the benchmark, for each seed, by noise and confidence."""
    counts = made_counts()
    return {
        (noise, confidence): [
            dict(
                zip(
                    COLUMNS,
                    simulate(counts, None, noise=noise, confidence=confidence, seed=seed),
                    strict=True,
                )
            )
            for seed in SEEDS
        ]
        for noise in NOISES
        for confidence in CONFIDENCES
    }


@pytest.mark.parametrize("confidence", CONFIDENCES)
@pytest.mark.parametrize("noise", HALF)
def test_bayes_beats_product_for_mediocre_classifier(worlds, noise, confidence):
    seeds = worlds[noise, confidence]
    mean = {name: np.mean([seed[name] for seed in seeds]) for name in seeds[0]}
    assert 0.42 < mean["image alone"] < 0.6
    assert mean["Bayes"] >= mean["Eq. 2, own temperature"] + 0.015
    assert mean["Eq. 2, own temperature"] >= mean["Eq. 2"]


@pytest.mark.parametrize("confidence", CONFIDENCES)
@pytest.mark.parametrize("noise", NOISES)
def test_bayes_is_never_below_the_image_alone(worlds, noise, confidence):
    for seed in worlds[noise, confidence]:
        assert seed["Bayes"] >= seed["image alone"]


@pytest.mark.parametrize("confidence", CONFIDENCES)
@pytest.mark.parametrize("noise", NOISES)
def test_bayes_beats_image_and_product_with_20_percent_wrong_countries(worlds, noise, confidence):
    for seed in worlds[noise, confidence]:
        assert seed["Bayes, 20 % wrong"] > seed["image alone"]
        assert seed["Bayes, 20 % wrong"] > seed["Eq. 2, own temperature, 20 % wrong"]
