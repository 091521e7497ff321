"""Macro F1 of the default prior in a simulated world.

Of its photos the simulated classifier knows exactly what it may believe; a confidence above or
below 1 spoils that. All of it comes from seeds, so the figures are the same at each run.
"""

import numpy as np
import pytest

from tests.support.prior_simulation import COLUMNS, made_counts, simulate

SEEDS = (0, 1, 2)
# Of the points around each species: image-only macro F1 of about 0.85, 0.57 and 0.5.
NOISES = (1.1, 1.5, 1.6)
CONFIDENCES = (1.0, 2.0, 0.5)  # calibrated, sure of itself, doubtful
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
def test_where_the_image_is_right_half_of_the_time_bayes_beats_the_product(
    worlds, noise, confidence
):
    seeds = worlds[noise, confidence]
    mean = {name: np.mean([seed[name] for seed in seeds]) for name in seeds[0]}
    assert 0.42 < mean["image alone"] < 0.6
    assert mean["Bayes"] >= mean["product (Eq. 2)"] + 0.05


@pytest.mark.parametrize("confidence", CONFIDENCES)
@pytest.mark.parametrize("noise", NOISES)
def test_bayes_is_never_below_the_image_alone(worlds, noise, confidence):
    for seed in worlds[noise, confidence]:
        assert seed["Bayes"] >= seed["image alone"]


@pytest.mark.parametrize("confidence", CONFIDENCES)
@pytest.mark.parametrize("noise", NOISES)
def test_bayes_stays_above_with_a_fifth_of_the_countries_wrong(worlds, noise, confidence):
    for seed in worlds[noise, confidence]:
        assert seed["Bayes, 20 % wrong"] > seed["image alone"]
        assert seed["Bayes, 20 % wrong"] > seed["Eq. 2, 20 % wrong"]
