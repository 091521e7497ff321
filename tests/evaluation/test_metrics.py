import warnings

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import accuracy_score, f1_score, top_k_accuracy_score

from ophis import CountryPrior, InputError, Scores, SpeciesList, evaluate
from ophis.decision.calibration import reliability
from ophis.evaluation.metrics import macro_f1, predictions, ranks, risk_coverage, top_k_accuracy
from ophis.files import blocks


def scores_of(logits: np.ndarray, truth: np.ndarray) -> Scores:
    photos, species = logits.shape
    names = tuple(f"photo {n}" for n in range(photos))
    return Scores(
        logits=logits,
        species=SpeciesList(tuple(f"species {n}" for n in range(species))),
        photo_ids=names,
        truth=truth.astype(np.int64),
        countries=("UNKNOWN",) * photos,
        observations=names,
    )


@given(
    photos=st.integers(1, 60),
    species=st.integers(6, 40),
    present=st.integers(1, 40),
    seed=st.integers(0, 10_000),
)
def test_metrics_equal_scikit_learn_with_absent_classes(photos, species, present, seed):
    rng = np.random.default_rng(seed)
    truth = rng.integers(0, min(present, species), photos)
    scores = scores_of(rng.normal(size=(photos, species)), truth)
    evaluation = evaluate(scores)
    labels = np.arange(species)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        assert evaluation.top1 == pytest.approx(accuracy_score(truth, predictions(scores)))
        oracle = top_k_accuracy_score(truth, scores.logits, k=5, labels=labels)
        assert evaluation.top5 == pytest.approx(oracle)
        oracle = f1_score(truth, predictions(scores), average="macro", zero_division=0)
        assert evaluation.macro_f1 == pytest.approx(oracle, abs=1e-12)


def test_macro_f1_by_hand():
    # Species 0: 1 hit, 2 true, 1 predicted, F1 2/3. Species 1: 1, 1, 2: 2/3. Species 2 absent.
    # Species 3: true once, never predicted: 0.
    truth, prediction = np.array([0, 0, 1, 3]), np.array([0, 1, 1, 1])
    assert macro_f1(truth, prediction) == pytest.approx((2 / 3 + 1 / 2 + 0) / 3)


def test_constant_model_is_ranked_by_column_order():
    scores = scores_of(np.zeros((10, 10)), np.arange(10))
    assert top_k_accuracy(scores, 1) == 0.1
    assert top_k_accuracy(scores, 5) == 0.5


def test_impossible_species_is_never_a_hit():
    logits = np.full((1, 6), -np.inf)
    logits[0, 0] = 0
    assert top_k_accuracy(scores_of(logits, np.array([1])), 5) == 0


def test_photos_of_unknown_species_are_left_out():
    logits = np.eye(6)[[0, 1, 2]]
    assert evaluate(scores_of(logits, np.array([0, -1, 3]))).photos == 2
    with pytest.raises(InputError, match="no photo has a known species"):
        evaluate(scores_of(logits, np.array([-1, -1, -1])))


def ranks_by_sorting(logits: np.ndarray, truth: np.ndarray) -> np.ndarray:
    """Return ranks by sorting: the earlier of equals first; an impossible truth is last."""
    order = np.argsort(-logits, axis=1, kind="stable")
    places = np.argmax(order == truth[:, None], axis=1)
    own = logits[np.arange(len(truth)), truth]
    return np.where(np.isneginf(own), logits.shape[1], places)


CASES = {
    "photos": st.integers(1, 40),
    "species": st.sampled_from([2, 7, 255, 256, 600]),
    "kinds": st.integers(1, 5),
    "seed": st.integers(0, 1000),
    "dtype": st.sampled_from([np.float32, np.float64]),
}


def synthetic(photos, species, kinds, seed, dtype) -> Scores:
    """Return logits with few different values, so that many are equal; some are -inf."""
    rng = np.random.default_rng(seed)
    logits = rng.integers(0, kinds, (photos, species)).astype(dtype)
    logits[rng.random(logits.shape) < 0.2] = -np.inf
    logits[:, 0] = 0.5
    return scores_of(logits, rng.integers(-1, species, photos))


@given(**CASES)
def test_ranks_equal_sorting(photos, species, kinds, seed, dtype):
    scores = synthetic(photos, species, kinds, seed, dtype)
    known = scores.truth >= 0
    np.testing.assert_array_equal(
        ranks(scores)[known], ranks_by_sorting(scores.logits, scores.truth)[known]
    )


@given(**CASES, block_bytes=st.sampled_from([1, 3000, 20_000]))
def test_block_size_does_not_change_metrics(photos, species, kinds, seed, dtype, block_bytes):
    scores = synthetic(photos, species, kinds, seed, dtype)
    scores.truth[0] = 0
    scores = Scores(
        scores.logits, scores.species, scores.photo_ids, scores.truth,
        tuple(("here", "there")[n % 2] for n in range(photos)), scores.observations,
    )  # fmt: skip
    counts = np.random.default_rng(seed).integers(0, 2, (1, species))
    counts[0, -1] = 1
    prior = CountryPrior(scores.species, ("here",), counts)

    def figures():
        yield predictions(scores)
        yield ranks(scores)
        for adjust in (None, prior):
            yield np.array(list(evaluate(scores, prior=adjust).as_dict().values()))
            yield risk_coverage(scores, prior=adjust).to_numpy()
            yield np.array(list(reliability(scores, prior=adjust).as_dict().values()))
            yield reliability(scores, prior=adjust).bins.to_numpy()
        yield prior.adjust(scores).logits

    whole = list(figures())
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(blocks, "BLOCK_BYTES", block_bytes)
        for one, other in zip(whole, figures(), strict=True):
            np.testing.assert_array_equal(one, other)
    assert evaluate(scores, prior=prior) == evaluate(prior.adjust(scores))
