import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from ophis.datasets.groups import join_groups


@given(
    numbers=st.lists(st.tuples(st.integers(0, 30), st.integers(0, 30)), max_size=40),
)
def test_join_groups_equals_transitive_closure(numbers):
    one, other = np.array(numbers, np.int64).reshape(-1, 2).T
    joined = join_groups(one, None, other)
    reach = (one[:, None] == one) | (other[:, None] == other)
    for _ in range(6):  # 2 to the 6th steps: longer than any chain here
        reach = reach @ reach
    np.testing.assert_array_equal(joined[:, None] == joined, reach)


def test_join_groups_of_a_long_chain():
    photos = np.random.default_rng(0).permutation(245_185)
    assert not join_groups(photos // 2, (photos + 1) // 2).any()
