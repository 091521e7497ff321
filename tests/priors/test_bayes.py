from dataclasses import replace

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ophis import CountryPrior, InputError, SpeciesList, read_prior
from ophis.geography.countries import country_code
from ophis.priors.bayes import BayesPrior, Settings
from ophis.priors.effect import PriorEffect, PriorUse
from ophis.priors.overrides import Override
from ophis.priors.range_maps import RangeMapPrior, read_range_map
from ophis.taxonomy.species_list import species_key
from tests.support.simulated_countries import RANGE_MAP, SPECIES, seen

COUNTS = pl.DataFrame(
    {
        "species": ["adder", "adder", "boa", "boa", "cobra", "cobra", "cobra"],
        "country": ["france", "UNKNOWN", "brazil", "peru", "india", "UNKNOWN", "kenya"],
        "photos": [4, 1, 5, 2, 6, 3, 1],
    }
)


def counts() -> CountryPrior:
    return CountryPrior.from_counts(COUNTS, SPECIES)


def test_smoothed_probability_by_hand():
    prior = BayesPrior(
        counts(), Settings(country_photos=2, continent_photos=3, wrong_country_fraction=0)
    )
    world = np.array([5 + 1, 7 + 1, 10 + 1]) / 25  # 22 photos, one more for each species
    np.testing.assert_allclose(prior.world, world, rtol=1e-12)
    america = (np.array([0, 7, 0]) + 3 * world) / (7 + 3)
    brazil = (np.array([0, 5, 0]) + 2 * america) / (5 + 2)
    np.testing.assert_allclose(prior.probability("brazil"), brazil, rtol=1e-12)
    # Chile has no photo and gets its continent; Atlantis has no continent and gets the world.
    np.testing.assert_allclose(prior.probability("chile"), america, rtol=1e-12)
    np.testing.assert_allclose(prior.probability("atlantis"), world, rtol=1e-12)
    # UNKNOWN is a country of the training table, on no continent.
    unknown = (np.array([1, 0, 3]) + 2 * world) / (4 + 2)
    np.testing.assert_allclose(prior.probability("UNKNOWN"), unknown, rtol=1e-12)


def test_wrong_countries_bounds_the_prior():
    table = CountryPrior(SPECIES, ("brazil", "france"), np.array([[0, 10**9, 0], [9, 0, 9]]))
    prior = BayesPrior(table, Settings(wrong_country_fraction=0.1))
    p = prior.probability("brazil")
    assert p[0] == pytest.approx(0.1 * prior.world[0], rel=1e-3)
    assert p[1] == pytest.approx(0.9 + 0.1 * prior.world[1], rel=1e-3)
    with pytest.raises(InputError, match="wrong_country_fraction = 2 should be at most 1"):
        Settings(wrong_country_fraction=2)
    with pytest.raises(InputError, match=r"world_exponent = 1e\+308 should be at most 1"):
        Settings(world_exponent=1e308)


def test_range_map_adds_pseudo_counts():
    settings = Settings(
        country_photos=1, continent_photos=1, range_map_photos=0.5, wrong_country_fraction=0
    )
    with_map = BayesPrior(counts(), settings, RANGE_MAP)
    without = BayesPrior(counts(), settings)
    nepal, before = with_map.probability("nepal"), without.probability("nepal")
    asia = before  # Nepal has no photo of its own
    np.testing.assert_allclose(nepal, (np.array([0, 0, 0.5]) + asia) / 1.5, rtol=1e-12)
    assert nepal[2] > before[2]
    # The map does not cover Kenya.
    np.testing.assert_array_equal(with_map.probability("kenya"), without.probability("kenya"))


def test_known_joint_gives_posterior_of_bayes_rule():
    """The joint distribution of 3 species, 3 countries and 4 kinds of picture is known."""
    rng = np.random.default_rng(0)
    joint = rng.dirichlet(np.ones(9)).reshape(3, 3)  # p(c, s)
    pictures = rng.dirichlet(np.ones(4), size=3)  # p(x | s)
    from_image = joint.sum(axis=0)[:, None] * pictures  # p(s, x): learned by a perfect network
    from_image = (from_image / from_image.sum(axis=0)).T  # p(s | x), [pictures, species]
    countries = ("france", "brazil", "india")
    many = CountryPrior(SPECIES, countries, (joint * 1e12).astype(np.int64))
    prior = BayesPrior(
        many, Settings(country_photos=1e-6, continent_photos=1e-6, wrong_country_fraction=0)
    )
    for row, country in enumerate(countries):
        truth = joint[row][:, None] * pictures  # p(c, s, x)
        scores = seen([country] * 4, [0] * 4, from_image)
        np.testing.assert_allclose(
            prior.adjust(scores).probabilities(), (truth / truth.sum(axis=0)).T, rtol=1e-6
        )


def test_unsmoothed_undivided_prior_equals_product_of_the_paper():
    full = CountryPrior(SPECIES, ("brazil", "france"), np.array([[3, 4, 5], [6, 1, 1]]))
    tiny = Settings(
        country_photos=1e-9, continent_photos=1e-9, wrong_country_fraction=0, world_exponent=0
    )
    scores = seen(["brazil", "france"], [0, 1], [[0.6, 0.3, 0.1], [0.2, 0.3, 0.5]])
    np.testing.assert_allclose(
        BayesPrior(full, tiny).adjust(scores).probabilities(),
        full.adjust(scores).probabilities(),
        rtol=1e-7,
    )


positive = st.floats(1e-3, 1e4)


@given(positive, positive, st.floats(0, 10), st.floats(0, 1), st.integers(0, 2**32 - 1))
def test_probabilities_are_positive_and_sum_to_one(country, continent, range_map, wrong, seed):
    photos = np.random.default_rng(seed).integers(0, 5, (4, 3))
    photos[:, 0] += 1
    table = CountryPrior(SPECIES, ("UNKNOWN", "brazil", "france", "nepal"), photos)
    settings = Settings(
        country_photos=country,
        continent_photos=continent,
        range_map_photos=range_map,
        wrong_country_fraction=wrong,
    )
    prior = BayesPrior(table, settings, RANGE_MAP)
    for name in (*table.countries, "chile", "atlantis"):
        p = prior.probability(name)
        assert p.sum() == pytest.approx(1)
        assert (p > 0).all()
        assert np.isfinite(prior.log_factors(name)[0]).all()


@pytest.mark.parametrize("exponent", [1.0, 0.5, 0.0])
def test_least_factor_depends_on_the_exponent(exponent):
    settings = Settings(
        country_photos=1e-9,
        continent_photos=1e-9,
        wrong_country_fraction=0.1,
        world_exponent=exponent,
    )
    prior = BayesPrior(counts(), settings)
    factors = np.exp(prior.log_factors("france")[0])
    least = 0.1 * prior.world ** (1 - exponent)
    np.testing.assert_allclose(factors[1:], least[1:], rtol=1e-6)  # no boa, no cobra in France
    assert (factors >= least * (1 - 1e-9)).all()
    assert (factors.min() < 0.1 * (1 - 1e-6)) == (exponent < 1)


def test_effect_of_each_country():
    prior = BayesPrior(counts(), Settings(country_photos=0.1, continent_photos=0.1))
    countries = ["india", "IN", "nepal", "atlantis", "UNKNOWN", "fiji", "france", "germany"]
    cobra = [[0.1, 0.1, 0.8]] * 6 + [[0.0001, 0.0001, 0.9998]] * 2
    _, effects = prior.adjust_with_effect(seen(countries, [2] * 8, cobra))
    assert effects == (
        PriorEffect(PriorUse.WEIGHED),
        PriorEffect(PriorUse.WEIGHED),
        PriorEffect(PriorUse.CONTINENT),
        PriorEffect(PriorUse.WORLD),
        PriorEffect(PriorUse.UNKNOWN),  # there are training photos without a country
        PriorEffect(PriorUse.WORLD),  # no training photo is from its continent either
        # A confident cobra; there is none in France, nor on the continent of Germany.
        PriorEffect(PriorUse.WEIGHED, contradicts=True),
        PriorEffect(PriorUse.CONTINENT, contradicts=True),
    )


def test_unknown_country_never_contradicts():
    table = CountryPrior(SPECIES, ("UNKNOWN", "india"), np.array([[10**6, 0, 0], [0, 0, 10**6]]))
    for name, contradicts in (("UNKNOWN", False), ("india", True)):
        image = [[0.0001, 0.0, 0.9999]] if name == "UNKNOWN" else [[0.9999, 0.0, 0.0001]]
        with np.errstate(divide="ignore"):
            _, (effect,) = BayesPrior(table).adjust_with_effect(seen([name], [0], image))
        assert effect.contradicts is contradicts


def test_effect_reports_overrides_of_country():
    prior = BayesPrior(
        counts(), overrides=(Override("france", "boa", 0.0), Override("UNKNOWN", "boa", 0.1))
    )
    scores = seen(["FR", "france", "UNKNOWN", "india"], [2] * 4, [[0.1, 0.1, 0.8]] * 4)
    _, effects = prior.adjust_with_effect(scores)
    assert [effect.overridden for effect in effects] == [True, True, True, False]


def test_two_names_of_one_country_are_merged():
    table = CountryPrior(SPECIES, ("bahamas", "the-bahamas"), np.array([[1, 2, 0], [3, 0, 4]]))
    joined = CountryPrior(SPECIES, ("bahamas",), np.array([[4, 2, 4]]))
    for name in ("bahamas", "the-bahamas", "bs"):
        np.testing.assert_allclose(
            BayesPrior(table).probability(name), BayesPrior(joined).probability("bahamas")
        )
    assert BayesPrior(table).merged() == [("bahamas", "the-bahamas")]
    assert BayesPrior(replace(table, merge_names=False)).merged() == BayesPrior(table).merged()
    assert BayesPrior(joined).merged() == []


@pytest.mark.parametrize(
    ("prior", "files"),
    [
        (BayesPrior(counts()), {"p.toml", "p.csv"}),
        (
            BayesPrior(
                counts(),
                Settings(country_photos=3.5, range_map_photos=0.1, world_exponent=0.5),
                RANGE_MAP,
                (Override("france", "cobra", 0.0), Override("brazil", "cobra", None)),
            ),
            {"p.toml", "p.csv", "p_range_map.csv", "p_overrides.csv"},
        ),
        (
            RangeMapPrior(SPECIES, RANGE_MAP, 0.03, 1.5),
            {"p.toml", "p_range_map.csv", "p_species.csv"},
        ),
        (replace(counts(), merge_names=False), {"p.toml", "p.csv"}),
    ],
)
def test_written_prior_reads_back(tmp_path, prior, files):
    path = prior.write(tmp_path / "p.toml")
    assert {file.name for file in tmp_path.iterdir()} == files
    back = read_prior(path, SPECIES)
    assert type(back) is type(prior)
    for country in ("france", "brazil", "nepal", "chile", "UNKNOWN"):
        mine, read = prior.log_factors(country), back.log_factors(country)
        np.testing.assert_array_equal(mine[0], read[0])
        assert mine[1] == read[1]
    assert back.temperature == prior.temperature
    assert getattr(back, "merge_names", None) == getattr(prior, "merge_names", None)
    assert read_prior(path).species == SPECIES


@pytest.mark.parametrize(
    ("before", "after", "words"),
    [
        (
            'kind = "bayes"',
            'kind = "bays"',
            "kind = 'bays' should be one of ['bayes', 'country_counts', 'location', 'range_map']",
        ),
        ("world_exponent", "world_exponents", "key 'world_exponent' is missing or not known"),
        (
            "world_exponent = 1.0",
            'world_exponent = "much"',
            "world_exponent = 'much' should be a float, as in 1.0",
        ),
        (
            "world_exponent = 1.0",
            "world_exponent = -1.0",
            "world_exponent = -1.0 should be a number, not below 0",
        ),
        (
            "world_exponent = 1.0",
            "world_exponent = nan",
            "world_exponent = nan should be a number, not below 0",
        ),
        ("country_photos = 30.0", "country_photos = 0.0", "should be above 0"),
        (
            "overrides = false",
            "overrides = true",
            "p_overrides.csv: there is no such table of overrides",
        ),
        ("range_map = false", "range_map = true", "p_range_map.csv: there is no such range map"),
        ("world_exponent = 1.0", "world_exponent = ", "cannot be read as TOML"),
    ],
)
def test_bad_prior_error_names_file_and_key(tmp_path, before, after, words):
    path = BayesPrior(counts()).write(tmp_path / "p.toml")
    text = path.read_text()
    assert before in text
    path.write_text(text.replace(before, after))
    with pytest.raises(InputError) as error:
        read_prior(path, SPECIES)
    assert words in str(error.value)
    assert str(tmp_path / "p") in str(error.value)


def test_bayes_prior_is_written_as_toml_only(tmp_path):
    with pytest.raises(InputError, match=r"p.csv: such a prior is written as .toml"):
        BayesPrior(counts()).write(tmp_path / "p.csv")
    assert not list(tmp_path.iterdir())


def test_venomous_species_is_possible_where_range_map_lists_it(published_counts, shared_2021):
    """The paper's table excludes 464 of 1,096 such pairs, in Nepal all 12.

    With the names of one country counted together it is 462.
    """
    species = SpeciesList(tuple(published_counts["species"].unique().sort()))
    paper = CountryPrior.from_counts(published_counts, species)
    range_map = read_range_map(shared_2021 / "species_relevance.csv")
    important = pl.read_csv(shared_2021 / "species_medical_importance.csv")
    venomous = {species_key(name) for name in important.filter(pl.col("mivs") == 1)["species"]}
    pairs = [
        (column, code)
        for column, name in enumerate(species)
        if species_key(name) in venomous
        for code in range_map.places.get(species_key(name), ())
        if paper.row(code) is not None
    ]
    prior = BayesPrior(paper, Settings(range_map_photos=0.1), range_map)
    zero = {c: paper.probability[paper.row(c)] == 0 for c in {code for _, code in pairs}}
    assert len(pairs) == 1096
    assert sum(zero[code][column] for column, code in pairs) == 464
    for merge_names, excluded in ((False, 464), (True, 462)):
        product = replace(paper, merge_names=merge_names)
        impossible = {code: np.isneginf(product.log_factors(code)[0]) for code in zero}
        assert sum(impossible[code][column] for column, code in pairs) == excluded
    nepal = [column for column, code in pairs if code == "NP"]
    assert len(nepal) == 12
    assert zero["NP"][nepal].all()
    factors = {code: prior.log_factors(code)[0] for code in zero}
    assert all(np.isfinite(factors[code][column]) for column, code in pairs)
    assert {country_code(code) for code in zero} == set(zero)
