"""What is said when the input is wrong: one line that names the place and the mend."""

from __future__ import annotations

import traceback
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ophis.scores.scores import PhotoFailure


class Reason(StrEnum):
    """Why something is refused, for programs; the words for it, in every language, are in `words`.

    The line that goes with it is in English and says more: which photo, which field, which value.
    """

    EMPTY = "empty"
    NOT_A_PHOTO = "not_a_photo"
    OTHER_FORMAT = "other_format"  # a picture, but of a kind that is not read
    DAMAGED = "damaged"
    TOO_LARGE = "too_large"
    TOO_SMALL = "too_small"
    UNREADABLE = "unreadable"  # for any other reason, or photos for several
    NO_PHOTO = "no_photo"
    TOO_MANY_PHOTOS = "too_many_photos"
    UNKNOWN_COUNTRY = "unknown_country"
    WRONG_INPUT = "wrong_input"  # the mistake of a program, or of who writes commands
    TOO_SLOW = "too_slow"
    BUSY = "busy"
    STARTING = "starting"
    STOPPING = "stopping"
    NOT_FOUND = "not_found"
    BROKEN = "broken"  # our own mistake


class InputError(ValueError):
    """Input that cannot be used: the message is one line naming file, row, option and mend.

    The command line prints the message after ``ophis:`` and ends with status 2.

    Attributes:
        reason: the same for programs.
    """

    reason: Reason = Reason.WRONG_INPUT

    def __init__(self, message: str = "", *, reason: Reason | None = None) -> None:
        super().__init__(message)
        if reason is not None:
            self.reason = reason


class PhotoError(InputError):
    """One photo that cannot be used; the work on the others goes on."""

    reason = Reason.UNREADABLE


class BadPhotosError(InputError):
    """Among the photos of a long work some cannot be used; it has not begun.

    Attributes:
        failures: each of them, and why.
    """

    def __init__(self, failures: Sequence[PhotoFailure], photos: int) -> None:
        super().__init__(
            f"{len(failures):,} of {photos:,} photos cannot be used, the first is"
            f" {failures[0].reason}; mend them, or leave them out with --skip-bad"
        )
        self.failures = tuple(failures)


class NoPhotoError(PhotoError):
    """Of the photos of one snake none can be used.

    Attributes:
        failures: each of them, and why.
    """

    def __init__(self, failures: tuple[PhotoFailure, ...]) -> None:
        reasons = {Reason(failure.code) for failure in failures}
        super().__init__(
            "; ".join(failure.reason for failure in failures),
            reason=reasons.pop() if len(reasons) == 1 else None,
        )
        self.failures = failures


def place_of_mistake(error: Exception) -> str:
    """The kind of a mistake and where it happened; its message may hold what somebody sent."""
    frames = traceback.extract_tb(error.__traceback__)
    where = f"{Path(frames[-1].filename).name}, line {frames[-1].lineno}" if frames else "nowhere"
    return f"{type(error).__name__} in {where}"
