"""Photos of a request, decoded and resized for the networks."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import TYPE_CHECKING

from ophis.errors import InputError, PhotoError, PhotoFailure, Reason
from ophis.geography.location import gps_of
from ophis.images.decode import decode, read_bytes
from ophis.images.test_time_augmentation import NO_TTA, resized_crops
from ophis.images.usability import unusable_reason
from ophis.inference.answer import LeftOut

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from pathlib import Path

    import numpy as np
    from numpy.typing import NDArray

    from ophis.geography.location import Position
    from ophis.images.test_time_augmentation import Crop

    Reader = Callable[[bytes, str, "Wanted"], "Pixels"]


@dataclass(frozen=True)
class Wanted:
    """Settings for the decoding of a photo.

    Attributes:
        sides: pixels of a side of the images that the networks take.
        tta: crops of the photo.
        gps: read the position of the photo.
    """

    sides: frozenset[int]
    tta: tuple[Crop, ...] = NO_TTA
    gps: bool = False


@dataclass(frozen=True)
class Pixels:
    """Pixels and position of a decoded photo.

    Attributes:
        why: reason for which the photo cannot be identified; None when it can.
        position: position of the photo, if requested and present.
        resized: by the pixels of a side, its crops: [crops, side, side, 3], uint8.
    """

    why: LeftOut | None
    position: Position | None
    resized: Mapping[int, NDArray[np.uint8]]


@dataclass(frozen=True)
class Photo:
    """A photo that could be read.

    Attributes:
        name: its path, or its number among the photos given.
        sha256: digest of the bytes of the file.
        pixels: its pixels for the networks.
    """

    name: str
    sha256: str
    pixels: Pixels


def read(data: bytes, name: str, wanted: Wanted) -> Pixels:
    """Decode and resize a photo in this process.

    Args:
        data: bytes of the file.
        name: name of the photo in errors.
        wanted: settings for the decoding.

    Raises:
        PhotoError: as `images.decode`.
    """
    picture = decode(data, name)
    reason = unusable_reason(picture)
    return Pixels(
        why=LeftOut(reason) if reason else None,
        position=gps_of(data) if wanted.gps else None,
        resized={side: resized_crops(picture, side, wanted.tta) for side in wanted.sides},
    )


def read_photos(
    given: Sequence[str | Path | bytes], wanted: Wanted, reader: Reader = read
) -> tuple[tuple[Photo, ...], tuple[PhotoFailure, ...]]:
    """Return the photos that can be read, and the failures of the others.

    Args:
        given: paths, or the bytes of files.
        wanted: settings for the decoding.
        reader: function that decodes the bytes, like `read`.

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
            pixels = reader(data, name, wanted)
            photos.append(Photo(name, hashlib.sha256(data).hexdigest(), pixels))
        except PhotoError as error:
            failures.append(PhotoFailure(name, str(error), error.reason))
    if not photos and not failures:
        raise InputError(
            "no photo was given; give one, or several of the same snake", reason=Reason.NO_PHOTO
        )
    return tuple(photos), tuple(failures)
