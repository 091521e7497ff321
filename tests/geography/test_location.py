import io
import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import ExifTags, Image

from ophis import InputError
from ophis.datasets.synthetic.camera import photograph
from ophis.datasets.synthetic.population import sightings
from ophis.geography.location import Place, Position, Source, gps_of, place_of

GPS = ExifTags.GPS


def photo(tags: dict[int, object], kind: str = "JPEG") -> bytes:
    exif = Image.Exif()
    exif.get_ifd(ExifTags.IFD.GPSInfo).update(tags)
    buffer = io.BytesIO()
    Image.new("RGB", (40, 40)).save(buffer, kind, exif=exif.tobytes())
    return buffer.getvalue()


def tags(latitude: object, north: object, longitude: object, east: object) -> dict[int, object]:
    given = {
        GPS.GPSLatitude: latitude,
        GPS.GPSLatitudeRef: north,
        GPS.GPSLongitude: longitude,
        GPS.GPSLongitudeRef: east,
    }
    return {tag: value for tag, value in given.items() if value is not None}


KATHMANDU = ((27.0, 43.0, 1.92), "N", (85.0, 19.0, 26.4), "E")


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP"])
def test_the_gps_position_is_read(kind):
    found = gps_of(photo(tags(*KATHMANDU), kind))
    assert found
    assert (found.latitude, found.longitude) == pytest.approx((27.7172, 85.324), abs=1e-4)


def test_south_and_west_are_negative():
    found = gps_of(photo(tags((25.0, 30.0, 58.68), "S", (54.0, 35.0, 7.44), "W")))
    assert found
    assert (found.latitude, found.longitude) == pytest.approx((-25.5163, -54.5854), abs=1e-4)


@pytest.mark.parametrize(
    "written",
    [
        tags(None, "N", (85.0, 19.0, 26.4), "E"),
        tags((27.0, 43.0, 1.92), None, (85.0, 19.0, 26.4), "E"),
        tags((27.0, 43.0, 1.92), "N", (85.0, 19.0, 26.4), None),
        tags((27.0, 43.0, 1.92), "Q", (85.0, 19.0, 26.4), "E"),
        tags((27.0, 43.0, 1.92), "E", (85.0, 19.0, 26.4), "N"),
        tags((91.0, 0.0, 0.0), "N", (85.0, 19.0, 26.4), "E"),
        tags((27.0, 0.0, 0.0), "N", (180.0, 0.0, 1.0), "E"),
        tags((27.0, 70.0, 0.0), "N", (85.0, 0.0, 0.0), "E"),
        tags((0.0, 0.0, 0.0), "N", (0.0, 0.0, 0.0), "E"),
        {},
    ],
)
def test_invalid_positions_give_none(written):
    assert gps_of(photo(written)) is None


def test_a_division_by_zero_gives_none():
    """0/0 is written by some cameras without a satellite fix."""
    whole = photo(tags(*KATHMANDU))
    seconds = struct.pack("<II", 48, 25)  # 1.92, as Pillow shortens it
    assert seconds in whole
    assert gps_of(whole)
    assert gps_of(whole.replace(seconds, bytes(8))) is None


def test_a_photo_without_position_gives_none():
    synthetic = photograph(sightings(36, seed=0)[0], seed=0).data
    assert gps_of(synthetic) is None


@given(st.binary(max_size=200))
def test_arbitrary_bytes_raise_no_error(data):
    assert gps_of(data) is None


@given(st.data())
def test_a_damaged_photo_raises_no_error(data):
    whole = bytearray(photo(tags(*KATHMANDU)))
    for _ in range(data.draw(st.integers(1, 8))):
        whole[data.draw(st.integers(0, 250))] = data.draw(st.integers(0, 255))
    found = gps_of(bytes(whole))
    assert found is None or (-90 <= found.latitude <= 90 and -180 <= found.longitude <= 180)


def test_the_representation_of_a_position_omits_the_coordinates():
    assert "27" not in f"{Position(27.7, 85.3)} {Position(27.7, 85.3)!r}"


def test_a_given_country_takes_precedence_over_the_position():
    data = photo(tags(*KATHMANDU))
    assert place_of("Kenya", photo=data, gps=True) == Place({"kenya": 1.0}, Source.GIVEN)
    assert place_of(None, photo=data) == Place({}, None)
    assert place_of(None, photo=data, gps=True) == Place({"np": 1.0}, Source.POSITION)
    assert place_of(None, photo=photo({}), gps=True) == Place({}, Source.NO_POSITION)
    at_sea = photo(tags((0.0, 0.0, 0.0), "N", (30.0, 0.0, 0.0), "W"))
    assert place_of(None, photo=at_sea, gps=True) == Place({}, Source.NO_POSITION)


def test_a_position_near_a_border_gives_both_countries():
    place = place_of(None, photo=photo(tags((27.0, 0, 0), "N", (84.0, 52.0, 0), "E")), gps=True)
    assert place.source is Source.BORDER
    assert set(place.weights) == {"np", "in"}
    assert place.country == max(place.weights, key=place.weights.__getitem__)


def test_weights_are_normalised_and_names_of_one_country_added():
    place = place_of({"India": 1, "Nepal": 2, "Népal": 1, "UNKNOWN": 1})
    assert place == Place({"nepal": 0.6, "india": 0.2, "UNKNOWN": 0.2}, Source.GIVEN)
    assert list(place.weights) == ["nepal", "india", "UNKNOWN"]


@pytest.mark.parametrize(
    ("weights", "message"),
    [
        ({"Atlantis": 1}, "no country is called 'Atlantis'"),
        ({"Kenya": 0}, "the weight of 'Kenya' is 0"),
        ({"Kenya": float("nan")}, "the weight of 'Kenya' is nan"),
        ({"Kenya": float("inf")}, "the weight of 'Kenya' is inf"),
        ({"Kenya": 10**400}, "the weight of 'Kenya' is 1000"),
        ({"Kenya": "x"}, "the weight of 'Kenya' is 'x'; it should be a number above 0"),
        ({5: 1}, "country = 5 should be a name or an ISO code, or several with"),
        (5, "country = 5 should be a name or an ISO code, or several with"),
        (["India"], r"country = \['India'\] should be a name"),
        ({}, "names no country"),
    ],
)
def test_invalid_countries_and_weights_are_refused(weights, message):
    with pytest.raises(InputError, match=message):
        place_of(weights)


def test_only_ratios_of_weights_matter():
    place = place_of({"India": 1e308, "Nepal": 1e308, "Kenya": 1e-308})
    assert place.weights == {"india": 0.5, "nepal": 0.5}
    assert place_of({"India": 5e-324}).weights == {"india": 1}
