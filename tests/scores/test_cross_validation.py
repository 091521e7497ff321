import numpy as np
import pytest

from ophis.scores.cross_validation import FOLDS, folds, mean_gain


def test_photos_of_one_observation_share_a_fold():
    names = [f"snake {n % 40}" for n in range(200)]
    fold = folds(names)
    for name in set(names):
        assert len({fold[n] for n in range(200) if names[n] == name}) == 1
    sizes = np.bincount([fold[names.index(name)] for name in sorted(set(names))])
    np.testing.assert_array_equal(sizes, [8] * FOLDS)


def test_folds_depend_on_names_and_not_on_the_order_of_photos():
    names = [f"snake {n}" for n in range(37)]
    order = np.random.default_rng(0).permutation(37)
    np.testing.assert_array_equal(folds([names[n] for n in order]), folds(names)[order])


def test_sequential_names_do_not_gather_in_one_fold():
    """With three photos a species, hardly any species lies in one fold."""
    names = [f"{species}/{photo:03}.jpg" for species in range(87) for photo in range(1, 4)]
    of_species = folds(names).reshape(87, 3)
    alone = (of_species == of_species[:, :1]).all(axis=1).mean()
    assert alone < 0.12  # 1 in 25 by chance


def test_error_of_a_gain_is_over_observations():
    """Two photos of each of 50 snakes with equal gains are no more than 50 photos."""
    gains = np.random.default_rng(0).normal(0.3, 1.0, 50)
    names = [str(n) for n in range(50)]
    gain, error = mean_gain(gains, names)
    assert gain == pytest.approx(gains.mean())
    assert error == pytest.approx(gains.std() / np.sqrt(50))
    assert mean_gain(np.repeat(gains, 2), [*np.repeat(names, 2)]) == pytest.approx((gain, error))


def test_gain_on_one_observation_is_never_clear():
    assert mean_gain(np.array([1.0, 2.0]), ["a", "a"]) == (1.5, np.inf)
