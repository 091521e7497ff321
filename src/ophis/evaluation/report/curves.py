"""How far probabilities can be relied on, as figures: of one or several models on photos judged."""

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
from ophis.evaluation.report.figures import INK, MUTED, A, B, draw

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from matplotlib.axes import Axes

    from ophis.evaluation.report.figures import Figure
    from ophis.scores.scores import Scores

    Judged = Mapping[tuple[str, bool], Scores]

COLOURS = (B, A, "#6a4c93", "#4f772d", "#a31f5b")
SETTLED = 0.05  # of the photos; risks among fewer jump from 0 to 1 with a single answer


@dataclass(frozen=True)
class Line:
    """What is drawn of one model, without or with the country, and how it looks."""

    label: str
    colour: str
    dashes: str
    inside: str  # of its dots
    numbers: pl.DataFrame


def reliability_plot(judged: Judged) -> Figure:
    """How often answers are right against how sure they are, in 15 bins.

    Args:
        judged: scores by the name of their model and whether the country had its say.

    Raises:
        InputError: when no photo has a known species.
    """
    numbers = _numbers(judged, lambda scores: reliability(scores).bins)

    def plot(axes: Axes) -> None:
        axes.plot([0, 1], [0, 1], color=MUTED, linewidth=1)
        axes.annotate("not sure enough", (0.02, 0.94), color=MUTED)
        axes.annotate("too sure", (0.98, 0.05), color=MUTED, ha="right")
        for line in _lines(judged, numbers):
            x, y, photos = (line.numbers[name] for name in ("confidence", "right", "photos"))
            look: Any = {"color": line.colour, "linestyle": line.dashes}
            # Pale: where a bin holds two photos the line leaps, and the dots tell that it may.
            axes.plot(x, y, linewidth=1.2, alpha=0.4, **look)
            area = 4 + 400 * photos / photos.sum()
            dots: Any = {"edgecolors": line.colour, "c": line.inside, "alpha": 0.7}
            axes.scatter(x, y, s=area, clip_on=False, **dots)
            look |= {"label": line.label, "marker": "o", "markerfacecolor": line.inside}
            axes.add_line(Line2D([], [], **look))  # for the legend: dots of one size
        axes.set(xlabel="probability of the answer", ylabel="answers that are right")
        axes.set(xlim=(0, 1), ylim=(-0.02, 1.02))
        _finish(axes, len(judged))

    return draw(
        "reliability",
        "Reliability",
        "How often the first answers are right, against how sure they are, in 15 bins of equal"
        " width; the larger a dot, the more photos. On the straight line a 70 % is right seven"
        " times in ten.",
        numbers,
        plot,
        height=4.6,
    )


def risk_coverage_plot(judged: Judged) -> Figure:
    """The share wrong among the surest answers, as more and more are given.

    Args:
        judged: scores by the name of their model and whether the country had its say.

    Raises:
        InputError: when no photo has a known species.
    """
    numbers = _numbers(judged, risk_coverage)

    def plot(axes: Axes) -> None:
        for line in _lines(judged, numbers):
            x, y = line.numbers["coverage"], line.numbers["risk"]
            axes.plot(x, y, color=line.colour, linestyle=line.dashes, label=line.label)
        settled = numbers.filter(pl.col("coverage") >= SETTLED)["risk"].to_numpy()
        axes.set(xlabel="photos answered, the surest first", ylabel="wrong among them")
        axes.set(xlim=(0, 1), ylim=(0, 1.08 * max(settled.max(), 0.01)))
        _finish(axes, len(judged))

    return draw(
        "risk-coverage",
        "Risk and coverage",
        "The share wrong among the answers when only the surest are given; at the right end every"
        " photo is answered. Among very few photos a single wrong one may leave the figure.",
        numbers,
        plot,
    )


def _numbers(judged: Judged, table: Callable[[Scores], pl.DataFrame]) -> pl.DataFrame:
    return pl.concat(
        table(scores).select(
            pl.lit(name).alias("scores"), pl.lit(country).alias("country"), pl.all()
        )
        for (name, country), scores in judged.items()
    )


def _lines(judged: Judged, numbers: pl.DataFrame) -> list[Line]:
    """A colour a model; dashes and hollow dots with the country."""
    names = list(dict.fromkeys(name for name, _ in judged))
    colours = list(COLOURS)
    if len(names) > len(colours):
        spread = mpl.colormaps["turbo"](np.linspace(0.05, 0.95, len(names)))
        colours = [mpl.colors.to_hex(colour) for colour in spread]
    said = any(country for _, country in judged)
    return [
        Line(
            label=f"{name}, {'with' if country else 'without'} the country" if said else name,
            colour=colours[names.index(name)],
            dashes="--" if country else "-",
            inside="none" if country else colours[names.index(name)],
            numbers=numbers.filter((pl.col("scores") == name) & (pl.col("country") == country)),
        )
        for name, country in judged
    ]


def _finish(axes: Axes, lines: int) -> None:
    """Shares on both axes; the legend above them, in the way of no line."""
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
