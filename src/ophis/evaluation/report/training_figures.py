"""Figures of training: learning rate, loss and accuracy, mixup weights."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import polars as pl
from matplotlib.ticker import PercentFormatter

from ophis.evaluation.report.figure import A, B, Text, draw, integer_axis, log_axis

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from matplotlib.axes import Axes

    from ophis.evaluation.report.figure import Figure
    from ophis.recipe import Recipe


def learning_rates(recipes: Mapping[str, Recipe]) -> Figure:
    """Plot the learning rate of each optimiser step."""
    numbers = pl.concat(
        pl.DataFrame(
            {
                "model": name,
                "step": np.arange(recipe.steps),
                "learning_rate": [recipe.learning_rate_at(n) for n in range(recipe.steps)],
            }
        )
        for name, recipe in recipes.items()
    )

    def plot(axes: Axes) -> None:
        styles = zip(recipes, (A, B), ("-", "--"), strict=False)
        for name, colour, dashes in styles:
            own = numbers.filter((pl.col("model") == name) & (pl.col("learning_rate") > 0))
            axes.plot(own["step"], own["learning_rate"], color=colour, linestyle=dashes, label=name)
        axes.set(yscale="log", xlabel="optimiser step", ylabel="learning rate")
        log_axis(axes.yaxis)
        integer_axis(axes.xaxis)
        axes.legend()

    caption = "Linear warm-up, then a staircase. Step 0 has rate 0, which this axis cannot show."
    return draw(Text("learning-rate", "Learning rate", caption), numbers, plot)


def training_curves(logs: Mapping[str, pl.DataFrame]) -> Figure:
    """Plot the smoothed training loss and the validation top-1."""
    numbers = pl.concat(
        [log.select(pl.lit(name).alias("model"), pl.all()) for name, log in logs.items()],
        how="diagonal",
    )

    def plot(axes: Sequence[Axes]) -> None:
        upper, lower = axes
        for name, colour in zip(logs, (A, B), strict=False):
            own = numbers.filter(pl.col("model") == name)
            losses = own.filter(pl.col("loss").is_not_null())
            window = max(1, len(losses) // 50)
            smooth = losses["loss"].rolling_mean(window, min_samples=1)
            upper.plot(losses["step"], smooth, color=colour, linewidth=1.4, label=name)
            evaluated = own.filter(pl.col("validation_top1").is_not_null())
            lower.plot(evaluated["step"], evaluated["validation_top1"], "o-", color=colour)
        upper.set(ylabel="training loss")
        upper.legend()
        lower.set(xlabel="optimiser step", ylabel="validation top-1", ylim=(0, 1))
        integer_axis(lower.xaxis)
        lower.yaxis.set_major_formatter(PercentFormatter(1, decimals=0))

    caption = "Training loss (mean of neighbouring steps) and validation top-1 of both runs."
    return draw(Text("training", "Training", caption), numbers, plot, height=4.4, panels=2)


def mixup_weights(alpha: float, *, draws: int = 10_000) -> Figure:
    """Plot the distribution of the mixup weight of the first photo, Beta(alpha, alpha)."""
    weights = np.random.default_rng(0).beta(alpha, alpha, draws)
    count, edges = np.histogram(weights, bins=25, range=(0, 1))
    numbers = pl.DataFrame({"from": edges[:-1], "to": edges[1:], "fraction": count / draws})

    def plot(axes: Axes) -> None:
        axes.bar(edges[:-1], count / draws, width=np.diff(edges), align="edge", color=B, alpha=0.7)
        axes.set(xlabel="weight of the first photo", ylabel="fraction of the steps", xlim=(0, 1))
        axes.yaxis.set_major_formatter(PercentFormatter(1, decimals=0))

    nearly = float(((weights < 0.02) | (weights > 0.98)).mean())
    caption = f"In {nearly:.0%} of the steps the weight of one of the two photos is below 2 %."
    return draw(
        Text("mixup-weights", f"Mixup at alpha {alpha:g}", caption), numbers, plot, height=2.6
    )
