"""Evaluation of scores files, without and with the country: the paper's table 1."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ophis.decision.calibration import reliability as reliability_of
from ophis.decision.out_of_distribution import ood_detection
from ophis.errors import InputError
from ophis.evaluation.metrics import answers_of, evaluate
from ophis.evaluation.run import distinct_names
from ophis.evaluation.snakeclef_intervals import snakeclef_interval
from ophis.evaluation.snakeclef_metrics import snakeclef_metric
from ophis.priors.prior_file import read_prior
from ophis.scores.aggregation import aggregate_observations
from ophis.scores.ensemble import ensemble as ensemble_of
from ophis.scores.scores import read_scores
from ophis.taxonomy.danger import dangerous

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from ophis.evaluation.intervals import Interval
    from ophis.evaluation.metrics import Evaluation
    from ophis.priors.prior import Prior
    from ophis.priors.range_maps import RangeMap
    from ophis.scores.scores import Scores

ENSEMBLE = "ensemble"  # name of the row of the ensemble


@dataclass
class EvaluationTable:
    """Evaluations by name of the scores file and use of the country.

    Attributes:
        evaluations: the metrics of the paper.
        more: further metrics of the same rows.
        intervals: 95 % intervals of top-1, top-5, macro F1 and SnakeCLEF metrics of the same rows,
            if they were requested.
        figures: SVG files that were written.
        merged_countries: names of one country that the prior counts together.
    """

    evaluations: dict[tuple[str, bool], Evaluation] = field(default_factory=dict)
    more: dict[tuple[str, bool], dict[str, float]] = field(default_factory=dict)
    intervals: dict[tuple[str, bool], dict[str, Interval]] = field(default_factory=dict)
    figures: list[Path] = field(default_factory=list)
    merged_countries: tuple[tuple[str, ...], ...] = ()

    def rows(self) -> list[dict[str, Any]]:
        """Return the rows as types of JSON."""
        rows = []
        for key, evaluation in self.evaluations.items():
            row: dict[str, Any] = {"scores": key[0], "country": key[1], **evaluation.as_dict()}
            row |= self.more.get(key, {})
            if found := self.intervals.get(key):
                row["intervals"] = {name: (each.low, each.high) for name, each in found.items()}
            rows.append(row)
        return rows


@dataclass(frozen=True)
class _MoreMetrics:
    """Metrics beside those of the paper."""

    snakeclef: Sequence[str]
    range_map: RangeMap | None
    venomous: Path | None
    reliability: bool
    others: Scores | None

    def compute(self, scores: Scores, adjusted: Scores, prior: Prior | None) -> dict[str, float]:
        venomous = dangerous(adjusted.species, self.venomous)
        found = {
            name: snakeclef_metric(name, adjusted, range_map=self.range_map, venomous=venomous)
            for name in self.snakeclef
        }
        if self.reliability:
            found |= reliability_of(adjusted, prior=prior).as_dict()
        if self.others:  # OOD scores do not depend on the country
            found |= ood_detection(scores, self.others).as_dict()
        return found

    def intervals(self, adjusted: Scores, prior: Prior | None) -> dict[str, Interval]:
        venomous = dangerous(adjusted.species, self.venomous)
        return answers_of(adjusted, prior=prior).intervals() | {
            name: snakeclef_interval(name, adjusted, range_map=self.range_map, venomous=venomous)
            for name in self.snakeclef
        }


def evaluate_files(
    paths: Sequence[str | Path],
    *,
    prior: str | Path | None = None,
    metrics: Sequence[str] = (),
    range_map: RangeMap | None = None,
    venomous: Path | None = None,
    reliability: bool = False,
    ood_scores: str | Path | None = None,
    ensemble: bool = False,
    by_observation: bool = False,
    intervals: bool = False,
    out: str | Path | None = None,
) -> EvaluationTable:
    """Evaluate scores files, each without and with the country.

    Logits are read in blocks of rows. All logits of a file are in memory for ``ensemble``,
    ``by_observation`` and metrics of observations, and with ``prior`` for ``metrics`` and ``out``.

    Args:
        paths: scores files.
        prior: file of a prior; adds a row with the country for each file.
        metrics: SnakeCLEF metrics, see `snakeclef_metrics.METRICS`.
        range_map: for the metric of 2021.
        venomous: the organisers' table of medically important species, for the metrics from 2023
            on; only those with `mivs` 1 count as venomous.
        reliability: add log loss, Brier score and calibration errors.
        ood_scores: scores file, by the same model, of photos without snakes; adds OOD detection.
        ensemble: add a row for the ensemble of all files.
        by_observation: aggregate the photos of each observation first.
        intervals: add 95 % intervals, by the jackknife over observations.
        out: folder for a reliability plot and a plot of risk and coverage.

    Raises:
        InputError: a file is invalid, or arguments contradict each other.
    """
    if ood_scores and (ensemble or by_observation):
        raise InputError(
            "OOD scores are evaluated photo by photo; leave out ensemble and by_observation"
        )
    paths = list(dict.fromkeys(map(Path, paths)))
    others = read_scores(ood_scores) if ood_scores else None
    more = _MoreMetrics(metrics, range_map, venomous, reliability, others)
    table, plotted = EvaluationTable(), {}
    short = dict(zip(map(str, paths), distinct_names(*paths), strict=True))
    for name, scores in _scores_of(paths, ensemble=ensemble):
        photos = aggregate_observations(scores) if by_observation else scores
        fitted = read_prior(prior, photos.species) if prior else None
        if fitted and not table.evaluations:
            table.merged_countries = tuple(fitted.merged())
        for country in (False, True) if fitted else (False,):
            adjusted, weights = photos, fitted if country else None
            if weights and (metrics or out):
                adjusted, weights = weights.adjust(photos), None
            table.evaluations[name, country] = evaluate(adjusted, prior=weights)
            table.more[name, country] = more.compute(photos, adjusted, weights)
            if intervals:
                table.intervals[name, country] = more.intervals(adjusted, weights)
            if out:
                plotted[short.get(name, name), country] = adjusted
    table.figures = _plot(plotted, Path(out)) if out else []
    return table


def _scores_of(paths: Sequence[Path], *, ensemble: bool) -> Iterator[tuple[str, Scores]]:
    """Read the scores of each file, and with ``ensemble`` those of the ensemble at the end."""
    if ensemble and Path(ENSEMBLE) in paths:
        raise InputError(f"{ENSEMBLE}: the name of a scores file and of the ensemble; rename it")
    parts: dict[str, Scores] = {}
    for path in paths:
        scores = read_scores(path)
        if ensemble:
            parts[str(path)] = scores
        yield str(path), scores
    if ensemble:
        yield ENSEMBLE, ensemble_of(list(parts.values()), list(parts))


def _plot(evaluated: Mapping[tuple[str, bool], Scores], folder: Path) -> list[Path]:
    from ophis.evaluation.report.figure import write_figures  # noqa: PLC0415 - loads matplotlib
    from ophis.evaluation.report.reliability_figures import (  # noqa: PLC0415
        reliability_plot,
        risk_coverage_plot,
    )

    return write_figures([reliability_plot(evaluated), risk_coverage_plot(evaluated)], folder)
