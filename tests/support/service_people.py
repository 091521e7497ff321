"""Many people who ask a service at once, in a process of their own: see `asked`.

On new connections, on sockets and nothing above them, so that they take as little as can be of the
cores that they share with the service.
"""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import json
import re
import subprocess
import sys
import time
from dataclasses import asdict, astuple, dataclass
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Generator, Sequence

BOUNDARY = "a-boundary"


@dataclass(frozen=True)
class Asked:
    """One request and what came of it.

    Attributes:
        number: of the request, counted from 0.
        started: when it was begun, by the system's monotonic clock.
        seconds: from before the connection was made to the last byte of the answer.
        status: of HTTP; 0 where the connection was closed without an answer.
        retry_after: the header; "" where there was none.
        digest: SHA-256 of the body.
    """

    number: int
    started: float
    seconds: float
    status: int
    retry_after: str
    digest: str


@dataclass(frozen=True)
class Load:
    """Who asks what.

    Attributes:
        port: of the service, on this machine.
        folder: holds the requests as they are sent, in files 0, 1, ...; asked in turn.
        requests: how many of them there are. Of one that says that it is longer, the connection is
            closed after what there is.
        at_once: people who ask one question after the other; 0: see `per_second`.
        per_second: questions that are begun each second, whatever became of those before.
        seconds: after which nobody begins.
        most: questions at most; 0: no bound.
    """

    port: int
    folder: str
    requests: int
    at_once: int = 0
    per_second: float = 0
    seconds: float = 10
    most: int = 0


class _Reply(asyncio.Protocol):
    """Sends a request on a new connection and keeps what comes back."""

    def __init__(self, request: bytes, done: asyncio.Future[bytes]) -> None:
        self._request, self._done, self._came = request, done, bytearray()
        self._cut = len(request) < _size_of(request)
        self._size = -1

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        transport.write(self._request)
        if self._cut:
            transport.close()

    def data_received(self, data: bytes) -> None:
        self._came += data
        if self._size < 0 and b"\r\n\r\n" in self._came:
            self._size = _size_of(self._came)
        if 0 <= self._size <= len(self._came):
            self._finish()

    def connection_lost(self, exc: Exception | None) -> None:
        del exc
        self._finish()

    def _finish(self) -> None:
        if not self._done.done():
            self._done.set_result(bytes(self._came))
        self._transport.abort()


def _size_of(message: bytes | bytearray) -> int:
    """Bytes of a request or an answer, as its head says."""
    end = message.find(b"\r\n\r\n") + 4
    length = re.search(rb"(?i)\r\ncontent-length: *(\d+)", message[:end])
    return end + (int(length[1]) if length else 0)


async def ask(port: int, request: bytes, number: int) -> Asked:
    """Send one request and wait for the answer."""
    loop = asyncio.get_running_loop()
    done: asyncio.Future[bytes] = loop.create_future()
    started = time.monotonic()
    try:
        await loop.create_connection(lambda: _Reply(request, done), "127.0.0.1", port)
        came = await done
    except OSError:
        came = b""
    seconds = time.monotonic() - started
    head, _, body = came.partition(b"\r\n\r\n")
    status = re.match(rb"HTTP/1\.1 (\d+)", head)
    retry = re.search(rb"(?i)\r\nretry-after: *(\S+)", head)
    return Asked(
        number=number,
        started=started,
        seconds=seconds,
        status=int(status[1]) if status else 0,
        retry_after=retry[1].decode() if retry else "",
        digest=hashlib.sha256(body).hexdigest(),
    )


async def put(load: Load, requests: Sequence[bytes]) -> list[Asked]:
    """Ask as the load says."""
    end, numbers = time.monotonic() + load.seconds, iter(range(load.most or sys.maxsize))

    async def one(number: int) -> Asked:
        return await ask(load.port, requests[number % len(requests)], number)

    async def person() -> list[Asked]:
        found: list[Asked] = []
        while time.monotonic() < end and (number := next(numbers, None)) is not None:
            found.append(await one(number))
        return found

    if load.at_once:
        several = await asyncio.gather(*(person() for _ in range(load.at_once)))
        return [asked for found in several for asked in found]
    started, tasks = time.monotonic(), []
    for number in numbers:
        due = started + number / load.per_second
        if due >= end:
            break
        await asyncio.sleep(max(0.0, due - time.monotonic()))
        tasks.append(asyncio.create_task(one(number)))
    return await asyncio.gather(*tasks)


@contextlib.contextmanager
def asking(load: Load) -> Generator[subprocess.Popen[bytes]]:
    """The people in a process of their own; its standard output is a line an `Asked`."""
    command = [sys.executable, __file__, json.dumps(asdict(load))]
    with subprocess.Popen(command, stdout=subprocess.PIPE) as process:
        try:
            yield process
        finally:
            process.kill()


def asked(load: Load) -> list[Asked]:
    """What came of a load, in the order in which the questions were begun."""
    with asking(load) as process:
        return answers_of(process)


def answers_of(process: subprocess.Popen[bytes]) -> list[Asked]:
    """What came of it, when all are answered."""
    assert process.stdout is not None
    found = [Asked(*json.loads(line)) for line in process.stdout.read().splitlines()]
    if process.wait():
        raise RuntimeError("those who ask ended with a mistake")
    return sorted(found, key=lambda one: one.number)


def request_of(photos: Sequence[bytes], **fields: str) -> bytes:
    """A question as it is sent."""
    said = [(f'name="{name}"', value.encode()) for name, value in fields.items()]
    parts = [('name="photo"; filename="a"', photo) for photo in photos] + said
    body = b"".join(
        f"--{BOUNDARY}\r\nContent-Disposition: form-data; {head}\r\n\r\n".encode() + value + b"\r\n"
        for head, value in parts
    )
    body += f"--{BOUNDARY}--\r\n".encode()
    head = (
        "POST /identify HTTP/1.1\r\nHost: a\r\nConnection: close\r\n"
        f"Content-Type: multipart/form-data; boundary={BOUNDARY}\r\n"
        f"Content-Length: {len(body)}\r\n\r\n"
    )
    return head.encode() + body


def percentile(values: Sequence[float], share: float) -> float:
    """The smallest value that so large a share of them does not exceed."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))]


def main() -> None:
    """Ask as the one argument says; a line of standard output is an `Asked`."""
    load = Load(**json.loads(sys.argv[1]))
    requests = [Path(load.folder, str(n)).read_bytes() for n in range(load.requests)]
    for one in asyncio.run(put(load, requests)):
        print(json.dumps(astuple(one)))


if __name__ == "__main__":
    main()
