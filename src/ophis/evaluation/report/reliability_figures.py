"""Figures of calibration: reliability plot, and risk against coverage."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import matplotlib as mpl
import numpy as np
import polars as pl
from matplotlib.lines import Line2D
from matplotlib.ticker import PercentFormatter

from ophis.decision.calibration import reliability
from ophis.evaluation.metrics import risk_coverage
from ophis.evaluation.report.figure import INK, MUTED, A, B, Text, draw

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from matplotlib.axes import Axes

    from ophis.evaluation.report.figure import Figure
    from ophis.scores.scores import Scores

    Evaluated = Mapping[tuple[str, bool], Scores]

COLOURS = (B, A, "#6a4c93", "#4f772d", "#a31f5b")
MIN_COVERAGE = 0.05  # for the scale of the axis; below, one answer changes the risk a lot


@dataclass(frozen=True)
class Line:
    """Values and style of one model, with or without the country."""

    label: str
    colour: str
    dashes: str
    fill: str  # of its dots
    numbers: pl.DataFrame


def reliability_plot(evaluated: Evaluated) -> Figure:
    """Plot the accuracy of answers against their probability, in 15 bins.

    Args:
        evaluated: scores by model name and use of the country.

    Raises:
        InputError: no photo has a known species.
    """
    numbers = _numbers(evaluated, lambda scores: reliability(scores).bins)

    def plot(axes: Axes) -> None:
        axes.plot([0, 1], [0, 1], color=MUTED, linewidth=1)
        axes.annotate("underconfident", (0.02, 0.94), color=MUTED)
        axes.annotate("overconfident", (0.98, 0.05), color=MUTED, ha="right")
        for line in _lines(evaluated, numbers):
            _plot_reliability(axes, line)
        axes.set(xlabel="probability of the answer", ylabel="fraction of correct answers")
        axes.set(xlim=(0, 1), ylim=(-0.02, 1.02))
        _finish(axes, len(evaluated))

    caption = (
        "Fraction of correct first answers against their probability, in 15 bins of equal width;"
        " the larger a dot, the more photos. On the straight line answers of 70 % are right seven"
        " times in ten."
    )
    return draw(Text("reliability", "Reliability", caption), numbers, plot, height=4.6)


def _plot_reliability(axes: Axes, line: Line) -> None:
    x, y, photos = (line.numbers[name] for name in ("confidence", "right", "photos"))
    style: Any = {"color": line.colour, "linestyle": line.dashes}
    # Pale, because a bin of few photos moves the line a lot; the size of the dots shows it.
    axes.plot(x, y, linewidth=1.2, alpha=0.4, **style)
    area = 4 + 400 * photos / photos.sum()
    dots: Any = {"edgecolors": line.colour, "c": line.fill, "alpha": 0.7}
    axes.scatter(x, y, s=area, clip_on=False, **dots)
    style |= {"label": line.label, "marker": "o", "markerfacecolor": line.fill}
    axes.add_line(Line2D([], [], **style))  # for the legend: dots of one size


def risk_coverage_plot(evaluated: Evaluated) -> Figure:
    """Plot the error rate of the most probable answers against their fraction of all photos.

    Args:
        evaluated: scores by model name and use of the country.

    Raises:
        InputError: no photo has a known species.
    """
    numbers = _numbers(evaluated, risk_coverage)

    def plot(axes: Axes) -> None:
        for line in _lines(evaluated, numbers):
            x, y = line.numbers["coverage"], line.numbers["risk"]
            axes.plot(x, y, color=line.colour, linestyle=line.dashes, label=line.label)
        settled = numbers.filter(pl.col("coverage") >= MIN_COVERAGE)["risk"].to_numpy()
        axes.set(xlabel="photos answered, most probable first", ylabel="fraction wrong")
        axes.set(xlim=(0, 1), ylim=(0, 1.08 * max(settled.max(), 0.01)))
        _finish(axes, len(evaluated))

    caption = (
        "Fraction of wrong answers when only the most probable answers are given; at the right end"
        " every photo is answered. At very small coverage a single wrong answer may exceed the"
        " axis."
    )
    return draw(Text("risk-coverage", "Risk and coverage", caption), numbers, plot)


def _numbers(evaluated: Evaluated, table: Callable[[Scores], pl.DataFrame]) -> pl.DataFrame:
    return pl.concat(
        table(scores).select(
            pl.lit(name).alias("scores"), pl.lit(country).alias("country"), pl.all()
        )
        for (name, country), scores in evaluated.items()
    )


def _lines(evaluated: Evaluated, numbers: pl.DataFrame) -> list[Line]:
    """A colour for each model; dashes and hollow dots with the country."""
    names = list(dict.fromkeys(name for name, _ in evaluated))
    colours = list(COLOURS)
    if len(names) > len(colours):
        spread = mpl.colormaps["turbo"](np.linspace(0.05, 0.95, len(names)))
        colours = [mpl.colors.to_hex(colour) for colour in spread]
    with_country = any(country for _, country in evaluated)
    return [
        Line(
            label=f"{name}, {'with' if country else 'without'} the country"
            if with_country
            else name,
            colour=colours[names.index(name)],
            dashes="--" if country else "-",
            fill="none" if country else colours[names.index(name)],
            numbers=numbers.filter((pl.col("scores") == name) & (pl.col("country") == country)),
        )
        for name, country in evaluated
    ]


def _finish(axes: Axes, lines: int) -> None:
    """Label both axes in percent, and put the legend above the axes."""
    for axis in (axes.xaxis, axes.yaxis):
        axis.set_major_formatter(PercentFormatter(1, decimals=0))
    axes.legend(
        loc="lower left",
        bbox_to_anchor=(0, 1),
        handlelength=3,
        ncols=min(lines, 2),
        labelcolor=INK,
        borderaxespad=0,
    )
