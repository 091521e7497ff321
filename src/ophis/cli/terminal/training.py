"""Progress of training on stderr: a moving line on a terminal, else a line every ten seconds."""

from __future__ import annotations

import sys
import time
from contextlib import ExitStack
from typing import TYPE_CHECKING

from ophis.cli.terminal.progress import bar
from ophis.train import Progress

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Self

    from rich.progress import Progress as Bar

    from ophis.train import StepFigures

SECONDS_BETWEEN_LINES = 10.0
ANNOUNCED_PHOTOS = 4096  # checking more than these takes long enough for a line


class TrainingProgress(Progress):
    """Progress of `ophis train` and `ophis study`; use as a context manager."""

    def __init__(self) -> None:
        self._open = ExitStack()
        self._last_line = time.monotonic()
        self._checked = 0
        self._advance: Callable[[int], None] | None = None
        self._bar: Bar | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._open.close()

    def photos_checked(self, done: int, total: int) -> None:
        """Show a bar while photos are decoded before the first step."""
        if self._advance is None:
            self._open.close()
            self._bar, self._checked = None, 0
            if total > ANNOUNCED_PHOTOS:
                self.message(f"checking {total:,} photos before the first step")
            self._advance = self._open.enter_context(bar(total))
        self._advance(done - self._checked)
        self._checked = done
        if done == total:
            self._open.close()
            self._advance = None

    def step_done(self, figures: StepFigures) -> None:
        """Show the figures of a step."""
        done, steps = figures.step + 1, figures.steps
        text = (
            f"loss {figures.loss:7.4f}  rate {figures.learning_rate:.6f}"
            f"  {figures.photos_per_second:6.1f} photos/s"
        )
        if sys.stderr.isatty():
            if self._bar is None:
                self._bar = self._open.enter_context(_bar())
                self._task = self._bar.add_task("", total=steps, completed=done, figures=text)
            self._bar.update(self._task, completed=done, figures=text)
            if done == steps:
                self._open.close()
                self._bar = None
        elif time.monotonic() - self._last_line > SECONDS_BETWEEN_LINES or done == steps:
            left = _clock(figures.seconds_left)
            self.message(f"step {done:,} of {steps:,}  {text}  {left} left")

    def message(self, line: str) -> None:
        """Show a line."""
        self._last_line = time.monotonic()
        if self._bar:
            self._bar.console.print(line, highlight=False)
        else:
            print(line, file=sys.stderr, flush=True)


def _bar() -> Bar:
    from rich.console import Console
    from rich.progress import (
        BarColumn,
        MofNCompleteColumn,
        Progress,
        TextColumn,
        TimeRemainingColumn,
    )

    return Progress(
        BarColumn(bar_width=24),
        MofNCompleteColumn(),
        TextColumn("{task.fields[figures]}"),
        TimeRemainingColumn(),
        console=Console(stderr=True),
    )


def _clock(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"
