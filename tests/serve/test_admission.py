"""Bounds of admission, and load shedding with a clock under control of the test."""

import asyncio
import threading
from contextlib import ExitStack

import pytest

from ophis.serve import Limits
from ophis.serve.admission import BUSY, AdmissionControl, LoadShedding
from ophis.serve.error_response import HTTPReason, RequestError
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


def is_admitted(admission: AdmissionControl, size: int = 1) -> bool:
    """Return True if a further request is admitted; a refusal is checked."""
    try:
        with admission.admit(size):
            return True
    except RequestError as error:
        refusal = error
    assert (refusal.status, refusal.error, refusal.reason) == (503, BUSY, HTTPReason.BUSY)
    return False


def test_number_of_uploads_is_bounded():
    admission = AdmissionControl(Limits(uploads=2, waiting=50))
    with admission.admit(1):
        assert is_admitted(admission)
        with admission.admit(1):
            assert admission.admitted == 2
            assert not is_admitted(admission)
        assert is_admitted(admission)
    assert admission.admitted == 0


def test_bytes_of_all_requests_are_bounded():
    admission = AdmissionControl(Limits(held_bytes=1000))
    assert is_admitted(admission, 1000)
    assert not is_admitted(admission, 1001)
    with admission.admit(600), admission.admit(100):
        assert is_admitted(admission, 300)
        assert not is_admitted(admission, 301)
    assert is_admitted(admission, 1000)


def test_failed_request_is_released():
    admission = AdmissionControl(Limits(uploads=1, held_bytes=1000))
    with pytest.raises(ValueError, match="cut off"), admission.admit(1000):
        raise ValueError("cut off")
    assert admission.admitted == 0
    assert is_admitted(admission, 1000)


@pytest.mark.parametrize("waiting", [0, 2])
def test_requests_wait_up_to_the_limit(waiting):
    limits = Limits(workers=2, waiting=waiting, uploads=1)

    async def main() -> None:
        admission, done = AdmissionControl(limits), asyncio.Event()

        async def request() -> None:
            with admission.admit(1):
                async with admission.worker():
                    await done.wait()

        tasks = []
        for number in range(2 + waiting):
            assert not admission.queue_full()
            tasks.append(asyncio.create_task(request()))
            await asyncio.sleep(0)
            assert admission.in_progress == min(2, number + 1)
            assert admission.waiting == number + 1 - admission.in_progress
        # They no longer count as uploads, but the queue is full.
        assert admission.queue_full()
        assert not is_admitted(admission)
        with pytest.raises(RequestError, match="busy"):
            async with admission.worker():
                pytest.fail("the queue is full")
        done.set()
        await asyncio.gather(*tasks)
        assert (admission.admitted, admission.waiting, admission.in_progress) == (0, 0, 0)
        assert is_admitted(admission)
        admission.close()

    asyncio.run(main())


def test_cancelled_request_gives_up_its_place():
    async def main() -> None:
        admission, done = AdmissionControl(Limits(workers=1, waiting=1)), asyncio.Event()

        async def request() -> None:
            async with admission.worker():
                await done.wait()

        working, waiting = asyncio.create_task(request()), asyncio.create_task(request())
        await asyncio.sleep(0)
        assert (admission.in_progress, admission.waiting) == (1, 1)
        waiting.cancel()
        await asyncio.gather(waiting, return_exceptions=True)
        assert (admission.in_progress, admission.waiting) == (1, 0)
        working.cancel()
        await asyncio.gather(working, return_exceptions=True)
        assert (admission.in_progress, admission.waiting) == (0, 0)
        done.set()
        await asyncio.wait_for(request(), 10)  # the worker was released
        admission.close()

    asyncio.run(main())


def test_rejections_start_load_shedding():
    clock, admission = Clock(), AdmissionControl(Limits(workers=1, waiting=1, uploads=1))
    admission._load_shedding = LoadShedding(clock)

    async def main() -> None:
        with ExitStack() as stack:
            stack.enter_context(admission.admit(1))
            assert [is_admitted(admission) for _ in range(2)] == [False, False]
        clock.seconds += 1
        async with admission.worker():
            assert admission.queue_full()  # nobody waits now
        clock.seconds += 1
        async with admission.worker():
            assert not admission.queue_full()

    asyncio.run(main())
    admission.close()


def test_half_of_requests_rejected_starts_no_load_shedding():
    clock, admission = Clock(), AdmissionControl(Limits(workers=1, waiting=1, uploads=1))
    admission._load_shedding = LoadShedding(clock)
    with admission.admit(1):
        assert not is_admitted(admission)
    clock.seconds += 1
    admission.in_progress = 1
    assert not admission.queue_full()


def test_work_runs_in_as_many_threads_as_workers():
    admission = AdmissionControl(Limits(workers=2))
    together, running = threading.Barrier(2, timeout=10), []

    def work() -> str:
        running.append(threading.current_thread().name)
        together.wait()
        return running[-1]

    async def main() -> None:
        names = await asyncio.gather(*(admission.run(work) for _ in range(4)))
        assert all(name.startswith("ophis") for name in names)

    asyncio.run(main())
    assert len(set(running)) == 2
    admission.close()
    with pytest.raises(RuntimeError, match="shutdown"):
        asyncio.run(admission.run(work))


def test_close_drops_waiting_work():
    admission, go, done = AdmissionControl(Limits(workers=1)), threading.Event(), []

    async def main() -> None:
        tasks = [
            asyncio.ensure_future(admission.run(lambda: (go.wait(1), done.append(1))))
            for _ in range(2)
        ]
        await asyncio.sleep(0)
        admission.close()
        assert done == []  # it did not wait for the work
        go.set()
        await asyncio.gather(*tasks, return_exceptions=True)

    asyncio.run(main())
    assert done == [1]


@pytest.mark.parametrize(
    ("seconds", "active"), [(0.99, False), (1, True), (1.99, True), (2, False)]
)
def test_window_is_one_second(seconds, active):
    clock = Clock()
    shedding = LoadShedding(clock)
    shedding.count_request()
    shedding.count_rejection()
    clock.seconds = seconds
    assert shedding.active() is active
