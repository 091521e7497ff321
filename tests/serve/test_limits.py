"""Limits of concurrency, size and time, without a socket."""

import asyncio
import dataclasses
import os
import tempfile
import threading
import time
from collections.abc import AsyncGenerator, Callable

import pytest

from ophis import InputError, load
from ophis.inference.photo import read as read_photo
from ophis.serve import Limits
from ophis.serve.admission import LoadShedding
from ophis.serve.decoders import RequestDecoder
from tests.support.photos import photo
from tests.support.service import (
    BOUNDARY,
    Clock,
    Slow,
    body_of,
    evaluated_bundle,
    form,
    post,
    ready_app,
    run_instantly,
    until,
)


@pytest.fixture(scope="module")
def classifier(tmp_path_factory):
    return load(evaluated_bundle(tmp_path_factory.mktemp("limits") / "bundle"))


@pytest.mark.parametrize(
    "name", [field.name for field in dataclasses.fields(Limits) if field.type == "int"]
)
def test_smallest_value_of_each_limit(name):
    least = 0 if name == "waiting" else 1
    assert getattr(dataclasses.replace(Limits(), **{name: least}), name) == least
    message = f"^{name} = {least - 1} should be {least} or more$"
    with pytest.raises(InputError, match=message):
        dataclasses.replace(Limits(), **{name: least - 1})


@pytest.mark.parametrize(("cores", "workers", "threads"), [
    (8, 2, 7), (2, 1, 2), (2, 2, 1), (1, 2, 1), (1, 4, 1),
])  # fmt: skip
def test_threads_of_workers_and_engine_use_every_core_once(monkeypatch, cores, workers, threads):
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: set(range(cores)), raising=False)
    assert Limits(workers=workers).engine_threads == threads


@pytest.mark.parametrize(("cores", "threads"), [(5, 5), (None, 1)])
def test_cores_are_counted_without_affinity(monkeypatch, cores, threads):
    monkeypatch.delattr(os, "sched_getaffinity", raising=False)
    monkeypatch.setattr(os, "cpu_count", lambda: cores)
    assert Limits(workers=1).engine_threads == threads


def test_memory_is_bounded_by_decoders_and_requests():
    limits = Limits(workers=3, decoder_bytes=100, held_bytes=20, request_bytes=7)
    assert limits.memory_bytes == 3 * 100 + 20 + 7


def test_full_service_rejects_a_request_before_reading_its_body(classifier):
    slow = Slow(classifier)
    app = ready_app(slow, limits=Limits(workers=2, waiting=3))
    admission, data = app.state.service.admission, form(photo())

    async def main() -> None:
        requests = [asyncio.create_task(post(app, [data], length=len(data))) for _ in range(5)]
        await until(lambda: (admission.in_progress, admission.waiting) == (2, 3))
        started = time.monotonic()
        full = await post(app, [data], length=len(data))
        assert time.monotonic() - started < 5
        assert (full.status, full.taken) == (503, 0)
        assert full.headers["retry-after"] == "5"
        assert "the service is busy" in body_of(full)["error"]
        assert b'status="503"} 1' in app.state.service.metrics.text()
        slow.go.set()
        assert [reply.status for reply in await asyncio.gather(*requests)] == [200] * 5
        assert (await post(app, [data], length=len(data))).status == 200

    asyncio.run(main())
    assert slow.most == 2
    assert (admission.admitted, admission.waiting, admission.in_progress) == (0, 0, 0)


@pytest.mark.parametrize("address", ["192.0.2.1", "192.0.2.2"])
@pytest.mark.parametrize(("count", "declared", "pause", "size"), [
    (4, 64 * 2**20, 20, 1), (32, 10**6, 20, 1), (40, 64 * 2**20, 4.9, 1), (32, 10**6, 1, 12_000),
    (40, 10**6, 0.5, 6000), (4, 64 * 2**20, 1, 8 * 2**20),
])  # fmt: skip
def test_slow_uploads_stop_no_other_request(
    classifier, monkeypatch, address, count, declared, pause, size
):
    """Each attacker begins anew when it is cut off; every other client is answered."""
    app, data, over = ready_app(classifier), form(photo()), asyncio.Event()
    statuses: list[int] = []

    async def inline(work: Callable[[], object]) -> object:
        return work()

    monkeypatch.setattr(app.state.service.admission, "run", inline)

    async def drip() -> AsyncGenerator[bytes]:
        for _ in range(declared // size):
            yield bytes(size)
            await asyncio.sleep(pause)

    async def attack() -> None:
        begun = b"--" + BOUNDARY + b'\r\nContent-Disposition: form-data; name="photo"; filename="a"'

        async def body() -> AsyncGenerator[bytes]:
            yield begun + b"\r\n\r\n"
            async for chunk in drip():
                yield chunk

        while not over.is_set():
            await post(app, body(), length=declared)
            await asyncio.sleep(2)

    async def main() -> None:
        attackers = [asyncio.create_task(attack()) for _ in range(count)]
        for _ in range(4):
            await asyncio.sleep(7)
            half = len(data) // 2

            async def body(half: int = half) -> AsyncGenerator[bytes]:
                yield data[:half]
                await asyncio.sleep(0.2)
                yield data[half:]

            statuses.append((await post(app, body(), length=len(data), client=address)).status)
        over.set()
        await asyncio.gather(*attackers)

    run_instantly(main())
    assert statuses == [200] * 4


@pytest.mark.parametrize(("headers", "status"), [
    ({"content-length": ""}, 411),
    ({"content-length": "-1"}, 411),
    ({"content-length": "ten"}, 411),
    ({"content-length": "²"}, 411),
    ({"content-length": str(2**30)}, 413),
    ({"content-length": "9" * 5000}, 413),
    ({"content-type": "application/json"}, 415),
    ({"content-type": "application/x-www-form-urlencoded"}, 415),
    ({"content-type": "multipart/form-data"}, 400),
    ({"content-type": ""}, 415),
])  # fmt: skip
def test_request_head_without_form_or_size_is_refused(classifier, headers, status):
    data = form(photo())
    reply = asyncio.run(post(ready_app(classifier), [data], length=len(data), headers=headers))
    assert reply.status == status
    assert body_of(reply).keys() == {"error", "reason", "emergency"}
    assert body_of(reply)["reason"] == ("too_large" if status == 413 else "wrong_input")
    if status != 400:
        assert reply.taken == 0


def test_body_longer_than_declared_is_not_read_to_its_end(classifier):
    data = form(photo())
    reply = asyncio.run(
        post(ready_app(classifier), [data] + [b"x" * 1000] * 1000, length=len(data))
    )
    assert reply.status == 413
    assert reply.taken <= len(data) + 2000


def test_photo_of_40_mb_is_accepted_and_one_over_the_limit_refused(classifier, monkeypatch):
    whole = photo(kind="JPEG")
    app = ready_app(classifier)
    data = form(whole + bytes(40 * 10**6))  # a JPEG may be followed by anything
    chunks = [data[start : start + 2**16] for start in range(0, len(data), 2**16)]
    assert asyncio.run(post(app, chunks, length=len(data))).status == 200
    monkeypatch.setattr("ophis.serve.request.MAX_BYTES", 1000)
    data = form(photo())
    reply = asyncio.run(post(ready_app(classifier), [data], length=len(data)))
    assert (reply.status, body_of(reply)["error"][:28]) == (413, "the photos are larger than 6")


def test_upload_is_not_written_to_disk(classifier, monkeypatch):
    def written(*_: object, **__: object) -> None:
        raise AssertionError("a photo was written to disk")

    monkeypatch.setattr(tempfile, "TemporaryFile", written)
    monkeypatch.setattr(tempfile.SpooledTemporaryFile, "rollover", written)
    data = form(photo(kind="JPEG") + bytes(3 * 2**20))
    assert asyncio.run(post(ready_app(classifier), [data], length=len(data))).status == 200


def test_stalled_and_slow_uploads_are_cut_off(classifier):
    data = form(photo())

    async def stalls() -> AsyncGenerator[bytes]:
        yield data[:100]
        await asyncio.sleep(60)

    async def drips() -> AsyncGenerator[bytes]:
        for place in range(len(data)):
            yield data[place : place + 1]
            await asyncio.sleep(0.05)

    for limits, body in (
        (Limits(stall_seconds=0.1), stalls()),
        (Limits(upload_seconds=0.3), drips()),
    ):
        app = ready_app(classifier, limits=limits)
        reply = asyncio.run(asyncio.wait_for(post(app, body, length=len(data)), 30))
        assert reply.status == 408
        assert reply.headers["connection"] == "close"
        assert "did not arrive in time" in body_of(reply)["error"]
        assert app.state.service.admission.admitted == 0


def test_form_of_100000_parts_is_refused_early(classifier):
    part = b"--" + BOUNDARY + b'\r\nContent-Disposition: form-data; name="top"\r\n\r\n5\r\n'
    whole = part * 100_000
    chunks = [whole[start : start + 2**16] for start in range(0, len(whole), 2**16)]
    reply = asyncio.run(post(ready_app(classifier), chunks, length=len(whole)))
    assert (reply.status, reply.taken) == (400, 2**16)


def test_empty_file_field_means_no_photo(classifier):
    empty = b'Content-Disposition: form-data; name="photo"; filename=""\r\n\r\n\r\n--'
    data = b"--" + BOUNDARY + b"\r\n" + empty + BOUNDARY + b"--\r\n"
    reply = asyncio.run(post(ready_app(classifier), [data], length=len(data)))
    assert (reply.status, body_of(reply)["error"][:17]) == (422, "no photo was sent")


def test_disconnected_client_costs_no_work(classifier, monkeypatch):
    from starlette.requests import Request

    async def gone(_: Request) -> bool:
        return True

    monkeypatch.setattr(Request, "is_disconnected", gone)
    slow = Slow(classifier)
    data, app = form(photo()), ready_app(slow)
    assert asyncio.run(post(app, [data], length=len(data))).status == 0
    assert slow.requests == 0
    assert b'status="499"} 1' in app.state.service.metrics.text()


def test_worker_is_free_when_a_client_leaves_between_photos(classifier, monkeypatch):
    """The rest of its photos is not decoded, and the network does not run."""
    from starlette.requests import Request

    app, decoded, gone = ready_app(classifier), [], threading.Event()
    admission, data = app.state.service.admission, form(photo(), photo(1), photo(2))

    async def is_gone(_: Request) -> bool:
        return gone.is_set()

    def read(*args, **_: object):
        decoded.append(args[1])
        gone.set()
        assert seen.wait(300)
        return read_photo(*args)

    class Watched(RequestDecoder):
        def __setattr__(self, name: str, value: object) -> None:
            super().__setattr__(name, value)
            if self.client_gone:
                seen.set()

    seen = threading.Event()
    monkeypatch.setattr(Request, "is_disconnected", is_gone)
    monkeypatch.setattr(app.state.service.decoders, "read", read)
    monkeypatch.setattr("ophis.serve.app.RequestDecoder", Watched)
    assert asyncio.run(post(app, [data], length=len(data))).status == 0
    assert decoded == ["photo 1"]
    assert (admission.admitted, admission.in_progress) == (0, 0)
    assert b'status="499"} 1' in app.state.service.metrics.text()


def test_no_request_waits_during_load_shedding(classifier):
    """After a second in which most requests were rejected, the queue stays empty."""
    slow = Slow(classifier)
    app, data = ready_app(slow, limits=Limits(workers=1, waiting=2)), form(photo())
    admission, clock = app.state.service.admission, Clock()
    admission._load_shedding = LoadShedding(clock)

    async def main() -> None:
        requests = [asyncio.create_task(post(app, [data], length=len(data))) for _ in range(3)]
        await until(lambda: admission.waiting == 2)
        statuses = [(await post(app, [data], length=len(data))).status for _ in range(9)]
        assert statuses == [503] * 9
        slow.go.set()
        assert [reply.status for reply in await asyncio.gather(*requests)] == [200] * 3
        slow.go.clear()
        clock.seconds += 1
        first = asyncio.create_task(post(app, [data], length=len(data)))
        await until(lambda: admission.in_progress == 1)
        assert (await post(app, [data], length=len(data))).status == 503
        clock.seconds += 1
        second = asyncio.create_task(post(app, [data], length=len(data)))
        await until(lambda: admission.waiting == 1)
        slow.go.set()
        assert [(await each).status for each in (first, second)] == [200, 200]

    asyncio.run(main())


def test_request_left_after_the_grace_period_gets_503(classifier):
    slow = Slow(classifier)
    app, data = ready_app(slow), form(photo())

    async def main() -> None:
        request = asyncio.create_task(post(app, [data], length=len(data)))
        await until(lambda: slow.requests == 1)
        request.cancel()
        reply = await request
        assert (reply.status, "is stopping" in body_of(reply)["error"]) == (503, True)
        slow.go.set()

    asyncio.run(main())
