import numpy as np
import pytest
from scipy.stats import binomtest, t

from ophis.evaluation.counts import count_species
from ophis.evaluation.intervals import (
    MAX_GROUPS,
    jackknife_groups,
    jackknife_interval,
    t_quantile,
)
from ophis.evaluation.metrics import Answers


@pytest.mark.parametrize("freedom", [1, 2, 3, 4, 9, 30, 999])
def test_t_quantile_equals_scipy(freedom):
    assert t_quantile(freedom) == pytest.approx(t.ppf(0.975, freedom), rel=2e-3)


def test_interval_of_a_mean_is_that_of_student():
    values = np.random.default_rng(0).normal(size=25)
    left_out = (values.sum() - values) / 24
    found = jackknife_interval(values.mean(), left_out)
    half = t.ppf(0.975, 24) * values.std(ddof=1) / 5
    assert (found.low, found.high) == pytest.approx((values.mean() - half, values.mean() + half))
    clipped = jackknife_interval(values.mean(), left_out, limits=(0, 1))
    assert clipped.low == 0


def test_one_observation_shows_no_spread():
    found = jackknife_interval(0.7, np.array([0.0]), limits=(0, 1))
    assert (found.value, found.low, found.high) == (0.7, 0, 1)


def test_all_right_is_not_certain():
    found = jackknife_interval(1.0, np.ones(30), limits=(0, 1))
    exact = binomtest(30, 30).proportion_ci(0.95)
    assert (found.low, found.high) == pytest.approx((exact.low, 1.0))
    none = jackknife_interval(0.0, np.zeros(30), limits=(0, 1))
    assert (none.low, none.high) == pytest.approx((0.0, 1 - exact.low))
    equal = jackknife_interval(0.0, np.zeros(30), limits=(-1, 1))  # equal answers of two models
    assert (equal.low, equal.high) == (0, 0)


def test_groups_hold_whole_observations():
    observations = np.random.default_rng(0).integers(0, 3 * MAX_GROUPS, 20_000).astype(str)
    groups = jackknife_groups(observations)
    assert groups.max() + 1 == MAX_GROUPS
    group_of = dict(zip(observations, groups, strict=True))
    assert all(group_of[name] == group for name, group in zip(observations, groups, strict=True))
    number = np.unique(list(group_of.values()), return_counts=True)[1]
    assert set(number) <= {len(group_of) // MAX_GROUPS, len(group_of) // MAX_GROUPS + 1}
    order = np.random.default_rng(1).permutation(20_000)
    np.testing.assert_array_equal(jackknife_groups(observations[order]), groups[order])


class World:
    """Photos of many species, most of them rare, and the answers of two models."""

    def __init__(self, *, species: int, photos_a_snake: int = 1) -> None:
        rng = np.random.default_rng(0)
        self.species, self.photos = species, photos_a_snake
        snakes, weights = 20_000, 1 / np.arange(1, species + 1)
        truth = rng.choice(species, snakes, p=weights / weights.sum())
        hard = rng.beta(2, 2, species)[truth][:, None]
        luck = rng.random((snakes, 1))
        wrong = (truth[:, None] + rng.integers(1, 4, (snakes, photos_a_snake))) % species
        self.truth = truth
        self.answers = [
            np.where(
                np.where(
                    rng.random((snakes, photos_a_snake)) < 0.8,
                    luck,
                    rng.random((snakes, photos_a_snake)),
                )
                < accuracy + 0.3 * (0.5 - hard),
                truth[:, None],
                wrong,
            )
            for accuracy in (0.75, 0.8)
        ]

    def draw(self, snakes: int, rng: np.random.Generator) -> list[Answers]:
        rows = rng.integers(0, len(self.truth), snakes)
        names = tuple(str(n) for n in np.repeat(np.arange(snakes), self.photos))
        truth = np.repeat(self.truth[rows], self.photos)
        rank = np.zeros(len(truth), np.int64)
        return [
            Answers(truth, answer[rows].ravel(), rank, names, self.species)
            for answer in self.answers
        ]


def macro(answers: Answers) -> float:
    counts = count_species(answers.truth, answers.answer, answers.species)
    return float(counts.macro_f1(with_photos=True)[0])


@pytest.mark.parametrize(
    ("species", "snakes", "photos"), [(300, 150, 1), (300, 400, 1), (40, 200, 1), (100, 100, 5)]
)
def test_interval_of_macro_f1_holds_its_expectation(species, snakes, photos):
    """The percentile bootstrap over observations holds it 83 to 94 times of 100 in these worlds."""
    world, rng = World(species=species, photos_a_snake=photos), np.random.default_rng(1)
    values = np.array([[macro(x) for x in world.draw(snakes, rng)] for _ in range(1500)])
    expected = np.append(values.mean(axis=0), np.diff(values.mean(axis=0)))
    inside = np.zeros(3)
    for _ in range(200):
        (a, left_a), (b, left_b) = (
            (whole[2], left_out[:, 2])
            for whole, left_out in (x.figures(with_photos=True) for x in world.draw(snakes, rng))
        )
        found = [
            jackknife_interval(value, left_out)
            for value, left_out in ((a, left_a), (b, left_b), (b - a, left_b - left_a))
        ]
        inside += [f.low <= each <= f.high for f, each in zip(found, expected, strict=True)]
    assert (inside >= 182).all(), inside  # 190 expected of a 95 % interval; 2.6 errors are 8
