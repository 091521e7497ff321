"""Figures by species and country: training photos, and gains of model B."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import polars as pl
from matplotlib.ticker import PercentFormatter

from ophis.evaluation.report.figure import (
    INK,
    MUTED,
    A,
    B,
    Text,
    draw,
    integer_axis,
    log_axis,
)
from ophis.geography.countries import UNKNOWN, country_name

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from numpy.typing import NDArray

    from ophis.evaluation.comparison import Comparison
    from ophis.evaluation.intervals import Interval
    from ophis.evaluation.report.figure import Figure
    from ophis.priors.country_counts import CountryPrior


def class_distribution(prior: CountryPrior) -> Figure:
    """Plot the training photos of each species in falling order, on a logarithmic axis."""
    photos = prior.counts.sum(axis=0)
    order = np.argsort(-photos, kind="stable")
    numbers = pl.DataFrame(
        {
            "rank": np.arange(1, len(order) + 1),
            "species": [prior.species[s] for s in order],
            "photos": photos[order],
        }
    )

    def plot(axes: Axes) -> None:
        rank, photos = numbers["rank"], numbers["photos"]
        axes.fill_between(rank, photos, 1, step="mid", color=B, alpha=0.25, linewidth=0)
        axes.step(rank, photos, where="mid", color=B)
        axes.set(yscale="log", xlabel="species, most photos first", ylabel="training photos")
        axes.set_xlim(1, max(2, len(order)))
        log_axis(axes.yaxis)

    fewest, most = int(photos.min()), int(photos.max())
    caption = (
        f"{len(order):,} species with {fewest:,} to {most:,} training photos each,"
        f" {int(photos.sum()):,} in all; half of the photos show"
        f" {_count_of_half(photos[order])} species."
    )
    return draw(Text("class-distribution", "Training photos per species", caption), numbers, plot)


def _count_of_half(falling: NDArray[np.int64]) -> int:
    """Number of the largest values that make half of the sum."""
    return int(np.searchsorted(falling.cumsum(), falling.sum() / 2)) + 1


def country_distribution(prior: CountryPrior, *, most: int = 15) -> Figure:
    """Plot the training photos of the countries with the most."""
    photos = prior.counts.sum(axis=1)
    order = np.argsort(-photos, kind="stable")
    fraction = photos / photos.sum()
    numbers = pl.DataFrame(
        {
            "country": [prior.countries[c] for c in order],
            "photos": photos[order],
            "fraction": fraction[order],
        }
    )
    shown = numbers.head(most)
    first = numbers.row(0, named=True)
    origin = (
        "show no known country"
        if first["country"] == UNKNOWN
        else f"come from {country_name(first['country'])}"
    )
    caption = f"{len(order):,} countries; {first['fraction']:.2%} of the photos {origin}."
    return draw(
        Text("country-distribution", "Training photos per country", caption),
        numbers,
        lambda axes: _plot_countries(axes, shown),
        height=0.9 + 0.27 * len(shown),
    )


def _plot_countries(axes: Axes, shown: pl.DataFrame) -> None:
    names = [country_name(key) for key in shown["country"]]
    rows = np.arange(len(shown))
    axes.barh(rows, shown["photos"], color=B, height=0.7)
    axes.set_yticks(rows, names, color=INK)
    axes.invert_yaxis()
    axes.grid(visible=False, axis="y")
    axes.set(xlabel="training photos")
    integer_axis(axes.xaxis)
    for row, (count, fraction) in enumerate(shown.select("photos", "fraction").rows()):
        axes.annotate(
            f"{count:,} · {fraction:.2%}", (count, row), xytext=(5, 0), va="center",
            textcoords="offset points", color=MUTED, fontsize=9,
        )  # fmt: skip
    axes.set_xlim(0, 1.2 * shown["photos"][0])


def gains(comparison: Comparison) -> Figure | None:
    """Plot the gain of each species over its training photos, with the trend if there is one."""
    trend = comparison.trend
    if trend is None:
        return None
    columns = ("species", "training_photos", "photos", "recall_a", "recall_b", "gain")
    rows = [row for row in comparison.per_species if row.training_photos]
    numbers = pl.DataFrame({name: [getattr(row, name) for row in rows] for name in columns})

    def plot(axes: Axes) -> None:
        area = 12 + 90 * numbers["photos"] / numbers["photos"].max()
        axes.axhline(0, color=MUTED, linewidth=1)
        axes.scatter(
            numbers["training_photos"], numbers["gain"], s=area, color=B, alpha=0.35, linewidths=0
        )
        axes.fill_between(trend.photos, trend.low, trend.high, color=A, alpha=0.2, linewidth=0)
        axes.plot(trend.photos, trend.line, color=A)
        axes.set(
            xscale="log",
            xlabel="training photos of the species",
            ylabel="gain in recall",
        )
        log_axis(axes.xaxis)
        axes.yaxis.set_major_formatter(PercentFormatter(1, decimals=0))

    slope = trend.slope
    caption = (
        f"Each dot is a species, its size its photos here; the gain is the recall of"
        f" {comparison.names[1]} less that of {comparison.names[0]}. For ten times the training"
        f" photos it changes by {points(slope.value)} points (95 % interval {points(slope.low)}"
        f" to {points(slope.high)}): {_conclusion(slope)}."
    )
    title = "Gain per species against its training photos"
    return draw(Text("gains", title, caption), numbers, plot, height=3.8)


def _conclusion(slope: Interval) -> str:
    if slope.high < 0:
        return "rare species gain more than common ones"
    if slope.low > 0:
        return "common species gain more than rare ones"
    return "the interval includes no difference between rare and common species"


def points(difference: float) -> str:
    """Format a difference of fractions in percentage points, with a sign."""
    return f"{100 * difference:+.1f}".replace("-", "\N{MINUS SIGN}")
