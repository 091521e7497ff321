"""Slow uploads and idle connections beside other clients of one address."""

import asyncio
import contextlib
import multiprocessing
import re
import resource
from collections.abc import Generator

import pytest

from tests.support.load_client import Load, percentile, request_of, responses_of
from tests.support.service_probe import phone_photos, write_requests
from tests.support.service_process import service_of

pytestmark = pytest.mark.full


def head(length: int) -> bytes:
    """Return the head of a request and of the first part of its form."""
    request = re.sub(rb"Content-Length: \d+", b"Content-Length: %d" % length, request_of([b""]))
    return request.partition(b"\r\n--a-boundary--")[0]


async def drip(port: int, begin: bytes, size: int, pause: float) -> None:
    """Send bytes slowly; begin anew when the connection is closed."""
    while True:
        with contextlib.suppress(OSError):
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            with contextlib.closing(writer):
                writer.write(begin)
                while not reader.at_eof() and not writer.is_closing():
                    with contextlib.suppress(TimeoutError):
                        await asyncio.wait_for(reader.read(), pause)
                    writer.write(b"x" * size)
                    await writer.drain()
        await asyncio.sleep(0.5)


ATTACKERS = [  # how many, begin of each, bytes at a time, seconds between them
    (4, head(64 * 2**20), 1, 20),
    (32, head(10**6), 1, 20),
    (16, head(10**7), 12_000, 1),
    (500, b"GET / HTTP/1.1\r\nHost: localhost\r\n", 0, 30),
    (100, b"", 0, 30),
]


async def attack(port: int) -> None:
    """Attack a service without end."""
    await asyncio.gather(*(drip(port, *how) for count, *how in ATTACKERS for _ in range(count)))


def attack_without_end(port: int) -> None:
    asyncio.run(attack(port))


@contextlib.contextmanager
def attacked(port: int) -> Generator[None]:
    """Attack a service inside the context, from another process."""
    process = multiprocessing.get_context("spawn").Process(target=attack_without_end, args=(port,))
    process.start()
    try:
        yield
    finally:
        process.kill()
        process.join()


@pytest.mark.parametrize("descriptors", [1024, 192])
def test_slow_clients_stop_no_other_client(served, tmp_path, figure, descriptors):
    seconds = 60 if descriptors == 1024 else 15
    requests = [request_of([each], country="India") for each in phone_photos(4)]
    folder = write_requests(requests, tmp_path / "requests")
    with service_of(served, tmp_path) as service:
        resource.prlimit(service.process.pid, resource.RLIMIT_NOFILE, (descriptors, descriptors))
        load = Load(service.port, str(folder), len(requests), at_once=1, seconds=10)
        alone = [one.seconds for one in responses_of(load)]
        with attacked(service.port):
            found = responses_of(Load(service.port, str(folder), 4, per_second=2, seconds=seconds))
        log = service.log.read_text()
    limit = 2 * percentile(alone, 0.95)
    good = [one for one in found if one.status == 200 and one.seconds <= limit]
    answered = [one for one in found if one.status == 200]
    assert "Traceback" not in log
    assert "defect" not in log
    figure(
        f"{seconds} s, {descriptors} descriptors, 52 slow uploads and 600 idle connections of one"
        f" address: {len(answered)} of {len(found)} others answered, {len(good)} within twice the"
        f" unloaded {1000 * percentile(alone, 0.95):.0f} ms"
    )
    assert len(answered) >= 0.95 * len(found)
