"""How far a long work is, on stderr and only where that is a terminal; rich is loaded only then."""

from __future__ import annotations

import sys
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Generator

    from rich.progress import Progress, ProgressColumn


@contextmanager
def bar(total: int | None) -> Generator[Callable[[int], None]]:
    """A progress bar; gives what is called with the number of things done since the last call.

    Args:
        total: what will be done; None where that is not known yet.
    """
    if not sys.stderr.isatty():
        yield lambda _: None
        return
    from rich.progress import BarColumn, MofNCompleteColumn, TimeRemainingColumn

    with _progress(BarColumn(), MofNCompleteColumn(), TimeRemainingColumn()) as progress:
        task = progress.add_task("", total=total)
        yield lambda advance: progress.advance(task, advance)


@contextmanager
def waiting(what: str) -> Generator[None]:
    """Say what takes so long; it goes away when it is done."""
    if not sys.stderr.isatty():
        yield
        return
    from rich.progress import SpinnerColumn, TextColumn, TimeElapsedColumn

    said = TextColumn("{task.description}", markup=False)
    with _progress(SpinnerColumn(style="cyan"), said, TimeElapsedColumn(), kept=False) as progress:
        progress.add_task(what, total=None)
        yield


def _progress(*columns: ProgressColumn, kept: bool = True) -> Progress:
    """On stderr; what is printed meanwhile is for stdout, whatever stderr shows."""
    from rich.console import Console
    from rich.progress import Progress

    return Progress(
        *columns, console=Console(stderr=True), redirect_stdout=False, transient=not kept
    )
