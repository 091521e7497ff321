"""Where a photo was taken: what a person says, or the position that a camera wrote into it.

The position itself is never shown or kept: it becomes countries, and is forgotten.
"""

from __future__ import annotations

import io
import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from numbers import Real
from typing import Any

from PIL import ExifTags, Image

from ophis.errors import InputError
from ophis.geography.borders import countries_at
from ophis.geography.countries import UNKNOWN, code_or_key, country_key, read_country
from ophis.images.decode import MAX_PIXELS
from ophis.images.formats import formats_of

_SIGNS = {"N": 1.0, "E": 1.0, "S": -1.0, "W": -1.0}


class Source(StrEnum):
    """Where the country of an answer came from; the words for it are in `words`."""

    GIVEN = "given"
    POSITION = "position"
    BORDER = "near a border"
    NO_POSITION = "no position"


@dataclass(frozen=True)
class Place:
    """The countries that a photo may be from.

    Attributes:
        shares: of the countries, by key, the largest first; they sum to 1, or there are none.
        source: of them; None when nobody said anything.
    """

    shares: Mapping[str, float]
    source: Source | None

    @property
    def country(self) -> str:
        """Key of the country with the largest share; "UNKNOWN" when there is none."""
        return next(iter(self.shares), UNKNOWN)


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
        with Image.open(io.BytesIO(data), formats=formats_of(data)) as photo:
            if photo.width * photo.height > MAX_PIXELS:  # Pillow decodes a PNG for its EXIF
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


def place_of(
    country: str | Mapping[str, float] | None, *, photo: bytes = b"", gps: bool = False
) -> Place:
    """Where a photo was taken: what a person says goes before what the photo says.

    Args:
        country: name or ISO code; or several with their weights, of which only the ratios count.
        photo: the bytes of the file.
        gps: whether the photo's own position is asked when no country is given.

    Raises:
        InputError: when no country has that name, a weight is no number above 0, or ``country`` is
            neither a name nor weights of several.
    """
    if isinstance(country, Mapping):
        return Place(_shares(country), Source.GIVEN)
    if country is not None:
        return Place({_key_of(country): 1.0}, Source.GIVEN)
    return place_at(gps_of(photo)) if gps else Place({}, None)


def place_at(position: Position | None) -> Place:
    """What a photo's own position says; None: it holds none."""
    codes = countries_at(position.latitude, position.longitude) if position else {}
    if not codes:
        return Place({}, Source.NO_POSITION)
    source = Source.POSITION if len(codes) == 1 else Source.BORDER
    return Place({country_key(code): share for code, share in codes.items()}, source)


def _shares(weights: Mapping[str, float]) -> dict[str, float]:
    """Weights by key, the largest first, as shares; two names of one country are added up."""
    keys: dict[str, str] = {}
    sums: dict[str, float] = {}
    if not weights:
        raise InputError("country = {} names none; leave it out when nobody knows")
    numbers = {name: _number(name, weight) for name, weight in weights.items()}
    largest = max(numbers.values())
    for name, number in numbers.items():
        key = _key_of(name)
        key = keys.setdefault(code_or_key(key), key)
        # Only ratios count, and sums of the largest numbers would be infinite.
        sums[key] = sums.get(key, 0.0) + number / largest
    total = sum(sums.values())
    shares = {key: sums[key] / total for key in sorted(sums, key=sums.__getitem__, reverse=True)}
    return {key: share for key, share in shares.items() if share > 0}  # too small for a number


def _key_of(name: object) -> str:
    if not isinstance(name, str):
        raise InputError(
            f"country = {name!r} should be a name or an ISO code, or several with their weights:"
            ' {"Nepal": 0.6, "India": 0.4}'
        )
    return read_country(name)


def _number(name: object, weight: object) -> float:
    try:
        number = float(weight) if isinstance(weight, Real) else math.nan
    except OverflowError:
        number = math.inf
    if not 0 < number < math.inf:
        raise InputError(f"the weight of {name!r} is {weight!r}; it should be a number above 0")
    return number
