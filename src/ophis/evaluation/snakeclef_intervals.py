"""95 % intervals of the SnakeCLEF metrics, by the jackknife over observations."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from ophis.evaluation.counts import count_species
from ophis.evaluation.intervals import Interval, jackknife_groups, jackknife_interval
from ophis.evaluation.metrics import predictions
from ophis.evaluation.snakeclef_metrics import COSTS, snakeclef_metric
from ophis.scores.aggregation import aggregate_observations
from ophis.taxonomy.danger import dangerous
from ophis.taxonomy.species_list import species_key

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from ophis.evaluation.counts import SpeciesCounts
    from ophis.priors.range_maps import RangeMap
    from ophis.scores.scores import Scores
    from ophis.taxonomy.species_list import SpeciesList

_OF_PHOTOS = ("snakeclef2020", "snakeclef2021")


def snakeclef_interval(
    metric: str,
    scores: Scores,
    *,
    range_map: RangeMap | None = None,
    venomous: NDArray[np.bool_] | None = None,
) -> Interval:
    """Compute a SnakeCLEF metric with its 95 % interval.

    The interval is for the expected value on test photos of this kind and number. Arguments and
    errors are those of `snakeclef_metric`.
    """
    value = snakeclef_metric(metric, scores, range_map=range_map, venomous=venomous)
    known = scores.take(scores.truth >= 0)
    rows = known if metric in _OF_PHOTOS else aggregate_observations(known)
    groups, answer = jackknife_groups(rows.observations), predictions(rows)
    counts = count_species(rows.truth, answer, len(rows.species), groups=groups).left_out()
    if range_map and metric == "snakeclef2021":
        left_out, most = _by_country(counts, rows.species, range_map), 1.0
    elif "track" in metric:
        v = dangerous(rows.species) if venomous is None else venomous
        errors = _errors(rows.truth, answer, v, groups)
        if metric.endswith("track2"):  # a sum: per observation, times their number
            cost = sum(weight * errors[kind] for kind, weight in COSTS.items())
            left_out, most = (
                cost * len(rows) / np.maximum(errors["h"] + errors["v"], 1),
                5.0 * len(rows),
            )
        else:
            left_out, most = _track1(counts, errors), 100.0
    else:
        left_out, most = counts.macro_f1(), 1.0
    return jackknife_interval(value, left_out, limits=(0, most))


def _by_country(
    counts: SpeciesCounts, species: SpeciesList, range_map: RangeMap
) -> NDArray[np.float64]:
    """The metric of 2021 without each group, [groups]; see `macro_f1_by_country`."""
    keys = [species_key(name) for name in species]
    placed = np.array(
        [[key in there for there in range_map.columns.values()] for key in keys], float
    )
    occurs = (counts.true + counts.answered > 0).astype(float)
    number, total = occurs @ placed, (counts.f1 * occurs) @ placed  # [groups, countries]
    means = total / np.maximum(number, 1)
    return means.sum(axis=1) / np.maximum((number > 0).sum(axis=1), 1)


def _errors(
    truth: NDArray[np.int64],
    answer: NDArray[np.int64],
    venomous: NDArray[np.bool_],
    groups: NDArray[np.int64],
) -> dict[str, NDArray[np.float64]]:
    """Numbers of `DangerErrors` without each group, [groups]."""
    v, answer_v, wrong = venomous[truth], venomous[answer], truth != answer
    rows = {
        "hh": wrong & ~v & ~answer_v,
        "hv": wrong & ~v & answer_v,
        "vh": wrong & v & ~answer_v,
        "vv": wrong & v & answer_v,
        "h": ~v,
        "v": v,
    }
    return {name: each.sum() - np.bincount(groups, weights=each) for name, each in rows.items()}


def _track1(counts: SpeciesCounts, errors: dict[str, NDArray[np.float64]]) -> NDArray[np.float64]:
    """Track 1 without each group, [groups].

    Percentages are not rounded, because one observation changes them by less than the rounding.
    """
    kept = sum(
        weight * (100 - 100 * errors[kind] / np.maximum(errors[kind[0]], 1))
        for kind, weight in COSTS.items()
    )
    return (100 * counts.macro_f1() + kept) / (1 + sum(COSTS.values()))
