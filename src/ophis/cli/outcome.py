"""How a verb ends: what failed on stderr, what it made on stdout, and its exit status."""

from __future__ import annotations

import sys
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from ophis.locales import read_words

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from ophis.scores.scores import PhotoFailure


def finish(
    line: object,
    facts: Mapping[str, Any],
    *,
    failures: Iterable[PhotoFailure] = (),
    json: bool = False,
) -> int:
    """Say which photos failed, and print the line for people or the facts for programs.

    Returns:
        The exit status: 1 where a photo failed, else 0.
    """
    failures = tuple(failures)
    say_failures(failures)
    if json:
        from ophis.cli.terminal.tables import print_json

        print_json({**facts, "failures": [asdict(failure) for failure in failures]})
    else:
        print(line)
    return 1 if failures else 0


def say_failures(failures: Iterable[PhotoFailure], *, language: str = "en") -> None:
    """A line on stderr for each photo that failed; in other languages the English comes after."""
    words = read_words(language)
    for failure in failures:
        line = failure.reason
        if language != "en":
            line = f"{failure.photo_id}: {words.say('refusal', failure.code)} ({failure.reason})"
        print(f"ophis: {line}", file=sys.stderr)
