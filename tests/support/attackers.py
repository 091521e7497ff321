"""Attackers of the service, in another process: see `attacked`."""

from __future__ import annotations

import asyncio
import contextlib
import multiprocessing
import re
from typing import TYPE_CHECKING

from tests.support.load_client import BOUNDARY, request_of

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine, Generator
    from typing import Any

    Attack = Callable[[int], Coroutine[Any, Any, None]]


def _head(length: int) -> bytes:
    """Return the head of a request and of the first part of its form."""
    request = re.sub(rb"Content-Length: \d+", b"Content-Length: %d" % length, request_of([b""]))
    return request.partition(f"\r\n--{BOUNDARY}--".encode())[0]


SLOW = (  # how many, begin of each, bytes at a time, seconds between them
    (4, _head(64 * 2**20), 1, 20),
    (32, _head(10**6), 1, 20),
    (16, _head(10**7), 12_000, 1),
    (500, b"GET / HTTP/1.1\r\nHost: localhost\r\n", 0, 30),
    (100, b"", 0, 30),
)


async def attack_slowly(port: int) -> None:
    """Send bytes slowly, or none, on 652 connections, without end."""
    await asyncio.gather(*(_drip(port, *how) for count, *how in SLOW for _ in range(count)))


async def _drip(port: int, begin: bytes, size: int, pause: float) -> None:
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


@contextlib.contextmanager
def attacked(attack: Attack, port: int) -> Generator[None]:
    """Run an attack without end inside the context, in another process."""
    process = multiprocessing.get_context("spawn").Process(target=_run, args=(attack, port))
    process.start()
    try:
        yield
        if not process.is_alive():
            raise RuntimeError("the attackers ended with an error")
    finally:
        process.kill()
        process.join()


def _run(attack: Attack, port: int) -> None:
    asyncio.run(attack(port))
