"""What is said when the input is wrong: one line that names the place and the mend."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ophis.scores import PhotoFailure


class InputError(ValueError):
    """Input that cannot be used: the message is one line naming file, row, option and mend.

    The command line prints the message after ``ophis:`` and ends with status 2.
    """


class PhotoError(InputError):
    """One photo that cannot be used; the work on the others goes on."""


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
        super().__init__("; ".join(failure.reason for failure in failures))
        self.failures = failures
