"""The figures of a report: each an SVG, and the numbers behind it as a table."""

from __future__ import annotations

import io
import re
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import matplotlib as mpl
import numpy as np
import polars as pl
from matplotlib.figure import Figure as Canvas
from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter, PercentFormatter

from ophis.files.atomic import whole_file
from ophis.files.tables import as_text
from ophis.geography.countries import UNKNOWN, country_name

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from matplotlib.axes import Axes
    from matplotlib.axis import Axis
    from numpy.typing import NDArray

    from ophis.evaluation.comparison import Comparison
    from ophis.priors.country_counts import CountryPrior
    from ophis.recipe import Recipe

# Colours of the light page. In the page each becomes a variable, which the dark scheme sets anew.
INK, MUTED, GRID = "#1d2b26", "#5d6d66", "#d5ddd8"
A, B = "#b3590b", "#0b6e7d"
COLOURS = {INK: "ink", MUTED: "muted", GRID: "grid", A: "a", B: "b"}

STYLE: Any = {
    "svg.fonttype": "none",  # text stays text: it can be searched, and takes the page's font
    "text.parse_math": False,  # a dollar sign in a name is a dollar sign
    "svg.hashsalt": "ophis",  # the same numbers give the same file
    "font.family": "sans-serif",
    "font.size": 10,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.edgecolor": MUTED,
    "axes.labelcolor": INK,
    "text.color": INK,
    "xtick.color": MUTED,
    "ytick.color": MUTED,
    "axes.grid": True,
    "grid.color": GRID,
    "grid.linewidth": 0.8,
    "axes.axisbelow": True,
    "legend.frameon": False,
    "lines.linewidth": 2,
}


@dataclass(frozen=True)
class Figure:
    """A picture, what it shows in words, and its numbers.

    Attributes:
        name: of its files.
        title: one line.
        caption: what is seen, for those who do not see it too.
        svg: a whole SVG document.
        numbers: what was drawn.
    """

    name: str
    title: str
    caption: str
    svg: str
    numbers: pl.DataFrame

    @property
    def inline(self) -> str:
        """The SVG for a page: colours are variables, and no name clashes with another figure's."""
        text = self.svg[self.svg.index("<svg") :]
        for colour, variable in COLOURS.items():
            text = text.replace(colour, f"var(--{variable})")
        text = re.sub(r'\bid="', f'id="{self.name}-', text)
        text = re.sub(r"url\(#", f"url(#{self.name}-", text)
        text = re.sub(r'href="#', f'href="#{self.name}-', text)
        text = re.sub(r'<svg[^>]*viewBox="([^"]*)"[^>]*>', r'<svg viewBox="\1">', text, count=1)
        return re.sub(r"<metadata>.*?</metadata>", "", text, flags=re.DOTALL)


def draw(
    name: str,
    title: str,
    caption: str,
    numbers: pl.DataFrame,
    plot: Callable[[Axes], None] | Callable[[Sequence[Axes]], None],
    *,
    height: float = 3.4,
    panels: int = 1,
) -> Figure:
    """Let ``plot`` draw on fresh axes 7.2 inches wide, one or stacked, and keep it as SVG."""
    with mpl.rc_context(STYLE):
        canvas = Canvas(figsize=(7.2, height), layout="constrained")
        plot(canvas.subplots(panels, sharex=True))
        file = io.StringIO()
        canvas.savefig(file, format="svg", transparent=True, metadata={"Date": None})
    return Figure(name, title, caption, file.getvalue(), numbers)


def class_distribution(prior: CountryPrior) -> Figure:
    """Training photos of each species, most to fewest, on a logarithmic axis (the paper's)."""
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
        _plain_logarithm(axes.yaxis)

    fewest, most = int(photos.min()), int(photos.max())
    return draw(
        "class-distribution",
        "Training photos per species",
        f"{len(order):,} species with {fewest:,} to {most:,} training photos each,"
        f" {int(photos.sum()):,} in all; half of the photos show"
        f" {_half(photos[order])} species.",
        numbers,
        plot,
    )


def _half(falling: NDArray[np.int64]) -> int:
    """How many of the largest make half of the sum."""
    return int(np.searchsorted(falling.cumsum(), falling.sum() / 2)) + 1


def country_distribution(prior: CountryPrior, *, most: int = 15) -> Figure:
    """Training photos of the countries with the most."""
    photos = prior.counts.sum(axis=1)
    order = np.argsort(-photos, kind="stable")
    share = photos / photos.sum()
    numbers = pl.DataFrame(
        {
            "country": [prior.countries[c] for c in order],
            "photos": photos[order],
            "share": share[order],
        }
    )
    shown = numbers.head(most)

    def plot(axes: Axes) -> None:
        names = [country_name(key) for key in shown["country"]]
        places = np.arange(len(shown))
        axes.barh(places, shown["photos"], color=B, height=0.7)
        axes.set_yticks(places, names, color=INK)
        axes.invert_yaxis()
        axes.grid(visible=False, axis="y")
        axes.set(xlabel="training photos")
        axes.xaxis.set_major_formatter(FuncFormatter(_whole))
        for place, (count, part) in enumerate(shown.select("photos", "share").rows()):
            axes.annotate(
                f"{count:,} · {part:.2%}", (count, place), xytext=(5, 0), va="center",
                textcoords="offset points", color=MUTED, fontsize=9,
            )  # fmt: skip
        axes.set_xlim(0, 1.2 * shown["photos"][0])

    first = numbers.row(0, named=True)
    where = (
        "show no known country"
        if first["country"] == UNKNOWN
        else f"come from {country_name(first['country'])}"
    )
    return draw(
        "country-distribution",
        "Training photos per country",
        f"{len(order):,} countries; {first['share']:.2%} of the photos {where}.",
        numbers,
        plot,
        height=0.9 + 0.27 * len(shown),
    )


def gains(comparison: Comparison) -> Figure | None:
    """What B gains on each species over its training photos, and the trend."""
    trend = comparison.trend
    if trend is None:
        return None
    rows = [row for row in comparison.per_species if row.training_photos]
    numbers = pl.DataFrame(
        {
            "species": [row.species for row in rows],
            "training_photos": [row.training_photos for row in rows],
            "photos": [row.photos for row in rows],
            "recall_a": [row.recall_a for row in rows],
            "recall_b": [row.recall_b for row in rows],
            "gain": [row.gain for row in rows],
        }
    )

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
        _plain_logarithm(axes.xaxis)
        axes.yaxis.set_major_formatter(PercentFormatter(1, decimals=0))

    slope = trend.slope
    if slope.high < 0:
        says = "rare species gain more than common ones"
    elif slope.low > 0:
        says = "common species gain more than rare ones"
    else:
        says = "whether rare or common species gain more cannot be told"
    return draw(
        "gains",
        "Gain per species against its training photos",
        f"Each dot is a species, its size its photos here; the gain is the recall of"
        f" {comparison.names[1]} less that of {comparison.names[0]}. For ten times the training"
        f" photos it changes by {points(slope.value)} points (95 % interval {points(slope.low)}"
        f" to {points(slope.high)}): {says}.",
        numbers,
        plot,
        height=3.8,
    )


def staircase(recipes: Mapping[str, Recipe]) -> Figure:
    """The learning rate of each optimiser step."""
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
        _plain_logarithm(axes.yaxis)
        axes.xaxis.set_major_formatter(FuncFormatter(_whole))
        axes.legend()

    return draw(
        "learning-rate",
        "Learning rate",
        "Linear warm-up, then a staircase. Step 0 has rate 0, which this axis cannot show.",
        numbers,
        plot,
    )


def training_curves(logs: Mapping[str, pl.DataFrame]) -> Figure:
    """Loss of the training steps, smoothed, and top-1 of the evaluations."""
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
            judged = own.filter(pl.col("validation_top1").is_not_null())
            lower.plot(judged["step"], judged["validation_top1"], "o-", color=colour)
        upper.set(ylabel="training loss")
        upper.legend()
        lower.set(xlabel="optimiser step", ylabel="validation top-1", ylim=(0, 1))
        lower.xaxis.set_major_formatter(FuncFormatter(_whole))
        lower.yaxis.set_major_formatter(PercentFormatter(1, decimals=0))

    return draw(
        "training",
        "Training",
        "Training loss (mean of neighbouring steps) and validation top-1 of both runs.",
        numbers,
        plot,
        height=4.4,
        panels=2,
    )


def mixup_shares(alpha: float, *, draws: int = 10_000) -> Figure:
    """How often mixup takes which share of the first photo: Beta(alpha, alpha)."""
    shares = np.random.default_rng(0).beta(alpha, alpha, draws)
    count, edges = np.histogram(shares, bins=25, range=(0, 1))
    numbers = pl.DataFrame({"from": edges[:-1], "to": edges[1:], "part": count / draws})

    def plot(axes: Axes) -> None:
        axes.bar(edges[:-1], count / draws, width=np.diff(edges), align="edge", color=B, alpha=0.7)
        axes.set(xlabel="share of the first photo", ylabel="part of the steps", xlim=(0, 1))
        axes.yaxis.set_major_formatter(PercentFormatter(1, decimals=0))

    nearly = float(((shares < 0.02) | (shares > 0.98)).mean())
    return draw(
        "mixup-shares",
        f"Mixup at alpha {alpha:g}",
        f"{nearly:.0%} of the steps mix in less than 2 % of the other photo.",
        numbers,
        plot,
        height=2.6,
    )


def points(difference: float) -> str:
    """A difference of shares in points, with its sign: a minus, not a hyphen."""
    return f"{100 * difference:+.1f}".replace("-", "\N{MINUS SIGN}")


def _plain_logarithm(axis: Axis) -> None:
    """Ticks at powers of ten, within few decades at 2 and 5 times them too, as plain numbers."""
    low, high = axis.get_view_interval()
    few = high < 100 * low
    axis.set_major_locator(LogLocator(subs=(1, 2, 5) if few else (1,)))
    axis.set_major_formatter(
        FuncFormatter(lambda value, _: f"{value:,.10f}".rstrip("0").rstrip("."))
    )
    axis.set_minor_formatter(NullFormatter())


def _whole(value: float, _place: int | None = None) -> str:
    return f"{value:,.0f}"


def write(figures: Sequence[Figure], folder: str | Path) -> list[Path]:
    """Write each as `<its name>.svg`, with its numbers beside it as .csv; returns the pictures.

    Raises:
        InputError: naming the file that cannot be written.
    """
    pictures = [Path(folder) / f"{figure.name}.svg" for figure in figures]
    for figure, picture in zip(figures, pictures, strict=True):
        for path, text in (
            (picture, figure.svg),
            (picture.with_suffix(".csv"), as_text(figure.numbers).write_csv()),
        ):
            with whole_file(path) as temporary:
                temporary.write_text(text, encoding="utf-8")
    return pictures
