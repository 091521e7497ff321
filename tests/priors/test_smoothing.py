from dataclasses import replace

import numpy as np
import pytest

from ophis import CountryPrior, InputError, SpeciesList
from ophis.priors.bayes import Settings
from ophis.priors.overrides import Override
from ophis.priors.smoothing import LogLoss, fit_bayes
from ophis.scores.temperature import best_temperature
from tests.support.prior_simulation import made_counts, world_of
from tests.support.simulated_countries import (
    RANGE_MAP,
    SPECIES,
    learned_from,
    seen,
    shuffled_countries,
    simulated,
)


def test_fitted_prior_beats_image_and_product_on_other_photos():
    learned = learned_from(2000, seed=1)
    prior = fit_bayes(learned, simulated(2000, seed=2))
    assert prior.settings.world_exponent == 1
    loss = LogLoss(simulated(5000, seed=3))
    assert loss(prior).mean() < loss().mean() - 0.05
    # The product excludes some truths and counts p(s) twice.
    assert loss(prior).mean() < loss(learned).mean()


def test_smoothing_hardly_differs_between_seeds():
    """The best `continent_photos` was 1 or 1,000 by seed, with equal losses on other photos."""
    world = made_counts()
    fitted = []
    for seed in range(4):
        train, validation, _ = world_of(world, noise=1.5, confidence=2.0, seed=seed)
        fitted.append(fit_bayes(train, validation).settings)
    assert {settings.continent_photos for settings in fitted} == {Settings().continent_photos}
    assert {settings.country_photos for settings in fitted} <= {1.0, 3.0}
    assert {settings.world_exponent for settings in fitted} == {1.0}


def test_setting_moves_where_the_gain_is_clear():
    """Two photos of a country say little about 30 pseudo-photos, but here they say all."""
    where = np.arange(600) % 3
    names = ("france", "brazil", "india")
    blind = seen([names[n] for n in where], where, np.full((600, 3), 1 / 3))
    counts = CountryPrior(SPECIES, names, np.diag([10, 10, 10]))
    fitted = fit_bayes(counts, blind).settings
    assert fitted.country_photos == 1
    assert fitted.continent_photos == Settings().continent_photos


def test_countries_of_pure_noise_do_not_move_the_smoothing_down():
    for seed in range(4):
        learned = learned_from(2000, seed)
        fitted = fit_bayes(learned, shuffled_countries(simulated(800, seed + 10), seed)).settings
        assert fitted.country_photos >= Settings().country_photos
        assert fitted.wrong_country_fraction >= Settings().wrong_country_fraction


def test_fit_rejects_other_species_or_order():
    learned = learned_from(500, seed=1)
    turned = CountryPrior(SpeciesList(SPECIES.names[::-1]), learned.countries, learned.counts)
    message = "species 1 is 'adder' in the scores and 'cobra' in the prior"
    for photos in (20, 200):
        with pytest.raises(InputError, match=message):
            fit_bayes(turned, simulated(photos, seed=2))
    with pytest.raises(InputError, match=message):
        LogLoss(simulated(20, seed=2))(turned)


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
        fit_bayes(learned_from(500, seed=1), scores)


def test_override_that_excludes_the_truth_of_some_photos_is_fitted_on_the_others():
    learned, validation = learned_from(2000, seed=1), simulated(2000, seed=2)
    sure = replace(validation, logits=3 * validation.logits)
    prior = fit_bayes(learned, sure, overrides=(Override("france", "boa", 0.0),))
    excluded = np.isinf(LogLoss(sure)(prior))
    truth, countries = np.array(sure.truth), np.array(sure.countries)
    np.testing.assert_array_equal(excluded, (truth == 1) & (countries == "france"))
    assert 2.3 < prior.temperature < 3.7


def test_log_loss_equals_scikit_learn():
    metrics = pytest.importorskip("sklearn.metrics")
    scores = simulated(300, seed=5)
    expected = metrics.log_loss(scores.truth, scores.probabilities(), labels=[0, 1, 2])
    assert LogLoss(scores)().mean() == pytest.approx(expected, rel=1e-5)


def test_log_loss_is_infinite_where_the_prior_excludes_the_truth():
    counts = CountryPrior(SPECIES, ("france", "india"), np.array([[1, 0, 0], [0, 0, 1]]))
    scores = seen(["france"] * 3, [0, 1, 0], [[0.5, 0.4, 0.1]] * 3)
    np.testing.assert_allclose(LogLoss(scores)(counts), [0, np.inf, 0], atol=1e-6)
    with np.errstate(divide="ignore"):  # of this photo every species: the image is kept
        impossible = seen(["india"], [0], [[0.5, 0.5, 0.0]])
    np.testing.assert_allclose(LogLoss(impossible)(counts), [np.log(2)], rtol=1e-6)


@pytest.mark.parametrize("temperature", [0.3, 1.0, 4.0])
def test_best_temperature_with_a_prior_is_that_of_the_least_loss(temperature):
    learned, scores = learned_from(2000, seed=1), simulated(2000, seed=2)
    scores = replace(scores, logits=temperature * scores.logits)
    prior = fit_bayes(learned, scores)
    factors = prior.factors_of(scores.countries)[0]
    found = best_temperature(scores, factors)
    assert found == pytest.approx(temperature, rel=0.2)
    loss = LogLoss(scores)
    for other in (0.97, 1.03):
        assert loss(prior, found).mean() < loss(prior, other * found).mean()


def test_range_map_is_fitted_only_if_there_is_one():
    learned, validation = learned_from(300, seed=1), simulated(300, seed=2)
    default = Settings().range_map_photos
    assert fit_bayes(learned, validation).settings.range_map_photos == default
    assert fit_bayes(learned, validation, range_map=RANGE_MAP).range_map is RANGE_MAP
