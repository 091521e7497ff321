from dataclasses import replace

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ophis import CountryPrior, InputError, Scores, SpeciesList, read_prior
from ophis.geography.countries import country_code
from ophis.priors.bayes import BayesPrior, Settings
from ophis.priors.overrides import Override
from ophis.priors.prior import PriorEffect, PriorUse
from ophis.priors.range_maps import RangeMap, RangeMapPrior, read_range_map
from ophis.priors.selection import LogLoss, choose_prior, default_prior, fit_bayes
from ophis.taxonomy.species_list import species_key

SPECIES = SpeciesList(("adder", "boa", "cobra"))
COUNTS = pl.DataFrame(
    {
        "species": ["adder", "adder", "boa", "boa", "cobra", "cobra", "cobra"],
        "country": ["france", "UNKNOWN", "brazil", "peru", "india", "UNKNOWN", "kenya"],
        "photos": [4, 1, 5, 2, 6, 3, 1],
    }
)
RANGE_MAP = RangeMap(
    {"adder": frozenset({"FR", "DE"}), "boa": frozenset({"BR"}), "cobra": frozenset({"IN", "NP"})},
    frozenset({"FR", "DE", "BR", "IN", "NP"}),
)


def counts() -> CountryPrior:
    return CountryPrior.from_counts(COUNTS, SPECIES)


def seen(countries, truth, probabilities) -> Scores:
    """Return scores of photos with these probabilities."""
    names = tuple(f"photo {n}" for n in range(len(countries)))
    return Scores(
        logits=np.log(np.array(probabilities)),
        species=SPECIES,
        photo_ids=names,
        truth=np.array(truth),
        countries=tuple(countries),
        observations=names,
    )


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
            RangeMapPrior(SPECIES, RANGE_MAP, 0.03),
            {"p.toml", "p_range_map.csv", "p_species.csv"},
        ),
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
    assert read_prior(path).species == SPECIES


@pytest.mark.parametrize(
    ("before", "after", "words"),
    [
        (
            'kind = "bayes"',
            'kind = "bays"',
            "kind = 'bays' should be one of ['bayes', 'range_map']",
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


def simulated(photos, seed):
    """Return scores of a calibrated network in a world where country and species are correlated.

    Pictures are noisy one-hot vectors, so that p(s | x) is known exactly.
    """
    rng = np.random.default_rng(seed)
    joint = np.array([[0.6, 0.05, 0.0], [0.02, 0.13, 0.05], [0.1, 0.0, 0.05]])  # countries, species
    cells = rng.choice(9, size=photos, p=joint.ravel())
    places, truth = np.divmod(cells, 3)
    pictures = np.eye(3)[truth] + rng.normal(scale=0.8, size=(photos, 3))
    logits = pictures / 0.8**2 + np.log(joint.sum(axis=0))
    names = ("france", "brazil", "india")
    scores = seen([names[p] for p in places], truth, np.full((photos, 3), 1 / 3))
    return replace(scores, logits=logits)


def learned_from(photos, seed) -> CountryPrior:
    scores = simulated(photos, seed)
    table = pl.DataFrame(
        {
            "species": [SPECIES[s] for s in scores.truth],
            "country": scores.countries,
            "photos": 1,
        }
    )
    return CountryPrior.from_counts(table, SPECIES)


def test_fitted_prior_beats_image_and_product_on_other_photos():
    learned = learned_from(2000, seed=1)
    prior = fit_bayes(learned, simulated(2000, seed=2))
    assert prior.settings.world_exponent == 1
    loss = LogLoss(simulated(5000, seed=3))
    assert loss(prior) < loss(None) - 0.05
    assert loss(prior) < loss(learned)  # the product excludes some truths and counts p(s) twice


def test_choose_prior_minimises_loss(monkeypatch):
    learned, validation = learned_from(500, seed=1), simulated(800, seed=2)
    choice = choose_prior(learned, validation, range_map=RANGE_MAP)
    assert choice.photos == 800
    assert isinstance(choice.prior, BayesPrior)
    assert choice.losses["Bayes' rule, smoothed"] == min(choice.losses.values())
    assert set(choice.losses) == {
        "image alone",
        "range map",
        "Bayes' rule, smoothed",
        "the paper's product",
    }
    for name, prior in (("image alone", None), ("the paper's product", learned)):
        assert choice.losses[name] == pytest.approx(LogLoss(validation)(prior))


def test_choose_prior_never_chooses_product_of_the_paper():
    """Each country has exactly one species, so that excluding the others is right."""
    where = np.arange(300) % 3
    names = ("france", "brazil", "india")
    blind = seen([names[n] for n in where], where, np.full((300, 3), 1 / 3))
    paper = CountryPrior(SPECIES, names, np.diag([900, 900, 900]))
    for range_map in (None, RANGE_MAP):
        choice = choose_prior(paper, blind, range_map=range_map)
        assert choice.losses["the paper's product"] == 0 < choice.losses["Bayes' rule, smoothed"]
        assert choice.prior
        assert not isinstance(choice.prior, CountryPrior)


def test_choose_prior_prefers_image_alone_for_misleading_countries():
    validation = simulated(800, seed=2)
    order = np.random.default_rng(0).permutation(800)
    shuffled = replace(validation, countries=tuple(validation.countries[n] for n in order))
    wrong = CountryPrior(SPECIES, ("france", "brazil", "india"), np.diag([900, 900, 900]))
    choice = choose_prior(wrong, shuffled)
    image = choice.losses["image alone"]
    assert image <= min(choice.losses.values()) + 0.02
    assert choice.prior is None or choice.losses["Bayes' rule, smoothed"] <= image


def test_fit_rejects_other_species_or_order():
    learned = learned_from(500, seed=1)
    turned = CountryPrior(SpeciesList(SPECIES.names[::-1]), learned.countries, learned.counts)
    more = CountryPrior.from_counts(COUNTS, SpeciesList((*SPECIES.names, "mamba")))
    for counts, message in (
        (turned, "species 1 is 'adder' in the scores and 'cobra' in the prior"),
        (more, "species 4 is missing in the scores and 'mamba' in the prior"),
    ):
        for photos in (20, 200):  # nothing is fitted on few photos
            validation = simulated(photos, seed=2)
            for fit in (fit_bayes, choose_prior, default_prior):
                with pytest.raises(InputError, match=message):
                    fit(counts, validation)
        with pytest.raises(InputError, match=message):
            LogLoss(simulated(20, seed=2))(counts)


def test_default_prior_of_few_validation_photos_is_not_fitted():
    learned = learned_from(500, seed=1)
    for few in (
        None,
        simulated(49, seed=2),
        replace(simulated(200, seed=2), truth=np.full(200, -1)),
    ):
        prior = default_prior(learned, few)
        assert isinstance(prior, BayesPrior)
        assert prior.settings == Settings()
    fitted = default_prior(learned, simulated(50, seed=2))
    assert isinstance(fitted, BayesPrior)
    assert fitted.settings != Settings()


def test_overconfident_network_is_tempered_before_the_prior():
    sure, learned = simulated(2000, seed=2), learned_from(2000, seed=1)
    sure = replace(sure, logits=3 * sure.logits)
    prior = fit_bayes(learned, sure)
    assert 2.3 < prior.settings.temperature < 3.7
    expected = fit_bayes(learned, simulated(2000, seed=2))
    answers = prior.adjust(sure).logits.argmax(axis=1)
    assert (answers == expected.adjust(simulated(2000, seed=2)).logits.argmax(axis=1)).mean() > 0.97


def test_fit_rejects_validation_without_labels():
    scores = replace(simulated(10, seed=0), truth=np.full(10, -1))
    with pytest.raises(InputError, match="no validation photo has a known species"):
        fit_bayes(counts(), scores)


def test_log_loss_equals_scikit_learn():
    metrics = pytest.importorskip("sklearn.metrics")
    scores = simulated(300, seed=5)
    expected = metrics.log_loss(scores.truth, scores.probabilities(), labels=[0, 1, 2])
    assert LogLoss(scores)(None) == pytest.approx(expected, rel=1e-5)


def test_venomous_species_is_possible_where_range_map_lists_it(published_counts, shared_2021):
    """The paper's product excludes 464 of 1,096 such pairs, in Nepal all 12."""
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
    nepal = [column for column, code in pairs if code == "NP"]
    assert len(nepal) == 12
    assert zero["NP"][nepal].all()
    factors = {code: prior.log_factors(code)[0] for code in zero}
    assert all(np.isfinite(factors[code][column]) for column, code in pairs)
    assert {country_code(code) for code in zero} == set(zero)
