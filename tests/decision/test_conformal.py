from dataclasses import replace

import numpy as np
import pytest
from mapie.classification import SplitConformalClassifier
from mapie.conformity_scores import LACConformityScore
from scipy.stats import betabinom
from sklearn.base import BaseEstimator, ClassifierMixin

from ophis import InputError, Scores, SpeciesList
from ophis.decision.conformal import (
    FREE_RANKS,
    PENALTY,
    conformal_threshold,
    fit_sets,
    nonconformity,
)

SPECIES = 8
VENOMOUS = np.array([0, 0, 0, 0, 0, 1, 1, 1])


def drawn(photos, chance, *, strength=2.0) -> Scores:
    """A network that is mostly right, and worse on the venomous species, which are rarer."""
    truth = chance.choice(SPECIES, size=photos, p=np.array([3, 3, 3, 3, 3, 1, 1, 1]) / 18)
    own = strength * np.where(VENOMOUS[truth], 0.5, 1.0)[:, None]
    names = tuple(map(str, range(photos)))
    return Scores(
        logits=own * np.eye(SPECIES)[truth] + chance.normal(size=(photos, SPECIES)),
        species=SpeciesList(tuple(f"species {n}" for n in range(SPECIES))),
        photo_ids=names,
        truth=truth,
        countries=("UNKNOWN",) * photos,
        observations=names,
    )


def held(sets, scores):
    return sets.sets(scores)[np.arange(len(scores)), scores.truth]


def test_nonconformity_by_hand():
    p = np.array([[0.05, 0.4, 0.2, 0.1, 0.1, 0.08, 0.06, 0.01]])
    scores = replace(drawn(1, np.random.default_rng(0)), logits=np.log(p))
    assert FREE_RANKS == 5
    beyond = [2 * PENALTY, 0, 0, 0, 0, 0, PENALTY, 3 * PENALTY]
    before = [0.94, 0, 0.4, 0.6, 0.6, 0.8, 0.88, 0.99]  # what is more probable, together
    expected = np.array(before) + np.array(beyond)
    np.testing.assert_allclose(nonconformity(scores)[0], expected, atol=1e-12)


@pytest.mark.parametrize("coverage", [0.8, 0.9, 0.95])
def test_coverage_lies_in_the_exact_band_over_200_random_splits(coverage):
    """For continuous scores the hits are beta-binomial (Vovk 2012), whatever the network.

    That is for what is below the threshold; the most probable species, which is always in the set,
    can only add to it.
    """
    fitted, judged, repeats = 150, 300, 200
    k = int(np.ceil((fitted + 1) * coverage - 1e-9))
    exact = betabinom(judged, k, fitted + 1 - k)
    chance = np.random.default_rng(0)
    hits = []
    for _ in range(repeats):
        whole = drawn(fitted + judged, chance)
        order = chance.permutation(len(whole))
        sets = fit_sets(whole.take(order[:fitted]), coverage=coverage)
        rest = whole.take(order[fitted:])
        own = nonconformity(rest)[np.arange(judged), rest.truth]
        hits.append((own <= sets.thresholds[0]).sum())
        assert held(sets, rest).sum() >= hits[-1]
    # Each within all but a millionth, and their mean within four of its standard errors.
    assert exact.ppf(5e-7) <= min(hits)
    assert max(hits) <= exact.ppf(1 - 5e-7)
    assert abs(np.mean(hits) - exact.mean()) < 4 * exact.std() / repeats**0.5
    assert exact.mean() / judged >= coverage


def test_of_the_venomous_too_the_promise_is_kept():
    chance = np.random.default_rng(1)
    hits = {True: [], False: []}
    for _ in range(200):
        fit, judge = drawn(400, chance), drawn(400, chance)
        for by_danger in (True, False):
            sets = fit_sets(fit, coverage=0.9, groups=VENOMOUS if by_danger else None)
            venomous = VENOMOUS[judge.truth] == 1
            hits[by_danger].append(held(sets, judge)[venomous].mean())
    assert np.mean(hits[True]) > 0.895
    assert np.mean(hits[False]) < 0.87  # without groups the rarer and harder ones pay for the rest


def test_a_better_network_has_smaller_sets():
    sizes = []
    for strength in (1.0, 3.0):
        chance = np.random.default_rng(2)
        sets = fit_sets(drawn(1000, chance, strength=strength))
        sizes.append(sets.sets(drawn(1000, chance, strength=strength)).sum(axis=1).mean())
    assert sizes[1] < sizes[0] - 1


def test_too_few_photos_exclude_nothing_and_no_set_is_empty():
    chance = np.random.default_rng(3)
    few = fit_sets(drawn(8, chance), coverage=0.9)  # 9 * 0.9 = 8.1: the ninth of eight
    assert few.sets(drawn(5, chance)).all()
    nine = fit_sets(drawn(9, chance), coverage=0.9)
    assert np.isfinite(nine.thresholds).all()
    never = replace(nine, thresholds=np.full(SPECIES, -1.0))
    assert (never.sets(drawn(50, chance)).sum(axis=1) == 1).all()


def test_what_cannot_be_promised_is_refused():
    scores = drawn(20, np.random.default_rng(4))
    with pytest.raises(InputError, match=r"coverage = 1\.0 should lie between 0 and 1"):
        fit_sets(scores, coverage=1.0)
    with pytest.raises(InputError, match="no photo has a known species"):
        fit_sets(replace(scores, truth=np.full(20, -1)))
    with pytest.raises(InputError, match="3 thresholds for 8 species"):
        replace(fit_sets(scores), thresholds=np.zeros(3))
    with pytest.raises(InputError, match="a threshold is NaN"):
        replace(fit_sets(scores), thresholds=np.full(8, np.nan))
    turned = scores.with_species(SpeciesList(scores.species.names[::-1]))
    with pytest.raises(InputError, match=r"species 1 is 'species 7' in the scores and 'species 0'"):
        fit_sets(scores).sets(turned)


class Network(ClassifierMixin, BaseEstimator):
    """Classifier interface of MAPIE; the rows of X are the probabilities."""

    def __init__(self, species):
        self.species = species
        self.classes_ = np.arange(species)

    def __sklearn_is_fitted__(self):
        return True

    def predict_proba(self, X):  # noqa: N803
        return X

    def predict(self, X):  # noqa: N803
        return X.argmax(axis=1)


class OurNonconformity(LACConformityScore):
    """MAPIE's rule for 1 - p, with our measure in the place of 1 - p."""

    def get_conformity_scores(self, y, y_pred, y_enc=None, **more):
        return super().get_conformity_scores(y, 1 - measure(y_pred), y_enc=y_enc, **more)

    def get_predictions(self, X, alpha_np, y_pred_proba, cv, agg_scores="mean", **more):  # noqa: N803
        like = 1 - measure(y_pred_proba)
        return super().get_predictions(X, alpha_np, like, cv, agg_scores, **more)


def measure(p):
    return nonconformity(replace(drawn(len(p), np.random.default_rng(0)), logits=np.log(p)))


class NoChance(np.random.RandomState):
    """For MAPIE, which takes a random part of the species' own probability off: all of it, always.

    So it sums what is more probable, as we do.
    """

    def uniform(self, low=0.0, high=1.0, size=None):
        return np.full(size or (), high)


def by_mapie(fitted, judged, coverage, conformity_score, **more):
    classifier = SplitConformalClassifier(
        Network(len(fitted.species)),
        confidence_level=coverage,
        conformity_score=conformity_score,
        prefit=True,
        random_state=NoChance(),
    )
    classifier.conformalize(fitted.probabilities(), fitted.truth)
    _, sets = classifier.predict_set(judged.probabilities(), conformity_score_params=more or None)
    return sets[:, :, 0]


@pytest.mark.parametrize("coverage", [0.8, 0.9, 0.95, 0.99])
@pytest.mark.parametrize("photos", [101, 250, 1000])
def test_mapie_finds_the_same_sets_by_the_same_measure(coverage, photos):
    chance = np.random.default_rng(photos)
    fitted, judged = drawn(photos, chance), drawn(300, chance)
    sets = fit_sets(fitted, coverage=coverage).sets(judged)
    assert 1 < sets.sum(axis=1).mean() < SPECIES
    np.testing.assert_array_equal(sets, by_mapie(fitted, judged, coverage, OurNonconformity()))


@pytest.mark.parametrize("coverage", [0.8, 0.9, 0.95])
def test_mapies_own_adaptive_sets_are_ours_where_no_rank_is_penalised(coverage):
    """Romano et al. 2020 as MAPIE has it, its chance taken out; five species have five ranks."""
    chance = np.random.default_rng(5)
    fitted, judged = (few_species(drawn(n, chance)) for n in (400, 300))
    assert len(fitted.species) == FREE_RANKS
    sets = fit_sets(fitted, coverage=coverage).sets(judged)
    assert 1 < sets.sum(axis=1).mean() < FREE_RANKS
    theirs = by_mapie(fitted, judged, coverage, "aps", include_last_label=True)
    np.testing.assert_array_equal(sets, theirs)


def few_species(scores):
    return replace(
        scores,
        logits=scores.logits[:, :FREE_RANKS],
        species=SpeciesList(scores.species.names[:FREE_RANKS]),
        truth=scores.truth % FREE_RANKS,
    )


@pytest.mark.parametrize("coverage", [0.8, 0.9, 0.95])
def test_mapies_threshold_of_the_least_ambiguous_sets_is_ours(coverage):
    chance = np.random.default_rng(6)
    fitted, judged = drawn(400, chance), drawn(300, chance)
    unlike = 1 - fitted.probabilities()[np.arange(400), fitted.truth]
    sets = 1 - judged.probabilities() <= conformal_threshold(unlike, coverage)
    np.testing.assert_array_equal(sets, by_mapie(fitted, judged, coverage, "lac"))


@pytest.mark.filterwarnings("ignore:WARNING. your conformalization dataset has less labels")
def test_within_groups_mapie_finds_the_same_from_the_photos_of_each_group():
    chance = np.random.default_rng(7)
    fitted, judged = drawn(900, chance), drawn(300, chance)
    sets = fit_sets(fitted, groups=VENOMOUS).sets(judged)
    for group in (0, 1):
        own = fitted.take(VENOMOUS[fitted.truth] == group)
        theirs = by_mapie(own, judged, 0.9, OurNonconformity())[:, group == VENOMOUS]
        ours = sets[:, group == VENOMOUS]
        assert 0 < ours.mean() < 1
        np.testing.assert_array_equal(ours, theirs)
