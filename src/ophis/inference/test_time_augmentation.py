"""How a photo is shown to a network: as a whole, mirrored, closer up. The answers are averaged."""

from __future__ import annotations

import json
import math
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from ophis.errors import InputError
from ophis.files.atomic import whole_file
from ophis.images.preprocessing import normalise, resize

if TYPE_CHECKING:
    from typing import Any

    from numpy.typing import NDArray
    from PIL import Image

    from ophis.images.preprocessing import Preprocessing

CLOSE = 0.875  # of a photo's sides: 224 of 256 pixels, the field's usual crop


@dataclass(frozen=True)
class View:
    """A window of an upright photo.

    Attributes:
        left, top: where it begins, as shares of the photo's width and height.
        share: how much of the width and of the height it shows.
        mirrored: left and right changed.
    """

    left: float = 0.0
    top: float = 0.0
    share: float = 1.0
    mirrored: bool = False

    def __post_init__(self) -> None:
        ends = (self.left + self.share, self.top + self.share)
        if not all(0 <= x <= 1 for x in (self.left, self.top, self.share, *ends)) or not self.share:
            raise InputError(
                f"view: left {self.left}, top {self.top}, share {self.share} leave the photo;"
                " give shares of it from 0 to 1"
            )
        if not isinstance(self.mirrored, bool):  # "no" would count as true
            raise InputError(f"view: mirrored {self.mirrored!r} should be true or false")


WHOLE = (View(),)


def views(*, flip: bool = False, crops: bool = False) -> tuple[View, ...]:
    """The usual sets: the whole photo first, which is the only one when nothing is asked for.

    Args:
        flip: each view mirrored too.
        crops: four windows of 0.875 of the sides too, one in each corner.
    """
    room = 1 - CLOSE
    corners = [View(left, top, CLOSE) for top in (0.0, room) for left in (0.0, room)]
    found = [*WHOLE, *(corners if crops else ())]
    if flip:
        found += [View(view.left, view.top, view.share, mirrored=True) for view in found]
    return tuple(found)


def shown(
    photo: Image.Image, preprocessing: Preprocessing, seen: tuple[View, ...] = WHOLE
) -> NDArray[np.float32]:
    """An upright RGB photo as a network sees it: [views, 3, pixels, pixels], float32.

    A window is cut out of the photo as it is, its edges rounded to whole pixels, and then squeezed,
    so that it shows more detail.
    """
    return normalise(squares(photo, preprocessing.pixels, seen), preprocessing)


def squares(photo: Image.Image, pixels: int, seen: tuple[View, ...] = WHOLE) -> NDArray[np.uint8]:
    """The same before it is normalised: [views, pixels, pixels, 3], uint8."""
    return np.stack([_square(photo, view, pixels) for view in seen])


def _square(photo: Image.Image, view: View, pixels: int) -> NDArray[np.uint8]:
    ends = (view.left, view.top, view.left + view.share, view.top + view.share)
    sides = (photo.width, photo.height) * 2
    left, top, right, bottom = (
        math.floor(end * side + 0.5) for end, side in zip(ends, sides, strict=True)
    )
    window = (left, top, max(right, left + 1), max(bottom, top + 1))
    square = resize(photo if view.share == 1 else photo.crop(window), pixels)
    return square[:, ::-1] if view.mirrored else square


def mean_of_views(values: NDArray[Any], count: int) -> NDArray[Any]:
    """The mean over each photo's views: [photos * views, ...] to [photos, ...]."""
    return values.reshape(-1, count, *values.shape[1:]).mean(axis=1) if count > 1 else values


def write_views(seen: tuple[View, ...], path: Path) -> Path:
    """Write views.json, whole or not at all."""
    with whole_file(path) as temporary:
        temporary.write_text(json.dumps([asdict(view) for view in seen], indent=1) + "\n")
    return path


def read_views(path: str | Path) -> tuple[View, ...]:
    """Read what `write_views` wrote.

    Raises:
        InputError: naming the file and what is wrong in it.
    """
    try:
        found = tuple(View(**values) for values in json.loads(Path(path).read_text("utf-8")))
    except (OSError, ValueError, TypeError, RecursionError) as error:
        raise InputError(f"{path}: not a list of views: {error}") from None
    if not found:
        raise InputError(f"{path}: names no view; combine the bundles anew")
    return found
