"""Being asked to stop: remembered until the state can be saved."""

from __future__ import annotations

import signal
import threading
from typing import TYPE_CHECKING, Any

from ophis.errors import PhotoError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path
    from typing import Self

    from ophis.train.batches import MicroBatch
    from ophis.train.processes import Processes


class Stopped(Exception):  # noqa: N818 - nothing went wrong
    """The run was asked to stop, saved its state and can go on.

    Attributes:
        signal: number of the signal that asked.
    """

    def __init__(self, message: str, number: int) -> None:
        super().__init__(message)
        self.signal = number


class StepInterrupted(Exception):  # noqa: N818
    """Internal: leave the step that is under way, in all processes.

    Attributes:
        photo: what this process could not read, or None.
    """

    def __init__(self, photo: PhotoError | None = None) -> None:
        super().__init__()
        self.photo = photo


class StopRequest:
    """Remembers a Ctrl-C or SIGTERM until the loop can save; a second Ctrl-C stops at once."""

    def __init__(self) -> None:
        self._number = 0
        self._before: dict[int, Any] = {}

    def __enter__(self) -> Self:
        if threading.current_thread() is threading.main_thread():
            for number in (signal.SIGINT, signal.SIGTERM):
                self._before[number] = signal.signal(number, self._remember)
        return self

    def __exit__(self, *_: object) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)

    def _remember(self, number: int, _frame: object) -> None:
        if self._number:
            raise KeyboardInterrupt
        self._number = number

    def next_of(self, pieces: Iterator[MicroBatch], processes: Processes) -> MicroBatch:
        """The next piece, unless any process was asked to stop or cannot read a photo of its own.

        All learn of it before the next exchange, so that none waits for one that has left.

        Raises:
            StepInterrupted: in all processes alike.
        """
        piece = photo = None
        try:
            piece = next(pieces)
        except PhotoError as error:
            photo = error
        if processes.any(here=bool(self._number or photo)) or piece is None:
            raise StepInterrupted(photo)
        return piece

    def stopped(self, step: int, steps: int, out: Path) -> Stopped:
        """What to raise once the state is saved."""
        return Stopped(
            f"stopped and saved at step {step:,} of {steps:,} in {out};"
            " the same command goes on from there",
            self._number or signal.SIGTERM,
        )
