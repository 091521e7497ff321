import json
from importlib.resources import files

import numpy as np
import pycountry
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ophis import InputError
from ophis.geography.borders import countries_at
from tests.support.border_towns import TOWNS

LATITUDES = st.floats(-90, 90)
LONGITUDES = st.floats(-180, 180)

# On coasts, on islands, in parts of a country with a separate code.
ISLANDS = {
    "Banjul": (13.4549, -16.5790, "GM"),
    "Malé": (4.1755, 73.5093, "MV"),
    "Funafuti": (-8.5211, 179.1983, "TV"),
    "Tarawa": (1.4518, 172.9717, "KI"),
    "Suva": (-18.1248, 178.4501, "FJ"),
    "Taveuni, west of 180": (-16.85, -179.97, "FJ"),
    "Taveuni, east of it": (-16.85, 179.97, "FJ"),
    "Mombasa": (-4.0435, 39.6682, "KE"),
    "Zanzibar": (-6.1659, 39.2026, "TZ"),
    "Kupang": (-10.1772, 123.6070, "ID"),
    "Malabo": (3.7504, 8.7371, "GQ"),
    "Cayenne": (4.9224, -52.3135, "GF"),
    "Saint-Denis": (-20.8789, 55.4481, "RE"),
    "Fort-de-France": (14.6161, -61.0588, "MQ"),
    "Pointe-à-Pitre": (16.2411, -61.5331, "GP"),
    "Mamoudzou": (-12.7806, 45.2278, "YT"),
    "Kralendijk": (12.1443, -68.2655, "BQ"),
    "Willemstad": (12.1091, -68.9316, "CW"),
    "Longyearbyen": (78.2232, 15.6267, "SJ"),
    "Flying Fish Cove": (-10.4216, 105.6781, "CX"),
    "Port Blair": (11.6234, 92.7265, "IN"),
    "Puerto Ayora": (-0.7430, -90.3137, "EC"),
    "Honolulu": (21.3069, -157.8583, "US"),
    "Nuuk": (64.1814, -51.6941, "GL"),
    "Northern Cyprus": (35.3364, 33.3192, "CY"),
    "Somaliland": (9.5624, 44.0770, "SO"),
    "South Pole": (-90.0, 0.0, "AQ"),
}
# Within two kilometres of a border, and on its wrong side by borders.json.
TOO_NEAR = {
    "Jogbani": (26.3950, 87.2630, "IN"),
    "Aflao": (6.1187, 1.1947, "GH"),
    "Leticia": (-4.2153, -69.9406, "CO"),
    "Myawaddy": (16.6890, 98.5089, "MM"),
    "Wagah": (31.6027, 74.5650, "PK"),
    "Kazungula": (-17.7900, 25.2600, "BW"),
}


@pytest.mark.parametrize(("latitude", "longitude", "code"), TOO_NEAR.values())
def test_a_point_on_a_border_includes_its_country(latitude, longitude, code):
    assert countries_at(latitude, longitude)[code] > 0.15


@pytest.mark.parametrize(("latitude", "longitude", "code"), [*TOWNS.values(), *ISLANDS.values()])
def test_known_places_are_in_their_countries(latitude, longitude, code):
    assert countries_at(latitude, longitude, uncertainty_km=0) == {code: 1.0}
    assert countries_at(latitude, longitude)[code] > 0.02


def test_near_a_border_several_countries_have_fractions():
    assert set(countries_at(-25.5990, -54.5736)) == {"AR", "BR", "PY"}  # where three meet
    fractions = countries_at(49.0, -105.0)  # their border is the parallel
    assert fractions == pytest.approx({"CA": 0.5, "US": 0.5}, abs=0.08)
    fractions = countries_at(-25.5990, -54.5736)
    assert list(fractions.values()) == sorted(fractions.values(), reverse=True)


def test_the_disc_has_the_given_radius():
    """Bhairahawa is 4 km from India."""
    assert countries_at(27.505, 83.45, uncertainty_km=1) == {"NP": 1.0}
    assert set(countries_at(27.505, 83.45, uncertainty_km=20)) == {"NP", "IN"}
    assert countries_at(27.505, 83.45, uncertainty_km=300)["CN"] > 0


@pytest.mark.parametrize(
    ("latitude", "longitude", "code"),
    [(23.0, 78.0, "IN"), (-25.0, 134.0, "AU"), (65.0, 180.0, "RU"), (-85.0, 0.0, "AQ")],
)
def test_deep_inside_there_is_one_country(latitude, longitude, code):
    assert countries_at(latitude, longitude) == {code: 1.0}


def test_at_sea_the_nearest_coast_counts_as_far_as_50_kilometres():
    assert countries_at(8.5, 76.6) == {"IN": 1.0}  # 30 km off Kerala
    assert countries_at(8.5, 75.8) == {}
    assert countries_at(0.0, -30.0) == countries_at(90.0, 0.0) == {}


@given(LATITUDES, LONGITUDES, st.sampled_from([0.0, 1.0, 10.0, 200.0]))
def test_fractions_sum_to_one_or_are_empty(latitude, longitude, radius):
    fractions = countries_at(latitude, longitude, uncertainty_km=radius)
    assert not fractions or sum(fractions.values()) == pytest.approx(1)
    assert all(0 < fraction <= 1 for fraction in fractions.values())
    assert set(fractions) <= {country.alpha_2 for country in pycountry.countries} | {"XK"}


@given(st.sampled_from([*TOWNS.values(), *ISLANDS.values()]), st.integers(-3, 3))
def test_a_whole_turn_changes_nothing(place, turns):
    latitude, longitude, _ = place
    turned = countries_at(latitude, longitude + 360 * turns)
    assert turned == pytest.approx(countries_at(latitude, longitude), abs=0.02)


@pytest.mark.parametrize(
    ("latitude", "longitude", "radius", "message"),
    [
        (90.1, 0, 10, "latitude = 90.1"),
        (np.nan, 0, 10, "latitude = nan"),
        (0, np.inf, 10, "longitude = inf"),
        (0, 0, -1, "uncertainty_km = -1"),
        (0, 0, np.nan, "uncertainty_km = nan"),
    ],
)
def test_invalid_coordinates_are_refused(latitude, longitude, radius, message):
    with pytest.raises(InputError, match=message):
        countries_at(latitude, longitude, uncertainty_km=radius)


def test_borders_contain_every_country_of_iso_3166_and_kosovo():
    topology = json.loads(files("ophis.geography").joinpath("borders.json").read_text())
    codes = [country["id"] for country in topology["objects"]["countries"]["geometries"]]
    assert len(codes) == len(set(codes))
    iso = {country.alpha_2 for country in pycountry.countries} | {"XK"}
    assert iso - set(codes) == set()
    assert topology["licence"] == "public domain"
