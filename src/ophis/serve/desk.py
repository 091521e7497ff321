"""Where questions are taken in: so many in work, so many waiting, so many bytes, and no more."""

from __future__ import annotations

import asyncio
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager, contextmanager
from typing import TYPE_CHECKING, TypeVar

from ophis.errors import Reason
from ophis.serve.crowd import Crowd
from ophis.serve.refusal import later

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Callable, Generator

    from ophis.serve.limits import Limits
    from ophis.serve.refusal import RefusalError

T = TypeVar("T")
BUSY = "too many people are asking at this moment; ask again in a few seconds"


class Desk:
    """Places for questions, and the threads that answer them.

    A question has a place from before its first byte is read until it is answered, so that a full
    service says so at once, and reads nothing for nothing.

    Attributes:
        places: that are taken, also by questions that are still received.
        waiting: questions that were read and wait for a thread.
        in_progress: questions that a thread works on.
    """

    def __init__(self, limits: Limits) -> None:
        self.places = self.waiting = self.in_progress = 0
        self._limits = limits
        self._held_bytes = 0
        self._crowd = Crowd()
        self._turns = asyncio.Semaphore(limits.workers)
        self._threads = ThreadPoolExecutor(limits.workers, thread_name_prefix="ophis")

    @contextmanager
    def place(self, size_bytes: int) -> Generator[None]:
        """Take a place for a question of that size.

        Raises:
            RefusalError: 503, when there is none.
        """
        limits = self._limits
        self._crowd.came()
        uploads = self.places - self.waiting - self.in_progress
        held_bytes = self._held_bytes + size_bytes
        if self.full() or uploads >= limits.uploads or held_bytes > limits.held_bytes:
            raise self._refusal()
        self.places += 1
        self._held_bytes += size_bytes
        try:
            yield
        finally:
            self.places -= 1
            self._held_bytes -= size_bytes

    def full(self) -> bool:
        """Whether nobody more may wait for a thread."""
        waiting = 0 if self._crowd.too_many() else self._limits.waiting
        return self.in_progress + self.waiting >= self._limits.workers + waiting

    def _refusal(self) -> RefusalError:
        self._crowd.refused()
        return later(BUSY, Reason.BUSY)

    @asynccontextmanager
    async def turn(self) -> AsyncGenerator[None]:
        """Wait for a thread; inside, there is one for `run`.

        Raises:
            RefusalError: 503, when others came in between.
        """
        if self.full():
            raise self._refusal()
        self.waiting += 1
        try:
            await self._turns.acquire()
        finally:
            self.waiting -= 1
        self.in_progress += 1
        try:
            yield
        finally:
            self.in_progress -= 1
            self._turns.release()

    async def run(self, work: Callable[[], T]) -> T:
        """What a thread makes of it."""
        return await asyncio.get_running_loop().run_in_executor(self._threads, work)

    def close(self) -> None:
        """Let the threads end; what waits for one is dropped."""
        self._threads.shutdown(wait=False, cancel_futures=True)
