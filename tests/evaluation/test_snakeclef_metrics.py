import csv
from collections import defaultdict
from dataclasses import replace
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ophis import InputError, Scores, SpeciesList
from ophis.evaluation.intervals import jackknife_interval
from ophis.evaluation.snakeclef_intervals import snakeclef_interval
from ophis.evaluation.snakeclef_metrics import (
    COSTS,
    METRICS,
    DangerErrors,
    count_danger_errors,
    expected_cost,
    least_cost,
    macro_f1_by_country,
    snakeclef_metric,
    track1_score,
    track2_cost,
    trade_off,
)
from ophis.priors.range_maps import RangeMap, read_range_map
from ophis.taxonomy.danger import dangerous

SPECIES = SpeciesList(("Naja naja", "Boa boa", "Vipera berus", "Natrix natrix"))
VENOMOUS = np.array([True, False, True, False])
RANGE_MAP = RangeMap(
    {
        "naja naja": frozenset({"IN"}),
        "boa boa": frozenset({"BR", "IN"}),
        "vipera berus": frozenset({"FR"}),
        "natrix natrix": frozenset({"FR"}),
    },
    frozenset({"IN", "BR", "FR", "KE"}),
)


def answered(truth, answer, observations=None) -> Scores:
    """Return scores with these answers."""
    names = tuple(f"photo {n}" for n in range(len(truth)))
    return Scores(
        logits=5 * np.eye(4)[list(answer)],
        species=SPECIES,
        photo_ids=names,
        truth=np.array(truth),
        countries=("UNKNOWN",) * len(names),
        observations=tuple(observations or names),
    )


def test_published_example_of_track_1():
    """54.21 macro F1 and errors of 27.67, 2.86, 6.86 and 18.46 % are 86.33."""
    made = DangerErrors(hh=2767, hv=286, vh=686, vv=1846, h=10_000, v=10_000)
    assert [made.percentage(kind) for kind in COSTS] == [27.67, 2.86, 6.86, 18.46]
    assert track1_score(0.5421, made) == pytest.approx(86.33, abs=0.005)


def test_published_example_of_track_2():
    assert track2_cost(DangerErrors(hh=1743, hv=180, vh=104, vv=280, h=9999, v=9999)) == 3183


def test_errors_are_counted_by_danger():
    errors = count_danger_errors(
        np.array([0, 0, 0, 1, 1, 3, 2]), np.array([0, 1, 2, 1, 3, 0, 0]), VENOMOUS
    )
    assert errors == DangerErrors(hh=1, hv=1, vh=1, vv=2, h=3, v=4)
    assert errors.percentage("vh") == 25
    assert errors.percentage("hh") == 33.33


def test_country_f1_by_hand():
    # Naja: 2 true, 1 answered, 1 hit: 2/3; Boa: 1, 2, 1: 2/3; Vipera: 1, 1, 1: 1; Natrix: nowhere.
    scores = answered([0, 0, 1, 2], [0, 1, 1, 2])
    # India: (2/3 + 2/3) / 2; Brazil: 2/3; France: Vipera alone; Kenya: none.
    assert macro_f1_by_country(scores, RANGE_MAP) == pytest.approx((2 / 3 + 2 / 3 + 1) / 3)


def test_two_columns_of_one_country_both_count(tmp_path):
    """Two names of one country, such as the organisers' `cyprus` and `n cyprus`."""
    rows = ("species;cyprus;n cyprus;kenya", "Naja naja;1;0;1", "Boa boa;0;1;0")
    (tmp_path / "m.csv").write_text("\n".join(rows) + "\n")
    range_map = read_range_map(tmp_path / "m.csv")
    scores = answered([0, 2, 1, 1], [0, 1, 1, 2])  # Naja: 1; Boa: 2 / 4; Vipera: nowhere
    assert range_map.countries == {"CY", "KE"}
    assert macro_f1_by_country(scores, range_map) == pytest.approx((1 + 0.5 + 1) / 3)


def test_snakeclef2021_averages_over_columns_of_organisers_map(shared_2021):
    f1_score = pytest.importorskip("sklearn.metrics").f1_score
    path = shared_2021 / "species_relevance.csv"
    with path.open(encoding="utf-8-sig", newline="") as file:
        (_, *names), *rows = csv.reader(file, delimiter=";")
    cyprus = names.index("n cyprus")
    rows_by_name = [(name.strip(), cells) for name, *cells in rows]
    there = [name for name, cells in rows_by_name if cells[cyprus] == "1"]
    species = SpeciesList(tuple(dict.fromkeys([*there, *(name for name, _ in rows_by_name[:40])])))
    rng = np.random.default_rng(0)
    truth = rng.integers(len(species), size=400)
    answer = np.where(rng.random(400) < 0.6, truth, rng.integers(len(species), size=400))
    ids = tuple(map(str, range(400)))
    logits = np.eye(len(species))[answer]
    scores = Scores(logits, species, ids, truth, ("UNKNOWN",) * 400, ids)
    f1 = f1_score(truth, answer, average=None, labels=range(len(species)), zero_division=0)
    occurs = np.union1d(truth, answer)
    listed = np.zeros((len(species), len(names)), dtype=bool)
    for name, cells in rows_by_name:
        if name in species:
            listed[species.index(name)] |= np.array(cells) == "1"
    means = [f1[c].mean() for col in listed.T if len(c := np.intersect1d(occurs, col.nonzero()[0]))]
    assert snakeclef_metric(
        "snakeclef2021", scores, range_map=read_range_map(path)
    ) == pytest.approx(np.mean(means), rel=1e-12)


def by_loops(metric, truth, answer):
    """Compute a metric by its definition, photo by photo in fractions; one photo an observation."""
    count = defaultdict(lambda: [0, 0, 0])
    for t, a in zip(truth, answer, strict=True):
        count[t][0] += 1
        count[a][1] += 1
        count[t][2] += t == a
    f1 = {s: Fraction(2 * hit, true + predicted) for s, (true, predicted, hit) in count.items()}
    mean = sum(f1.values()) / len(f1)
    if metric in ("snakeclef2020", "snakeclef2022"):
        return float(mean)
    if metric == "snakeclef2021":
        countries = []
        for code in ("BR", "FR", "IN", "KE"):
            there = [f1[s] for s in f1 if code in RANGE_MAP.places[SPECIES[s].lower()]]
            if there:
                countries.append(sum(there) / len(there))
        return float(sum(countries) / len(countries))
    errors, groups = defaultdict(int), defaultdict(int)
    for t, a in zip(truth, answer, strict=True):
        groups["v" if VENOMOUS[t] else "h"] += 1
        errors["hv"[int(VENOMOUS[t])] + "hv"[int(VENOMOUS[a])]] += t != a
    if metric.endswith("track2"):
        return errors["hh"] + 2 * errors["hv"] + 5 * errors["vh"] + 2 * errors["vv"]
    rate = {
        kind: float(round(100 * Fraction(errors[kind], groups[kind[0]]), 2))
        if groups[kind[0]]
        else 0
        for kind in COSTS
    }
    return (
        100 * float(mean) + (100 - rate["hh"]) + 2 * (100 - rate["hv"])
        + 5 * (100 - rate["vh"]) + 2 * (100 - rate["vv"])
    ) / 11  # fmt: skip


pairs = st.lists(st.tuples(st.integers(0, 3), st.integers(0, 3)), min_size=1, max_size=30)


@pytest.mark.parametrize("metric", METRICS)
@given(pairs=pairs)
def test_metrics_equal_definitions_in_loops(metric, pairs):
    truth, answer = zip(*pairs, strict=True)
    got = snakeclef_metric(metric, answered(truth, answer), range_map=RANGE_MAP, venomous=VENOMOUS)
    assert got == pytest.approx(by_loops(metric, truth, answer), abs=2e-2)
    if not metric.endswith("track1"):  # where a rounding of a half may fall either way
        assert got == pytest.approx(by_loops(metric, truth, answer), rel=1e-12)


def test_missing_input_of_metric_is_named():
    scores = answered([0], [0])
    with pytest.raises(InputError, match=r"'snakeclef1999'; there are snakeclef2020"):
        snakeclef_metric("snakeclef1999", scores)
    with pytest.raises(InputError, match="snakeclef2021 needs the organisers' map"):
        snakeclef_metric("snakeclef2021", scores)
    with pytest.raises(InputError, match="no photo has a known species"):
        snakeclef_metric("snakeclef2020", answered([-1], [0]))


def test_rows_of_unknown_species_are_ignored():
    scores = answered([0, -1, 1], [0, 1, 0])
    without = answered([0, 1], [0, 0])
    for metric in METRICS:
        assert snakeclef_metric(metric, scores, range_map=RANGE_MAP) == snakeclef_metric(
            metric, without, range_map=RANGE_MAP
        )


def test_unknown_species_are_dangerous_except_in_organisers_table(tmp_path):
    species = SpeciesList(("Naja naja", "Boa boa", "Pantherophis guttatus", "Synthetic red snake"))
    np.testing.assert_array_equal(dangerous(species), [True, True, False, True])
    table = tmp_path / "mivs.csv"
    table.write_text("species,genus,mivs\nnaja-naja,Naja,1\nBoa boa,Boa,0\nVipera berus,Vipera,0\n")
    np.testing.assert_array_equal(dangerous(SPECIES, table), [True, False, False, False])


def test_organisers_tracks_count_a_missing_species_as_not_venomous(tmp_path):
    """Only `MIVS == 1` counts: Natrix has no row, and a subspecies does not take its species'."""
    table = tmp_path / "mivs.csv"
    table.write_text("species,mivs\nNaja naja,1\nBoa boa,0\nVipera berus,1\n")
    venomous = dangerous(SPECIES, table)
    scores = answered([3, 3, 1, 0, 2], [1, 3, 3, 0, 2])  # Natrix for Boa, and the reverse
    assert snakeclef_metric("snakeclef2023-track2", scores, venomous=venomous) == 2  # hh twice
    # F1: 1, 0, 1, 1 / 2; two of three h are taken for another h.
    expected = (100 * 2.5 / 4 + (100 - 66.67) + 2 * 100 + 5 * 100 + 2 * 100) / 11
    found = snakeclef_metric("snakeclef2024-track1", scores, venomous=venomous)
    assert found == pytest.approx(expected)
    subspecies = SpeciesList(("Vipera berus nigra", "Vipera ammodytes"))
    assert not dangerous(subspecies, table).any()
    assert dangerous(subspecies).all()


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("species,danger\nboa,1\n", "columns `species` and `mivs` are needed"),
        ("species,mivs\nboa,1\nadder,maybe\n", "row 3: mivs = 'maybe' should be 1 or 0"),
        ("species,mivs\nboa,1\nBOA,0\n", "row 3: 'BOA' has mivs = 0 and another one before"),
        ("species,mivs\n-,1\n", "row 2: species is empty; fill it in"),
        ("species,mivs\nboa,\n", "row 2: mivs = '' should be"),
    ],
)
def test_bad_danger_table_error_names_file_and_row(tmp_path, text, words):
    (tmp_path / "mivs.csv").write_text(text)
    with pytest.raises(InputError) as error:
        dangerous(SPECIES, tmp_path / "mivs.csv")
    assert str(tmp_path / "mivs.csv") in str(error.value)
    assert words in str(error.value)


@given(st.integers(0, 2**32 - 1))
def test_least_cost_is_minimal(seed):
    rng = np.random.default_rng(seed)
    scores = replace(answered([0] * 5, [0] * 5), logits=3 * rng.normal(size=(5, 4)))
    table = expected_cost(VENOMOUS, COSTS)
    cost = scores.probabilities() @ table
    chosen = cost[np.arange(5), least_cost(scores, VENOMOUS)]
    assert (chosen <= cost.min(axis=1) + 1e-9).all()
    assert table[0, 1] == 5  # venomous taken for another
    assert table[1, 0] == 2
    assert not np.diag(table).any()


def test_least_cost_prefers_venomous_species():
    scores = replace(answered([0], [0]), logits=np.log([[0.3, 0.6, 0.05, 0.05]]))
    assert least_cost(scores, VENOMOUS)[0] == 0
    assert least_cost(scores, VENOMOUS, dict.fromkeys(COSTS, 1.0))[0] == 1  # the most probable


def test_higher_miss_cost_gives_fewer_misses_and_more_alarms():
    rng = np.random.default_rng(0)
    truth = rng.integers(0, 4, 400)
    scores = replace(
        answered(truth, truth), logits=1.5 * np.eye(4)[truth] + rng.normal(size=(400, 4))
    )
    curve = trade_off(scores, VENOMOUS, np.array([0.5, 1, 2, 5, 20]))
    missed, alarms = curve["missed"].to_numpy(), curve["alarms"].to_numpy()
    assert (np.diff(missed) <= 0).all()
    assert missed[-1] < missed[0]
    assert (np.diff(alarms) >= 0).all()
    assert alarms[-1] > alarms[0]
    snakeclef_cost = curve.filter(vh_cost=5.0)["track2"][0]
    most_probable = track2_cost(count_danger_errors(truth, scores.logits.argmax(axis=1), VENOMOUS))
    assert snakeclef_cost < most_probable


@pytest.mark.parametrize("metric", METRICS)
def test_interval_of_metric_comes_from_leaving_out_each_observation(metric):
    """Equal to the metric itself without each observation, but for the rounding of track 1."""
    rng = np.random.default_rng(0)
    truth = np.repeat(rng.integers(0, 4, 40), 2)
    answer = np.where(rng.random(80) < 0.7, truth, rng.integers(0, 4, 80))
    names = [f"snake {n // 2}" for n in range(80)]
    scores = answered(truth, answer, names)
    given = {"range_map": RANGE_MAP, "venomous": VENOMOUS}
    value = snakeclef_metric(metric, scores, **given)
    left_out = []
    for name in dict.fromkeys(names):
        rest = scores.take(np.array([other != name for other in names]))
        scale = 40 / 39 if metric.endswith("track2") else 1  # a sum
        left_out.append(scale * snakeclef_metric(metric, rest, **given))
    expected = jackknife_interval(value, np.array(left_out))
    found = snakeclef_interval(metric, scores, **given)
    assert found.value == value
    digits = {"abs": 0.3} if metric.endswith("track1") else {"rel": 1e-9}
    assert (found.low, found.high) == pytest.approx((expected.low, expected.high), **digits)
    none = snakeclef_interval(metric, answered(range(4), range(4)), **given)
    assert none.low < none.high < np.inf
