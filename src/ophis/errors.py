"""Errors of wrong input: one line that names the place and the fix."""

from __future__ import annotations

import logging
import re
import traceback
from dataclasses import dataclass
from enum import StrEnum
from numbers import Integral
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence


# Control characters, and invisible letters that move, hide or join text (category Cf and line
# separators).
_UNPRINTABLE = re.compile(
    "[\x00-\x1f\x7f-\x9f\u00ad\u061c\u180e\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff"
    "\ufff9-\ufffb\U000e0000-\U000e007f]"
)
# Values in quotes as `repr` writes them, and long words without (255: the longest file name).
_VALUE = re.compile(
    r"""(?<![\w\\])b?(?:'(?:[^'\\]|\\.)*+'|"(?:[^"\\]|\\.)*+"|`[^`]*+`)"""
    r"""|(?<![^\s;/'"`])[^\s;/'"`]{256,}+""",
    re.DOTALL,
)
MAX_VALUE = 200  # characters of a cell or field in a message
MAX_MESSAGE = 1000  # characters; the start names the place, the end the fix


def printable(text: str, *, keep: str = "") -> str:
    """Return a text from outside for a screen or a log: control characters as escapes.

    A name with them could erase or forge other lines.

    Args:
        text: one line.
        keep: control characters that stay, such as a line break.
    """
    return _UNPRINTABLE.sub(lambda found: _escape(found[0], keep), text)


def _escape(character: str, keep: str) -> str:
    return character if character in keep else character.encode("unicode_escape").decode()


def one_line(message: str) -> str:
    """Return a message without control characters, with its long values cut.

    Of a message that is very long even so, the start and the end are kept.
    """
    if len(message) > MAX_VALUE:
        message = _VALUE.sub(_cut, message)
    if len(message) > MAX_MESSAGE:
        message = f"{message[:MAX_VALUE]}...{message[-MAX_VALUE:]}"
    return printable(message)


def _cut(value: re.Match[str]) -> str:
    text = value[0]
    if len(text) <= MAX_VALUE + len("b''"):
        return text
    quote = text[-1] if text[-1] in "'\"`" else ""
    return f"{text[: MAX_VALUE + len(quote)]}...{quote}"


class OneLineFormatter(logging.Formatter):
    """Formatter of log records that are one line each, but for the traceback of an error."""

    def formatMessage(self, record: logging.LogRecord) -> str:  # noqa: N802 - of logging
        """Return the line of a record."""
        return one_line(super().formatMessage(record))


class Reason(StrEnum):
    """Cause of an error, for programs; its words in every language are in `ophis.locales`.

    The message of the error is in English and more precise: it names the photo, field or value.
    """

    EMPTY = "empty"
    NOT_A_PHOTO = "not_a_photo"
    OTHER_FORMAT = "other_format"  # a picture, but of a kind that is not read
    DAMAGED = "damaged"
    TOO_LARGE = "too_large"
    TOO_SMALL = "too_small"
    UNREADABLE = "unreadable"  # for any other reason, or photos for several
    NO_PHOTO = "no_photo"
    UNKNOWN_COUNTRY = "unknown_country"
    WRONG_INPUT = "wrong_input"  # of a program or of a command line


@dataclass(frozen=True)
class PhotoFailure:
    """A photo that cannot be used, with the reason.

    Attributes:
        photo_id: id of the photo.
        reason: cause and fix, in one line.
        code: the `Reason`, for programs.
    """

    photo_id: str
    reason: str
    code: str = Reason.UNREADABLE

    def __post_init__(self) -> None:
        object.__setattr__(self, "reason", one_line(str(self.reason)))


class InputError(ValueError):
    """Input that cannot be used; the message is one line naming file, row or field, and the fix.

    Control characters in it are escaped, and a value is cut at 200 characters.
    The command line prints the message after ``ophis:`` and ends with status 2.

    Attributes:
        reason: the cause, for programs.
    """

    reason: Reason = Reason.WRONG_INPUT

    def __init__(self, message: str = "", *, reason: Reason | None = None) -> None:
        super().__init__(one_line(message))
        if reason is not None:
            self.reason = reason


class NotFiniteError(InputError):
    """NaN or infinity among the numbers of a network for one photo."""


class PhotoError(InputError):
    """One photo that cannot be used; work on the other photos goes on."""

    reason = Reason.UNREADABLE


class BadPhotosError(InputError):
    """Photos that cannot be used, found before a long run begins.

    Attributes:
        failures: each of these photos, with its reason.
    """

    def __init__(self, failures: Sequence[PhotoFailure], photos: int) -> None:
        super().__init__(
            f"{len(failures):,} of {photos:,} photos cannot be used, the first is"
            f" {failures[0].reason}; fix them, or train without them"
        )
        self.failures = tuple(failures)


class NoPhotoError(PhotoError):
    """No usable photo among those of one snake.

    Attributes:
        failures: each of these photos, with its reason.
    """

    def __init__(self, failures: tuple[PhotoFailure, ...]) -> None:
        reasons = {Reason(failure.code) for failure in failures}
        super().__init__(reason=reasons.pop() if len(reasons) == 1 else None)
        self.args = ("; ".join(failure.reason for failure in failures),)
        self.failures = failures


def require_whole(name: str, value: object, *, least: int) -> None:
    """Raise an `InputError` unless a parameter is a whole number, not below the least one."""
    if isinstance(value, bool) or not isinstance(value, Integral):
        raise InputError(f"{name} = {value!r} should be a whole number")
    if int(value) < least:
        raise InputError(f"{name} = {value} should be {least} or more")


def require_numbers(
    field: str, values: Sequence[object], *, least: float, most: float = float("inf")
) -> None:
    """Raise an `InputError` unless all values of a file are numbers between two, NaN excluded."""
    for value in values:
        number = isinstance(value, int | float) and not isinstance(value, bool)
        if not (number and least <= value <= most):
            upper = "" if most == float("inf") else f" and at most {most:g}"
            raise InputError(
                f"`{field}` holds {value!r} and should be a number of at least {least:g}{upper}"
            )


def first_line(error: BaseException) -> str:
    """Return the first line of an error's message; its type if the message is empty."""
    lines = (line.strip() for line in str(error).splitlines())
    return next(filter(None, lines), type(error).__name__)


def place_of_mistake(error: Exception) -> str:
    """Return type and place of an error, without its message, which may hold data of a request."""
    frames = traceback.extract_tb(error.__traceback__)
    where = f"{Path(frames[-1].filename).name}, line {frames[-1].lineno}" if frames else "nowhere"
    return f"{type(error).__name__} in {where}"
