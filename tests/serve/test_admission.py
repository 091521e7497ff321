"""Bounds of admission, and load shedding with a clock under control of the test."""

import asyncio
import threading
from contextlib import ExitStack
from dataclasses import replace

import pytest

from ophis.serve import Limits
from ophis.serve.admission import BUSY, AdmissionControl, LoadShedding
from ophis.serve.error_response import HTTPReason, RequestError
from tests.support.service import Clock, run_instantly


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


BUSY_ERROR = (503, BUSY, HTTPReason.BUSY)


def is_admitted(admission: AdmissionControl) -> bool:
    """Return True if a further request is admitted; a refusal is checked."""
    try:
        with admission.admit():
            return True
    except RequestError as error:
        refusal = error
    assert (refusal.status, refusal.error, refusal.reason) == BUSY_ERROR
    return False


class Uploads:
    """Uploads at constant rates, and the ends of those that were dropped."""

    def __init__(self, admission: AdmissionControl) -> None:
        self.admission = admission
        self.open: dict[str, asyncio.Task[None]] = {}
        self.ends: dict[str, tuple[object, ...]] = {}

    async def start(self, name: str, rate: float, *, client: str = "a", size: int = 10**9) -> None:
        self.open[name] = asyncio.create_task(self._send(name, rate, client, size))
        await asyncio.sleep(0)

    async def _send(self, name: str, rate: float, client: str, size: int) -> None:
        started = asyncio.get_running_loop().time()
        try:
            with self.admission.admit(client) as upload:
                async with upload.receive():
                    while upload.received < size:
                        await asyncio.sleep(0.1)
                        upload.count(int(rate / 10))
            self.ends[name] = (200,)
        except RequestError as error:
            seconds = round(asyncio.get_running_loop().time() - started)
            self.ends[name] = (error.status, error.reason, (error.headers or {})["Connection"])
            self.seconds = seconds

    async def stop(self) -> None:
        for task in self.open.values():
            task.cancel()
        await asyncio.gather(*self.open.values(), return_exceptions=True)
        assert self.admission.admitted == 0
        self.admission.close()


SLOW = (408, HTTPReason.TOO_SLOW, "close")


@pytest.mark.parametrize(("rate", "limits", "seconds"), [
    (0, Limits(), 5), (5000, Limits(), 10), (9000, Limits(), 50), (11_000, Limits(), 300),
    (9 * 10**6, Limits(upload_seconds=20), 20), (9000, Limits(upload_rate=100), 300),
])  # fmt: skip
def test_slow_upload_is_ended(rate, limits, seconds):
    async def main() -> None:
        uploads = Uploads(AdmissionControl(replace(limits, held_bytes=2**40)))
        await uploads.start("one", rate)
        await uploads.open["one"]
        assert uploads.ends == {"one": SLOW}
        assert uploads.seconds == pytest.approx(seconds, abs=1)
        await uploads.stop()

    run_instantly(main())


def test_fast_bytes_at_first_allow_no_stall_later():
    async def main() -> None:
        admission = AdmissionControl(Limits(stall_seconds=20))

        async def stall() -> None:
            with admission.admit() as upload:
                async with upload.receive():
                    upload.count(60 * 2**20)
                    await asyncio.sleep(19)
                    upload.count(1)
                    await asyncio.sleep(100)

        with pytest.raises(RequestError, match="did not arrive in time"):
            await stall()
        assert 19 < asyncio.get_running_loop().time() < 21
        admission.close()

    run_instantly(main())


def test_full_service_drops_the_slowest_upload_for_a_further_one():
    async def main() -> None:
        uploads = Uploads(AdmissionControl(Limits(uploads=3)))
        for name, rate in (("fast", 90_000), ("slow", 20_000), ("middle", 50_000)):
            await uploads.start(name, rate)
        await asyncio.sleep(10)
        await uploads.start("new", 80_000)
        await asyncio.sleep(1)
        assert uploads.ends == {"slow": SLOW}
        assert uploads.admission.admitted == 3
        await uploads.start("newer", 80_000)
        await asyncio.sleep(1)
        assert uploads.ends == {"slow": SLOW, "middle": SLOW}
        await uploads.stop()

    run_instantly(main())


@pytest.mark.parametrize(("attacker", "other"), [
    ("192.0.2.7", "192.0.2.8"), ("2001:db8::7", "2001:db8:0:1::7"),
])  # fmt: skip
def test_client_with_most_uploads_loses_a_place_first(attacker, other):
    async def main() -> None:
        uploads = Uploads(AdmissionControl(Limits(uploads=4)))
        await uploads.start("slow", 15_000, client=other)
        for number in range(3):
            suffix = f"{number}" if ":" in attacker else ""
            await uploads.start(f"{number}", 90_000 + 100 * number, client=attacker + suffix)
        await asyncio.sleep(10)
        await uploads.start("new", 20_000, client=other)
        await asyncio.sleep(1)
        assert uploads.ends == {"0": SLOW}
        await uploads.stop()

    run_instantly(main())


def test_further_uploads_at_once_drop_the_oldest():
    async def main() -> None:
        uploads = Uploads(AdmissionControl(Limits(uploads=2)))
        for name in "abcd":
            await uploads.start(name, 90_000, client=name)
        await asyncio.sleep(0.01)
        assert uploads.admission.admitted == 2
        assert list(uploads.ends.values()) == [SLOW, SLOW]
        assert "d" not in uploads.ends
        await uploads.stop()

    run_instantly(main())


def test_upload_that_has_arrived_is_not_dropped():
    async def main() -> None:
        admission = AdmissionControl(Limits(uploads=1))
        with admission.admit() as upload:
            async with upload.receive():
                upload.count(10)
            assert not is_admitted(admission)
        assert is_admitted(admission)
        admission.close()

    asyncio.run(main())


def test_bytes_of_all_requests_are_bounded():
    """The largest upload of the client that holds most gives way, not declared sizes."""

    async def main() -> None:
        uploads = Uploads(AdmissionControl(Limits(held_bytes=10**6)))
        await uploads.start("large", 90_000, client="b", size=10**6)
        await uploads.start("slow", 30_000, client="b", size=80_000)
        await uploads.start("other", 20_000, client="c", size=80_000)
        await asyncio.sleep(9)
        assert uploads.ends == {"slow": (200,), "other": (200,)}
        await uploads.start("next", 500_000, client="c", size=450_000)
        await asyncio.sleep(2)
        assert uploads.ends.pop("large") == (503, HTTPReason.BUSY, "close")
        assert uploads.ends.pop("next") == (200,)
        await uploads.stop()

    run_instantly(main())


def test_upload_dropped_at_its_last_byte_is_not_answered():
    async def main() -> None:
        admission = AdmissionControl(Limits(held_bytes=10))

        async def burst() -> None:
            with admission.admit() as upload:
                async with upload.receive():
                    upload.count(11)
                    upload.count(1)

        with pytest.raises(RequestError, match="busy"):
            await burst()
        assert admission.admitted == 0
        admission.close()

    asyncio.run(main())


def test_failed_request_is_released():
    async def main() -> None:
        admission = AdmissionControl(Limits(uploads=1))
        with pytest.raises(ValueError, match="cut off"), admission.admit():
            raise ValueError("cut off")
        assert admission.admitted == 0
        assert is_admitted(admission)
        admission.close()

    asyncio.run(main())


@pytest.mark.parametrize("waiting", [0, 2])
def test_requests_wait_up_to_the_limit(waiting):
    limits = Limits(workers=2, waiting=waiting, uploads=1)

    async def main() -> None:
        admission, done = AdmissionControl(limits), asyncio.Event()

        async def request() -> None:
            with admission.admit():
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
            stack.enter_context(admission.admit())
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

    async def main() -> None:
        with admission.admit():
            assert not is_admitted(admission)

    asyncio.run(main())
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
