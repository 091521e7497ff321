"""Admission control: limits on requests received, waiting and answered; else status 503."""

from __future__ import annotations

import asyncio
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager, contextmanager
from typing import TYPE_CHECKING, TypeVar

from ophis.serve.error_response import HTTPReason, unavailable

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Callable, Generator

    from ophis.serve.error_response import RequestError
    from ophis.serve.limits import Limits

T = TypeVar("T")
BUSY = "the service is busy at this moment; try again in a few seconds"
WINDOW_SECONDS = 1.0


class AdmissionControl:
    """Bounds on concurrent requests, and the threads that answer them.

    A request is admitted before its body is read, so that a full service answers 503 at once and
    reads nothing in vain. It stays admitted until it is answered.

    Attributes:
        admitted: requests that are being received, wait, or are being answered.
        waiting: requests that were read and wait for a thread.
        in_progress: requests that a thread works on.
    """

    def __init__(self, limits: Limits) -> None:
        self.admitted = self.waiting = self.in_progress = 0
        self._limits = limits
        self._held_bytes = 0
        self._load_shedding = LoadShedding()
        self._workers = asyncio.Semaphore(limits.workers)
        self._threads = ThreadPoolExecutor(limits.workers, thread_name_prefix="ophis")

    @contextmanager
    def admit(self, request_bytes: int) -> Generator[None]:
        """Admit a request of this size.

        Raises:
            RequestError: 503, when a limit is reached.
        """
        limits = self._limits
        self._load_shedding.count_request()
        uploads = self.admitted - self.waiting - self.in_progress
        held_bytes = self._held_bytes + request_bytes
        if self.queue_full() or uploads >= limits.uploads or held_bytes > limits.held_bytes:
            raise self._busy()
        self.admitted += 1
        self._held_bytes += request_bytes
        try:
            yield
        finally:
            self.admitted -= 1
            self._held_bytes -= request_bytes

    def queue_full(self) -> bool:
        """Return True when no further request may wait for a thread."""
        waiting = 0 if self._load_shedding.active() else self._limits.waiting
        return self.in_progress + self.waiting >= self._limits.workers + waiting

    def _busy(self) -> RequestError:
        self._load_shedding.count_rejection()
        return unavailable(BUSY, HTTPReason.BUSY)

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
