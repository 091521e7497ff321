"""Admission control: limits on requests received, waiting and answered; else status 503."""

from __future__ import annotations

import asyncio
import ipaddress
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager, contextmanager
from typing import TYPE_CHECKING, TypeVar

from ophis.serve.error_response import CLOSE, HTTPReason, RequestError, unavailable

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Callable, Generator, Iterable, Mapping

    from ophis.serve.limits import Limits

T = TypeVar("T")
TOO_SLOW = "the photo did not arrive in time; try again with a better network"
BUSY = "the service is busy at this moment; try again in a few seconds"
WINDOW_SECONDS = 1.0
THREADS = "ophis-answer"


class Upload:
    """Admitted request and the bytes of its body that have arrived.

    Attributes:
        client: network of the client.
        received: bytes of the body until now.
        receiving: True while the body is read; only then it can be dropped.
    """

    def __init__(self, client: str, limits: Limits, on_bytes: Callable[[], None]) -> None:
        self.client, self.received, self.receiving = client, 0, False
        self._limits, self._on_bytes = limits, on_bytes
        self._loop = asyncio.get_running_loop()
        self._started = self._loop.time()
        self._deadline = self._started + limits.start_seconds
        self._timeout = asyncio.timeout_at(self._deadline)
        self._error = RequestError(408, TOO_SLOW, reason=HTTPReason.TOO_SLOW, headers=CLOSE)

    @asynccontextmanager
    async def receive(self) -> AsyncGenerator[None]:
        """Read the body inside this context.

        Raises:
            RequestError: 408, when it is too slow; another, when it is dropped.
        """
        try:
            async with self._timeout:
                self.receiving = True
                yield
            dropped = not self.receiving  # with its last byte
        except TimeoutError:
            dropped = True
        finally:
            self.receiving = False
        if dropped:
            raise self._error

    def count(self, size: int) -> None:
        """Count bytes that arrived, and extend the deadline by the time that they may take."""
        if not self.receiving or self._timeout.expired():
            return
        limits = self._limits
        self.received += size
        self._deadline = min(
            self._deadline + size / limits.upload_rate,
            self._loop.time() + limits.stall_seconds,
            self._started + limits.upload_seconds,
        )
        self._timeout.reschedule(self._deadline)
        self._on_bytes()

    def rate(self) -> float:
        """Return the mean bytes per second; the first second counts as one at the least rate."""
        seconds = self._loop.time() - self._started
        return (self.received + self._limits.upload_rate) / max(1, seconds)

    def drop(self, error: RequestError | None = None) -> None:
        """End the reading with an error; by default it is too slow."""
        self.receiving = False
        self._error = error or self._error
        if not self._timeout.expired():
            self._timeout.reschedule(self._loop.time())


class AdmissionControl:
    """Bounds on concurrent requests, and the threads that answer them.

    A request is admitted before its body is read, so that a service with a full queue answers 503
    at once and reads nothing in vain. It stays admitted until it is answered. Where places for
    uploads run short, the slowest gives up its place; where bytes run short, the largest: first
    those of the client that holds the most.

    Attributes:
        waiting: requests that were read and wait for a thread.
        in_progress: requests that a thread works on.
    """

    def __init__(self, limits: Limits) -> None:
        self.waiting = self.in_progress = 0
        self._limits = limits
        self._uploads: dict[Upload, None] = {}  # the oldest first
        self._load_shedding = LoadShedding()
        self._workers = asyncio.Semaphore(limits.workers)
        self._threads = ThreadPoolExecutor(limits.workers, thread_name_prefix=THREADS)

    @property
    def admitted(self) -> int:
        """Requests that are being received, wait, or are being answered."""
        return len(self._uploads)

    @contextmanager
    def admit(self, address: str = "") -> Generator[Upload]:
        """Admit a request from this address.

        Raises:
            RequestError: 503, when a limit is reached.
        """
        self._load_shedding.count_request()
        uploads = self.admitted - self.waiting - self.in_progress
        full = uploads >= self._limits.uploads
        if self.queue_full() or (full and not self._drop_slowest()):
            raise self._busy()
        upload = Upload(network_of(address), self._limits, self._bound_bytes)
        self._uploads[upload] = None
        try:
            yield upload
        finally:
            self._uploads.pop(upload, None)

    def _drop_slowest(self) -> bool:
        """Free the place of an upload; return False if all have arrived."""
        uploads = of_largest_holder(self._receiving(), _client)
        if uploads:
            self._drop(min(uploads, key=Upload.rate))
        return bool(uploads)

    def _bound_bytes(self) -> None:
        while sum(map(_received, self._uploads)) > self._limits.held_bytes:
            uploads = of_largest_holder(self._receiving(), _client, _received)
            self._drop(max(uploads, key=_received), self._busy(CLOSE))

    def _receiving(self) -> list[Upload]:
        return [upload for upload in self._uploads if upload.receiving]

    def _drop(self, upload: Upload, error: RequestError | None = None) -> None:
        upload.drop(error)
        del self._uploads[upload]

    def queue_full(self) -> bool:
        """Return True when no further request may wait for a thread."""
        waiting = 0 if self._load_shedding.active() else self._limits.waiting
        return self.in_progress + self.waiting >= self._limits.workers + waiting

    def _busy(self, headers: Mapping[str, str] | None = None) -> RequestError:
        self._load_shedding.count_rejection()
        return unavailable(BUSY, HTTPReason.BUSY, headers)

    @asynccontextmanager
    async def worker(self) -> AsyncGenerator[None]:
        """Wait for a thread; `run` uses it inside this context.

        Raises:
            RequestError: 503, when the queue filled up while the request was received.
        """
        if self.queue_full():
            raise self._busy()
        self.waiting += 1
        try:
            await self._workers.acquire()
        finally:
            self.waiting -= 1
        self.in_progress += 1
        try:
            yield
        finally:
            self.in_progress -= 1
            self._workers.release()

    async def run(self, work: Callable[[], T]) -> T:
        """Run a function in a thread and return its result."""
        return await asyncio.get_running_loop().run_in_executor(self._threads, work)

    def close(self) -> None:
        """Stop the threads and drop waiting work."""
        self._threads.shutdown(wait=False, cancel_futures=True)


def of_largest_holder(
    items: Iterable[T], client: Callable[[T], str], weight: Callable[[T], int] = lambda _: 1
) -> list[T]:
    """Return the items of the client whose items weigh most; each weighs 1 by default.

    Behind a reverse proxy all clients are one: then these are all items.
    """
    held, items = Counter[str](), list(items)
    for item in items:
        held[client(item)] += weight(item)
    most = max(held, key=held.__getitem__, default="")
    return [item for item in items if client(item) == most]


def network_of(address: str) -> str:
    """Return an IPv4 address itself, and the network of an IPv6 address (64 bits)."""
    try:
        return str(ipaddress.ip_network((ipaddress.IPv6Address(address), 64), strict=False))
    except ValueError:
        return address


def _client(upload: Upload) -> str:
    return upload.client


def _received(upload: Upload) -> int:
    return upload.received


class LoadShedding:
    """Switch that empties the queue under sustained overload.

    A short burst waits in the queue and is answered soon. Under sustained overload a queue is
    always full: it raises no throughput and delays every answer. After a second in which more
    than half of the requests were rejected, no request waits during the next second.

    Args:
        clock: monotonic seconds.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock, self._start = clock, clock()
        self._requests = self._rejections = 0
        self._active = False

    def count_request(self) -> None:
        """Count a request."""
        self._roll_window()
        self._requests += 1

    def count_rejection(self) -> None:
        """Count a request that was rejected."""
        self._roll_window()
        self._rejections += 1

    def active(self) -> bool:
        """Return True while no request should wait."""
        self._roll_window()
        return self._active

    def _roll_window(self) -> None:
        elapsed = self._clock() - self._start
        if elapsed < WINDOW_SECONDS:
            return
        # Counts of an older window do not describe the present load.
        recent = elapsed < 2 * WINDOW_SECONDS
        self._active = recent and 2 * self._rejections > self._requests
        self._start += elapsed
        self._requests = self._rejections = 0
