from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import minimize
from scipy.special import log_softmax

from ophis import InputError, Scores, SpeciesList
from ophis.decision.calibration import Calibration, fit_temperature, read_calibration, reliability
from ophis.decision.vector_scaling import (
    FACTOR_SPREAD,
    OFFSET_SPREAD,
    choose_calibration,
    default_calibration,
    fit_vector,
)

FACTORS = np.array([0.6, 0.8, 1.0, 1.3, 1.7])
OFFSETS = np.array([1.0, -1.0, 0.5, -0.5, 0.0])
SPECIES = SpeciesList(tuple(f"species {n}" for n in range(5)))
VECTOR = Calibration(FACTORS, OFFSETS, SPECIES)
ONE = Calibration(np.array(1 / 3), np.array(0.0))


def synthetic(photos, calibration, *, seed=0) -> Scores:
    """Return photos with species sampled from calibrated logits; the logits are uncalibrated."""
    rng = np.random.default_rng(seed)
    logits = 2 * rng.normal(size=(photos, len(SPECIES)))
    p = np.exp(log_softmax(logits, axis=1))
    truth = (p.cumsum(axis=1) < rng.random((photos, 1))).sum(axis=1)
    names = tuple(map(str, range(photos)))
    return Scores(
        logits=(logits - calibration.offset) / calibration.scale,
        species=SPECIES,
        photo_ids=names,
        truth=np.minimum(truth, len(SPECIES) - 1),
        countries=("UNKNOWN",) * photos,
        observations=names,
    )


def loss_on(validation, calibration):
    return reliability(calibration.apply(validation)).log_loss


def reference_fit(scores):
    """Minimise the documented loss by BFGS over log ratios, without a gradient."""
    known = scores.take(scores.truth >= 0)
    t = fit_temperature(scores).temperature
    seen = np.unique(known.truth)
    logits, rows = known.logits[:, seen], np.arange(len(known))
    truth = np.searchsorted(seen, known.truth)

    def loss(x):
        log_ratio, offset = x.reshape(2, -1)
        ratio = np.exp(log_ratio)
        logs = log_softmax(logits * ratio / t + offset, axis=1)
        penalty = (ratio - 1 - log_ratio) / FACTOR_SPREAD**2 + offset**2 / (2 * OFFSET_SPREAD**2)
        return penalty.sum() - logs[rows, truth].sum()

    found = minimize(loss, np.zeros(2 * len(seen)), method="BFGS", options={"gtol": 1e-4})
    log_ratio, offset = found.x.reshape(2, -1)
    return seen, np.exp(log_ratio) / t, offset


@pytest.mark.parametrize("photos", [12, 200, 3000])
@pytest.mark.parametrize("calibration", [VECTOR, ONE], ids=["vector", "temperature"])
def test_fit_equals_independent_minimum(photos, calibration):
    scores = synthetic(photos, calibration)
    got = fit_vector(scores)
    seen, scale, offset = reference_fit(scores)
    # The reference has another algorithm, other parameters and numerical gradients.
    np.testing.assert_allclose(got.scale[seen], scale, rtol=2e-4)
    np.testing.assert_allclose(got.offset[seen], offset, atol=2e-4)


def test_fit_vector_recovers_known_distortion():
    scores, validation = synthetic(20_000, VECTOR, seed=1), synthetic(20_000, VECTOR, seed=2)
    got = fit_vector(scores)
    np.testing.assert_allclose(got.scale, FACTORS, rtol=0.1)
    np.testing.assert_allclose(got.offset, OFFSETS - OFFSETS.mean(), atol=0.1)
    assert loss_on(validation, got) < loss_on(validation, fit_temperature(scores)) - 0.05
    assert loss_on(validation, got) < loss_on(validation, VECTOR) + 0.001
    assert reliability(got.apply(validation)).classwise_ece < 0.01


def test_vector_scaling_is_chosen_for_vector_distortion():
    scores, validation = synthetic(1000, VECTOR, seed=3), synthetic(4000, VECTOR, seed=4)
    choice = choose_calibration(scores)
    assert choice.photos == 1000
    assert choice.gain > 2 * choice.error > 0
    assert choice.calibration.by_species
    np.testing.assert_array_equal(choice.calibration.scale, fit_vector(scores).scale)
    calibrated = choice.calibration.apply(validation)
    assert (calibrated.logits.argmax(axis=1) != validation.logits.argmax(axis=1)).any()
    # The gain estimated by the folds equals the gain on other photos.
    gained = loss_on(validation, fit_temperature(scores)) - loss_on(validation, choice.calibration)
    assert choice.gain == pytest.approx(gained, abs=4 * choice.error)


@pytest.mark.parametrize("photos", [100, 400, 2000])
def test_temperature_is_chosen_for_temperature_distortion(photos):
    for seed in range(10):
        scores = synthetic(photos, ONE, seed=seed)
        choice = choose_calibration(scores)
        assert choice.gain < 2 * choice.error
        assert not choice.calibration.by_species
        assert choice.calibration.temperature == fit_temperature(scores).temperature


def test_temperature_is_chosen_for_few_photos_or_observations():
    few = synthetic(99, VECTOR)
    stayed, won = default_calibration(few), default_calibration(synthetic(1000, VECTOR))
    assert stayed
    assert stayed.temperature == fit_temperature(few).temperature
    assert won
    assert won.by_species
    assert choose_calibration(few).gain == -np.inf
    assert default_calibration(few.take(np.arange(49))) is None
    assert default_calibration(None) is None
    four = replace(synthetic(1000, VECTOR), observations=tuple(str(n % 4) for n in range(1000)))
    assert not choose_calibration(four).calibration.by_species


def test_photos_of_one_observation_are_not_independent():
    """Each photo twenty times: twenty times the rows, the same evidence."""
    once = synthetic(150, Calibration(np.ones(5), OFFSETS / 2, SPECIES), seed=2)
    rows = np.repeat(np.arange(150), 20)
    names = tuple(f"{row}-{n}" for n, row in enumerate(rows))
    many = replace(
        once,
        logits=once.logits[rows],
        photo_ids=names,
        truth=once.truth[rows],
        countries=("UNKNOWN",) * len(rows),
        observations=tuple(once.observations[row] for row in rows),
    )
    apart = choose_calibration(replace(many, observations=names))
    grouped = choose_calibration(many)
    assert apart.gain > grouped.gain  # apart, copies of a photo are in both parts
    assert grouped.error > 3 * apart.error
    assert grouped.error == pytest.approx(choose_calibration(once).error, rel=0.5)


def test_species_without_photo_keeps_temperature():
    whole = synthetic(3000, VECTOR, seed=5)
    scores = whole.take(whole.truth != 2)
    got, temperature = fit_vector(scores), fit_temperature(scores)
    assert got.scale[2] == temperature.scale
    assert got.offset[2] == 0
    others = [0, 1, 3, 4]
    assert got.offset[others].mean() == pytest.approx(0, abs=1e-9)
    alone = fit_vector(
        replace(
            scores,
            logits=scores.logits[:, others],
            truth=np.searchsorted(others, scores.truth),
            species=SpeciesList(tuple(scores.species[n] for n in others)),
        )
    )
    np.testing.assert_allclose(got.offset[others], alone.offset, atol=0.1)


@pytest.mark.parametrize("size", [1e-3, 1.0, 1e4])
def test_separable_photos_give_finite_parameters(size):
    scores = synthetic(60, ONE)
    right = replace(scores, logits=size * np.eye(5)[scores.truth])
    for one in (right, replace(right, truth=(scores.truth + 1) % 5)):
        got = fit_vector(one)
        assert np.isfinite(got.offset).all()
        assert (got.scale > 0).all()
        assert np.isfinite(got.scale).all()


def test_impossible_species_stays_impossible():
    scores = synthetic(500, VECTOR)
    logits = scores.logits.copy()
    rows = np.flatnonzero((scores.truth != 4) & (np.arange(500) % 2 == 0))
    logits[rows, 4] = -np.inf
    got = fit_vector(replace(scores, logits=logits))
    assert (got.apply(replace(scores, logits=logits)).logits[rows, 4] == -np.inf).all()
    low = np.where(np.isneginf(logits), -1e4, logits)
    same = fit_vector(replace(scores, logits=low))
    np.testing.assert_allclose(got.scale, same.scale, rtol=1e-5)
    np.testing.assert_allclose(got.offset, same.offset, atol=1e-5)


def test_fit_rejects_unusable_scores():
    scores = synthetic(200, VECTOR)
    logits = scores.logits.copy()
    logits[7, scores.truth[7]] = -np.inf
    for fit in (fit_vector, choose_calibration):
        with pytest.raises(InputError, match="no photo has a known species"):
            fit(replace(scores, truth=np.full(200, -1)))
        with pytest.raises(InputError, match="photo '7': the scores exclude its true species"):
            fit(replace(scores, logits=logits))


@settings(max_examples=25)
@given(st.integers(0, 2**32 - 1), st.integers(10, 300), st.sampled_from([VECTOR, ONE]))
def test_order_of_photos_and_species_does_not_matter(seed, photos, calibration):
    scores = synthetic(photos, calibration, seed=seed)
    scores = replace(scores, observations=tuple(str(n // 2) for n in range(photos)))
    rng = np.random.default_rng(seed)
    columns = rng.permutation(5)
    turned = scores.take(rng.permutation(photos)).with_species(
        SpeciesList(tuple(scores.species[n] for n in columns))
    )
    here, there = fit_vector(scores), fit_vector(turned)
    np.testing.assert_allclose(there.scale, here.scale[columns], rtol=1e-6)
    np.testing.assert_allclose(there.offset, here.offset[columns], atol=1e-6)
    if (columns != np.arange(5)).any():
        with pytest.raises(InputError, match="in what the calibration was fitted on"):
            here.apply(turned)
    here, there = choose_calibration(scores), choose_calibration(turned)
    assert there.gain == pytest.approx(here.gain, abs=1e-9)
    assert there.error == pytest.approx(here.error, abs=1e-9)


def test_unlabelled_photos_are_ignored(tmp_path):
    scores = synthetic(400, VECTOR)
    truth = np.where(np.arange(400) % 2 == 0, scores.truth, -1)
    half, rest = replace(scores, truth=truth), scores.take(np.arange(400) % 2 == 0)
    np.testing.assert_array_equal(fit_vector(half).scale, fit_vector(rest).scale)
    assert choose_calibration(half).gain == choose_calibration(rest).gain
    back = read_calibration(fit_vector(half).write(tmp_path / "c.json"), rest.species)
    np.testing.assert_array_equal(back.apply(rest).logits, fit_vector(half).apply(rest).logits)
