"""The official scores of SnakeCLEF 2020 to 2024, and answers that cost the least by them.

From 2022 on one observation, which may have several photos, gets one answer. From 2023 on it counts
what an error may do to a person: v is a medically important species, h one that their table
does not call so, and vh means that a medically important snake was taken for one that is not.
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

# What an error costs, by danger of the true species and of the answer (SnakeCLEF 2023 and 2024).
COSTS = {"hh": 1.0, "hv": 2.0, "vh": 5.0, "vv": 2.0}


@dataclass(frozen=True)
class Confusions:
    """Wrong answers by danger of the true species (first letter) and of the answer (second).

    Attributes:
        hh, hv, vh, vv: counts of errors; hv is one not medically important taken for one that is.
        h, v: how many there are of each in truth, right or wrong.
    """

    hh: int
    hv: int
    vh: int
    vv: int
    h: int
    v: int

    def percentage(self, kind: str) -> float:
        """Errors of a kind in percent of their true group, rounded to 2 decimals as published."""
        of = self.h if kind[0] == "h" else self.v
        return round(100 * getattr(self, kind) / of, 2) if of else 0.0


def confusions(
    truth: NDArray[np.int64], answer: NDArray[np.int64], venomous: NDArray[np.bool_]
) -> Confusions:
    """Count the errors of each kind; right answers count in ``h`` and ``v`` only."""
    v, taken, wrong = venomous[truth], venomous[answer], truth != answer
    return Confusions(
        hh=int((wrong & ~v & ~taken).sum()),
        hv=int((wrong & ~v & taken).sum()),
        vh=int((wrong & v & ~taken).sum()),
        vv=int((wrong & v & taken).sum()),
        h=int((~v).sum()),
        v=int(v.sum()),
    )


def track1(f1: float, errors: Confusions) -> float:
    """SnakeCLEF 2023 and 2024, track 1, from 0 to 100: macro F1 and the four shares of errors.

    Args:
        f1: macro F1 of the observations, in [0, 1].
        errors: of the observations.
    """
    kinds = {kind: cost * (100 - errors.percentage(kind)) for kind, cost in COSTS.items()}
    return (100 * f1 + sum(kinds.values())) / (1 + sum(COSTS.values()))


def track2(errors: Confusions) -> float:
    """SnakeCLEF 2023 and 2024, track 2: what all errors cost together; the less the better."""
    return sum(cost * getattr(errors, kind) for kind, cost in COSTS.items())


def country_f1(scores: Scores, range_map: RangeMap) -> float:
    """SnakeCLEF 2021: F1 of each species over all photos, averaged by country, then over those.

    A country is a column of the map. In it count the species that the map puts there and that
    occur in truth or answer.

    Raises:
        InputError: when the map puts no judged species into any country.
    """
    per_species = _f1_by_species(scores.truth, predictions(scores), len(scores.species))
    occurs = {species_key(name): f1 for name, f1 in zip(scores.species, per_species, strict=True)}
    means = []
    # As the organisers' columns stand, though two may be one country by its ISO code.
    for there in range_map.columns.values():
        living = [f1 for name, f1 in occurs.items() if np.isfinite(f1) and name in there]
        if living:
            means.append(np.mean(living))
    if not means:
        raise InputError("the range map puts none of the judged species into any country")
    return float(np.mean(means))


def _f1_by_species(
    truth: NDArray[np.int64], answer: NDArray[np.int64], length: int
) -> NDArray[np.float64]:
    """F1 of each species, NaN where it occurs neither in truth nor answer."""
    true, answered = (np.bincount(x, minlength=length) for x in (truth, answer))
    hit = np.bincount(truth[truth == answer], minlength=length)
    total = true + answered
    return np.where(total > 0, 2 * hit / np.maximum(total, 1), np.nan)


def expected_cost(venomous: NDArray[np.bool_], costs: dict[str, float]) -> NDArray[np.float64]:
    """Cost of each answer for each true species, [true, answer]; 0 for the right one."""
    letters = np.where(venomous, "v", "h")
    table = np.array([[costs[a + b] for b in letters] for a in letters])
    np.fill_diagonal(table, 0)
    return table


def least_cost(
    scores: Scores, venomous: NDArray[np.bool_], costs: dict[str, float] | None = None
) -> NDArray[np.int64]:
    """The answer with the smallest expected cost for each row, [rows].

    With the probabilities right, nobody who knows no more does better by the official cost. Of
    equal costs the more probable species wins.
    """
    probabilities = np.exp(log_probabilities(scores.logits))
    cost = probabilities @ expected_cost(venomous, costs or COSTS)
    return np.lexsort((-probabilities, cost.round(12)), axis=1)[:, 0]


def trade_off(
    scores: Scores, venomous: NDArray[np.bool_], weights: NDArray[np.float64]
) -> pl.DataFrame:
    """Venomous snakes missed against false alarms, as vh is made dearer.

    Args:
        scores: with known species.
        venomous: [species].
        weights: costs of vh to try; the others stay as in `COSTS`.

    Returns:
        A row a weight: `vh_cost, missed` (share of the venomous taken for others), `alarms` (share
        of the others taken for venomous), `top1, track2`.
    """
    import polars as pl  # noqa: PLC0415 - an answer does without

    rows: list[dict[str, Any]] = []
    for weight in weights:
        answer = least_cost(scores, venomous, COSTS | {"vh": float(weight)})
        errors = confusions(scores.truth, answer, venomous)
        rows.append(
            {
                "vh_cost": float(weight),
                "missed": errors.vh / max(errors.v, 1),
                "alarms": errors.hv / max(errors.h, 1),
                "top1": float((answer == scores.truth).mean()),
                "track2": track2(errors),
            }
        )
    return pl.DataFrame(rows)


def official(
    metric: str,
    scores: Scores,
    *,
    range_map: RangeMap | None = None,
    venomous: NDArray[np.bool_] | None = None,
) -> float:
    """An official score by its name, one of `METRICS`.

    Args:
        metric: such as "snakeclef2023-track1".
        scores: of photos; rows of unknown species are left out.
        range_map: the organisers' map, for 2021.
        venomous: which species are medically important, [species], for 2023 and 2024.

    Raises:
        InputError: when the metric is not known, or what it needs is not given.
    """
    if metric not in METRICS:
        raise InputError(f"no metric is called {metric!r}; there are {', '.join(METRICS)}")
    known = scores.take(scores.truth >= 0)
    if not len(known):
        raise InputError("no photo has a known species, so nothing can be judged; add `species`")
    if metric == "snakeclef2021" and range_map is None:
        raise InputError("snakeclef2021 needs the organisers' map of who lives where: --range-map")
    if venomous is None:
        venomous = dangerous(scores.species)
    return METRICS[metric](known, range_map, venomous)


def _photo_f1(scores: Scores, _: RangeMap | None, __: NDArray[np.bool_]) -> float:
    return macro_f1(scores.truth, predictions(scores))


def _country_f1(scores: Scores, range_map: RangeMap | None, _: NDArray[np.bool_]) -> float:
    return country_f1(scores, range_map) if range_map else np.nan


def _observation_f1(scores: Scores, _: RangeMap | None, __: NDArray[np.bool_]) -> float:
    return _photo_f1(aggregate_observations(scores), _, __)


def _track1(scores: Scores, _: RangeMap | None, venomous: NDArray[np.bool_]) -> float:
    one = aggregate_observations(scores)
    answer = predictions(one)
    return track1(macro_f1(one.truth, answer), confusions(one.truth, answer, venomous))


def _track2(scores: Scores, _: RangeMap | None, venomous: NDArray[np.bool_]) -> float:
    one = aggregate_observations(scores)
    return track2(confusions(one.truth, predictions(one), venomous))


METRICS: dict[str, Callable[[Scores, RangeMap | None, NDArray[np.bool_]], float]] = {
    "snakeclef2020": _photo_f1,
    "snakeclef2021": _country_f1,
    "snakeclef2022": _observation_f1,
    "snakeclef2023-track1": _track1,
    "snakeclef2023-track2": _track2,
    "snakeclef2024-track1": _track1,
    "snakeclef2024-track2": _track2,
}
