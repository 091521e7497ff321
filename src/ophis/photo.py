"""The photos that somebody asks about: read, or why not."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from ophis.answer import LeftOut
from ophis.errors import InputError, PhotoError, Reason
from ophis.images import decode, read_bytes, unusable
from ophis.scores import PhotoFailure

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from PIL import Image


@dataclass(frozen=True)
class Photo:
    """A photo that could be read.

    Attributes:
        name: its path, or which of those given it is.
        data: the bytes of the file.
        picture: upright RGB.
    """

    name: str
    data: bytes
    picture: Image.Image

    @property
    def why(self) -> LeftOut | None:
        """Why nobody should be told a name from it."""
        reason = unusable(self.picture)
        return LeftOut(reason) if reason else None


def read_photos(
    given: Sequence[str | Path | bytes],
) -> tuple[tuple[Photo, ...], tuple[PhotoFailure, ...]]:
    """Those that can be read, and the others.

    Args:
        given: paths, or the bytes of files.

    Raises:
        InputError: when none is given.
    """
    photos: list[Photo] = []
    failures: list[PhotoFailure] = []
    for number, photo in enumerate(given, start=1):
        unnamed = "photo" if len(given) == 1 else f"photo {number}"
        name = unnamed if isinstance(photo, bytes) else str(photo)
        try:
            data = photo if isinstance(photo, bytes) else read_bytes(photo)
            photos.append(Photo(name, data, decode(data, name)))
        except PhotoError as error:
            failures.append(PhotoFailure(name, str(error), error.reason))
    if not photos and not failures:
        raise InputError(
            "no photo was given; give one, or several of the same snake", reason=Reason.NO_PHOTO
        )
    return tuple(photos), tuple(failures)
