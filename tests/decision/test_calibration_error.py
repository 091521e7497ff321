import numpy as np
import pytest

from ophis.decision.calibration_error import (
    calibration_error,
    calibration_error_floor,
    rms_calibration_error,
)


def drawn(photos: int, *, shift: float = 0.0, seed: int = 0):
    """Return confidences, and answers that are right as often less ``shift``."""
    rng = np.random.default_rng(seed)
    p = rng.beta(5, 1.2, photos)
    return p, (rng.random(photos) < p - shift).astype(float)


@pytest.mark.parametrize("photos", [100, 590, 5000])
def test_perfectly_calibrated_model_has_the_ece_of_the_floor(photos):
    """About .037 for 590 photos."""
    found = np.array([
        (calibration_error(p, right, 15), calibration_error_floor(p, 15))
        for p, right in (drawn(photos, seed=seed) for seed in range(60))
    ])  # fmt: skip
    error = found[:, 0].std() / np.sqrt(60)
    assert found[:, 0].mean() == pytest.approx(found[:, 1].mean(), abs=4 * error)
    assert found[:, 1].std() < found[:, 0].std()
    if photos == 590:
        assert found[:, 1].mean() == pytest.approx(0.037, abs=0.003)


@pytest.mark.parametrize("shift", [0.0, 0.1])
def test_squared_debiased_error_is_unbiased(shift):
    """The plain squared error of 300 photos is far above that of many photos."""
    many = rms_calibration_error(*drawn(400_000, shift=shift), 15)
    squares = []
    for seed in range(200):
        p, right = drawn(300, shift=shift, seed=seed)
        squares.append(rms_calibration_error(p, right, 15) ** 2)
    # Negative sums count as 0, which leaves a little bias at perfect calibration.
    assert np.mean(squares) == pytest.approx(many**2, abs=0.0015)


def test_debiased_error_by_hand():
    p, right = np.array([0.8, 0.8, 0.9, 0.1]), np.array([1.0, 0.0, 1.0, 1.0])
    # Two bins: three photos above a half, of which two are right; one photo below counts 0.
    gap = (0.8 + 0.8 + 0.9) / 3 - 2 / 3
    expected = 3 / 4 * (gap**2 - 2 / 3 * 1 / 3 / 2)
    assert rms_calibration_error(p, right, 2) == pytest.approx(np.sqrt(max(expected, 0)))
    sure = np.full(10, 0.5)
    expected = 0.5**2  # all ten are right, without variance
    assert rms_calibration_error(sure, np.ones(10), 2) == pytest.approx(np.sqrt(expected))
