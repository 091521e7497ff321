from dataclasses import replace

import numpy as np
import pytest

from ophis import CountryPrior, InputError, SpeciesList
from ophis.priors.bayes import BayesPrior, Settings
from ophis.priors.overrides import Override
from ophis.priors.selection import choose_prior, default_prior
from ophis.priors.smoothing import LogLoss, fit_bayes
from tests.support.simulated_countries import (
    RANGE_MAP,
    SPECIES,
    counts_of,
    learned_from,
    seen,
    shuffled_countries,
    simulated,
)

IMAGE, MAP, BAYES = "image alone", "range map", "Bayes' rule, smoothed"
PRODUCT = "the paper's product"


def test_choose_prior_takes_the_least_loss_of_clear_gains():
    learned, validation = learned_from(500, seed=1), simulated(800, seed=2)
    choice = choose_prior(learned, validation, range_map=RANGE_MAP)
    assert choice.photos == 800
    assert isinstance(choice.prior, BayesPrior)
    assert choice.prior.settings == fit_bayes(learned, validation, range_map=RANGE_MAP).settings
    assert choice.losses[BAYES] == min(choice.losses.values())
    assert set(choice.losses) == {IMAGE, MAP, BAYES, PRODUCT}
    gain, error = choice.gains[BAYES]
    assert gain == pytest.approx(choice.losses[IMAGE] - choice.losses[BAYES])
    assert gain > 2 * error > 0


def test_losses_are_of_photos_that_are_not_fitted_on():
    """The image's temperature hardly depends on the fold, and Bayes' settings do a little."""
    learned, validation = learned_from(500, seed=1), simulated(800, seed=2)
    choice, loss = choose_prior(learned, validation), LogLoss(validation)
    for prior, name in ((None, IMAGE), (fit_bayes(learned, validation), BAYES)):
        own = loss(prior, loss.temperature(prior)).mean()
        assert own < choice.losses[name] < own + 0.01


@pytest.mark.parametrize("confidence", [1.0, 2.0])
def test_no_prior_is_chosen_where_the_country_is_pure_noise(confidence):
    """An overconfident image is calibrated too: only the country may make the difference."""
    for seed in range(12):
        noise = shuffled_countries(simulated(800, seed + 100), seed)
        noise = replace(noise, logits=confidence * noise.logits)
        training = shuffled_countries(simulated(2000, seed), seed)
        for learned in (counts_of(training), learned_from(2000, seed)):
            assert choose_prior(learned, noise).prior is None


def test_photos_of_one_observation_are_no_further_evidence():
    """Each photo twenty times is as convincing as once."""
    for seed in range(12):
        few, learned = simulated(60, seed), learned_from(500, seed=1)
        row = np.repeat(np.arange(60), 20)
        many = replace(
            few,
            logits=few.logits[row],
            photo_ids=tuple(map(str, range(1200))),
            truth=few.truth[row],
            countries=tuple(np.array(few.countries)[row]),
            observations=tuple(np.array(few.observations)[row]),
        )
        once, often = choose_prior(learned, few), choose_prior(learned, many)
        assert often.gains[BAYES] == pytest.approx(once.gains[BAYES], rel=1e-3)
        assert (often.prior is None) == (once.prior is None)


def test_choose_prior_never_chooses_product_of_the_paper():
    """Each country has exactly one species, so that excluding the others is right."""
    where = np.arange(300) % 3
    names = ("france", "brazil", "india")
    blind = seen([names[n] for n in where], where, np.full((300, 3), 1 / 3))
    paper = CountryPrior(SPECIES, names, np.diag([900, 900, 900]))
    for range_map in (None, RANGE_MAP):
        choice = choose_prior(paper, blind, range_map=range_map)
        assert choice.losses[PRODUCT] == 0 < choice.losses[BAYES]
        assert choice.prior
        assert not isinstance(choice.prior, CountryPrior)


def test_product_has_its_own_temperature():
    full = CountryPrior(SPECIES, ("france", "brazil", "india"), learned_from(900, 1).counts + 1)
    validation = simulated(800, seed=2)
    losses = [
        choose_prior(full, replace(validation, logits=factor * validation.logits)).losses
        for factor in (1.0, 5.0)
    ]
    for name in (IMAGE, BAYES, PRODUCT):
        assert losses[1][name] == pytest.approx(losses[0][name], abs=2e-3)


def test_product_that_excludes_a_truth_has_an_infinite_loss():
    paper = CountryPrior(SPECIES, ("france", "brazil", "india"), np.diag([900, 900, 900]))
    choice = choose_prior(paper, simulated(800, seed=2))
    assert choice.losses[PRODUCT] == np.inf
    assert np.isfinite([choice.losses[name] for name in (IMAGE, BAYES)]).all()


def test_choose_prior_prefers_image_alone_for_misleading_countries():
    validation = shuffled_countries(simulated(800, seed=2), 0)
    wrong = CountryPrior(SPECIES, ("france", "brazil", "india"), np.diag([900, 900, 900]))
    choice = choose_prior(wrong, validation)
    assert choice.losses[IMAGE] <= min(choice.losses.values()) + 0.02
    assert choice.prior is None


def test_overrides_always_choose_bayes():
    validation = shuffled_countries(simulated(800, seed=2), 0)
    override = (Override("france", "boa", 0.1),)
    prior = choose_prior(learned_from(500, 1), validation, overrides=override).prior
    assert isinstance(prior, BayesPrior)
    assert prior.overrides == override


def test_selection_rejects_other_species_or_order():
    learned = learned_from(500, seed=1)
    turned = CountryPrior(SpeciesList(SPECIES.names[::-1]), learned.countries, learned.counts)
    longer = SpeciesList((*SPECIES.names, "mamba"))
    more = CountryPrior(longer, learned.countries, np.pad(learned.counts, ((0, 0), (0, 1))))
    for counts, message in (
        (turned, "species 1 is 'adder' in the scores and 'cobra' in the prior"),
        (more, "species 4 is missing in the scores and 'mamba' in the prior"),
    ):
        for photos in (20, 200):  # nothing is fitted on few photos
            for choose in (choose_prior, default_prior):
                with pytest.raises(InputError, match=message):
                    choose(counts, simulated(photos, seed=2))


def test_default_prior_of_few_validation_photos_is_not_fitted():
    learned, snakes = learned_from(500, seed=1), simulated(60, seed=2)
    for few in (
        None,
        simulated(49, seed=2),
        replace(simulated(200, seed=2), truth=np.full(200, -1)),
        replace(snakes, observations=tuple(str(n % 4) for n in range(60))),
    ):
        prior = default_prior(learned, few)
        assert isinstance(prior, BayesPrior)
        assert prior.settings == Settings()
    fitted = default_prior(learned, simulated(200, seed=2))
    assert isinstance(fitted, BayesPrior)
    assert fitted.settings != Settings()


def test_choose_prior_rejects_validation_without_labels():
    scores = replace(simulated(10, seed=0), truth=np.full(10, -1))
    with pytest.raises(InputError, match="no validation photo has a known species"):
        choose_prior(learned_from(500, seed=1), scores)
