"""Place of a photo in the page against Python."""

import io
import struct
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from PIL import ExifTags, Image

from ophis.errors import InputError
from ophis.geography.borders import countries_at
from ophis.geography.countries import country_code
from ophis.geography.location import Position, gps_of, place_of
from tests.support.web_pages import encoded, opened_modules

GPS = ExifTags.GPS
KATHMANDU: dict[int, Any] = {
    GPS.GPSLatitude: (27.0, 43.0, 1.92), GPS.GPSLatitudeRef: "N",
    GPS.GPSLongitude: (85.0, 19.0, 26.4), GPS.GPSLongitudeRef: "E",
}  # fmt: skip
PLACES = """async (photos) => {
  const {locatePhoto, placeOf, positionOf} = await import(`${location.origin}/position.js`);
  const found = [];
  for (const text of photos) {
    const bytes = Uint8Array.from(atob(text), (letter) => letter.charCodeAt(0));
    const [place, located] = [await placeOf([bytes]), await locatePhoto(new Blob([bytes]))];
    found.push({place, countries: located?.countries ?? {}, position: positionOf(bytes)});
  }
  return found;
}"""
GIVEN = """async (given) => {
  const {givenPlace} = await import(`${location.origin}/position.js`);
  const countries = {np: {code: "NP"}, in: {code: "IN"}, ke: {code: "KE"}};
  return Promise.all(given.map(([country, at]) =>
    givenPlace(country, at, countries).catch(() => "refused")));
}"""
SEVERAL = """async (sets) => {
  const {placeOf} = await import(`${location.origin}/position.js`);
  const bytes = (text) => Uint8Array.from(atob(text), (letter) => letter.charCodeAt(0));
  return Promise.all(sets.map((photos) => placeOf(photos.map(bytes))));
}"""
COUNTRIES = """async (points) => {
  const {Borders} = await import(`${location.origin}/borders.js`);
  globalThis.borders ??= new Borders(await (await fetch("borders.json")).json());
  return points.map(([latitude, longitude]) => borders.countriesAt({latitude, longitude}));
}"""


@pytest.fixture(scope="module")
def page(browser, tmp_path_factory):
    with opened_modules(browser, tmp_path_factory.mktemp("page")) as page:
        yield page


def photo(tags: dict[int, Any], kind: str = "JPEG") -> bytes:
    exif = Image.Exif()
    exif.get_ifd(ExifTags.IFD.GPSInfo).update(tags)
    buffer = io.BytesIO()
    Image.new("RGB", (40, 40)).save(buffer, kind, exif=exif.tobytes())
    return buffer.getvalue()


def changed(**tags: object) -> bytes:
    whole = KATHMANDU | {GPS[name]: value for name, value in tags.items()}
    return photo({tag: value for tag, value in whole.items() if value is not None})


def photos() -> dict[str, bytes]:
    whole, seconds = photo(KATHMANDU), struct.pack("<II", 48, 25)
    assert seconds in whole
    with Image.open(io.BytesIO(whole)) as opened:
        exif = opened.info["exif"]
    big = Image.Exif()
    big.endian = ">"
    big.get_ifd(ExifTags.IFD.GPSInfo).update(KATHMANDU)
    buffer = io.BytesIO()
    Image.new("RGB", (40, 40)).save(buffer, "JPEG", exif=big.tobytes())
    return {
        **{kind: photo(KATHMANDU, kind) for kind in ("JPEG", "PNG", "WEBP")},
        "big-endian": buffer.getvalue(),
        "south and west": changed(GPSLatitudeRef="S", GPSLongitudeRef="W"),
        "near a border": changed(GPSLatitude=(26.0, 30.0, 0.0), GPSLongitude=(86.0, 45.0, 0.0)),
        "at sea": changed(GPSLatitude=(10.0, 0.0, 0.0), GPSLongitude=(88.0, 0.0, 0.0)),
        "accurate to 25 m": changed(GPSHPositioningError=25.0),
        "accurate to 80 km, of two countries": changed(GPSHPositioningError=80000.0),
        "too inaccurate": changed(GPSHPositioningError=100001.0),
        "of unknown accuracy": changed(GPSHPositioningError=0.0),
        "no latitude": changed(GPSLatitude=None),
        "no hemisphere": changed(GPSLongitudeRef=None),
        "a wrong hemisphere": changed(GPSLatitudeRef="Q"),
        "east for north": changed(GPSLatitudeRef="E"),
        "off the earth": changed(GPSLatitude=(91.0, 0.0, 0.0)),
        "70 minutes": changed(GPSLatitude=(27.0, 70.0, 0.0)),
        "nowhere": changed(GPSLatitude=(0.0,) * 3, GPSLongitude=(0.0,) * 3),
        "a division by zero": whole.replace(seconds, bytes(8)),
        "no tags": photo({}),
        "no EXIF": whole.replace(exif, b"Exof" + exif[4:]),
        "cut short": whole[:100],
        "odd offsets": whole.replace(b"\x25\x88\x04\x00\x01", b"\x25\x88\x04\x00\xff"),
        "nothing": b"",
    }


PHOTOS = photos()


def test_place_of_a_photo_equals_python(page):
    found = dict(
        zip(PHOTOS, page.evaluate(PLACES, list(map(encoded, PHOTOS.values()))), strict=True)
    )
    for name, data in PHOTOS.items():
        position, here = gps_of(data), found[name]["position"]
        assert (here is None) == (position is None), name
        if position:
            assert here == pytest.approx(vars(position), abs=1e-12), name
        place = place_of(None, photo=data, gps=True)
        assert found[name]["place"].get("position") == here, name
        assert found[name]["place"]["source"] == place.source, name
        assert dict(found[name]["place"]["weights"]) == pytest.approx(dict(place.weights)), name
        assert [key for key, _ in found[name]["place"]["weights"]] == list(place.weights), name
        codes = {key.upper(): weight for key, weight in place.weights.items()}
        assert found[name]["countries"] == pytest.approx(codes), name
    sources = {place["place"]["source"] for place in found.values()}
    assert sources == {"position", "near a border", "no position"}


def test_corrupted_files_raise_no_error(page):
    """Random bytes, and photos with changed bytes."""
    rng = np.random.default_rng(0)
    broken = []
    for number in range(300):
        data = bytearray(PHOTOS[["JPEG", "PNG", "WEBP"][number % 3]][: rng.integers(20, 400)])
        for place in rng.integers(0, len(data), 4):
            data[place] = rng.integers(256)
        broken.append(bytes(data))
    for data, found in zip(broken, page.evaluate(PLACES, list(map(encoded, broken))), strict=True):
        assert found["place"]["source"]
        if found["position"] and (position := gps_of(data)):
            assert found["position"]["latitude"] == pytest.approx(position.latitude)


def test_position_in_heic_is_found(page):
    """The EXIF of a HEIC follows its boxes and has the usual signature."""
    with Image.open(io.BytesIO(PHOTOS["JPEG"])) as opened:
        exif = opened.info["exif"]
    made = (
        b"\0\0\0\x18ftypheic\0\0\0\0mif1heic"
        + bytes(90)
        + b"Ex"
        + b"\0\0\0\x06"
        + exif
        + b"\1" * 50
    )
    (found,) = page.evaluate(PLACES, [encoded(made)])
    place = found["place"]
    assert (place["weights"], place["source"]) == ([["np", 1]], "position")


def test_given_position_equals_python(page):
    """With a country, which has to be one around the position."""
    kathmandu, border, sea = Position(27.7, 85.3), Position(26.5, 86.75, 0.05), Position(-20, 75)
    wide = replace(kathmandu, accuracy_km=90.0)
    given = [
        (None, kathmandu), (None, border), (None, sea), (None, wide),
        ("IN", border), ("IN", sea), ("KE", kathmandu), ("XX", kathmandu),
    ]  # fmt: skip
    found = page.evaluate(GIVEN, [[country, vars(at)] for country, at in given])
    for (country, at), here in zip(given, found, strict=True):
        try:
            place = place_of(country, at=at)
        except InputError:
            assert here == "refused"
            continue
        keys = [key for key, _ in here["weights"]]
        assert [country_code(key) for key in keys] == [country_code(key) for key in place.weights]
        assert [w for _, w in here["weights"]] == pytest.approx([*place.weights.values()])
        assert (here["source"], here["position"]) == (place.source, vars(at))
    assert found.count("refused") == 2


def test_photo_near_a_country_is_preferred_to_one_at_sea(page):
    order = [PHOTOS["at sea"], PHOTOS["nothing"], PHOTOS["JPEG"]]
    (found,) = page.evaluate(SEVERAL, [list(map(encoded, order))])
    assert (found["source"], found["weights"]) == ("position", [["np", 1]])


def test_countries_of_a_point_equal_python(page):
    rng = np.random.default_rng(1)
    far = zip(rng.uniform(-90, 90, 120), rng.uniform(-180, 180, 120), strict=True)
    near = [(26.4 + x, 87 + y) for x, y in rng.normal(0, 1, (60, 2))]
    corners = [(90, 0), (-90, 10), (66, 180), (-17, -180), (-17, 179.99), (65.8, 190), (0.1, 360)]
    points = [*far, *near, *corners, *zip(rng.uniform(40, 50, 50), rng.uniform(0, 20, 50),
                                          strict=True)]  # fmt: skip
    points = [(float(latitude), float(longitude)) for latitude, longitude in points]
    several = 0
    for point, found in zip(points, page.evaluate(COUNTRIES, points), strict=True):
        expected = countries_at(*point)
        several += len(expected) > 1
        assert [code for code, _ in found] == list(expected), point
        assert dict(found) == pytest.approx(expected), point
    assert several > 10
