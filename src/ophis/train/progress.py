"""Progress of a training run, for the caller of `fit`."""

from __future__ import annotations

from dataclasses import dataclass


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
