"""Prior of a position, by hand and by invariants."""

import re
import tomllib
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ophis import CountryPrior, InputError, Scores, SpeciesList, evaluate, read_prior
from ophis.geography.location import Place, Position, Source
from ophis.priors.bayes import BayesPrior, Settings
from ophis.priors.effect import PriorUse
from ophis.priors.location import LocationPrior, LocationSettings, PlacePrior, smoothed_over_scales
from ophis.priors.overrides import Override
from ophis.priors.prior import Prior
from ophis.priors.prior_file import prior_files
from ophis.priors.records import Records

SPECIES = SpeciesList(("adder", "boa", "cobra", "daboia"))
COUNTS = CountryPrior(
    SPECIES, ("brazil", "france", "india"), np.array([[0, 8, 0, 2], [4, 0, 0, 0], [1, 0, 6, 3]])
)
SMOOTHING = Settings(country_photos=1.0, continent_photos=1.0, temperature=2.0, world_exponent=0.75)
BASE = BayesPrior(COUNTS, SMOOTHING)
KERNELS = LocationSettings(bandwidths_km=(200.0, 50.0), record_exponent=0.5, place_records=3.0)
# Adders around 20 N 80 E, boas 3 degrees farther east, one cobra between them; no daboia.
RECORDS = Records.of(
    SPECIES,
    latitude=np.array([20.0, 20.1, 20.2, 20.0, 20.1, 20.0]),
    longitude=np.array([80.0, 80.1, 80.0, 83.0, 83.1, 81.0]),
    column=np.array([0, 0, 0, 1, 1, 2]),
)
PRIOR = LocationPrior(BASE, RECORDS, KERNELS)
INDIA = {"india": 1.0}


def place(latitude, longitude, accuracy_km=1.0, weights=INDIA) -> Place:
    return Place(weights, Source.POSITION, Position(latitude, longitude, accuracy_km))


def at(prior: Prior, where: Place) -> PlacePrior:
    found = prior.at(where)
    assert isinstance(found, PlacePrior)
    return found


def test_place_by_hand():
    """Kernel sums of each scale are smoothed by the wider one, and the widest by the country."""
    here = at(PRIOR, place(20, 80))
    country = BASE.probability("india")
    mass = country[:3].sum()
    p = country[:3] / mass
    for sums in RECORDS.kernel_sums(Position(20, 80), (200.0, 50.0)):
        roots = np.sqrt(sums[:3])
        p = (roots + 3 * p) / (roots.sum() + 3)
    np.testing.assert_allclose(here.probability, [*mass * p, country[3]], rtol=1e-12)
    factors, use = here.log_factors("france")  # the countries of photos are ignored
    np.testing.assert_allclose(factors, np.log(here.probability) - 0.75 * np.log(BASE.world))
    assert use is PriorUse.PLACE
    assert here.temperature == 2
    assert here.found.records.tolist() == [3, 0, 0, 0]


def test_ratios_assume_that_the_countries_are_right():
    country = BASE.ratios("india") * BASE.world
    mass = country[:3].sum()
    roots = np.sqrt(RECORDS.kernel_sums(Position(20, 80), (200.0, 50.0))[:, :3])
    right = mass * smoothed_over_scales(country[:3] / mass, roots, 3.0)
    found = at(PRIOR, place(20, 80)).ratios("india")
    np.testing.assert_allclose(found, [*right, country[3]] / BASE.world, rtol=1e-12)
    np.testing.assert_allclose((found * BASE.world).sum(), 1)


def test_countries_alone_use_the_prior_by_country():
    assert PRIOR.at(Place(INDIA, Source.GIVEN)) is PRIOR
    assert PRIOR.at(Place({}, None)) is None
    factors, use = PRIOR.log_factors("india")
    np.testing.assert_array_equal(factors, BASE.log_factors("india")[0])
    assert use is PriorUse.WEIGHED
    two = Place({"india": 0.75, "france": 0.25}, Source.BORDER)
    mixed, expected = PRIOR.at(two), BASE.at(two)
    assert mixed
    assert expected
    np.testing.assert_array_equal(mixed.log_factors("")[0], expected.log_factors("")[0])


def test_far_from_records_the_place_is_its_country():
    """A place without a record within 100 km has the use of its country."""
    far = at(PRIOR, place(-20, -50, weights={"brazil": 1.0}))
    np.testing.assert_allclose(far.probability, BASE.probability("brazil"), rtol=1e-12)
    assert far.log_factors("")[1] is PriorUse.WEIGHED
    assert far.found.total == 0
    assert not np.isfinite(far.found.nearest_km).any()
    nearer = at(PRIOR, place(22, 80))  # 200 km from the records
    assert nearer.log_factors("")[1] is PriorUse.WEIGHED
    assert nearer.probability[0] > BASE.probability("india")[0]
    assert at(PRIOR, place(1, -160, weights={"kiribati": 1.0})).log_factors("")[1] is PriorUse.WORLD


def test_sea_without_countries_uses_records_or_nothing():
    assert PRIOR.at(place(0, -150, weights={})) is None
    here = at(PRIOR, place(20, 80, weights={}))
    assert here.log_factors("")[1] is PriorUse.PLACE
    np.testing.assert_allclose(here.probability[3], BASE.world[3])
    np.testing.assert_allclose(here.probability.sum(), 1)


def test_overrides_of_the_country_stand_at_its_places():
    overrides = (Override("india", "adder", 0.0), Override("india", "daboia", 0.4))
    prior = replace(PRIOR, base=replace(BASE, overrides=overrides))
    here = at(prior, place(20, 80))
    np.testing.assert_allclose(here.probability[[0, 3]], [0, 0.4])
    np.testing.assert_allclose(here.probability.sum(), 1)
    assert here.log_factors("")[0][0] == -np.inf
    assert here.overridden("france")
    abroad = at(prior, place(20, 80, weights={"nepal": 1.0}))
    assert abroad.probability[0] > 0.3
    assert not abroad.overridden("india")


def test_less_accurate_position_is_nearer_to_the_country():
    country = BASE.probability("india")
    away = [
        abs(at(PRIOR, place(20, 80, accuracy)).probability - country).sum()
        for accuracy in (0.01, 1, 10, 30, 100)
    ]
    assert away == sorted(away)[::-1]
    assert away[0] > away[-1] + 0.05


# 0, 0 is no position.
LATITUDES, LONGITUDES = st.floats(-90, 90), st.floats(-180, 180).filter(bool)
ACCURACIES = st.floats(0.001, 100)


@given(LATITUDES, LONGITUDES, ACCURACIES)
def test_probabilities_sum_to_one_and_are_never_zero(latitude, longitude, accuracy_km):
    here = at(PRIOR, place(latitude, longitude, accuracy_km))
    assert here.probability.sum() == pytest.approx(1, abs=1e-12)
    assert (here.probability >= 0.05 * BASE.probability("india")).all()
    assert (here.ratios("") >= 0).all()


def made_prior(latitude: float, longitude: float) -> LocationPrior:
    """Return a prior with records around a point."""
    rng = np.random.default_rng(0)
    records = Records.of(
        SPECIES,
        latitude=np.clip(latitude + rng.normal(0, 1, 60), -90, 90),
        longitude=(longitude + rng.normal(0, 1, 60) + 180) % 360 - 180,
        column=rng.integers(0, 4, 60),
    )
    return LocationPrior(BASE, records, KERNELS)


@pytest.mark.parametrize("latitude", [-60.0, 0.0, 10.0, 80.0])
def test_places_on_both_sides_of_the_antimeridian_are_alike(latitude):
    prior = made_prior(latitude, 180)
    west, east, turned = (
        at(prior, place(latitude, longitude)).probability for longitude in (-180, 180, 179.9999)
    )
    np.testing.assert_allclose(west, east, rtol=1e-9)
    np.testing.assert_allclose(west, turned, rtol=1e-3)
    assert abs(west - BASE.probability("india")).max() > 0.05


@pytest.mark.parametrize("pole", [-90.0, 90.0])
def test_pole_has_one_probability_at_all_longitudes(pole):
    prior = made_prior(pole, 40)
    found = [at(prior, place(pole, longitude)).probability for longitude in (-170, 0, 40, 180)]
    for other in found[1:]:
        np.testing.assert_allclose(other, found[0], rtol=1e-9)


@given(LATITUDES, LONGITUDES, st.floats(0, 2 * np.pi))
def test_nearby_places_have_nearby_probabilities(latitude, longitude, bearing):
    """A step of 10 m changes no probability by more than 0.1 %."""
    prior = made_prior(20, 80)
    north = np.clip(latitude / 30 + 20 + 1e-4 * np.sin(bearing), -90, 90)
    first = at(prior, place(latitude / 30 + 20, longitude / 30 + 80)).probability
    second = at(prior, place(north, longitude / 30 + 80 + 1e-4 * np.cos(bearing))).probability
    np.testing.assert_allclose(first, second, rtol=1e-3)


def test_position_is_in_no_representation():
    here = at(PRIOR, place(20.123456, 80.654321))
    texts = (repr(here), str(here), here.describe(), repr(here.place), repr(here.place.position))
    assert not any(re.search(r"20\.1|80\.6|123456|654321", text) for text in texts)


def test_file_has_the_same_probabilities(tmp_path):
    overrides = (Override("france", "boa", 0.0),)
    prior = replace(PRIOR, base=replace(BASE, overrides=overrides))
    path = prior.write(tmp_path / "p.toml")
    assert {file.name for file in tmp_path.iterdir()} == {
        "p.toml", "p.csv", "p_overrides.csv", "p_species.csv", "p_records.npz"
    }  # fmt: skip
    assert {*tmp_path.iterdir()} <= {*prior_files(path)}
    assert tomllib.loads(path.read_text())["bandwidths_km"] == [200.0, 50.0]
    for species in (SPECIES, None):
        back = read_prior(path, species)
        assert isinstance(back, LocationPrior)
        assert back.species == SPECIES
        assert back.settings == KERNELS
        np.testing.assert_array_equal(
            at(back, place(20, 80)).log_factors("")[0], at(prior, place(20, 80)).log_factors("")[0]
        )
    other = SpeciesList(SPECIES.names[::-1])
    np.testing.assert_allclose(
        at(read_prior(path, other), place(20, 80)).probability[::-1],
        at(prior, place(20, 80)).probability,
    )
    with pytest.raises(InputError, match="place is not written"):
        at(prior, place(20, 80)).write(tmp_path / "q.toml")


WRONG_SETTINGS = {
    "bandwidths_km = [200.0, 50.0]": [
        ("bandwidths_km = []", "should be 1 to 8, the widest first"),
        ("bandwidths_km = [50.0, 200.0]", "should be 1 to 8, the widest first"),
        ("bandwidths_km = [200.0, 0.5]", "should be from 1 to 2000"),
        ("bandwidths_km = [200.0, nan]", "should be"),
        ('bandwidths_km = ["a"]', "should be a float"),
        ("bandwidths_km = 50", "should be a float"),
        ("", "key 'bandwidths_km' is missing or not known; a location prior has"),
    ],
    "place_records = 3.0": [
        ("place_records = 0.0", "should be a number above 0"),
        ("place_records = inf", "should be a number above 0"),
    ],
    "record_exponent = 0.5": [
        ("record_exponent = 0.0", "should be above 0 and at most 1"),
        ("record_exponent = 1.5", "should be above 0 and at most 1"),
    ],
}


@pytest.mark.parametrize(
    ("line", "other", "message"),
    [(line, *wrong) for line, all_wrong in WRONG_SETTINGS.items() for wrong in all_wrong],
)
def test_bad_settings_are_refused_with_the_file(tmp_path, line, other, message):
    path = PRIOR.write(tmp_path / "p.toml")
    path.write_text(path.read_text().replace(line, other))
    with pytest.raises(InputError, match=re.escape(f"{path}: ")) as error:
        read_prior(path, SPECIES)
    assert message in str(error.value)


@pytest.mark.parametrize("name", ["p.csv", "p_species.csv", "p_records.npz"])
def test_missing_table_is_named(tmp_path, name):
    path = PRIOR.write(tmp_path / "p.toml")
    (tmp_path / name).unlink()
    with pytest.raises(InputError, match=re.escape(str(tmp_path / name))):
        read_prior(path, SPECIES)


def test_records_of_other_species_are_refused():
    others = replace(RECORDS, species=SpeciesList(("a", "b", "c", "d")))
    with pytest.raises(InputError, match="records"):
        LocationPrior(BASE, others)


def test_scores_without_positions_use_the_prior_by_country():
    scores = Scores(
        logits=np.log([[0.5, 0.2, 0.2, 0.1], [0.1, 0.6, 0.2, 0.1]]),
        species=SPECIES,
        photo_ids=("a", "b"),
        truth=np.array([2, 1]),
        countries=("india", "brazil"),
        observations=("a", "b"),
    )
    np.testing.assert_array_equal(PRIOR.adjust(scores).logits, BASE.adjust(scores).logits)
    assert evaluate(PRIOR.adjust(scores)).top1 == evaluate(BASE.adjust(scores)).top1
