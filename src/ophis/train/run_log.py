"""Log of a run, one line of JSON a step and curves for TensorBoard, and progress for callers."""

from __future__ import annotations

import json
import os
import platform
import time
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

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

_VALIDATION_METRICS = ("top1", "top5", "macro_f1")


@dataclass(frozen=True)
class StepFigures:
    """Figures of an optimiser step that is done.

    Attributes:
        step: number of the step, from 0.
        steps: optimiser steps of the whole run.
        loss: mean over the step's photos.
        learning_rate: of the step.
        photos_per_second: of all processes, since the start or the resumption of the run.
        seconds_left: until the last step at this speed.
    """

    step: int
    steps: int
    loss: float
    learning_rate: float
    photos_per_second: float
    seconds_left: float


class Progress:
    """Receiver of a run's progress. This one ignores it; subclasses show it."""

    def photos_checked(self, done: int, total: int) -> None:
        """Receive the number of photos decoded so far before the first step."""

    def step_done(self, figures: StepFigures) -> None:
        """Receive the figures of a step."""

    def message(self, line: str) -> None:
        """Receive a line for the person who started the run."""


class RunLog:
    """Writer of log.jsonl and TensorBoard's files, and sender of the run's progress.

    Args:
        folder: the run folder; None in processes that do not lead, where nothing is written.
        first_step: step at which the run begins or resumes.
        steps: optimiser steps of the whole run.
        progress: receives each step and message.
    """

    def __init__(
        self, folder: Path | None, first_step: int, steps: int, progress: Progress | None = None
    ) -> None:
        self._first, self._steps = first_step, steps
        self._progress = progress or Progress()
        self._folder = folder
        self._open = ExitStack()
        self._file = self._curves = None
        if folder:
            with self._disk_errors():
                cut_partial_line(folder / LOG)
                self._file = self._open.enter_context((folder / LOG).open("ab", buffering=0))
                self._curves = self._open.enter_context(Curves(folder / "tensorboard"))
        self._started = time.monotonic()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._open.close()

    def step(self, step: int, *, loss: float, learning_rate: float, photos: int) -> None:
        """Log a step. ``photos``: of all processes since the run began or resumed."""
        seconds = max(time.monotonic() - self._started, 1e-9)
        speed = photos / seconds
        self._write(step, loss=loss, learning_rate=learning_rate, photos_per_second=speed)
        left = seconds / (step + 1 - self._first) * (self._steps - step - 1)
        self._progress.step_done(StepFigures(step, self._steps, loss, learning_rate, speed, left))

    def evaluation(self, step: int, evaluation: Evaluation) -> None:
        """Log the validation metrics after ``step`` steps."""
        figures = evaluation.as_dict()
        self._write(step, **{f"validation_{name}": figures[name] for name in _VALIDATION_METRICS})
        self.message(
            f"step {step:,}: validation top-1 {evaluation.top1:.1%}, top-5 {evaluation.top5:.1%},"
            f" macro F1 {evaluation.macro_f1:.4f}"
        )

    def message(self, line: str) -> None:
        """Pass a line on to the run's progress."""
        self._progress.message(line)

    def _write(self, step: int, **figures: float) -> None:
        if self._file and self._curves:
            with self._disk_errors():
                self._file.write(json.dumps({"step": step, **figures}).encode() + b"\n")
                self._curves.write(step, figures)

    @contextmanager
    def _disk_errors(self) -> Generator[None]:
        """Turn an error of the disk into one line."""
        try:
            yield
        except OSError as error:
            raise InputError(
                f"{self._folder}: the log cannot be written: {error.strerror}; the last checkpoint"
                " is intact; free space, and the same command goes on from it"
            ) from None


class Curves:
    """Writer of a TensorBoard file; each record is on its way to the disk when the call returns.

    TensorBoard's own writer uses a thread, which prints a traceback when the disk is full.
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
        """Write the figures of a step, by name."""
        values = [Summary.Value(tag=name, simple_value=value) for name, value in figures.items()]
        self._add(Event(wall_time=time.time(), step=step, summary=Summary(value=values)))

    def _add(self, event: Event) -> None:
        self._records.write(event.SerializeToString())


def cut_partial_line(log: Path) -> None:
    """Remove an unfinished last line, which a killed process may leave."""
    if log.exists():
        whole = log.read_bytes().rpartition(b"\n")
        os.truncate(log, len(whole[0] + whole[1]))


def has_validation(folder: Path, step: int) -> bool:
    """Return whether a run's log holds the validation metrics after ``step`` steps."""
    try:
        lines = (folder / LOG).read_text(encoding="utf-8").splitlines()
    except FileNotFoundError:
        return False
    return any(line.startswith(f'{{"step": {step}, "validation_') for line in lines)
