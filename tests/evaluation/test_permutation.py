import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import binomtest, norm

from ophis.evaluation.permutation import sign_flip_test


@given(st.integers(0, 3000), st.integers(0, 3000))
def test_one_photo_an_observation_equals_mcnemar_exact_test(one, other):
    expected = binomtest(one, one + other).pvalue if one + other else 1.0
    differences = np.repeat([1, -1, 0], [one, other, 7])
    assert sign_flip_test(differences) == pytest.approx(expected, rel=1e-9)


@given(st.lists(st.integers(-6, 6), max_size=10))
def test_p_equals_enumeration_of_all_signs(differences):
    signs = np.array(list(itertools.product((1, -1), repeat=len(differences))))
    sums = np.abs(signs @ np.array(differences, int))
    expected = (sums >= abs(sum(differences))).mean()
    assert sign_flip_test(np.array(differences, int)) == pytest.approx(expected, rel=1e-12)


def test_many_photos_with_dropped_tails_give_the_normal_limit():
    differences = np.repeat([3, -3, 2, -2, 1], [3000, 2900, 2500, 2500, 400])
    z = (differences.sum() - 1) / np.sqrt((differences**2).sum())
    assert sign_flip_test(differences) == pytest.approx(2 * norm.sf(z), rel=0.01)


@pytest.mark.parametrize("photos", [1, 3, 10])
def test_equal_models_are_significant_in_five_percent(photos):
    """Two equal models on 80 snakes; photos of a snake are right or wrong together."""
    rng = np.random.default_rng(photos)
    significant = 0
    for _ in range(1000):
        snake = rng.normal(size=(80, 1))
        right = [
            snake + rng.normal(size=(80, 1)) + 0.3 * rng.normal(size=(80, photos)) > 0
            for _ in range(2)
        ]
        significant += sign_flip_test(right[1].sum(axis=1) - right[0].sum(axis=1)) < 0.05
    # McNemar's test over photos: 19 % with 3 photos a snake, 45 % with 10.
    assert 20 <= significant <= 70  # 50 expected, fewer where p is discrete; 3 errors are 21
