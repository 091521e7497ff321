"""Content of files from outside: bounds before it is parsed, and one error for all that is wrong.

Parsers and NumPy raise dozens of exceptions on damaged or hostile files. A reader parses inside
`content_of`, which turns each of them into an `InputError` that names the file.
"""

from __future__ import annotations

import json
import os
import tomllib
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ophis.errors import InputError, first_line
from ophis.files.atomic import plain_file

if TYPE_CHECKING:
    from collections.abc import Generator

MAX_TOML_BYTES = 64 << 10
MAX_DOTS = 100  # in a line of TOML: a dotted key takes memory by the square of its parts
MAX_JSON_BYTES = 16 << 20  # the self-test of 30,000 species has 4 MiB
COPY_AGAIN = "get another copy, or make it again"
_SHOWN = 200  # characters of a reason, which may quote the file


@contextmanager
def content_of(path: str | Path, wrong: str, *, fix: str | None = None) -> Generator[None]:
    """Turn every exception of the content of a file into an `InputError` that names the file.

    Args:
        path: the file.
        wrong: words for the error: "not a recipe of ophis".
        fix: the action that messages propose; those of an `InputError` need not name one then.

    Raises:
        InputError: as it is if it begins with the file, or one beside it; else after its name.
    """
    path = Path(path)
    try:
        yield
    except InputError as error:
        text = str(error)
        if text.startswith((str(path), f"{path.parent}{os.sep}")):
            raise
        text = f"{text}; {fix}" if fix else text
        raise InputError(f"{path}: {text}", reason=error.reason) from None
    except Exception as error:  # parsers have no base class
        raise InputError(f"{path}: {wrong}: {reason_of(error)}; {fix or COPY_AGAIN}") from None


def reason_of(error: Exception) -> str:
    """Return one line on an exception of a parser, of at most 200 characters."""
    if isinstance(error, RecursionError):
        return "it is nested too deep"
    if isinstance(error, MemoryError):
        return "it takes more memory than there is"
    if isinstance(error, KeyError):
        return f"{error} is missing"[:_SHOWN]
    return ((isinstance(error, OSError) and error.strerror) or first_line(error))[:_SHOWN]


def read_toml(path: str | Path, what: str) -> dict[str, Any]:
    """Read a TOML file of settings, of at most 64 KiB and 100 dots a line.

    Args:
        path: the file.
        what: the expected content, for the message if it is missing.

    Raises:
        InputError: naming the file that is missing, too large or no TOML.
    """
    path = Path(path)
    with content_of(path, "cannot be read as TOML", fix="correct it"):
        text = _text(path, what, MAX_TOML_BYTES)
        for number, line in enumerate(text.splitlines(), start=1):
            if line.count(".") > MAX_DOTS:
                raise InputError(f"{path}, row {number}: has over {MAX_DOTS} dots; shorten it")
        return tomllib.loads(text)


def read_json(path: str | Path, what: str, *, fix: str = COPY_AGAIN) -> Any:  # noqa: ANN401
    """Read a JSON file of at most 16 MiB.

    Args:
        path: the file.
        what: the expected content, for the message if it is missing.
        fix: the action that messages propose.

    Raises:
        InputError: naming the file that is missing, too large or no JSON.
    """
    path = Path(path)
    with content_of(path, "cannot be read as JSON", fix=fix):
        return json.loads(_text(path, what, MAX_JSON_BYTES))


def _text(path: Path, what: str, most: int) -> str:
    try:
        with plain_file(path) as file:
            data = file.read(most + 1)
    except FileNotFoundError:
        raise InputError(f"{path}: there is no such {what}") from None
    if len(data) > most:
        raise InputError(f"{path}: is over {most >> 10:,} KiB, too large for a {what}")
    return data.decode()
