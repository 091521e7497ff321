"""Clients that load the service, in another process: see `responses_of`.

Each request has a new connection. Plain sockets leave processor time to the service on the same
machine.
"""

from __future__ import annotations

import asyncio
import contextlib
import functools
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
class Response:
    """Response to one request.

    Attributes:
        number: of the request, counted from 0.
        started: start of the request, in seconds of the monotonic clock.
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
    """Requests to a service, and their rate.

    Attributes:
        port: of the service, on this machine.
        folder: holds the requests as bytes, in files 0, 1, ...; sent in turn.
        requests: number of files. If the head of a request gives a greater length than the file
            has, the connection is closed after its last byte.
        at_once: clients that send one request after another; 0: see `per_second`.
        per_second: requests that start each second, without waiting for responses.
        seconds: time after which no request starts.
        most: maximum number of requests; 0: no limit.
        patience: seconds after which a client leaves without a response; None: it waits.
    """

    port: int
    folder: str
    requests: int
    at_once: int = 0
    per_second: float = 0
    seconds: float = 10
    most: int = 0
    patience: float | None = None


class _Reply(asyncio.Protocol):
    """Sends a request on a new connection and keeps the response."""

    def __init__(self, request: bytes, done: asyncio.Future[bytes]) -> None:
        self._request, self._done, self._came = request, done, bytearray()
        self._cut = len(request) < _size_of(request)
        self._size = -1

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
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


def _size_of(message: bytes | bytearray) -> int:
    """Return the length of a request or response, by its head."""
    end = message.find(b"\r\n\r\n") + 4
    length = re.search(rb"(?i)\r\ncontent-length: *(\d+)", message[:end])
    return end + (int(length[1]) if length else 0)


async def send(
    port: int, request: bytes, number: int = 0, patience: float | None = None
) -> Response:
    """Send one request and wait for the response."""
    loop = asyncio.get_running_loop()
    done: asyncio.Future[bytes] = loop.create_future()
    started, came = time.monotonic(), b""
    with contextlib.suppress(OSError):  # TimeoutError is one
        async with asyncio.timeout(patience):
            reply = functools.partial(_Reply, request, done)
            transport, _ = await loop.create_connection(reply, "127.0.0.1", port)
            try:
                came = await done
            finally:
                transport.abort()
    seconds = time.monotonic() - started
    head, _, body = came.partition(b"\r\n\r\n")
    status = re.match(rb"HTTP/1\.1 (\d+)", head)
    retry = re.search(rb"(?i)\r\nretry-after: *(\S+)", head)
    return Response(
        number=number,
        started=started,
        seconds=seconds,
        status=int(status[1]) if status else 0,
        retry_after=retry[1].decode() if retry else "",
        digest=hashlib.sha256(body).hexdigest(),
    )


async def send_all(load: Load, requests: Sequence[bytes]) -> list[Response]:
    """Send the requests of a load."""
    end, numbers = time.monotonic() + load.seconds, iter(range(load.most or sys.maxsize))

    async def one(number: int) -> Response:
        return await send(load.port, requests[number % len(requests)], number, load.patience)

    async def client() -> list[Response]:
        found: list[Response] = []
        while time.monotonic() < end and (number := next(numbers, None)) is not None:
            found.append(await one(number))
        return found

    if load.at_once:
        several = await asyncio.gather(*(client() for _ in range(load.at_once)))
        return [response for found in several for response in found]
    started, tasks = time.monotonic(), []
    for number in numbers:
        due = started + number / load.per_second
        if due >= end:
            break
        await asyncio.sleep(max(0.0, due - time.monotonic()))
        tasks.append(asyncio.create_task(one(number)))
    return await asyncio.gather(*tasks)


@contextlib.contextmanager
def clients(load: Load) -> Generator[subprocess.Popen[bytes]]:
    """Start the clients in another process, which writes one line of JSON a `Response`."""
    command = [sys.executable, __file__, json.dumps(asdict(load))]
    with subprocess.Popen(command, stdout=subprocess.PIPE) as process:
        try:
            yield process
        finally:
            process.kill()


def responses_of(load: Load) -> list[Response]:
    """Return the responses of a load, in the order of the requests."""
    with clients(load) as process:
        return read_responses(process)


def read_responses(process: subprocess.Popen[bytes]) -> list[Response]:
    """Wait for the process of `clients` and return its responses."""
    assert process.stdout is not None
    found = [Response(*json.loads(line)) for line in process.stdout.read().splitlines()]
    if process.wait():
        raise RuntimeError("the clients ended with an error")
    return sorted(found, key=lambda one: one.number)


def request_of(photos: Sequence[bytes], **fields: str) -> bytes:
    """Return the bytes of a request to /identify."""
    values = [(f'name="{name}"', value.encode()) for name, value in fields.items()]
    parts = [('name="photo"; filename="a"', photo) for photo in photos] + values
    body = b"".join(
        f"--{BOUNDARY}\r\nContent-Disposition: form-data; {head}\r\n\r\n".encode() + value + b"\r\n"
        for head, value in parts
    )
    body += f"--{BOUNDARY}--\r\n".encode()
    head = (
        "POST /identify HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n"
        f"Content-Type: multipart/form-data; boundary={BOUNDARY}\r\n"
        f"Content-Length: {len(body)}\r\n\r\n"
    )
    return head.encode() + body


def percentile(values: Sequence[float], fraction: float) -> float:
    """Return the smallest value that a fraction of all values does not exceed."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(fraction * len(ordered)))]


def main() -> None:
    """Send the load of the first argument; write one line of JSON a `Response`."""
    load = Load(**json.loads(sys.argv[1]))
    requests = [Path(load.folder, str(n)).read_bytes() for n in range(load.requests)]
    for one in asyncio.run(send_all(load, requests)):
        print(json.dumps(astuple(one)))


if __name__ == "__main__":
    main()
