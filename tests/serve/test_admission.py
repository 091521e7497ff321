"""Load shedding, with a clock under control of the test."""

import pytest

from ophis.serve.admission import LoadShedding
from tests.support.service import Clock


def run_second(shedding: LoadShedding, clock: Clock, requests: int, rejected: int) -> list[bool]:
    """Count the requests of one second; return the state after each."""
    states = []
    for number in range(requests):
        shedding.count_request()
        states.append(shedding.active())
        if number < rejected:
            shedding.count_rejection()
        clock.seconds += 0.9 / requests
    clock.seconds += 0.1001
    return states


def test_burst_waits_and_sustained_overload_does_not():
    clock = Clock()
    shedding = LoadShedding(clock)
    assert set(run_second(shedding, clock, 100, 60)) == {False}
    for _ in range(3):
        assert set(run_second(shedding, clock, 100, 90)) == {True}
    # The last second of overload; after it requests wait again.
    assert set(run_second(shedding, clock, 100, 40)) == {True}
    assert set(run_second(shedding, clock, 100, 0)) == {False}


@pytest.mark.parametrize(("requests", "rejected", "active"), [
    (1, 0, False), (1, 1, True), (10, 5, False), (10, 6, True),
])  # fmt: skip
def test_shedding_starts_when_more_than_half_are_rejected(requests, rejected, active):
    clock = Clock()
    shedding = LoadShedding(clock)
    run_second(shedding, clock, requests, rejected)
    assert shedding.active() is active


def test_old_windows_are_forgotten():
    clock = Clock()
    shedding = LoadShedding(clock)
    run_second(shedding, clock, 10, 10)
    clock.seconds += 60
    assert not shedding.active()
    run_second(shedding, clock, 10, 10)
    assert shedding.active()
    clock.seconds += 60
    assert not shedding.active()
