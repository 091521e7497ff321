"""Standard streams that never cut an answer: of any encoding, closed, full, or without a reader."""

from __future__ import annotations

import codecs
import io
import json
import os
import sys
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING

from ophis.errors import printable

if TYPE_CHECKING:
    from collections.abc import Generator
    from typing import TextIO

# Bars, quotation marks and dots have a plain form. Letters have none: two names would be one.
_PLAIN = {"█": "#", "░": ".", "“": '"', "”": '"', "«": '"', "»": '"', "…": "..."}
_ERRORS = "ophis.plain"


class OutputError(Exception):
    """Standard output that cannot be written; caused by the `OSError`."""


class _Output(io.TextIOWrapper):
    """Stdout whose errors differ from those of files; rich ends the process at a broken pipe."""

    def write(self, text: str, /) -> int:
        with _named():
            super().write(_visible(self, text))
        return len(text)

    def flush(self) -> None:
        with _named():
            super().flush()


class _Notes(io.TextIOWrapper):
    """Stderr that drops a line that cannot be written: the answer on stdout goes on."""

    def write(self, text: str, /) -> int:
        with suppress(OSError):
            super().write(_visible(self, text))
        return len(text)

    def flush(self) -> None:
        with suppress(OSError):
            super().flush()


def _visible(stream: TextIO, text: str) -> str:
    """Return a text with escaped control characters; a terminal needs those of colours and bars."""
    return printable(text, keep="\n\t\r\x1b" if stream.isatty() else "\n\t")


@contextmanager
def _named() -> Generator[None]:
    try:
        yield
    except OSError as error:
        raise OutputError(f"standard output: {error.strerror}") from error


def open_streams() -> None:
    """Prepare stdin, stdout and stderr of the process; streams of a test are not replaced.

    A character that the encoding lacks is written in a plain form or escaped. A closed
    stdin is empty, a write to a closed stdout fails, and a closed stderr drops its lines.
    """
    codecs.register_error(_ERRORS, _plain)
    if sys.stdin is None:
        sys.stdin = _opened(0, os.O_RDONLY)
    if sys.stdout is None:  # only for reading, so that a write fails as it does to a closed one
        sys.stdout = _opened(1, os.O_RDONLY)
    if sys.stderr is None:
        sys.stderr = _opened(2, os.O_WRONLY)
    sys.stdout = _replaced(sys.stdout, _Output)
    sys.stderr = _replaced(sys.stderr, _Notes)


def print_json(value: object, *, indent: int | None = 2) -> None:
    """Print a value as JSON, paths as strings.

    In ASCII if the encoding lacks a character, or a terminal could take one for a command.
    """
    text = json.dumps(value, indent=indent, ensure_ascii=False, default=str)
    if not holds(text) or printable(text, keep="\n") != text:
        text = json.dumps(value, indent=indent, default=str).replace("\x7f", "\\u007f")
    print(text, flush=True)


def holds(text: str) -> bool:
    """Return whether the encoding of stdout has every character of a text."""
    try:
        text.encode(sys.stdout.encoding or "utf-8")
    except UnicodeEncodeError:
        return False
    return True


def discard_output() -> None:
    """Send the rest of stdout nowhere, so that the interpreter's own flush at exit succeeds."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _opened(number: int, flags: int) -> io.TextIOWrapper:
    """Open the null device as a descriptor that is closed; the next file would become stdout."""
    null = os.open(os.devnull, flags)
    if null != number:
        os.dup2(null, number)
        os.close(null)
    return open(number, "r" if number == 0 else "w", encoding="utf-8", closefd=False)


def _replaced(stream: TextIO, kind: type[io.TextIOWrapper]) -> TextIO:
    """Return a stream with an error handler, and of a kind unless a test or a shell replaced it."""
    if not isinstance(stream, io.TextIOWrapper):
        return stream
    if type(stream) is not io.TextIOWrapper:
        stream.reconfigure(errors=_ERRORS)
        return stream
    names = ("encoding", "line_buffering", "write_through")
    settings = {name: getattr(stream, name) for name in names}
    return kind(stream.detach(), errors=_ERRORS, **settings)


def _plain(error: UnicodeError) -> tuple[str, int]:
    """Replace the characters that an encoding lacks."""
    if not isinstance(error, UnicodeEncodeError):
        raise error
    lost = error.object[error.start : error.end]
    return "".join(_PLAIN.get(c) or _escaped(c) for c in lost), error.end


def _escaped(character: str) -> str:
    return character.encode("ascii", "backslashreplace").decode()
