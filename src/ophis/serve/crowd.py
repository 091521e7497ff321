"""Whether so many ask that nobody should wait."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

WINDOW_SECONDS = 1.0


class Crowd:
    """Those who come, second by second.

    Where many come at one moment, they wait, and all are answered soon. Where more come than can be
    answered, second after second, a queue is always full: it answers nobody more, and everybody
    later. So where more than half were refused in one second, nobody waits in the next.

    Args:
        clock: seconds that only go forward.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock, self._start = clock, clock()
        self._came = self._refused = 0
        self._too_many = False

    def came(self) -> None:
        """Somebody asks."""
        self._turn_over()
        self._came += 1

    def refused(self) -> None:
        """One of those who came was refused."""
        self._turn_over()
        self._refused += 1

    def too_many(self) -> bool:
        """Whether nobody should wait now."""
        self._turn_over()
        return self._too_many

    def _turn_over(self) -> None:
        past = self._clock() - self._start
        if past < WINDOW_SECONDS:
            return
        # Of a second that is longer ago nothing follows for this one.
        self._too_many = past < 2 * WINDOW_SECONDS and 2 * self._refused > self._came
        self._start += past
        self._came = self._refused = 0
