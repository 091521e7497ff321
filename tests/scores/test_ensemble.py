from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ophis import InputError, Scores, SpeciesList, evaluate
from ophis.errors import PhotoFailure
from ophis.scores.aggregation import aggregate_observations
from ophis.scores.ensemble import ensemble

NAMES = ("Naja naja", "Boa imperator", "Vipera berus")


def scores_of(
    logits, *, observations=None, photos=None, truth=None, ood_score=None, failures=()
) -> Scores:
    logits = np.array(logits, dtype=np.float64)
    photos = tuple(photos or (f"photo {n}" for n in range(len(logits))))
    return Scores(
        logits=logits,
        species=SpeciesList(NAMES),
        photo_ids=photos,
        truth=np.array(truth if truth is not None else [-1] * len(logits)),
        countries=("UNKNOWN",) * len(logits),
        observations=tuple(observations or photos),
        ood_score=None if ood_score is None else np.array(ood_score),
    )


def synthetic(seed, rows=6):
    rng = np.random.default_rng(seed)
    return scores_of(rng.normal(size=(rows, 3)), ood_score=rng.random(rows))


def test_ensemble_is_geometric_mean_by_hand():
    p, q = np.array([[0.6, 0.3, 0.1]]), np.array([[0.2, 0.3, 0.5]])
    one = ensemble([scores_of(np.log(p), ood_score=[1.0]), scores_of(np.log(q), ood_score=[3.0])])
    expected = np.sqrt(p * q) / np.sqrt(p * q).sum()
    np.testing.assert_allclose(one.probabilities(), expected, atol=1e-12)
    assert one.ood_score == pytest.approx(2.0)
    without = ensemble([scores_of(np.log(p), ood_score=[1.0]), scores_of(np.log(q))])
    assert without.ood_score is None


@given(st.integers(0, 2**32 - 1), st.permutations(range(6)), st.permutations(range(3)))
def test_rows_and_columns_are_matched_by_name(seed, rows, columns):
    a, b = synthetic(seed), synthetic(seed + 1)
    other = b.take(np.array(rows)).with_species(SpeciesList(tuple(NAMES[c] for c in columns)))
    one = ensemble([a, other])
    assert a.ood_score is not None
    assert b.ood_score is not None
    assert one.ood_score is not None
    assert one.photo_ids == a.photo_ids
    assert one.species == a.species
    np.testing.assert_allclose(one.logits, (a.logits + b.logits) / 2)
    np.testing.assert_allclose(one.ood_score, (a.ood_score + b.ood_score) / 2)


def test_photo_unread_by_one_model_is_a_failure():
    a, b = synthetic(0), synthetic(1)
    lacking = replace(b.take(np.arange(5)), failures=(PhotoFailure("photo 5", "cut short"),))
    one = ensemble([a, lacking])
    assert one.photo_ids == a.photo_ids[:5]
    assert one.failures == (PhotoFailure("photo 5", "cut short"),)


def test_ensemble_rejects_other_photos_truths_or_species():
    a, b = synthetic(0), synthetic(1)
    with pytest.raises(InputError, match=r"'photo 5' is in the scores of big but not of small"):
        ensemble([a, b.take(np.arange(5))], ["big", "small"])
    with pytest.raises(InputError, match=r"'photo 2' is 'Boa imperator' in the scores of model 1"):
        ensemble([replace(a, truth=np.full(6, 1)), replace(b, truth=np.array([1, 1, 0, 1, 1, 1]))])
    species = SpeciesList(("Naja naja", "Boa imperator", "Python regius"))
    with pytest.raises(InputError, match=r"'Python regius' is in one list of species only"):
        ensemble([a, replace(b, species=species)])


def test_ensemble_rejects_different_files_with_same_id():
    digests = np.arange(6 * 32, dtype=np.uint8).reshape(6, 32)
    a, b = replace(synthetic(0), sha256=digests), replace(synthetic(1), sha256=digests)
    order = np.array([3, 1, 0, 2, 5, 4])
    np.testing.assert_array_equal(ensemble([a, b.take(order)]).sha256, digests)
    changed = digests.copy()
    changed[4, 31] ^= 1
    with pytest.raises(InputError, match="'photo 4' is a different file in the scores of model 1"):
        ensemble([a, replace(b, sha256=changed)])
    np.testing.assert_array_equal(ensemble([a, synthetic(1)]).sha256, digests)


def test_ensemble_beats_each_noisy_model():
    rng = np.random.default_rng(0)
    truth = rng.integers(0, 3, 600)
    parts = [
        scores_of(1.5 * np.eye(3)[truth] + rng.normal(size=(600, 3)), truth=truth) for _ in range(3)
    ]
    alone = [evaluate(part).top1 for part in parts]
    assert evaluate(ensemble(parts)).top1 > max(alone) + 0.05


def test_aggregate_observations_by_hand():
    p = np.array([[0.7, 0.2, 0.1], [0.1, 0.8, 0.1], [0.3, 0.4, 0.3]])
    # Rows are in the order of their first photos, not of the observation names.
    scores = scores_of(np.log(p), observations=["z", "a", "z"], ood_score=[1.0, 5.0, 3.0])
    one = aggregate_observations(scores)
    assert one.photo_ids == ("photo 0", "photo 1")
    assert one.observations == ("z", "a")
    mean = np.sqrt(p[0] * p[2])
    np.testing.assert_allclose(one.probabilities(), [mean / mean.sum(), p[1]], atol=1e-12)
    assert one.ood_score is not None
    np.testing.assert_allclose(one.ood_score, [2.0, 5.0])
    with pytest.raises(InputError, match=r"'photo 2' has another species than photo 'photo 0'"):
        aggregate_observations(replace(scores, truth=np.array([0, 1, 2])))


@given(st.integers(0, 2**32 - 1), st.floats(0.2, 5), st.permutations(range(6)))
def test_aggregation_commutes_with_calibration_and_row_order(seed, scale, rows):
    """Calibration and prior scale a row and add an offset to it."""
    scores = replace(synthetic(seed), observations=("a", "b", "a", "c", "b", "a"))
    offset = np.array([0.3, -1.0, 2.0])
    before = aggregate_observations(replace(scores, logits=scale * scores.logits + offset)).logits
    np.testing.assert_allclose(
        before, scale * aggregate_observations(scores).logits + offset, atol=1e-9
    )
    turned = aggregate_observations(scores.take(np.array(rows)))
    place = {name: row for row, name in enumerate(turned.observations)}
    order = [place[name] for name in aggregate_observations(scores).observations]
    np.testing.assert_allclose(
        turned.logits[order], aggregate_observations(scores).logits, atol=1e-12
    )


def test_contradicting_photos_are_averaged_by_probability():
    """The country of one photo allows only the first species, that of the other only the second."""
    scores = scores_of([[0.0, -np.inf, -np.inf], [-np.inf, 0.0, -np.inf]], observations=["a", "a"])
    np.testing.assert_allclose(aggregate_observations(scores).probabilities(), [[0.5, 0.5, 0.0]])
