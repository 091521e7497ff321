from dataclasses import replace

import numpy as np
import pytest
from sklearn.metrics import roc_auc_score

from ophis import InputError, Scores, SpeciesList
from ophis.decision.out_of_distribution import separation, strangeness


def made(novelty) -> Scores:
    """Scores in which only the novelty means anything."""
    names = tuple(map(str, range(len(novelty))))
    return Scores(
        logits=np.zeros((len(novelty), 1)),
        species=SpeciesList(("Naja naja",)),
        photo_ids=names,
        truth=np.zeros(len(novelty), np.int64),
        countries=("india",) * len(novelty),
        observations=names,
        novelty=np.round(novelty, 2),  # with ties
    )


def test_separation_equals_scikit_learn_and_its_interval_a_bootstrap():
    chance = np.random.default_rng(12)
    snakes = made(chance.gamma(20, 1 / 20, size=300))
    others = made(chance.gamma(20, 1.5 / 20, size=120))
    found = separation(snakes, others)
    truth = np.r_[np.zeros(300), np.ones(120)]
    inside, outside = strangeness(snakes), strangeness(others)
    assert found.auroc == pytest.approx(roc_auc_score(truth, np.r_[inside, outside]), abs=1e-12)
    again = [
        roc_auc_score(truth, np.r_[chance.choice(inside, 300), chance.choice(outside, 120)])
        for _ in range(500)
    ]
    low, high = np.quantile(again, (0.025, 0.975))
    assert found.low == pytest.approx(low, abs=0.01)
    assert found.high == pytest.approx(high, abs=0.01)
    limit = np.sort(inside)[int(np.ceil(301 * 0.9)) - 1]
    assert found.refused == (outside > limit).mean()


def test_without_novelty_the_energy_is_the_measure_and_both_must_have_the_same():
    logits = np.random.default_rng(1).normal(size=(5, 3))
    scores = replace(
        made(np.ones(5)), logits=logits, species=SpeciesList(("a", "b", "c")), novelty=None
    )
    expected = -np.log(np.exp(logits).sum(axis=1))
    np.testing.assert_allclose(strangeness(scores), expected, rtol=1e-12)
    with pytest.raises(InputError, match="only one of the two scores files holds novelty"):
        separation(replace(scores, novelty=np.ones(5)), scores)
    with pytest.raises(InputError, match="two photos or more"):
        separation(made(np.ones(5)), made(np.ones(1)))
    other = replace(made(np.ones(5)), species=SpeciesList(("Boa boa",)))
    with pytest.raises(
        InputError, match="species 1 is 'Naja naja' in the scores of snakes and 'Bo"
    ):
        separation(made(np.ones(5)), other)
