"""SnakeCLEF metrics of 2020 to 2024, and answers of least expected cost.

2020: macro F1 of photos. 2021: macro F1 averaged over countries (`macro_f1_by_country`). 2022:
macro F1 of observations. 2023 and 2024: two tracks that weight errors by danger, of observations.
In their terms v is a medically important species, h any other, and vh an error that takes a
medically important species for another.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from ophis.errors import InputError
from ophis.evaluation.metrics import macro_f1, predictions
from ophis.scores.aggregation import aggregate_observations
from ophis.scores.scores import log_probabilities
from ophis.taxonomy.danger import dangerous
from ophis.taxonomy.species_list import species_key

if TYPE_CHECKING:
    from collections.abc import Callable

    import polars as pl
    from numpy.typing import NDArray

    from ophis.priors.range_maps import RangeMap
    from ophis.scores.scores import Scores

# Cost of an error by danger of the true species and of the answer (SnakeCLEF 2023 and 2024).
COSTS = {"hh": 1.0, "hv": 2.0, "vh": 5.0, "vv": 2.0}


@dataclass(frozen=True)
class DangerErrors:
    """Numbers of errors by danger of the true species (first letter) and of the answer (second).

    Attributes:
        hh, hv, vh, vv: numbers of errors.
        h, v: numbers of true species of each group, answered correctly or not.
    """

    hh: int
    hv: int
    vh: int
    vv: int
    h: int
    v: int

    def percentage(self, kind: str) -> float:
        """Return the errors of a kind in percent of their group, rounded as published."""
        total = self.h if kind[0] == "h" else self.v
        return round(100 * getattr(self, kind) / total, 2) if total else 0.0


def count_danger_errors(
    truth: NDArray[np.int64], answer: NDArray[np.int64], venomous: NDArray[np.bool_]
) -> DangerErrors:
    """Count the errors of each kind."""
    v, answer_v, wrong = venomous[truth], venomous[answer], truth != answer
    return DangerErrors(
        hh=int((wrong & ~v & ~answer_v).sum()),
        hv=int((wrong & ~v & answer_v).sum()),
        vh=int((wrong & v & ~answer_v).sum()),
        vv=int((wrong & v & answer_v).sum()),
        h=int((~v).sum()),
        v=int(v.sum()),
    )


def track1_score(f1: float, errors: DangerErrors) -> float:
    """Return track 1 of SnakeCLEF 2023 and 2024, from 0 to 100: macro F1 and rates of errors.

    Args:
        f1: macro F1 of the observations, in [0, 1].
        errors: of the observations.
    """
    kinds = {kind: cost * (100 - errors.percentage(kind)) for kind, cost in COSTS.items()}
    return (100 * f1 + sum(kinds.values())) / (1 + sum(COSTS.values()))


def track2_cost(errors: DangerErrors) -> float:
    """Return track 2 of SnakeCLEF 2023 and 2024: the total cost of errors; lower is better."""
    return sum(cost * getattr(errors, kind) for kind, cost in COSTS.items())


def macro_f1_by_country(scores: Scores, range_map: RangeMap) -> float:
    """Return the macro F1 of SnakeCLEF 2021: the mean over countries of the mean F1 of species.

    F1 of a species is over all photos. The species of a country are those that occur in truth or
    answer and that the map places there. A country is a column of the map.

    Raises:
        InputError: the map places no species of the scores in any country.
    """
    per_species = _f1_by_species(scores.truth, predictions(scores), len(scores.species))
    occurs = {species_key(name): f1 for name, f1 in zip(scores.species, per_species, strict=True)}
    means = []
    # Columns of the organisers, of which two may have the same ISO code.
    for there in range_map.columns.values():
        f1_there = [f1 for name, f1 in occurs.items() if np.isfinite(f1) and name in there]
        if f1_there:
            means.append(np.mean(f1_there))
    if not means:
        raise InputError("the range map places no species of the scores in any country")
    return float(np.mean(means))


def _f1_by_species(
    truth: NDArray[np.int64], answer: NDArray[np.int64], length: int
) -> NDArray[np.float64]:
    """F1 of each species, [species]; NaN if it occurs neither in truth nor in answers."""
    true, answered = (np.bincount(x, minlength=length) for x in (truth, answer))
    hit = np.bincount(truth[truth == answer], minlength=length)
    total = true + answered
    return np.where(total > 0, 2 * hit / np.maximum(total, 1), np.nan)


def expected_cost(venomous: NDArray[np.bool_], costs: dict[str, float]) -> NDArray[np.float64]:
    """Return the cost of each answer for each true species, [true, answer]; 0 if correct."""
    letters = np.where(venomous, "v", "h")
    table = np.array([[costs[a + b] for b in letters] for a in letters])
    np.fill_diagonal(table, 0)
    return table


def least_cost(
    scores: Scores, venomous: NDArray[np.bool_], costs: dict[str, float] | None = None
) -> NDArray[np.int64]:
    """Return the answer of least expected cost for each row, [rows].

    Optimal for calibrated probabilities. Of equal costs the more probable species is chosen.
    """
    probabilities = np.exp(log_probabilities(scores.logits))
    cost = probabilities @ expected_cost(venomous, costs or COSTS)
    return np.lexsort((-probabilities, cost.round(12)), axis=1)[:, 0]


def trade_off(
    scores: Scores, venomous: NDArray[np.bool_], weights: NDArray[np.float64]
) -> pl.DataFrame:
    """Return missed venomous snakes and false alarms for several costs of vh.

    Args:
        scores: with known species.
        venomous: [species].
        weights: costs of vh; the others are those of `COSTS`.

    Returns:
        A row for each cost: `vh_cost, missed` (fraction of venomous snakes taken for others),
        `alarms` (fraction of others taken for venomous), `top1, track2`.
    """
    import polars as pl  # noqa: PLC0415 - not loaded by `ophis identify`

    rows: list[dict[str, Any]] = []
    for weight in weights:
        answer = least_cost(scores, venomous, COSTS | {"vh": float(weight)})
        errors = count_danger_errors(scores.truth, answer, venomous)
        rows.append(
            {
                "vh_cost": float(weight),
                "missed": errors.vh / max(errors.v, 1),
                "alarms": errors.hv / max(errors.h, 1),
                "top1": float((answer == scores.truth).mean()),
                "track2": track2_cost(errors),
            }
        )
    return pl.DataFrame(rows)


def snakeclef_metric(
    metric: str,
    scores: Scores,
    *,
    range_map: RangeMap | None = None,
    venomous: NDArray[np.bool_] | None = None,
) -> float:
    """Compute a SnakeCLEF metric by name.

    Args:
        metric: a key of `METRICS`, such as "snakeclef2023-track1".
        scores: of photos; rows of unknown species are left out.
        range_map: the organisers' map, for 2021.
        venomous: medically important species, [species], for 2023 and 2024; by default
            `taxonomy.danger.dangerous`.

    Raises:
        InputError: the metric is unknown, or an argument that it needs is missing.
    """
    if metric not in METRICS:
        raise InputError(f"unknown metric {metric!r}; there are {', '.join(METRICS)}")
    known = scores.take(scores.truth >= 0)
    if not len(known):
        raise InputError("no photo has a known species, so nothing can be evaluated; add `species`")
    if metric == "snakeclef2021" and range_map is None:
        raise InputError("metric snakeclef2021 needs the organisers' map; give range_map")
    if venomous is None:
        venomous = dangerous(scores.species)
    return METRICS[metric](known, range_map, venomous)


def _photo_f1(scores: Scores, _: RangeMap | None, __: NDArray[np.bool_]) -> float:
    return macro_f1(scores.truth, predictions(scores))


def _country_f1(scores: Scores, range_map: RangeMap | None, _: NDArray[np.bool_]) -> float:
    return macro_f1_by_country(scores, range_map) if range_map else np.nan


def _observation_f1(scores: Scores, _: RangeMap | None, __: NDArray[np.bool_]) -> float:
    return _photo_f1(aggregate_observations(scores), _, __)


def _track1(scores: Scores, _: RangeMap | None, venomous: NDArray[np.bool_]) -> float:
    one = aggregate_observations(scores)
    answer = predictions(one)
    errors = count_danger_errors(one.truth, answer, venomous)
    return track1_score(macro_f1(one.truth, answer), errors)


def _track2(scores: Scores, _: RangeMap | None, venomous: NDArray[np.bool_]) -> float:
    one = aggregate_observations(scores)
    return track2_cost(count_danger_errors(one.truth, predictions(one), venomous))


METRICS: dict[str, Callable[[Scores, RangeMap | None, NDArray[np.bool_]], float]] = {
    "snakeclef2020": _photo_f1,
    "snakeclef2021": _country_f1,
    "snakeclef2022": _observation_f1,
    "snakeclef2023-track1": _track1,
    "snakeclef2023-track2": _track2,
    "snakeclef2024-track1": _track1,
    "snakeclef2024-track2": _track2,
}
