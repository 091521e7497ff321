from dataclasses import astuple, replace

import numpy as np
import pytest
from sklearn.metrics import f1_score

from ophis import InputError, Scores, SpeciesList, compare
from ophis.errors import PhotoFailure
from ophis.evaluation.metrics import evaluate, predictions
from ophis.evaluation.species_gains import fit_trend

NAMES = ("Naja naja", "Naja kaouthia", "Pantherophis guttatus", "Pantherophis obsoletus")


def made(logits, truth, *, names=NAMES, observations=None) -> Scores:
    photos = tuple(f"photo {n}" for n in range(len(truth)))
    return Scores(
        logits=np.asarray(logits, dtype=np.float32),
        species=SpeciesList(tuple(names)),
        photo_ids=photos,
        truth=np.asarray(truth, dtype=np.int64),
        countries=("india",) * len(truth),
        observations=observations or photos,
    )


def synthetic(photos, species, *, strength, seed, observations=None):
    """Return random scores with ``strength`` added to the logit of the truth."""
    truth = np.random.default_rng(0).integers(0, species, photos)
    logits = np.random.default_rng(seed).normal(size=(photos, species))
    logits[np.arange(photos), truth] += strength
    names = [f"Genus{n // 3} species{n}" for n in range(species)]
    return made(logits, truth, names=names, observations=observations)


def test_disagreement_of_the_paper_gives_its_difference():
    """1,989 against 433 of 14,029: 11.09 points, the difference of its table 1."""
    truth = np.zeros(14_029, dtype=np.int64)
    right, wrong = [1.0, 0.0], [0.0, 1.0]
    both = round(0.6848 * 14_029) - 433  # the paper's A is right on 68.48 %
    neither = 14_029 - both - 433 - 1989
    rows = [(right, right)] * both + [(right, wrong)] * 433
    rows += [(wrong, right)] * 1989 + [(wrong, wrong)] * neither
    a, b = (made([row[m] for row in rows], truth, names=NAMES[:2]) for m in (0, 1))
    result = compare(a, b, resamples=200)
    counts = result.disagreement
    assert (counts.only_b, counts.only_a, counts.photos) == (1989, 433, 14_029)
    top1 = result.metrics[0]
    assert top1.name == "top-1"
    assert top1.difference.value == pytest.approx(0.1109, abs=5e-5)
    assert (round(top1.a.value, 4), round(top1.b.value, 4)) == (0.6848, 0.7957)
    half = 1.96 * np.sqrt(((1989 + 433) / 14_029 - 0.1109**2) / 14_029)  # of paired fractions
    assert top1.difference.low == pytest.approx(0.1109 - half, abs=0.001)
    assert top1.difference.high == pytest.approx(0.1109 + half, abs=0.001)
    assert counts.p_value < 1e-200


def test_metrics_equal_evaluate():
    a, b = (synthetic(300, 9, strength=s, seed=n) for n, s in ((1, 1.0), (2, 1.6)))
    result = compare(a, b, resamples=50)
    for own, scores in (("a", a), ("b", b)):
        expected = evaluate(scores)
        found = [getattr(figure, own).value for figure in result.metrics]
        assert found == pytest.approx([expected.top1, expected.top5, expected.macro_f1], abs=1e-12)
    for figure in result.metrics:
        assert figure.difference.value == pytest.approx(figure.b.value - figure.a.value)
        for each in (figure.a, figure.b, figure.difference):
            assert each.low <= each.value <= each.high


def test_macro_f1_of_both_is_over_the_species_with_photos():
    """A species that a model only answers has no F1; scikit-learn's default counts it as 0."""
    truth = [0, 0, 0, 1, 1, 1]
    a = made(np.eye(4)[[0, 0, 0, 1, 1, 2]], truth)
    b = made(np.eye(4)[[0, 0, 0, 1, 1, 0]], truth)
    macro = compare(a, b, resamples=20).metrics[2]
    for own, scores in ((macro.a, a), (macro.b, b)):
        expected = f1_score(truth, predictions(scores), labels=[0, 1], average="macro")
        assert own.value == pytest.approx(expected)
    assert evaluate(a).macro_f1 == pytest.approx(macro.a.value * 2 / 3)


@pytest.mark.parametrize(("photos", "few"), [(4, True), (5, False)])
def test_few_photos_of_most_species_are_sparse(photos, few):
    truth = np.repeat([0, 1, 2], [photos, photos, 5])
    scores = made(np.eye(4)[truth], truth)
    result = compare(scores, scores, resamples=20)
    assert (result.few_photos, result.sparse) == ((2, True) if few else (0, False))


def test_intervals_have_nominal_coverage():
    """200 draws from one pair of models whose true difference is known."""
    rng = np.random.default_rng(0)
    inside = 0
    for draw in range(200):
        right_a = rng.random(150) < 0.6
        right_b = np.where(right_a, rng.random(150) < 0.9, rng.random(150) < 0.5)
        scores = [
            made(np.stack([r, ~r], axis=1), [0] * 150, names=NAMES[:2]) for r in (right_a, right_b)
        ]
        difference = compare(*scores, resamples=300, seed=draw).metrics[0].difference
        inside += difference.low <= (0.6 * 0.9 + 0.4 * 0.5) - 0.6 <= difference.high
    assert 180 <= inside <= 198  # 190 expected; 4 standard errors are 12


def test_intervals_and_p_count_observations():
    """Ten equal photos of each snake are no more evidence than one."""
    one = [synthetic(60, 5, strength=1.0, seed=n) for n in (1, 2)]
    rows = np.repeat(np.arange(60), 10)
    ten = [
        made(s.logits[rows], s.truth[rows], names=s.species.names,
             observations=tuple(f"snake {n}" for n in rows))
        for s in one
    ]  # fmt: skip
    alone, grouped = (compare(*pair, resamples=400) for pair in (one, ten))
    assert grouped.observations == 60
    for first, second in zip(alone.metrics, grouped.metrics, strict=True):
        for kind in ("a", "b", "difference"):
            one_each, ten_each = (astuple(getattr(m, kind)) for m in (first, second))
            assert one_each == pytest.approx(ten_each)
    assert grouped.disagreement.p_value == pytest.approx(alone.disagreement.p_value)
    assert grouped.disagreement.observations == alone.disagreement.observations


def test_gains_are_sorted_even_for_vanishing_probabilities():
    truth = [0, 0, 0, 1]
    b = made([[9, 0, 0, 0], [9, 0, 0, 0], [9, 0, 0, 0], [9, 0, 0, 0]], truth)
    a = made([[-5, 0, 0, 0], [-2000, 0, 0, 0], [-1000, 0, 0, 0], [0, 5, 0, 0]], truth)
    result = compare(a, b, resamples=20)
    assert [d.photo_id for d in result.gains_of_b] == ["photo 1", "photo 2", "photo 0"]
    assert result.gains_of_b[2].probability_a == pytest.approx(np.exp(-5) / (3 + np.exp(-5)))
    first = result.gains_of_b[0]
    assert (first.species, first.answer_a, first.answer_b) == (NAMES[0], NAMES[1], NAMES[0])
    assert [d.photo_id for d in result.gains_of_a] == ["photo 3"]


def test_errors_within_genus_between_genera_and_venomous():
    truth = [0, 0, 0, 2, 2, 3]
    a = made(np.eye(4)[[1, 2, 0, 0, 3, 3]], truth)
    b = made(np.eye(4)[truth], truth)
    result = compare(a, b, resamples=20)
    wrong, none = result.errors
    assert (wrong.within_genus, wrong.between_genera) == (2, 2)
    assert (wrong.venomous_missed, wrong.venomous_alarms) == (1, 1)
    assert (none.within_genus, none.between_genera, none.venomous_missed) == (0, 0, 0)
    pairs = {(c.species, c.taken_for): (c.a, c.b, c.same_genus) for c in result.confusions}
    assert pairs == {
        (NAMES[0], NAMES[1]): (1, 0, True),
        (NAMES[0], NAMES[2]): (1, 0, False),
        (NAMES[2], NAMES[0]): (1, 0, False),
        (NAMES[2], NAMES[3]): (1, 0, True),
    }


def test_species_gains_have_least_squares_trend_over_training_photos():
    a, b = (synthetic(400, 12, strength=s, seed=n) for n, s in ((1, 0.5), (2, 2.0)))
    training = {name: 10 * 2**n for n, name in enumerate(a.species)}
    result = compare(a, b, training_photos=training, resamples=300)
    for row in result.per_species:
        mine = a.truth == a.species.index(row.species)
        assert row.photos == mine.sum()
        assert row.training_photos == training[row.species]
        assert row.recall_b == pytest.approx((predictions(b) == b.truth)[mine].mean())
    x = np.log10([row.training_photos for row in result.per_species])
    slope, offset = np.polyfit(x, [row.gain for row in result.per_species], 1)
    assert result.trend
    assert result.trend.slope.value == pytest.approx(slope)
    np.testing.assert_allclose(result.trend.line, offset + slope * np.log10(result.trend.photos))
    assert (result.trend.low <= result.trend.line).all()
    assert (result.trend.line <= result.trend.high).all()
    assert compare(a, b, resamples=20).trend is None
    assert fit_trend(result.per_species[:2], resamples=20, seed=0) is None


def test_order_of_photos_and_species_does_not_matter():
    a, b = (synthetic(80, 6, strength=s, seed=n) for n, s in ((1, 0.5), (2, 2.0)))
    shuffled = b.take(np.random.default_rng(0).permutation(80))
    turned = shuffled.with_species(SpeciesList(tuple(reversed(b.species.names))))
    assert turned.species.names != b.species.names
    one, other = (compare(a, each, resamples=20) for each in (turned, b))
    assert one.metrics == other.metrics
    assert one.gains_of_b == other.gains_of_b
    assert one.confusions == other.confusions


def test_photo_unread_by_one_model_is_left_out():
    a, b = (synthetic(10, 3, strength=1.0, seed=n) for n in (1, 2))
    fewer = replace(b.take(np.arange(9)), failures=(PhotoFailure("photo 9", "cut short"),))
    assert compare(a, fewer, resamples=20).left_out == 1
    unknown = replace(a, truth=np.where(np.arange(10) < 4, -1, a.truth))
    both = compare(unknown, replace(unknown, logits=b.logits), resamples=20)
    assert (both.left_out, both.disagreement.photos) == (4, 6)


def test_compare_rejects_mismatched_scores():
    a, b = (synthetic(10, 3, strength=1.0, seed=n) for n in (1, 2))
    with pytest.raises(InputError, match=r"photo 'photo 9' is in the scores of A but not of B"):
        compare(a, b.take(np.arange(9)))
    other_species = replace(b, species=SpeciesList((*b.species.names[:2], "Genus9 x")))
    with pytest.raises(InputError, match=r"species 'Genus0 species2' is in one list"):
        compare(a, other_species)
    turned = replace(b, truth=np.where(np.arange(10) == 3, (b.truth + 1) % 3, b.truth))
    with pytest.raises(
        InputError, match=r"photo 'photo 3' is 'Genus0 species\d' in the scores of A"
    ):
        compare(a, turned)
    nothing = [replace(s, truth=np.full(10, -1)) for s in (a, b)]
    with pytest.raises(InputError, match="has a known species"):
        compare(*nothing)
