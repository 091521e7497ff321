import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ophis import CountryPrior, InputError, Scores, SpeciesList
from ophis.priors.bayes import BayesPrior, Settings
from ophis.priors.effect import PriorUse
from ophis.priors.overrides import Override
from ophis.priors.prior import MixedPrior
from ophis.priors.range_maps import RangeMap, RangeMapPrior

SPECIES = SpeciesList(("adder", "boa", "cobra"))
COUNTS = CountryPrior(
    SPECIES, ("brazil", "france", "india"), np.array([[0, 8, 0], [4, 0, 0], [1, 0, 6]])
)
RANGE_MAP = RangeMap(
    {"adder": frozenset({"FR"}), "boa": frozenset({"BR"})}, frozenset({"BR", "FR", "IN"})
)
BAYES = BayesPrior(COUNTS, Settings(country_photos=1, continent_photos=1, temperature=2))
FRACTIONS = {"india": 0.75, "france": 0.25}


def seen(*probabilities: list[float]) -> Scores:
    names = tuple(f"photo {n}" for n in range(len(probabilities)))
    return Scores(
        logits=np.log(np.array(probabilities)),
        species=SPECIES,
        photo_ids=names,
        truth=np.full(len(names), -1),
        countries=("UNKNOWN",) * len(names),
        observations=names,
    )


def test_bayes_mixture_by_hand():
    """p(s | x, place) is proportional to p(s | x) sum of w_c p(s | c) / p(s)."""
    prior = BayesPrior(COUNTS, Settings(country_photos=1, continent_photos=1))
    image = np.array([0.5, 0.2, 0.3])
    place = 0.75 * prior.probability("india") + 0.25 * prior.probability("france")
    expected = image * place / prior.world
    found = MixedPrior(prior, FRACTIONS).adjust(seen(image.tolist())).probabilities()[0]
    np.testing.assert_allclose(found, expected / expected.sum(), rtol=1e-12)


def test_product_mixture_by_hand():
    factors, use = MixedPrior(COUNTS, FRACTIONS).log_factors("UNKNOWN")
    np.testing.assert_allclose(np.exp(factors), [0.75 / 7 + 0.25, 0, 0.75 * 6 / 7])
    assert use is PriorUse.APPLIED


def test_product_mixture_skips_unseen_countries():
    factors, use = MixedPrior(COUNTS, {"nepal": 0.9, "france": 0.1}).log_factors("UNKNOWN")
    np.testing.assert_allclose(np.exp(factors), [1, 0, 0])
    assert use is PriorUse.APPLIED
    nothing, use = MixedPrior(COUNTS, {"nepal": 0.5, "bhutan": 0.5}).log_factors("UNKNOWN")
    assert use is PriorUse.UNSEEN
    assert not nothing.any()


def test_range_map_mixture_by_hand():
    prior = RangeMapPrior(SPECIES, RANGE_MAP, 0.1)
    factors, use = MixedPrior(prior, {"brazil": 0.5, "nepal": 0.5}).log_factors("UNKNOWN")
    np.testing.assert_allclose(np.exp(factors), [0.55, 1, 1])  # Nepal has no list
    assert use is PriorUse.LISTED


@pytest.mark.parametrize("prior", [COUNTS, BAYES, RangeMapPrior(SPECIES, RANGE_MAP, 0.1)])
@given(fraction=st.floats(0.01, 0.99), image=st.floats(0.01, 0.98))
def test_mixture_lies_between_its_countries(prior, fraction, image):
    scores = seen([image, 0.99 - image, 0.01])
    fractions = {"brazil": fraction, "india": 1 - fraction}
    mixed = np.exp(MixedPrior(prior, fractions).log_factors("UNKNOWN")[0])
    each = np.exp([prior.log_factors(key)[0] for key in fractions])
    assert (mixed <= each.max(axis=0) * (1 + 1e-9)).all()
    assert (mixed >= each.min(axis=0) * (1 - 1e-9)).all()
    np.testing.assert_allclose(MixedPrior(prior, fractions).adjust(scores).probabilities().sum(), 1)


@pytest.mark.parametrize("prior", [COUNTS, BAYES, RangeMapPrior(SPECIES, RANGE_MAP, 0.1)])
def test_mixture_of_one_country_equals_its_prior(prior):
    scores = seen([0.5, 0.2, 0.3])
    alone = MixedPrior(prior, {"india": 1.0}).adjust(scores).probabilities()
    there = Scores(**{**vars(scores), "countries": ("india",)})
    np.testing.assert_allclose(alone, prior.adjust(there).probabilities(), rtol=1e-12)


def test_mixture_contradicts_only_if_no_country_fits():
    sure = BayesPrior(COUNTS, Settings(country_photos=0.01, continent_photos=0.01))
    boa = seen([0.0001, 0.9998, 0.0001])
    for prior in (sure, COUNTS, RangeMapPrior(SPECIES, RANGE_MAP, 0.1)):
        mixed = MixedPrior(prior, {"france": 0.5, "germany": 0.5})
        _, (effect,) = mixed.adjust_with_effect(boa)
        # Germany has no counts and no list; Bayes' rule uses the continent.
        assert effect.contradicts is (prior is sure)
        _, (effect,) = MixedPrior(prior, {"india": 0.5, "france": 0.5}).adjust_with_effect(boa)
        assert effect.contradicts
        _, (effect,) = MixedPrior(prior, {"india": 0.5, "brazil": 0.5}).adjust_with_effect(boa)
        assert not effect.contradicts


def test_mixture_reports_overrides_of_its_countries():
    prior = BayesPrior(COUNTS, overrides=(Override("france", "boa", 0.0),))
    overridden = [
        MixedPrior(prior, {key: 0.5, "india": 0.5}).overridden("") for key in ("fr", "brazil")
    ]
    assert overridden == [True, False]


@pytest.mark.parametrize("fractions", [{}, {"india": 2, "france": -1}, {"india": 0.5}])
def test_mixture_rejects_bad_fractions(fractions):
    with pytest.raises(InputError, match="should be above 0 and sum to 1"):
        MixedPrior(BAYES, fractions)


def test_mixture_cannot_be_written(tmp_path):
    with pytest.raises(InputError, match="the prior of one place is not written"):
        MixedPrior(BAYES, FRACTIONS).write(tmp_path / "p.toml")
    assert "in 2 countries" in MixedPrior(BAYES, FRACTIONS).describe()
    assert MixedPrior(BAYES, FRACTIONS).spelling("IN") == "india"
