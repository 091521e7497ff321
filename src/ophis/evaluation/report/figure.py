"""Figure of a report: an SVG document and its numbers as a table."""

from __future__ import annotations

import io
import re
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import matplotlib as mpl
from matplotlib.figure import Figure as Canvas
from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter

from ophis.files.atomic import whole_file
from ophis.files.tables import escape_formulas

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    import polars as pl
    from matplotlib.axes import Axes
    from matplotlib.axis import Axis

# Colours of the light page. In a page each becomes a CSS variable, which the dark scheme redefines.
INK, MUTED, GRID = "#1d2b26", "#5d6d66", "#d5ddd8"
A, B = "#b3590b", "#0b6e7d"
COLOURS = {INK: "ink", MUTED: "muted", GRID: "grid", A: "a", B: "b"}

STYLE: Any = {
    "svg.fonttype": "none",  # text stays text: searchable, and in the font of the page
    "text.parse_math": False,  # a dollar sign in a name is a dollar sign
    "svg.hashsalt": "ophis",  # equal numbers give equal files
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
    """Picture with a caption and its numbers.

    Attributes:
        name: stem of its files.
        title: one line.
        caption: description that is complete without the picture.
        svg: a whole SVG document.
        numbers: the plotted values.
    """

    name: str
    title: str
    caption: str
    svg: str
    numbers: pl.DataFrame

    @property
    def inline(self) -> str:
        """The SVG for a page: colours are variables, and ids differ from those of other figures."""
        text = self.svg[self.svg.index("<svg") :]
        for colour, variable in COLOURS.items():
            text = text.replace(colour, f"var(--{variable})")
        text = re.sub(r'\bid="', f'id="{self.name}-', text)
        text = re.sub(r"url\(#", f"url(#{self.name}-", text)
        text = re.sub(r'href="#', f'href="#{self.name}-', text)
        text = re.sub(r'<svg[^>]*viewBox="([^"]*)"[^>]*>', r'<svg viewBox="\1">', text, count=1)
        return re.sub(r"<metadata>.*?</metadata>", "", text, flags=re.DOTALL)


@dataclass(frozen=True)
class Text:
    """Name, title and caption of a figure."""

    name: str
    title: str
    caption: str


def draw(
    text: Text,
    numbers: pl.DataFrame,
    plot: Callable[[Axes], None] | Callable[[Sequence[Axes]], None],
    *,
    height: float = 3.4,
    panels: int = 1,
) -> Figure:
    """Plot on new axes, 7.2 inches wide and stacked if several, and return the figure as SVG."""
    with mpl.rc_context(STYLE):
        canvas = Canvas(figsize=(7.2, height), layout="constrained")
        plot(canvas.subplots(panels, sharex=True))
        file = io.StringIO()
        canvas.savefig(file, format="svg", transparent=True, metadata={"Date": None})
    return Figure(text.name, text.title, text.caption, file.getvalue(), numbers)


def log_axis(axis: Axis) -> None:
    """Label powers of ten with plain numbers; on short axes also their double and fivefold."""
    low, high = axis.get_view_interval()
    few = high < 100 * low
    axis.set_major_locator(LogLocator(subs=(1, 2, 5) if few else (1,)))
    axis.set_major_formatter(
        FuncFormatter(lambda value, _: f"{value:,.10f}".rstrip("0").rstrip("."))
    )
    axis.set_minor_formatter(NullFormatter())


def integer_axis(axis: Axis) -> None:
    """Label an axis with integers that have thousands separators."""
    axis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,.0f}"))


def write_figures(figures: Sequence[Figure], folder: str | Path) -> list[Path]:
    """Write each figure as NAME.svg, with its numbers as NAME.csv.

    Returns:
        The paths of the SVG files.

    Raises:
        InputError: naming the file that cannot be written.
    """
    pictures = [Path(folder) / f"{figure.name}.svg" for figure in figures]
    for figure, picture in zip(figures, pictures, strict=True):
        for path, text in (
            (picture, figure.svg),
            (picture.with_suffix(".csv"), escape_formulas(figure.numbers).write_csv()),
        ):
            with whole_file(path) as temporary:
                temporary.write_text(text, encoding="utf-8")
    return pictures
