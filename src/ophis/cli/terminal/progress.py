"""Progress on stderr, only if that is a terminal; rich is loaded only then."""

from __future__ import annotations

import sys
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Generator

    from rich.progress import Progress, ProgressColumn


@contextmanager
def bar(total: int | None) -> Generator[Callable[[int], None]]:
    """Show a progress bar; yields a function that advances it.

    Args:
        total: number of steps; None if it is not known yet.
    """
    if not sys.stderr.isatty():
        yield lambda _: None
        return
    from rich.progress import BarColumn, MofNCompleteColumn, TimeRemainingColumn

    with _progress(BarColumn(), MofNCompleteColumn(), TimeRemainingColumn()) as progress:
        task = progress.add_task("", total=total)
        yield lambda advance: progress.advance(task, advance)


@contextmanager
def waiting(description: str) -> Generator[None]:
    """Show a spinner with a description until the work is done."""
    if not sys.stderr.isatty():
        yield
        return
    from rich.progress import SpinnerColumn, TextColumn, TimeElapsedColumn

    text = TextColumn("{task.description}", markup=False)
    with _progress(
        SpinnerColumn("line", style="cyan"), text, TimeElapsedColumn(), kept=False
    ) as progress:
        progress.add_task(description, total=None)
        yield


def _progress(*columns: ProgressColumn, kept: bool = True) -> Progress:
    """Create a display on stderr; output to stdout is not redirected."""
    from rich.console import Console
    from rich.progress import Progress

    return Progress(
        *columns, console=Console(stderr=True), redirect_stdout=False, transient=not kept
    )
