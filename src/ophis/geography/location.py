"""Place of a photo: a given country, a given position, or the GPS position in its EXIF.

A position is never shown, logged or stored: no representation and no error message contains it.
"""

from __future__ import annotations

import io
import math
import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from enum import StrEnum
from numbers import Real
from typing import Any

from PIL import ExifTags, Image

from ophis.errors import InputError
from ophis.geography.borders import countries_at
from ophis.geography.countries import UNKNOWN, code_or_key, country_key, read_country
from ophis.geography.country_names import english_name
from ophis.images.decode import MAX_PIXELS
from ophis.images.formats import formats_of

_SIGNS = {"N": 1.0, "E": 1.0, "S": -1.0, "W": -1.0}
COUNTRY_KM = 10.0  # countries nearer than this to a position, or than its accuracy, are possible
UNKNOWN_ACCURACY_KM = 1.0
MAX_ACCURACY_KM = 100.0

_NUMBER = r"\s*([+-]?[0-9]+(?:\.[0-9]*)?)\s*"
_POSITION = re.compile(rf"{_NUMBER},{_NUMBER}(?:,{_NUMBER})?")
_FORM = (
    "write latitude,longitude in decimal degrees, negative in the south and west, and if known"
    " the accuracy in metres, such as 6.9,79.9 or 6.9,79.9,50"
)


class Source(StrEnum):
    """Source of the country of an answer; its sentences are in section `place` of locales."""

    GIVEN = "given"
    POSITION = "position"
    BORDER = "near a border"
    NO_POSITION = "no position"
    GIVEN_POSITION = "given position"
    GIVEN_BORDER = "given position near a border"
    NO_COUNTRY = "no country"


@dataclass(frozen=True)
class Position:
    """Point on the earth; its representation omits the coordinates, so that no log holds them.

    Attributes:
        latitude: degrees north, -90 to 90.
        longitude: degrees east, -180 to 180.
        accuracy_km: radius of the disc around the point that holds the true one; above 0, at most
            100.

    Raises:
        InputError: when a number is out of range; or for 0, 0, which devices write without a fix.
    """

    latitude: float = field(repr=False)
    longitude: float = field(repr=False)
    accuracy_km: float = field(default=UNKNOWN_ACCURACY_KM, repr=False)

    def __post_init__(self) -> None:
        for number in (self.latitude, self.longitude, self.accuracy_km):
            if not isinstance(number, Real):
                raise InputError("the numbers of a position should be decimal degrees: 6.9, 79.9")
        if not -90 <= self.latitude <= 90:
            swapped = " (it comes first)" if abs(self.longitude) <= 90 else ""
            raise InputError(f"the latitude{swapped} should be from -90 to 90; {_FORM}")
        if not -180 <= self.longitude <= 180:
            raise InputError(f"the longitude should be from -180 to 180; {_FORM}")
        if self.latitude == self.longitude == 0:
            raise InputError("the position is 0,0, as devices write it without a fix; correct it")
        if not 0 < self.accuracy_km <= MAX_ACCURACY_KM:
            raise InputError(
                "the accuracy of the position should be above 0 and at most"
                f" {MAX_ACCURACY_KM:g} km; give the country instead of an uncertain position"
            )


@dataclass(frozen=True)
class Place:
    """Possible countries of a photo, and its position if known.

    Attributes:
        weights: of the countries, by key, the largest first; they sum to 1, or are empty.
        source: of the countries; None when no country is given.
        position: point on the earth; None when only countries are known.
    """

    weights: Mapping[str, float]
    source: Source | None
    position: Position | None = field(default=None, repr=False)

    @property
    def country(self) -> str:
        """Key of the country with the largest weight; "UNKNOWN" without one."""
        return next(iter(self.weights), UNKNOWN)


def read_position(text: str) -> Position:
    """Read "latitude,longitude" or "latitude,longitude,accuracy" in degrees and metres.

    Raises:
        InputError: when the text is no such position; the message does not repeat it.

    >>> read_position("6.9,79.9,50").accuracy_km
    0.05
    """
    if found := _POSITION.fullmatch(text):
        latitude, longitude, accuracy = found.groups()
        accuracy_km = float(accuracy) / 1000 if accuracy else UNKNOWN_ACCURACY_KM
        return Position(float(latitude), float(longitude), accuracy_km)
    if re.search(r"[^0-9.,+\-\s]", text):
        fault = "the position has letters or signs, perhaps of degrees, minutes or hemispheres"
    elif text.count(",") > 2:
        fault = "the position has too many commas, perhaps instead of decimal points"
    else:
        fault = "the position cannot be read"
    raise InputError(f"{fault}; {_FORM}")


def gps_of(data: bytes) -> Position | None:
    """Read the GPS position in a photo's EXIF, with its accuracy; None without a valid one.

    Invalid are a missing number or hemisphere, a division by zero, numbers that `Position`
    refuses, and 0, 0, which cameras write without a fix. Never raises, whatever the bytes.

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
        return Position(latitude, longitude, _accuracy_km(tags))
    except Exception:  # Pillow raises many kinds on damaged metadata
        return None


def _accuracy_km(tags: Mapping[int, Any]) -> float:
    """Return the accuracy that a camera wrote, in kilometres; the default without a valid one."""
    try:
        metres = float(tags[ExifTags.GPS.GPSHPositioningError])
    except (KeyError, TypeError, ValueError, ZeroDivisionError):
        return UNKNOWN_ACCURACY_KM
    return metres / 1000 if 0 < metres < math.inf else UNKNOWN_ACCURACY_KM


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
    country: str | Mapping[str, float] | None,
    *,
    at: Position | tuple[float, float] | None = None,
    photo: bytes = b"",
    gps: bool = False,
) -> Place:
    """Return the place of a photo: what is given takes precedence over the GPS position.

    Args:
        country: name or ISO code; or several with positive weights, which are normalised.
        at: position, or (latitude, longitude). The countries are then those around it;
            ``country`` may name one of them.
        photo: the bytes of the file.
        gps: use the GPS position when neither country nor position is given.

    Raises:
        InputError: for an unknown country, a weight that is not a number above 0, a ``country``
            that is neither a name nor weights, a position out of range, or a country that is not
            at the position.
    """
    if at is not None:
        place = place_at(_position_of(at), given=True)
        return place if country is None else _in_country(place, country)
    if isinstance(country, Mapping):
        return Place(_normalised(country), Source.GIVEN)
    if country is not None:
        return Place({_key_of(country): 1.0}, Source.GIVEN)
    return place_at(gps_of(photo)) if gps else Place({}, None)


def place_at(position: Position | None, *, given: bool = False) -> Place:
    """Return the place of a position, with the countries around it; None is a photo without one.

    Args:
        position: of a photo, or given.
        given: the position was given; it is not a photo's own.
    """
    if position is None:
        return Place({}, Source.NO_POSITION)
    radius_km = max(COUNTRY_KM, position.accuracy_km)
    codes = countries_at(position.latitude, position.longitude, uncertainty_km=radius_km)
    if not codes:
        return Place({}, Source.NO_COUNTRY if given else Source.NO_POSITION, position)
    inside = Source.GIVEN_POSITION if given else Source.POSITION
    border = Source.GIVEN_BORDER if given else Source.BORDER
    weights = {country_key(code): part for code, part in codes.items()}
    return Place(weights, inside if len(codes) == 1 else border, position)


def _position_of(at: object) -> Position:
    if isinstance(at, Position):
        return at
    if isinstance(at, tuple) and len(at) == 2:
        return Position(*at)
    raise InputError("a position should be a Position or (latitude, longitude)")


def _in_country(place: Place, country: object) -> Place:
    """Return a place near a border, or at sea, in the one country that is given."""
    if isinstance(country, Mapping):
        raise InputError("several countries are given with a position; give one of them, or none")
    key = _key_of(country)
    codes = [code_or_key(name) for name in place.weights]
    if codes and code_or_key(key) not in codes:
        around = " or ".join(english_name(code) for code in codes)
        raise InputError(
            f"the position is in {around}, not in {country}; leave out the one that is wrong"
        )
    # At sea no country is around the position: it is known only because it is given.
    source = Source.GIVEN_POSITION if codes else Source.GIVEN
    return replace(place, weights={key: 1.0}, source=source)


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
