"""Test-time augmentation (TTA): mirrored and closer crops of a photo, whose logits are averaged."""

from __future__ import annotations

import json
import math
from dataclasses import asdict, dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

import numpy as np

from ophis.errors import InputError
from ophis.files.atomic import whole_file
from ophis.files.content import content_of, read_json
from ophis.images.preprocessing import normalise, resize

if TYPE_CHECKING:
    from pathlib import Path
    from typing import Any

    from numpy.typing import NDArray
    from PIL import Image

    from ophis.images.preprocessing import Preprocessing

MAX_CROPS = 100  # of a file; our own kinds together give 10
_FIX = "combine the bundles again"
CORNER_FRACTION = 0.875  # of a photo's sides: the usual 224 of 256 pixels


class Tta(StrEnum):
    """Kinds of test-time augmentation."""

    FLIP = "flip"
    CROPS = "crops"


@dataclass(frozen=True)
class Crop:
    """A window of an upright photo.

    Attributes:
        left, top: its corner, as fractions of the photo's width and height.
        fraction: its width and height, as fractions of the photo's.
        mirrored: left and right exchanged.
    """

    left: float = 0.0
    top: float = 0.0
    fraction: float = 1.0
    mirrored: bool = False

    def __post_init__(self) -> None:
        ends = (self.left + self.fraction, self.top + self.fraction)
        numbers = (self.left, self.top, self.fraction, *ends)
        if not all(0 <= x <= 1 for x in numbers) or not self.fraction:
            raise InputError(
                f"crop: left {self.left}, top {self.top}, fraction {self.fraction} leave the photo;"
                " give fractions of it from 0 to 1"
            )
        if not isinstance(self.mirrored, bool):  # "no" would count as true
            raise InputError(f"crop: mirrored {self.mirrored!r} should be true or false")


NO_TTA = (Crop(),)


def tta_crops(*kinds: Tta | str) -> tuple[Crop, ...]:
    """Return the crops of some kinds of augmentation, the whole photo first.

    Args:
        kinds: "crops" adds a window of 0.875 of the sides in each corner; "flip" adds the mirror
            image of each crop. With both, the corners are mirrored too.

    Raises:
        InputError: when there is no such kind.
    """
    unknown = set(map(str, kinds)) - set(Tta)
    if unknown:
        raise InputError(f"tta {min(unknown)!r}: choose {' or '.join(Tta)}, or both")
    rest = 1 - CORNER_FRACTION
    corners = [Crop(left, top, CORNER_FRACTION) for top in (0.0, rest) for left in (0.0, rest)]
    found = [*NO_TTA, *(corners if Tta.CROPS in kinds else ())]
    if Tta.FLIP in kinds:
        found += [Crop(crop.left, crop.top, crop.fraction, mirrored=True) for crop in found]
    return tuple(found)


def network_input(
    photo: Image.Image, preprocessing: Preprocessing, tta: tuple[Crop, ...] = NO_TTA
) -> NDArray[np.float32]:
    """Crop, resize and normalise an upright RGB photo: [crops, 3, pixels, pixels], float32.

    A crop is cut out of the photo at its full resolution, with edges rounded to whole pixels, and
    resized afterwards, so that it holds more detail.
    """
    return normalise(resized_crops(photo, preprocessing.pixels, tta), preprocessing)


def resized_crops(
    photo: Image.Image, pixels: int, tta: tuple[Crop, ...] = NO_TTA
) -> NDArray[np.uint8]:
    """Crop and resize an upright RGB photo: [crops, pixels, pixels, 3], uint8."""
    return np.stack([_resized_crop(photo, crop, pixels) for crop in tta])


def _resized_crop(photo: Image.Image, crop: Crop, pixels: int) -> NDArray[np.uint8]:
    ends = (crop.left, crop.top, crop.left + crop.fraction, crop.top + crop.fraction)
    sides = (photo.width, photo.height) * 2
    left, top, right, bottom = (
        math.floor(end * side + 0.5) for end, side in zip(ends, sides, strict=True)
    )
    window = (left, top, max(right, left + 1), max(bottom, top + 1))
    resized = resize(photo if crop.fraction == 1 else photo.crop(window), pixels)
    return resized[:, ::-1] if crop.mirrored else resized


def mean_over_crops(values: NDArray[Any], count: int) -> NDArray[Any]:
    """Return the mean over each photo's crops: [photos * crops, ...] to [photos, ...]."""
    return values.reshape(-1, count, *values.shape[1:]).mean(axis=1) if count > 1 else values


def write_tta(tta: tuple[Crop, ...], path: Path) -> Path:
    """Write tta.json, whole or not at all."""
    with whole_file(path) as temporary:
        temporary.write_text(json.dumps([asdict(crop) for crop in tta], indent=1) + "\n")
    return path


def read_tta(path: str | Path) -> tuple[Crop, ...]:
    """Read what `write_tta` wrote.

    Raises:
        InputError: naming the file and what is wrong in it.
    """
    values = read_json(path, "list of crops", fix=_FIX)
    with content_of(path, "not a list of crops", fix=_FIX):
        if len(values) > MAX_CROPS:  # each takes a photo's time and memory
            raise InputError(f"holds over {MAX_CROPS} crops")
        if not values:
            raise InputError("holds no crop")
        return tuple(Crop(**crop) for crop in values)
