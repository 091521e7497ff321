import io
import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import ExifTags, Image

from ophis import InputError
from ophis.datasets.synthetic.camera import photograph
from ophis.datasets.synthetic.population import sightings
from ophis.geography.location import Place, Position, Source, gps_of, place_of, read_position

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


BORDER = (27.0, 84.8667)  # of Nepal and India
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


@pytest.mark.parametrize(("written", "accuracy_km"), [
    (35.5, 0.0355), (None, 1.0), (0.0, 1.0), (1_000_000.0, None),
])  # fmt: skip
def test_the_accuracy_of_the_gps_position_is_read(written, accuracy_km):
    """An accuracy above 100 km is no position."""
    error = {} if written is None else {GPS.GPSHPositioningError: written}
    found = gps_of(photo(tags(*KATHMANDU) | error))
    assert (found and found.accuracy_km) == accuracy_km


def test_the_representation_of_a_position_omits_the_coordinates():
    position = Position(27.7, 85.3, 0.123)
    for shown in (position, place_of(None, at=position)):
        assert not any(digits in f"{shown} {shown!r}" for digits in ("27", "85", "123"))


@pytest.mark.parametrize(("text", "expected"), [
    ("6.9,79.9", Position(6.9, 79.9)),
    (" 6.927079, 79.861244 ", Position(6.927079, 79.861244)),
    ("-1.29,36.82,50", Position(-1.29, 36.82, 0.05)),
    ("+6,-70.,0.5", Position(6, -70, 0.0005)),
    ("90,180,100000", Position(90, 180, 100)),
])  # fmt: skip
def test_a_position_is_read_from_text(text, expected):
    assert read_position(text) == expected


@pytest.mark.parametrize(("text", "message"), [
    ("91.77,79.9", r"the latitude \(it comes first\) should be from -90 to 90; write latitude,"),
    ("178.77,-17.7", r"the latitude \(it comes first\) should be"),
    ("91.77,179.9", "the latitude should be from -90 to 90; write latitude,longitude in decimal"),
    ("6.9,180.77", "the longitude should be from -180 to 180; write"),
    ("6,977,79,877", "too many commas, perhaps instead of decimal points; write"),
    ("6.977", "the position cannot be read; write"),
    ("", "the position cannot be read; write"),
    ("6.977 79.977", "the position cannot be read; write"),
    ("6.9.77,79.9", "the position cannot be read; write"),
    ("6°54'77\"N,79°51'E", "letters or signs, perhaps of degrees, minutes or hemispheres; write"),
    ("6.977N,79.977E", "letters or signs"),
    ("nan,inf", "letters or signs"),
    ("6.9e77,1", "letters or signs"),
    ("\u0666.77,79.9", "letters or signs"),
    ("0,0", "the position is 0,0, as devices write it without a fix; correct it"),
    ("-0.0,0.,77", "the position is 0,0"),
    ("6.977,79.9,0", "the accuracy of the position should be above 0 and at most 100 km; give the"),
    ("6.977,79.9,-5", "the accuracy of the position should be"),
    ("6.977,79.9,100001", "the accuracy of the position should be"),
    ("9" * 400 + ",1", "the latitude"),
])  # fmt: skip
def test_a_wrong_position_is_refused_without_repeating_it(text, message):
    with pytest.raises(InputError, match=message) as refused:
        read_position(text)
    assert "77" not in str(refused.value)
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize("at", [
    "6.9,79.9", 5, (6.9,), [6.9, 79.9], (1, 2, 3), ("6.9", "79.9"), (float("nan"), 0),
    (6.9, None), b"6.9,79.9",
])  # fmt: skip
def test_other_values_are_no_position(at):
    with pytest.raises(InputError, match=r"position|latitude"):
        place_of(None, at=at)


def test_a_given_position_gives_the_countries_around_it():
    here = Position(27.7172, 85.324)
    assert place_of(None, at=here) == Place({"np": 1.0}, Source.GIVEN_POSITION, here)
    assert place_of(None, at=(27.7172, 85.324), photo=b"", gps=True).position == here
    border = place_of(None, at=BORDER)
    assert (border.source, set(border.weights)) == (Source.GIVEN_BORDER, {"np", "in"})
    at_sea = place_of(None, at=(0, -30))
    assert (at_sea.source, at_sea.weights, at_sea.country) == (Source.NO_COUNTRY, {}, "UNKNOWN")
    assert at_sea.position


def test_an_uncertain_position_has_more_countries_around_it():
    assert set(place_of(None, at=(27.5, 85.324)).weights) == {"np"}
    assert set(place_of(None, at=Position(27.5, 85.324, 90)).weights) == {"np", "in", "cn"}


def test_a_country_settles_a_position_near_a_border():
    place = place_of("Nepal", at=BORDER)
    assert (place.weights, place.source) == ({"nepal": 1.0}, Source.GIVEN_POSITION)
    assert place.position == Position(*BORDER)
    for country in ("IN", "India", "IND"):
        assert place_of(country, at=BORDER).source is Source.GIVEN_POSITION
    at_sea = place_of("Indonesia", at=(-5, 95))
    assert (at_sea.weights, at_sea.source) == ({"indonesia": 1.0}, Source.GIVEN)
    assert at_sea.position == Position(-5, 95)


@pytest.mark.parametrize(("country", "message"), [
    ("Kenya", "the position is in Nepal or India, not in Kenya; leave out the one"),
    ("UNKNOWN", "the position is in Nepal or India, not in UNKNOWN"),
    ("Atlantis", "no country is called 'Atlantis'"),
    ({"Nepal": 0.5, "India": 0.5}, "several countries are given with a position"),
])  # fmt: skip
def test_a_country_that_contradicts_the_position_is_refused(country, message):
    with pytest.raises(InputError, match=message):
        place_of(country, at=BORDER)


def test_a_given_country_takes_precedence_over_the_position():
    data = photo(tags(*KATHMANDU))
    assert place_of("Kenya", photo=data, gps=True) == Place({"kenya": 1.0}, Source.GIVEN)
    assert place_of(None, photo=data) == Place({}, None)
    there = Place({"np": 1.0}, Source.POSITION, gps_of(data))
    assert place_of(None, photo=data, gps=True) == there
    assert place_of(None, photo=photo({}), gps=True) == Place({}, Source.NO_POSITION)
    at_sea = photo(tags((0.0, 0.0, 0.0), "N", (30.0, 0.0, 0.0), "W"))
    assert place_of(None, photo=at_sea, gps=True) == Place({}, Source.NO_POSITION, gps_of(at_sea))


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
