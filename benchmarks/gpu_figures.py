"""A line of `gpu.py`'s table: one way of training, measured by itself, whatever happens to it."""

from __future__ import annotations

import gc
import time
from dataclasses import dataclass
from statistics import median, quantiles
from typing import TYPE_CHECKING

import torch
from gpu_work import peak

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from gpu_steps import Step
    from gpu_work import Work

PAPER_PHOTOS = 10_000 * 512


@dataclass(frozen=True)
class Figures:
    """What was measured; None where it was not.

    Attributes:
        name: the way of training.
        photos_per_second: median over the steps after the warm-up.
        low: lower quartile.
        high: upper quartile.
        piece_ms: milliseconds a micro-batch.
        peak_gib: most memory of the device that tensors took.
        peak_share: of the device's dense bfloat16, 0 to 1.
        paper_minutes: what 10,000 steps of 512 photos would take at this speed.
        loss_difference: of the first step's loss to the reference's, relative.
        gradient_difference: of the first step's gradient, as a vector, relative.
        failure: why there are no figures.
    """

    name: str
    photos_per_second: float | None = None
    low: float | None = None
    high: float | None = None
    piece_ms: float | None = None
    peak_gib: float | None = None
    peak_share: float | None = None
    paper_minutes: float | None = None
    loss_difference: float | None = None
    gradient_difference: float | None = None
    failure: str = ""


@dataclass(frozen=True)
class First:
    """Loss and gradient of the first step."""

    loss: float
    gradient: torch.Tensor

    @classmethod
    def of(cls, step: Step) -> First:
        """Take the step's first half."""
        loss = float(step.accumulate())
        parts = [p.grad.detach().flatten() for p in step.model.parameters() if p.grad is not None]
        return cls(loss, torch.cat(parts).float())


class DeviceLostError(RuntimeError):
    """The device answers no more: what follows cannot be measured in this process."""


def measure(
    name: str,
    begin: Callable[[], Step],
    work: Work,
    *,
    steps: int,
    reference: First | None = None,
) -> Figures:
    """Take steps of one way and let go of its memory; a failure becomes the line's text.

    Raises:
        DeviceLostError: when the device is broken afterwards.
    """
    try:
        return _measure(name, begin, work, steps, reference)
    except Exception as error:  # compilers and drivers raise dozens of kinds
        return Figures(name, failure=one_line(error))
    finally:
        _let_go(work.device, name)


def _measure(
    name: str, begin: Callable[[], Step], work: Work, steps: int, reference: First | None
) -> Figures:
    cuda = work.device.type == "cuda"
    if cuda:
        torch.cuda.reset_peak_memory_stats(work.device)
    step = begin()
    first = First.of(step)
    step.update()
    loss = gradient = None
    if reference:
        loss = abs(first.loss - reference.loss) / abs(reference.loss)
        gap = (first.gradient - reference.gradient).norm() / reference.gradient.norm()
        gradient = float(gap)
    del first
    seconds = [seconds_of(step, work.device) for _ in range(steps + 1)][1:]
    speeds = [work.photos / each for each in seconds]
    speed = median(speeds)
    low, _, high = quantiles(speeds, n=4, method="inclusive") if steps > 1 else [speed] * 3
    found = peak(work.device)
    return Figures(
        name,
        photos_per_second=speed,
        low=low,
        high=high,
        piece_ms=1000 * median(seconds) / work.pieces,
        peak_gib=torch.cuda.max_memory_allocated(work.device) / 2**30 if cuda else None,
        peak_share=speed * work.photo_gflop / (1000 * found[0]) if found else None,
        paper_minutes=PAPER_PHOTOS / speed / 60,
        loss_difference=loss,
        gradient_difference=gradient,
    )


def seconds_of(step: Step, device: torch.device) -> float:
    """One whole step, until the device is done."""
    wait(device)
    started = time.perf_counter()
    step.accumulate()
    step.update()
    wait(device)
    return time.perf_counter() - started


def wait(device: torch.device) -> None:
    """Until the device has done all that it was given."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)


def _let_go(device: torch.device, name: str) -> None:
    torch.compiler.reset()
    gc.collect()
    if device.type != "cuda":
        return
    try:
        torch.cuda.synchronize(device)
        torch.cuda.empty_cache()
    except RuntimeError as error:
        raise DeviceLostError(f"the device was lost by {name}: {one_line(error)}") from None


def one_line(error: Exception) -> str:
    """Kind and first line of an error, for a cell."""
    text = next((line for line in str(error).splitlines() if line.strip()), "")
    return f"{type(error).__name__}: {text}"[:160].replace("|", "/")


def markdown(rows: Sequence[Figures]) -> str:
    """The table."""
    head = ("way", "photos/s", "quartiles", "ms a piece", "GiB", "share of peak")
    head += ("minutes of 10,000 x 512", "loss differs", "gradient differs")
    lines = [head, ("---",) * len(head), *map(_cells, rows)]
    return "\n".join(f"| {' | '.join(cells)} |" for cells in lines)


def _cells(row: Figures) -> tuple[str, ...]:
    if row.failure:
        return row.name, row.failure, *("",) * 7
    return (
        row.name,
        _written(row.photos_per_second, ",.0f"),
        f"{_written(row.low, ',.0f')} to {_written(row.high, ',.0f')}",
        _written(row.piece_ms, ".3g"),
        _written(row.peak_gib, ".1f"),
        _written(row.peak_share, ".1%"),
        _written(row.paper_minutes, ",.1f"),
        _written(row.loss_difference, ".1e"),
        _written(row.gradient_difference, ".1e"),
    )


def _written(figure: float | None, form: str) -> str:
    return "-" if figure is None else format(figure, form)
