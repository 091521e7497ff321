from dataclasses import replace

import numpy as np
import pytest
from mapie.classification import SplitConformalClassifier
from mapie.conformity_scores import LACConformityScore
from scipy.stats import betabinom, binom
from sklearn.base import BaseEstimator, ClassifierMixin

from ophis import InputError, Scores, SpeciesList
from ophis.decision.conformal import (
    FREE_RANKS,
    PENALTY,
    conformal_rank,
    conformal_threshold,
    fit_sets,
    least_observations,
    nonconformity,
)

SPECIES = 8
VENOMOUS = np.array([0, 0, 0, 0, 0, 1, 1, 1])


def synthetic(photos, rng, *, strength=2.0) -> Scores:
    """Return scores that are mostly right, and worse on the rarer venomous species."""
    truth = rng.choice(SPECIES, size=photos, p=np.array([3, 3, 3, 3, 3, 1, 1, 1]) / 18)
    own = strength * np.where(VENOMOUS[truth], 0.5, 1.0)[:, None]
    names = tuple(map(str, range(photos)))
    return Scores(
        logits=own * np.eye(SPECIES)[truth] + rng.normal(size=(photos, SPECIES)),
        species=SpeciesList(tuple(f"species {n}" for n in range(SPECIES))),
        photo_ids=names,
        truth=truth,
        countries=("UNKNOWN",) * photos,
        observations=names,
    )


def covered(sets, scores):
    return sets.sets(scores)[np.arange(len(scores)), scores.truth]


def test_nonconformity_by_hand():
    p = np.array([[0.05, 0.4, 0.2, 0.1, 0.1, 0.08, 0.06, 0.01]])
    scores = replace(synthetic(1, np.random.default_rng(0)), logits=np.log(p))
    assert FREE_RANKS == 5
    beyond = [2 * PENALTY, 0, 0, 0, 0, 0, PENALTY, 3 * PENALTY]
    before = [0.94, 0, 0.4, 0.6, 0.6, 0.8, 0.88, 0.99]  # sum of the more probable ones
    expected = np.array(before) + np.array(beyond)
    np.testing.assert_allclose(nonconformity(scores)[0], expected, atol=1e-12)


@pytest.mark.parametrize("coverage", [0.8, 0.9, 0.95])
def test_coverage_follows_beta_binomial_over_200_splits(coverage):
    """For continuous scores the hits are beta-binomial (Vovk 2012) for any network.

    This holds for species below the threshold. The most probable species is always in the set and
    can only add hits.
    """
    fitted, tested, repeats = 150, 300, 200
    k = int(np.ceil((fitted + 1) * coverage - 1e-9))
    exact = betabinom(tested, k, fitted + 1 - k)
    rng = np.random.default_rng(0)
    hits = []
    for _ in range(repeats):
        whole = synthetic(fitted + tested, rng)
        order = rng.permutation(len(whole))
        sets = fit_sets(whole.take(order[:fitted]), coverage=coverage)
        rest = whole.take(order[fitted:])
        own = nonconformity(rest)[np.arange(tested), rest.truth]
        hits.append((own <= sets.thresholds[0]).sum())
        assert covered(sets, rest).sum() >= hits[-1]
    # Each within the central 1 - 1e-6, and their mean within four standard errors.
    assert exact.ppf(5e-7) <= min(hits)
    assert max(hits) <= exact.ppf(1 - 5e-7)
    assert abs(np.mean(hits) - exact.mean()) < 4 * exact.std() / repeats**0.5
    assert exact.mean() / tested >= coverage


def test_coverage_holds_for_venomous_species():
    rng = np.random.default_rng(1)
    hits = {True: [], False: []}
    for _ in range(200):
        fit, test = synthetic(400, rng), synthetic(400, rng)
        for by_danger in (True, False):
            sets = fit_sets(fit, coverage=0.9, groups=VENOMOUS if by_danger else None)
            venomous = VENOMOUS[test.truth] == 1
            hits[by_danger].append(covered(sets, test)[venomous].mean())
    assert np.mean(hits[True]) > 0.895
    assert np.mean(hits[False]) < 0.87  # without groups coverage of the rarer, harder ones drops


def test_better_network_has_smaller_sets():
    sizes = []
    for strength in (1.0, 3.0):
        rng = np.random.default_rng(2)
        sets = fit_sets(synthetic(1000, rng, strength=strength))
        sizes.append(sets.sets(synthetic(1000, rng, strength=strength)).sum(axis=1).mean())
    assert sizes[1] < sizes[0] - 1


def test_too_few_photos_exclude_nothing_and_sets_are_never_empty():
    rng = np.random.default_rng(3)
    few = fit_sets(synthetic(8, rng), coverage=0.9)  # 9 * 0.9 = 8.1: the ninth of eight
    assert few.sets(synthetic(5, rng)).all()
    nine = fit_sets(synthetic(9, rng), coverage=0.9)
    assert np.isfinite(nine.thresholds).all()
    never = replace(nine, thresholds=np.full(SPECIES, -1.0))
    assert (never.sets(synthetic(50, rng)).sum(axis=1) == 1).all()


@pytest.mark.parametrize("coverage", [0.8, 0.95, 0.99])
@pytest.mark.parametrize("confidence", [0.5, 0.9, 0.95])
def test_rank_with_confidence_equals_binomial_quantile(coverage, confidence):
    for photos in (0, 1, 5, 58, 59, 298, 299, 473, 474, 5000):
        k = int(binom.ppf(confidence, photos, coverage)) + 1 if photos else 1
        k = max(k, conformal_rank(photos, coverage))  # a low confidence lowers no threshold
        assert conformal_rank(photos, coverage, confidence) == min(k, photos + 1)
        finite = conformal_rank(photos, coverage, confidence) <= photos
        assert finite is (photos >= least_observations(coverage, confidence))
        on_average = conformal_rank(photos, coverage) <= photos
        assert on_average is (photos >= least_observations(coverage))


def test_least_observations_by_hand():
    """1 - 0.99^299 is 0.9505, and 1 - 0.99^298 is 0.9499."""
    assert least_observations(0.99, 0.95) == 299
    assert least_observations(0.95, 0.95) == 59
    assert (least_observations(0.99), least_observations(0.95), least_observations(0.9)) == (
        99, 19, 9,
    )  # fmt: skip


def test_coverage_with_confidence_holds_in_95_of_100_fits():
    """On average over fits, nearly half of the fits have less coverage."""
    rng = np.random.default_rng(5)
    # Of uniform values a threshold is its own coverage.
    values = np.sort(rng.random((4000, 299)), axis=1)
    for confidence, least, most in ((0.95, 0.945, 0.975), (None, 0.5, 0.6)):
        k = conformal_rank(299, 0.9, confidence)
        assert least < (values[:, k - 1] >= 0.9).mean() < most


def test_fit_sets_rejects_bad_arguments():
    scores = synthetic(20, np.random.default_rng(4))
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


class RankPenalised(LACConformityScore):
    """MAPIE's rule for 1 - p, with `nonconformity` in place of 1 - p."""

    def get_conformity_scores(self, y, y_pred, y_enc=None, **more):
        return super().get_conformity_scores(y, 1 - measure(y_pred), y_enc=y_enc, **more)

    def get_predictions(self, X, alpha_np, y_pred_proba, cv, agg_scores="mean", **more):  # noqa: N803
        like = 1 - measure(y_pred_proba)
        return super().get_predictions(X, alpha_np, like, cv, agg_scores, **more)


def measure(p):
    return nonconformity(replace(synthetic(len(p), np.random.default_rng(0)), logits=np.log(p)))


class NotRandomised(np.random.RandomState):
    """Random state that always returns the upper bound.

    MAPIE subtracts a random fraction of the species' own probability. With this state it subtracts
    all of it and sums the more probable species only, as `nonconformity` does.
    """

    def uniform(self, low=0.0, high=1.0, size=None):
        return np.full(size or (), high)


def by_mapie(fitted, tested, coverage, conformity_score, **more):
    classifier = SplitConformalClassifier(
        Network(len(fitted.species)),
        confidence_level=coverage,
        conformity_score=conformity_score,
        prefit=True,
        random_state=NotRandomised(),
    )
    classifier.conformalize(fitted.probabilities(), fitted.truth)
    _, sets = classifier.predict_set(tested.probabilities(), conformity_score_params=more or None)
    return sets[:, :, 0]


@pytest.mark.parametrize("coverage", [0.8, 0.9, 0.95, 0.99])
@pytest.mark.parametrize("photos", [101, 250, 1000])
def test_sets_equal_mapie_with_same_nonconformity(coverage, photos):
    rng = np.random.default_rng(photos)
    fitted, tested = synthetic(photos, rng), synthetic(300, rng)
    sets = fit_sets(fitted, coverage=coverage).sets(tested)
    assert 1 < sets.sum(axis=1).mean() < SPECIES
    np.testing.assert_array_equal(sets, by_mapie(fitted, tested, coverage, RankPenalised()))


@pytest.mark.parametrize("coverage", [0.8, 0.9, 0.95])
def test_sets_equal_adaptive_sets_of_mapie_without_rank_penalty(coverage):
    """Romano et al. 2020 in MAPIE, without randomisation; five species have five ranks."""
    rng = np.random.default_rng(5)
    fitted, tested = (few_species(synthetic(n, rng)) for n in (400, 300))
    assert len(fitted.species) == FREE_RANKS
    sets = fit_sets(fitted, coverage=coverage).sets(tested)
    assert 1 < sets.sum(axis=1).mean() < FREE_RANKS
    expected = by_mapie(fitted, tested, coverage, "aps", include_last_label=True)
    np.testing.assert_array_equal(sets, expected)


def few_species(scores):
    return replace(
        scores,
        logits=scores.logits[:, :FREE_RANKS],
        species=SpeciesList(scores.species.names[:FREE_RANKS]),
        truth=scores.truth % FREE_RANKS,
    )


@pytest.mark.parametrize("coverage", [0.8, 0.9, 0.95])
def test_threshold_equals_mapie_least_ambiguous_sets(coverage):
    rng = np.random.default_rng(6)
    fitted, tested = synthetic(400, rng), synthetic(300, rng)
    unlike = 1 - fitted.probabilities()[np.arange(400), fitted.truth]
    sets = 1 - tested.probabilities() <= conformal_threshold(unlike, coverage)
    np.testing.assert_array_equal(sets, by_mapie(fitted, tested, coverage, "lac"))


@pytest.mark.filterwarnings("ignore:WARNING. your conformalization dataset has less labels")
def test_sets_equal_mapie_within_groups():
    rng = np.random.default_rng(7)
    fitted, tested = synthetic(900, rng), synthetic(300, rng)
    sets = fit_sets(fitted, groups=VENOMOUS).sets(tested)
    for group in (0, 1):
        own = fitted.take(VENOMOUS[fitted.truth] == group)
        expected = by_mapie(own, tested, 0.9, RankPenalised())[:, group == VENOMOUS]
        found = sets[:, group == VENOMOUS]
        assert 0 < found.mean() < 1
        np.testing.assert_array_equal(found, expected)
