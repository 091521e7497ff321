"""What a run says while it runs: a line of JSON a step, TensorBoard's curves, the terminal."""

from __future__ import annotations

import json
import os
import platform
import sys
import time
from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from tensorboard.compat.proto.event_pb2 import Event  # ty: ignore[missing-module-member]
from tensorboard.compat.proto.summary_pb2 import Summary  # ty: ignore[missing-module-member]
from tensorboard.summary.writer.record_writer import RecordWriter

from ophis.errors import InputError
from ophis.evaluation.run import LOG

if TYPE_CHECKING:
    from collections.abc import Generator, Mapping
    from pathlib import Path
    from typing import Self

    from ophis.evaluation.metrics import Evaluation

SECONDS_BETWEEN_LINES = 10.0


class RunLog:
    """Writes log.jsonl and TensorBoard's files, and shows the progress.

    On a terminal there is one moving line; elsewhere (a file, a pipe, CI) a plain line now and
    then. Everything that is shown goes to stderr. Without a folder
    (in the processes that do not lead) it does nothing.
    """

    def __init__(self, folder: Path | None, first_step: int, steps: int, *, quiet: bool) -> None:
        self._first, self._steps = first_step, steps
        self._quiet = quiet or folder is None
        self._folder = folder
        self._open = ExitStack()
        self._file = self._curves = self._bar = None
        if folder:
            with self._written():
                cut_half_line(folder / LOG)
                self._file = self._open.enter_context((folder / LOG).open("ab", buffering=0))
                self._curves = self._open.enter_context(Curves(folder / "tensorboard"))
        self._started = self._said = time.monotonic()
        if sys.stderr.isatty() and not self._quiet:
            self._bar = self._open.enter_context(_bar())
            self._task = self._bar.add_task("", total=steps, completed=first_step, figures="")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._open.close()

    def step(self, step: int, *, loss: float, learning_rate: float, photos: int) -> None:
        """One optimiser step is done. ``photos``: seen by all processes since the start."""
        seconds = max(time.monotonic() - self._started, 1e-9)
        speed = photos / seconds
        self._write(step, loss=loss, learning_rate=learning_rate, photos_per_second=speed)
        figures = f"loss {loss:7.4f}  rate {learning_rate:.6f}  {speed:6.1f} photos/s"
        if self._bar:
            self._bar.update(self._task, completed=step + 1, figures=figures)
        elif time.monotonic() - self._said > SECONDS_BETWEEN_LINES or step + 1 == self._steps:
            done = step + 1 - self._first
            left = seconds / done * (self._steps - step - 1)
            self.say(f"step {step + 1:,} of {self._steps:,}  {figures}  {_clock(left)} left")

    def evaluation(self, step: int, evaluation: Evaluation) -> None:
        """The validation photos were scored after ``step`` steps."""
        figures = evaluation.as_dict()
        self._write(step, **{f"validation_{name}": figures[name] for name in _JUDGED})
        self.say(
            f"step {step:,}: validation top-1 {evaluation.top1:.1%}, top-5 {evaluation.top5:.1%},"
            f" macro F1 {evaluation.macro_f1:.4f}"
        )

    def say(self, line: str) -> None:
        """Show one line."""
        self._said = time.monotonic()
        if self._quiet:
            return
        if self._bar:
            self._bar.console.print(line, highlight=False)
        else:
            print(line, file=sys.stderr, flush=True)

    def _write(self, step: int, **figures: float) -> None:
        if self._file and self._curves:
            with self._written():
                self._file.write(json.dumps({"step": step, **figures}).encode() + b"\n")
                self._curves.write(step, figures)

    @contextmanager
    def _written(self) -> Generator[None]:
        """One line where a full disk takes no more."""
        try:
            yield
        except OSError as error:
            raise InputError(
                f"{self._folder}: the log cannot be written: {error.strerror}; the last checkpoint"
                " stands; free space, and the same command goes on from it"
            ) from None


class Curves:
    """A file of TensorBoard: each record is written before the call returns, by no thread.

    Its own writer does so later, in a thread that prints a traceback when the disk is full.
    """

    def __init__(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        name = f"events.out.tfevents.{time.time():.0f}.{platform.node()}.{os.getpid()}"
        self._file = (folder / name).open("wb", buffering=0)
        self._records = RecordWriter(self._file)
        self._add(Event(wall_time=time.time(), file_version="brain.Event:2"))

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._file.close()

    def write(self, step: int, figures: Mapping[str, float]) -> None:
        """The figures of a step, by name."""
        values = [Summary.Value(tag=name, simple_value=one) for name, one in figures.items()]
        self._add(Event(wall_time=time.time(), step=step, summary=Summary(value=values)))

    def _add(self, event: Event) -> None:
        self._records.write(event.SerializeToString())


def cut_half_line(log: Path) -> None:
    """Take away what a stop left of a last line; the next one would be written behind it."""
    if log.exists():
        whole = log.read_bytes().rpartition(b"\n")
        os.truncate(log, len(whole[0] + whole[1]))


def is_judged(folder: Path, step: int) -> bool:
    """Whether the log of a run has the validation figures of after so many steps."""
    try:
        lines = (folder / LOG).read_text(encoding="utf-8").splitlines()
    except FileNotFoundError:
        return False
    return any(line.startswith(f'{{"step": {step}, "validation_') for line in lines)


_JUDGED = ("top1", "top5", "macro_f1")


def _bar() -> Progress:
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
