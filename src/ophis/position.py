"""Where a photo was taken: the position that a camera wrote into it, never shown or kept."""

from __future__ import annotations

import io
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from PIL import ExifTags, Image

from ophis.images import FORMATS, MOST_PIXELS

if TYPE_CHECKING:
    from collections.abc import Mapping

_SIGNS = {"N": 1.0, "E": 1.0, "S": -1.0, "W": -1.0}


@dataclass(frozen=True)
class Position:
    """A point on the earth; printed, it does not tell which, so that no log does.

    Attributes:
        latitude: degrees north.
        longitude: degrees east.
    """

    latitude: float = field(repr=False)
    longitude: float = field(repr=False)


def gps_of(data: bytes) -> Position | None:
    """The position in a photo's EXIF; None when there is none that can be meant.

    A number or a hemisphere that is missing, a division by zero, what lies off the earth, and
    0, 0, which cameras write that do not know, count as none. Never raises, whatever the bytes.

    Args:
        data: the bytes of the file.
    """
    try:
        with Image.open(io.BytesIO(data), formats=FORMATS) as photo:
            if photo.width * photo.height > MOST_PIXELS:  # Pillow decodes a PNG for its EXIF
                return None
            tags = photo.getexif().get_ifd(ExifTags.IFD.GPSInfo)
        latitude = _degrees(tags, ExifTags.GPS.GPSLatitude, ExifTags.GPS.GPSLatitudeRef, "NS")
        longitude = _degrees(tags, ExifTags.GPS.GPSLongitude, ExifTags.GPS.GPSLongitudeRef, "EW")
    except Exception:  # Pillow raises a dozen kinds on damaged metadata, and none matters here
        return None
    if not (-90 <= latitude <= 90 and -180 <= longitude <= 180) or latitude == longitude == 0:
        return None
    return Position(latitude, longitude)


def _degrees(tags: Mapping[int, Any], value: int, reference: int, sides: str) -> float:
    """Degrees, minutes and seconds with their hemisphere, as one number.

    Raises:
        Exception: of some kind, when they are none.
    """
    side = tags[reference]
    side = (side.decode("ascii") if isinstance(side, bytes) else str(side)).strip("\0 ").upper()
    degrees, minutes, seconds = (*map(float, tags[value]), 0.0, 0.0)[:3]
    if side not in tuple(sides) or not (degrees >= 0 and 0 <= minutes <= 60 and 0 <= seconds <= 60):
        raise ValueError("no position")
    return _SIGNS[side] * (degrees + minutes / 60 + seconds / 3600)
