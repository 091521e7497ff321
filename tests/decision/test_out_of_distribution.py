from dataclasses import replace

import numpy as np
import pytest
from sklearn.metrics import roc_auc_score

from ophis import InputError, Scores, SpeciesList
from ophis.decision.out_of_distribution import ood_detection, ood_scores


def made(ood_score) -> Scores:
    """Return scores with given OOD scores and constant logits."""
    names = tuple(map(str, range(len(ood_score))))
    return Scores(
        logits=np.zeros((len(ood_score), 1)),
        species=SpeciesList(("Naja naja",)),
        photo_ids=names,
        truth=np.zeros(len(ood_score), np.int64),
        countries=("india",) * len(ood_score),
        observations=names,
        ood_score=np.round(ood_score, 2),  # with ties
    )


def test_ood_auroc_equals_scikit_learn_and_interval_equals_bootstrap():
    rng = np.random.default_rng(12)
    snakes = made(rng.gamma(20, 1 / 20, size=300))
    others = made(rng.gamma(20, 1.5 / 20, size=120))
    found = ood_detection(snakes, others)
    truth = np.r_[np.zeros(300), np.ones(120)]
    inside, outside = ood_scores(snakes), ood_scores(others)
    assert found.auroc == pytest.approx(roc_auc_score(truth, np.r_[inside, outside]), abs=1e-12)
    again = [
        roc_auc_score(truth, np.r_[rng.choice(inside, 300), rng.choice(outside, 120)])
        for _ in range(500)
    ]
    low, high = np.quantile(again, (0.025, 0.975))
    assert found.low == pytest.approx(low, abs=0.01)
    assert found.high == pytest.approx(high, abs=0.01)
    limit = np.sort(inside)[int(np.ceil(301 * 0.9)) - 1]
    assert found.rejected == (outside > limit).mean()


def test_ood_scores_fall_back_to_energy_and_models_must_match():
    logits = np.random.default_rng(1).normal(size=(5, 3))
    scores = replace(
        made(np.ones(5)), logits=logits, species=SpeciesList(("a", "b", "c")), ood_score=None
    )
    expected = -np.log(np.exp(logits).sum(axis=1))
    np.testing.assert_allclose(ood_scores(scores), expected, rtol=1e-12)
    with pytest.raises(InputError, match="only one of the two scores files holds OOD scores"):
        ood_detection(replace(scores, ood_score=np.ones(5)), scores)
    with pytest.raises(InputError, match="two photos or more"):
        ood_detection(made(np.ones(5)), made(np.ones(1)))
    other = replace(made(np.ones(5)), species=SpeciesList(("Boa boa",)))
    with pytest.raises(
        InputError, match="species 1 is 'Naja naja' in the scores of snakes and 'Bo"
    ):
        ood_detection(made(np.ones(5)), other)
