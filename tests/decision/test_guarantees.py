"""Guarantees on new snakes, where several photos show one snake, by simulation."""

import numpy as np

from ophis import Scores, SpeciesList
from ophis.decision.guarantees import group_observations
from ophis.decision.rule import DANGER_CONFIDENCE, DANGER_COVERAGE, fit_rule
from ophis.scores.aggregation import one_photo_each
from ophis.taxonomy.danger import dangerous

SPECIES = SpeciesList(
    ("Naja naja", "Crotalus atrox", "Pantherophis guttatus", "Pantherophis obsoletus")
)
VENOMOUS = dangerous(SPECIES)


def world(snakes: int, photos: int, rng: np.random.Generator) -> Scores:
    """Return scores of several photos of each snake; their errors are those of the snake.

    One venomous snake in twenty looks like a rat snake.
    """
    kinds, rows = rng.integers(len(SPECIES), size=snakes), np.repeat(np.arange(snakes), photos)
    of_snake = 6.0 * np.eye(len(SPECIES))[kinds] + rng.normal(0, 1, (snakes, len(SPECIES)))
    mimic = VENOMOUS[kinds] & (rng.random(snakes) < 0.05)
    of_snake[mimic, 2] += 6 + rng.uniform(1, 5, mimic.sum())
    ids = tuple(f"{row:04}/{n:06}.jpg" for n, row in enumerate(rows))
    return Scores(
        logits=of_snake[rows] + rng.normal(0, 0.2, (len(rows), len(SPECIES))),
        species=SPECIES,
        photo_ids=ids,
        truth=kinds[rows],
        countries=("UNKNOWN",) * len(rows),
        observations=tuple(f"{row:04}" for row in rows),
    )


def missed(rule, new: Scores) -> float:
    """Return the fraction of new venomous snakes that no danger set contains."""
    venomous = new.take(VENOMOUS[new.truth])
    held = rule.image.danger.sets(venomous)[np.arange(len(venomous)), venomous.truth]
    return float(1 - held.mean())


def test_many_photos_of_few_snakes_make_no_guarantee():
    """Ten photos of each of 60 snakes: about 300 photos of 30 venomous snakes.

    With a guarantee by photos, 2.3 % of new venomous snakes were missed.
    """
    rng = np.random.default_rng(0)
    new = world(4000, 1, rng)
    for confidence in (DANGER_CONFIDENCE, None):
        rules = [fit_rule(world(60, 10, rng), confidence=confidence) for _ in range(40)]
        assert np.mean([missed(rule, new) for rule in rules]) <= 1 - DANGER_COVERAGE
        assert not any(rule.image.danger_guaranteed for rule in rules)
        assert all(rule.image.may_be_venomous(new).all() for rule in rules)


def test_danger_guarantee_holds_with_its_confidence():
    """At most 5 % of many bundles miss more than 1 % of new venomous snakes.

    More bundles do whose guarantee holds on average.
    """
    rng = np.random.default_rng(1)
    new = world(20_000, 1, rng)
    exceeding = {}
    for confidence in (DANGER_CONFIDENCE, None):
        rules = [fit_rule(world(700, 2, rng), confidence=confidence) for _ in range(60)]
        assert all(rule.image.danger_guaranteed for rule in rules)
        misses = np.array([missed(rule, new) for rule in rules])
        assert misses.mean() <= 1 - DANGER_COVERAGE + 0.001
        exceeding[confidence] = (misses > 1 - DANGER_COVERAGE).mean()
    assert exceeding[DANGER_CONFIDENCE] <= 0.1  # of 60 bundles; 0.05 of many
    assert exceeding[None] > 0.1


def test_rule_depends_neither_on_the_order_of_rows_nor_on_more_photos_of_a_snake():
    scores = world(700, 3, np.random.default_rng(2))
    rule, one = fit_rule(scores), fit_rule(one_photo_each(scores))
    turned = fit_rule(scores.take(np.arange(len(scores))[::-1]))
    for other in (turned, one):
        np.testing.assert_array_equal(rule.image.danger.thresholds, other.image.danger.thresholds)
        assert rule.limit == other.limit
    few, others = group_observations(rule.image.names)
    assert few + others == 700
