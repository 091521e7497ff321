"""Whether anybody may wait: seen with a clock of our own."""

import pytest

from ophis.serve.crowd import Crowd
from tests.support.service import Clock


def a_second(crowd: Crowd, clock: Clock, came: int, refused: int) -> list[bool]:
    """One second of it, and whether it were too many each time that somebody came."""
    seen = []
    for number in range(came):
        crowd.came()
        seen.append(crowd.too_many())
        if number < refused:
            crowd.refused()
        clock.seconds += 0.9 / came
    clock.seconds += 0.1001
    return seen


def test_many_at_one_moment_wait_and_many_second_after_second_do_not():
    clock = Clock()
    crowd = Crowd(clock)
    assert set(a_second(crowd, clock, 100, 60)) == {False}
    for _ in range(3):
        assert set(a_second(crowd, clock, 100, 90)) == {True}
    # The last second of too many, and after it they wait again.
    assert set(a_second(crowd, clock, 100, 40)) == {True}
    assert set(a_second(crowd, clock, 100, 0)) == {False}


@pytest.mark.parametrize(("came", "refused", "too_many"), [
    (1, 0, False), (1, 1, True), (10, 5, False), (10, 6, True),
])  # fmt: skip
def test_too_many_are_those_of_whom_more_than_half_were_refused(came, refused, too_many):
    clock = Clock()
    crowd = Crowd(clock)
    a_second(crowd, clock, came, refused)
    assert crowd.too_many() is too_many


def test_what_was_a_while_ago_counts_no_more():
    clock = Clock()
    crowd = Crowd(clock)
    a_second(crowd, clock, 10, 10)
    clock.seconds += 60
    assert not crowd.too_many()
    a_second(crowd, clock, 10, 10)
    assert crowd.too_many()
    clock.seconds += 60
    assert not crowd.too_many()
