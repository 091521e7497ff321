"""Being asked to stop: remembered while there is something to save, else obeyed at once."""

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


class StoppedAtOnce(BaseException):
    """Internal: leave whatever goes on; ``except Exception`` is no place to stay in."""


class StopRequest:
    """A Ctrl-C or SIGTERM to a run.

    Where `held`, it waits until `next_of` is asked; elsewhere nothing would be lost, and it ends
    the block at once, with `Stopped`. A second Ctrl-C ends the process wherever it is.

    Attributes:
        saved_step: the step that a checkpoint stands of; None before there is one.
    """

    def __init__(self, out: Path, steps: int) -> None:
        self.saved_step: int | None = None
        self._out, self._steps = out, steps
        self._number = 0
        self._held = False
        self._before: dict[int, Any] = {}

    def __enter__(self) -> Self:
        if threading.current_thread() is threading.main_thread():
            for number in (signal.SIGINT, signal.SIGTERM):
                self._before[number] = signal.signal(number, self._ask)
        return self

    def __exit__(self, _kind: object, error: BaseException | None, _trace: object) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)
        if isinstance(error, StoppedAtOnce):
            raise self.stopped() from None

    def _ask(self, number: int, _frame: object) -> None:
        if not self._number:
            self._number = number
            if not self._held:
                raise StoppedAtOnce
        elif number == signal.SIGINT:  # a second SIGTERM may be the first, which torchrun passed on
            raise KeyboardInterrupt

    @contextmanager
    def held(self) -> Generator[None]:
        """Within it a request waits for `next_of`: what was learned is saved first."""
        self._held = True
        try:
            yield
        finally:
            self._held = False

    @contextmanager
    def at_once(self) -> Generator[None]:
        """Within it, inside of `held`, none waits: the state was saved just now."""
        self._held = False
        try:
            if self._number:
                raise StoppedAtOnce
            yield
        finally:
            self._held = True

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

    def stopped(self) -> Stopped:
        """What to raise once the state is saved."""
        words = f"stopped before the first step of {self._steps:,}; the same command begins anew"
        if self.saved_step is not None:
            words = (
                f"stopped and saved at step {self.saved_step:,} of {self._steps:,} in {self._out};"
                " the same command goes on from there"
            )
        return Stopped(words, self._number or signal.SIGTERM)
