"""Place of a photo: a given country, or the GPS position in its EXIF.

A position is converted to countries at once; it is never shown, logged or stored.
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
    """Source of the country of an answer; its sentences are in section `place` of locales."""

    GIVEN = "given"
    POSITION = "position"
    BORDER = "near a border"
    NO_POSITION = "no position"


@dataclass(frozen=True)
class Place:
    """Possible countries of a photo.

    Attributes:
        weights: of the countries, by key, the largest first; they sum to 1, or are empty.
        source: of the countries; None when no country is given.
        position: point that the countries are around, or None; its representation is omitted, so
            that no log holds it.
    """

    weights: Mapping[str, float]
    source: Source | None
    position: Position | None = field(default=None, repr=False)

    @property
    def country(self) -> str:
        """Key of the country with the largest weight; "UNKNOWN" without one."""
        return next(iter(self.weights), UNKNOWN)


@dataclass(frozen=True)
class Position:
    """Point on the earth; its representation omits the coordinates, so that no log holds them.

    Attributes:
        latitude: degrees north.
        longitude: degrees east.
        accuracy_km: standard deviation of the point on the ground, in kilometres.
    """

    latitude: float = field(repr=False)
    longitude: float = field(repr=False)
    accuracy_km: float = 1.0


def gps_of(data: bytes) -> Position | None:
    """Read the GPS position in a photo's EXIF; None without a valid one.

    Invalid are a missing number or hemisphere, a division by zero, coordinates out of range, and
    0, 0, which cameras write without a fix. Never raises, whatever the bytes.

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
    except Exception:  # Pillow raises many kinds on damaged metadata
        return None
    if not (-90 <= latitude <= 90 and -180 <= longitude <= 180) or latitude == longitude == 0:
        return None
    return Position(latitude, longitude)


def _degrees(tags: Mapping[int, Any], value: int, reference: int, sides: str) -> float:
    """Convert degrees, minutes and seconds with their hemisphere to degrees.

    Raises:
        Exception: of various kinds, for invalid tags.
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
    """Return the place of a photo: a given country takes precedence over the GPS position.

    Args:
        country: name or ISO code; or several with positive weights, which are normalised.
        photo: the bytes of the file.
        gps: use the GPS position when no country is given.

    Raises:
        InputError: for an unknown country, a weight that is not a number above 0, or a ``country``
            that is neither a name nor weights.
    """
    if isinstance(country, Mapping):
        return Place(_normalised(country), Source.GIVEN)
    if country is not None:
        return Place({_key_of(country): 1.0}, Source.GIVEN)
    return place_at(gps_of(photo)) if gps else Place({}, None)


def place_at(position: Position | None) -> Place:
    """Return the place of a GPS position; None is a photo without one."""
    codes = countries_at(position.latitude, position.longitude) if position else {}
    if not codes:
        return Place({}, Source.NO_POSITION)
    source = Source.POSITION if len(codes) == 1 else Source.BORDER
    return Place({country_key(code): part for code, part in codes.items()}, source)


def _normalised(weights: Mapping[str, float]) -> dict[str, float]:
    """Normalise weights by key, the largest first; two names of one country are added."""
    keys: dict[str, str] = {}
    sums: dict[str, float] = {}
    if not weights:
        raise InputError("country = {} names no country; omit it when the country is unknown")
    numbers = {name: _number(name, weight) for name, weight in weights.items()}
    largest = max(numbers.values())
    for name, number in numbers.items():
        key = _key_of(name)
        key = keys.setdefault(code_or_key(key), key)
        # Divided by the largest: a sum of very large numbers would be infinite.
        sums[key] = sums.get(key, 0.0) + number / largest
    total = sum(sums.values())
    order = sorted(sums, key=sums.__getitem__, reverse=True)
    normalised = {key: sums[key] / total for key in order}
    return {key: weight for key, weight in normalised.items() if weight > 0}  # 0 by underflow


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
