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
def test_the_position_of_a_photo_is_read(kind):
    found = gps_of(photo(tags(*KATHMANDU), kind))
    assert found
    assert (found.latitude, found.longitude) == pytest.approx((27.7172, 85.324), abs=1e-4)


def test_south_and_west_are_below_zero():
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
def test_what_is_no_position_is_none(written):
    assert gps_of(photo(written)) is None


def test_a_division_by_zero_is_no_position():
    """As some cameras write that have not found their satellites: 0/0."""
    whole = photo(tags(*KATHMANDU))
    seconds = struct.pack("<II", 48, 25)  # 1.92, as Pillow shortens it
    assert seconds in whole
    assert gps_of(whole)
    assert gps_of(whole.replace(seconds, bytes(8))) is None


def test_a_photo_without_one_has_none():
    drawn = photograph(sightings(36, seed=0)[0], seed=0).data
    assert gps_of(drawn) is None


@given(st.binary(max_size=200))
def test_bytes_of_any_kind_are_no_error(data):
    assert gps_of(data) is None


@given(st.data())
def test_a_damaged_photo_is_no_error(data):
    whole = bytearray(photo(tags(*KATHMANDU)))
    for _ in range(data.draw(st.integers(1, 8))):
        whole[data.draw(st.integers(0, 250))] = data.draw(st.integers(0, 255))
    found = gps_of(bytes(whole))
    assert found is None or (-90 <= found.latitude <= 90 and -180 <= found.longitude <= 180)


def test_a_position_does_not_print_itself():
    assert "27" not in f"{Position(27.7, 85.3)} {Position(27.7, 85.3)!r}"


def test_what_a_person_says_goes_before_what_the_photo_says():
    data = photo(tags(*KATHMANDU))
    assert place_of("Kenya", photo=data, gps=True) == Place({"kenya": 1.0}, Source.GIVEN)
    assert place_of(None, photo=data) == Place({}, None)
    assert place_of(None, photo=data, gps=True) == Place({"np": 1.0}, Source.POSITION)
    assert place_of(None, photo=photo({}), gps=True) == Place({}, Source.NO_POSITION)
    at_sea = photo(tags((0.0, 0.0, 0.0), "N", (30.0, 0.0, 0.0), "W"))
    assert place_of(None, photo=at_sea, gps=True) == Place({}, Source.NO_POSITION)


def test_near_a_border_the_photo_may_be_from_either_side():
    place = place_of(None, photo=photo(tags((27.0, 0, 0), "N", (84.0, 52.0, 0), "E")), gps=True)
    assert place.source is Source.BORDER
    assert set(place.shares) == {"np", "in"}
    assert place.country == max(place.shares, key=place.shares.__getitem__)


def test_weights_become_shares_and_names_of_one_country_are_added_up():
    place = place_of({"India": 1, "Nepal": 2, "Népal": 1, "UNKNOWN": 1})
    assert place == Place({"nepal": 0.6, "india": 0.2, "UNKNOWN": 0.2}, Source.GIVEN)
    assert list(place.shares) == ["nepal", "india", "UNKNOWN"]


@pytest.mark.parametrize(
    ("weights", "told"),
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
        ({}, "names none"),
    ],
)
def test_what_is_no_country_and_no_weights_is_refused(weights, told):
    with pytest.raises(InputError, match=told):
        place_of(weights)


def test_only_the_ratios_of_weights_count_however_large_or_small():
    place = place_of({"India": 1e308, "Nepal": 1e308, "Kenya": 1e-308})
    assert place.shares == {"india": 0.5, "nepal": 0.5}
    assert place_of({"India": 5e-324}).shares == {"india": 1}
