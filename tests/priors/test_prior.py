"""Product of image and prior, with a prior of two countries whose factors are written here."""

import json
import tomllib
from pathlib import Path

import numpy as np
import pytest

from ophis import InputError, Scores, SpeciesList
from ophis.priors.effect import PriorEffect, PriorUse
from ophis.priors.prior import Prior, numbered, part_of, write_settings

SPECIES = SpeciesList(("adder", "boa", "cobra"))
FACTORS = {"france": [1, 0, 0.5], "india": [0.25, 0, 1], "nowhere": [0, 0, 0]}


class Listed(Prior):
    """Prior with the factors of `FACTORS`, and 1 for other countries."""

    def log_factors(self, country):
        use = PriorUse.APPLIED if country in FACTORS else PriorUse.UNSEEN
        with np.errstate(divide="ignore"):
            return np.log(FACTORS.get(country, [1.0, 1, 1])), use

    def ratios(self, country):
        return np.array(FACTORS.get(country, [1.0, 1, 1]))

    def describe(self):
        return "two countries"

    def write(self, path):
        return Path(path)


class Warm(Listed):
    temperature = 2.0

    def overridden(self, country):
        return country == "india"


PRIOR, WARM = Listed(SPECIES), Warm(SPECIES)


def scores_in(
    *countries: str, probabilities: list[float], species: SpeciesList = SPECIES
) -> Scores:
    names = tuple(f"photo {number}" for number in range(len(countries)))
    with np.errstate(divide="ignore"):
        logits = np.log([probabilities] * len(names)).reshape(-1, len(species))
    return Scores(
        logits=logits,
        species=species,
        photo_ids=names,
        truth=np.zeros(len(names), np.int64),
        countries=countries,
        observations=names,
    )


def test_product_by_hand():
    scores = scores_in("india", "france", "peru", "india", probabilities=[0.4, 0.4, 0.2])
    adjusted = PRIOR.adjust(scores)
    india, france = np.array([0.1, 0, 0.2]), np.array([0.4, 0, 0.1])
    expected = [india / 0.3, france / 0.5, [0.4, 0.4, 0.2], india / 0.3]
    np.testing.assert_allclose(adjusted.probabilities(), expected, rtol=1e-14)
    assert adjusted.logits.dtype == np.float64
    assert (adjusted.countries, adjusted.photo_ids) == (scores.countries, scores.photo_ids)
    np.testing.assert_array_equal(PRIOR.adjust_with_effect(scores)[0].logits, adjusted.logits)


def test_temperature_divides_the_logits_only():
    scores = scores_in("india", "peru", probabilities=[0.36, 0.48, 0.16])
    root = np.sqrt([0.36, 0.48, 0.16])
    expected = [root * [0.25, 0, 1], root]
    expected = [row / row.sum() for row in expected]
    np.testing.assert_allclose(WARM.adjust(scores).probabilities(), expected, rtol=1e-14)
    assert PRIOR.temperature == 1


def test_product_of_zero_keeps_the_image():
    scores = scores_in("nowhere", "india", probabilities=[0.5, 0.25, 0.25])
    adjusted, effects = PRIOR.adjust_with_effect(scores)
    np.testing.assert_allclose(adjusted.probabilities()[0], [0.5, 0.25, 0.25])
    assert [effect.use for effect in effects] == [PriorUse.EXCLUDED, PriorUse.APPLIED]
    image = scores_in("india", probabilities=[0.0, 1, 0])
    adjusted, (effect,) = PRIOR.adjust_with_effect(image)
    np.testing.assert_allclose(adjusted.probabilities(), [[0, 1, 0]])
    assert effect == PriorEffect(PriorUse.EXCLUDED, contradicts=True)
    # The stored factors and uses of the country are unchanged.
    assert PRIOR.adjust_with_effect(scores)[1][1].use is PriorUse.APPLIED


def test_no_photos_give_no_rows():
    adjusted, effects = PRIOR.adjust_with_effect(scores_in(probabilities=[1.0, 0, 0]))
    assert adjusted.logits.shape == (0, 3)
    assert effects == ()


@pytest.mark.parametrize(("boa", "contradicts"), [(0.94, False), (0.9499, False), (0.951, True)])
def test_photo_contradicts_its_country_below_005(boa, contradicts):
    """The likelihood ratio is 1 - boa: p(cobra) times 1."""
    _, (effect,) = PRIOR.adjust_with_effect(scores_in("india", probabilities=[0, boa, 1 - boa]))
    assert effect.contradicts is contradicts


@pytest.mark.parametrize(("ratio", "contradicts"), [(0.05, False), (np.nextafter(0.05, 0), True)])
def test_bound_of_contradiction_is_exact(ratio, contradicts):
    class Rare(Listed):
        def ratios(self, country):
            return np.array([ratio, 1, 1])

    _, (effect,) = Rare(SPECIES).adjust_with_effect(scores_in("india", probabilities=[1, 0, 0]))
    assert effect.contradicts is contradicts


def test_likelihood_by_hand():
    logits = scores_in("india", "peru", probabilities=[0.4, 0.4, 0.2]).logits
    found = PRIOR.likelihood(logits + 7, ("india", "peru"))
    np.testing.assert_allclose(found, [0.4 * 0.25 + 0.2, 1])
    assert PRIOR.likelihood(logits[:0], ()).shape == (0,)


def test_likelihood_uses_the_temperature():
    """The square root of the probabilities gives a ratio above 0.05, where they give less."""
    scores = scores_in("india", probabilities=[0, 0.98, 0.02])
    assert PRIOR.adjust_with_effect(scores)[1][0].contradicts
    assert not WARM.adjust_with_effect(scores)[1][0].contradicts


def test_overrides_are_reported_by_country():
    scores = scores_in("india", "france", probabilities=[0.4, 0.4, 0.2])
    assert [effect.overridden for effect in WARM.adjust_with_effect(scores)[1]] == [True, False]
    assert [effect.overridden for effect in PRIOR.adjust_with_effect(scores)[1]] == [False, False]


@pytest.mark.parametrize("names", [("boa", "adder", "cobra"), ("adder", "boa", "viper")])
def test_scores_of_other_species_are_refused(names):
    scores = scores_in("india", probabilities=[0.4, 0.4, 0.2], species=SpeciesList(names))
    message = "in the scores and .* in the prior.*fit the prior with the species of the scores"
    for method in (PRIOR.adjust, PRIOR.adjust_with_effect, PRIOR.require_species):
        with pytest.raises(InputError, match=message):
            method(scores)


def test_factors_of_each_photo():
    factors, uses = PRIOR.factors_of(("peru", "india", "peru"))
    np.testing.assert_allclose(np.exp(factors), [[1, 1, 1], [0.25, 0, 1], [1, 1, 1]])
    assert uses.tolist() == [PriorUse.UNSEEN, PriorUse.APPLIED, PriorUse.UNSEEN]
    factors, uses = PRIOR.factors_of(())
    assert (factors.shape, uses.shape) == ((0, 3), (0,))


def test_factors_of_a_country_are_computed_once():
    found = []

    class Counting(Listed):
        def log_factors(self, country):
            found.append(country)
            return super().log_factors(country)

    prior = Counting(SPECIES)
    for _ in range(2):
        prior.factors_of(("india", "peru", "india"))
    assert sorted(found) == ["india", "peru"]


def test_blocks_of_rows_equal_single_photos(monkeypatch):
    monkeypatch.setattr("ophis.files.blocks.BLOCK_BYTES", 48)  # two rows of float64
    countries = ("india", "nowhere", "peru", "nowhere", "france")
    scores = scores_in(*countries, probabilities=[0.5, 0.25, 0.25])
    for prior in (PRIOR, WARM):
        adjusted, effects = prior.adjust_with_effect(scores)
        for number, country in enumerate(countries):
            single = scores_in(country, probabilities=[0.5, 0.25, 0.25])
            expected, (effect,) = prior.adjust_with_effect(single)
            np.testing.assert_array_equal(adjusted.logits[number], expected.logits[0])
            assert effects[number] == effect


def test_prior_without_aliases():
    assert PRIOR.spelling("india") == "india"
    assert PRIOR.merged() == []


def test_numbers_of_names_are_in_the_order_of_first_use():
    numbers, names = numbered(["b", "a", "b", "c"])
    assert (numbers.tolist(), list(names)) == ([0, 1, 0, 2], ["b", "a", "c"])
    assert numbers.dtype == np.int64


def test_settings_are_written_as_toml(tmp_path):
    settings = {"kind": "été", "absent": 0.1, "listed": True, "photos": 3}
    path = tmp_path / "prior.toml"
    assert write_settings(path, settings) == path
    assert tomllib.loads(path.read_text(encoding="utf-8")) == settings
    assert path.read_text(encoding="utf-8").splitlines()[1] == f"absent = {json.dumps(0.1)}"
    with pytest.raises(InputError, match=r"prior\.csv: such a prior is written as \.toml, with"):
        write_settings(tmp_path / "prior.csv", settings)
    assert [each.name for each in tmp_path.iterdir()] == ["prior.toml"]


def test_tables_lie_beside_the_settings():
    assert part_of(Path("a/prior.toml"), "range_map") == Path("a/prior_range_map.csv")
