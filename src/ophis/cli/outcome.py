"""Ends of commands: failed photos on stderr, the result on stdout, the exit status."""

from __future__ import annotations

import sys
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from ophis.cli.terminal.streams import print_json
from ophis.errors import BadPhotosError, InputError, one_line, printable
from ophis.locales import read_sentences

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping
    from pathlib import Path

    from ophis.errors import PhotoFailure
    from ophis.train import Progress

MAX_LISTED = 20  # unusable photos that are listed one by one


def finish(
    line: object,
    facts: Mapping[str, Any],
    *,
    failures: Iterable[PhotoFailure] = (),
    json: bool = False,
) -> int:
    """List the failed photos, and print the line, or with ``json`` the facts.

    Returns:
        The exit status: 1 if a photo failed, else 0.
    """
    failures = tuple(failures)
    print_failures(failures)
    if json:
        print_json({**facts, "failures": [asdict(failure) for failure in failures]})
    else:
        print(printable(str(line)))
    return 1 if failures else 0


def print_failures(failures: Iterable[PhotoFailure], *, language: str = "en") -> None:
    """Print a line on stderr for each failed photo, with the English reason after a translation."""
    words = read_sentences(language)
    for failure in failures:
        line = failure.reason
        if words.language != "en":
            line = f"{failure.photo_id}: {words.text('error', failure.code)} ({failure.reason})"
        print(f"ophis: {one_line(line)}", file=sys.stderr)


def finish_training(
    work: Callable[[Progress], Path], *, facts: Callable[[Path], dict[str, Any]], json: bool
) -> int:
    """Train, showing the progress, and print the folder or the facts about it.

    Returns:
        The exit status: 0, or 128 and the number of the signal that stopped the training.
    """
    from ophis.cli.terminal.training import TrainingProgress
    from ophis.inference.memory import keep_freed_memory
    from ophis.train import Stopped

    keep_freed_memory()
    try:
        with TrainingProgress() as progress:
            made = work(progress)
    except BadPhotosError as error:
        print_failures(error.failures[:MAX_LISTED])
        raise InputError(f"{error} (--skip-bad)") from None
    except Stopped as stopped:
        print(f"ophis: {stopped}", file=sys.stderr)
        if json:
            finish("", {"stopped": str(stopped)}, json=True)
        return 128 + stopped.signal
    return finish(made, facts(made) if json else {}, json=json)
