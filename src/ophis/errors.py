"""What is said when the input is wrong: one line that names the place and the mend."""

from __future__ import annotations

import traceback
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ophis.scores import PhotoFailure


class InputError(ValueError):
    """Input that cannot be used: the message is one line naming file, row, option and mend.

    The command line prints the message after ``ophis:`` and ends with status 2.
    """


class PhotoError(InputError):
    """One photo that cannot be used; the work on the others goes on."""


class NoPhotoError(PhotoError):
    """Of the photos of one snake none can be used.

    Attributes:
        failures: each of them, and why.
    """

    def __init__(self, failures: tuple[PhotoFailure, ...]) -> None:
        super().__init__("; ".join(failure.reason for failure in failures))
        self.failures = failures


def place_of_mistake(error: Exception) -> str:
    """The kind of a mistake and where it happened; its message may hold what somebody sent."""
    frames = traceback.extract_tb(error.__traceback__)
    where = f"{Path(frames[-1].filename).name}, line {frames[-1].lineno}" if frames else "nowhere"
    return f"{type(error).__name__} in {where}"
