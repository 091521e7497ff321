import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ophis import InputError
from ophis.geography.borders import countries_at
from ophis.geography.country_raster import are_in_countries, countries_of
from tests.support.border_towns import TOWNS

PLACES = {  # latitude, longitude, country
    **TOWNS,
    "Taveuni, west of 180": (-16.85, -179.97, "FJ"),
    "Taveuni, east of it": (-16.85, 179.97, "FJ"),
    "Chukotka": (66.5, -172.0, "RU"),
    "Chukotka, a turn east": (66.5, 188.0, "RU"),
    "South Pole": (-90.0, 0.0, "AQ"),
    "North Pole": (90.0, 0.0, ""),
    "Gulf of Guinea": (0.0, 0.0, ""),
    "180 degrees east": (-85.0, 180.0, "AQ"),
}


def test_known_places_are_in_their_countries():
    latitude, longitude, codes = zip(*PLACES.values(), strict=True)
    assert countries_of(latitude, longitude).tolist() == list(codes)


@given(st.lists(st.tuples(st.floats(-90, 90), st.floats(-180, 180)), min_size=1, max_size=30))
def test_countries_are_those_of_single_points(points):
    latitude, longitude = np.array(points).T
    for lat, lon, code in zip(latitude, longitude, countries_of(latitude, longitude), strict=True):
        alone = countries_at(lat, lon, uncertainty_km=0)
        assert code in alone or code == ""  # countries_at takes the nearest coast
        assert code == "" or alone == {code: 1.0}


def test_countries_near_borders_are_those_of_single_points():
    rng = np.random.default_rng(0)
    latitude, longitude = rng.uniform(46.5, 50, 300), rng.uniform(5, 17, 300)  # without a coast
    found = countries_of(latitude, longitude)
    for lat, lon, code in zip(latitude, longitude, found, strict=True):
        alone = countries_at(lat, lon, uncertainty_km=0)
        assert code == next(iter(alone))


def test_a_point_at_sea_has_the_country_of_a_coast_within_the_distance():
    assert countries_of([8.5], [76.85]).tolist() == [""]  # 8 km off Kerala
    assert countries_of([8.5], [76.85], within_km=15).tolist() == ["IN"]
    assert countries_of([8.5], [75.8], within_km=15).tolist() == [""]


def test_a_point_without_coordinates_has_no_country():
    assert countries_of([np.nan, 27.7], [85.3, np.inf], within_km=10).tolist() == ["", ""]
    assert countries_of([], []).tolist() == []


def test_a_latitude_beyond_the_pole_is_refused():
    with pytest.raises(InputError, match="latitude should be from -90 to 90"):
        countries_of([91.0], [0.0])


def test_a_point_beside_a_border_is_in_both_countries_with_a_tolerance():
    """Bhairahawa is 4 km from India."""
    countries = np.array(["NP", "IN", "IN", "CN"])
    points = [27.505] * 4, [83.45] * 4
    assert are_in_countries(*points, countries, within_km=1).tolist() == [True, False, False, False]
    assert are_in_countries(*points, countries, within_km=10).tolist() == [True, True, True, False]
