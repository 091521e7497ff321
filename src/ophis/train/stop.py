"""Stop requests to a run: deferred while there is unsaved work, else immediate."""

from __future__ import annotations

import signal
import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from ophis.errors import PhotoError

if TYPE_CHECKING:
    from collections.abc import Generator, Iterator
    from pathlib import Path
    from typing import Self

    from ophis.train.batches import MicroBatch
    from ophis.train.processes import Processes


HANGUP = getattr(signal, "SIGHUP", None)  # the terminal was closed; none on Windows
SIGNALS = (signal.SIGINT, signal.SIGTERM, *([HANGUP] if HANGUP else []))


class Stopped(Exception):  # noqa: N818 - not an error
    """End of a run by Ctrl-C, SIGTERM or SIGHUP; its state is saved and it can resume.

    Attributes:
        signal: number of the signal.
    """

    def __init__(self, message: str, number: int) -> None:
        super().__init__(message)
        self.signal = number


class StepInterrupted(Exception):  # noqa: N818
    """Internal: leave the current step, in all processes.

    Attributes:
        photo: the photo that this process could not read, or None.
    """

    def __init__(self, photo: PhotoError | None = None) -> None:
        super().__init__()
        self.photo = photo


class ImmediateStop(BaseException):
    """Internal: leave any block; no ``except Exception`` may catch it."""


class StopRequest:
    """A Ctrl-C, SIGTERM or SIGHUP to a run.

    In a `deferred` block it waits for the next `next_batch`. Elsewhere no work would be lost, and
    it ends the block of the StopRequest at once, with `Stopped`. A second Ctrl-C ends the process
    anywhere.

    Attributes:
        saved_step: step of the last checkpoint; None before the first.
    """

    def __init__(self, out: Path, steps: int) -> None:
        self.saved_step: int | None = None
        self._out, self._steps = out, steps
        self._number = 0
        self._deferred = False
        self._before: dict[int, Any] = {}

    def __enter__(self) -> Self:
        if threading.current_thread() is threading.main_thread():
            for number in SIGNALS:
                if number == HANGUP and signal.getsignal(number) == signal.SIG_IGN:
                    continue  # nohup: the run outlives its terminal
                self._before[number] = signal.signal(number, self._receive)
        return self

    def __exit__(self, _kind: object, error: BaseException | None, _trace: object) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)
        if isinstance(error, ImmediateStop):
            raise self.stopped() from None

    def _receive(self, number: int, _frame: object) -> None:
        if not self._number:
            self._number = number
            if not self._deferred:
                raise ImmediateStop
        elif number == signal.SIGINT:  # a second SIGTERM may be the first, passed on by torchrun
            raise KeyboardInterrupt

    @contextmanager
    def deferred(self) -> Generator[None]:
        """Make a request wait for `next_batch`, so that unsaved work is saved first."""
        self._deferred = True
        try:
            yield
        finally:
            self._deferred = False

    @contextmanager
    def immediate(self) -> Generator[None]:
        """Make a request take effect at once inside `deferred`: the state was just saved."""
        self._deferred = False
        try:
            if self._number:
                raise ImmediateStop
            yield
        finally:
            self._deferred = True

    def next_batch(self, batches: Iterator[MicroBatch], processes: Processes) -> MicroBatch:
        """Return the next micro-batch unless any process is to stop or cannot read a photo.

        The processes agree on it before their next exchange, so that none waits for one that left.

        Raises:
            StepInterrupted: in all processes.
        """
        batch = photo = None
        try:
            batch = next(batches)
        except PhotoError as error:
            photo = error
        if processes.any(here=bool(self._number or photo)) or batch is None:
            raise StepInterrupted(photo)
        return batch

    def stopped(self) -> Stopped:
        """Return the exception to raise once the state is saved."""
        message = f"stopped before the first step of {self._steps:,}; the same command begins anew"
        if self.saved_step is not None:
            message = (
                f"stopped and saved at step {self.saved_step:,} of {self._steps:,} in {self._out};"
                " the same command goes on from there"
            )
        return Stopped(message, self._number or signal.SIGTERM)
