"""Dangerous snakes of a place as a person reads them on the terminal."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

from rich.table import Table
from rich.text import Text

from ophis.cli.terminal.tables import console, print_table
from ophis.errors import printable
from ophis.locales import read_sentences

if TYPE_CHECKING:
    from collections.abc import Callable

    from ophis.locales import Sentences
    from ophis.priors.near import NearbySnakes, NearbySpecies

NONE = "-"


def print_near(found: NearbySnakes) -> None:
    """Print the species as a table, their sources, and last the caution and the advice."""
    words = read_sentences(found.language)
    heading, *records, incomplete, emergency = found.lines
    _print_line(heading, "bold")
    if found.species:
        sources = _sources(found, words)
        print_table(_table(found, words, sources))
        for number, source in enumerate(sources, start=1):
            _print_line(f"{number}  {source}", "dim")
        _print_line(words.text("near", "categories"), "dim")
    for line in records:
        _print_line(line)
    _print_line(incomplete, "bold yellow")
    _print_line(emergency, "bold")


def _print_line(line: str, style: str = "") -> None:
    """Print a line; in a file or a pipe it is never broken, so that a search finds it."""
    console().print(Text(printable(line), style=style), soft_wrap=not sys.stdout.isatty())


def _sources(found: NearbySnakes, words: Sentences) -> list[str]:
    """Return the distinct sources; the table has their numbers."""
    return list(dict.fromkeys(_source(row, words) for row in found))


def _source(row: NearbySpecies, words: Sentences) -> str:
    return row.source or words.text("near", "only_recorded")


def _table(found: NearbySnakes, words: Sentences, sources: list[str]) -> Table:
    columns: dict[str, Callable[[NearbySpecies], str]] = {
        "danger": lambda row: f"{words.text('danger', row.danger)}, {row.category or NONE}"
    }
    if len(found.countries) > 1:
        columns["countries"] = lambda row: " ".join(row.countries) or NONE
    if any(row.probability is not None for row in found):
        columns["probability"] = lambda row: _percent(row.probability)
    if found.records is not None:
        columns["records"] = lambda row: NONE if row.records is None else f"{row.records:,}"
        columns["nearest"] = _kilometres
    columns["source"] = lambda row: str(sources.index(_source(row, words)) + 1)
    table = Table(box=None, padding=(0, 1, 0, 0), pad_edge=False, header_style="bold")
    table.add_column(words.text("near", "species"))
    for name in columns:
        right = name in ("probability", "records", "nearest", "source")
        table.add_column(words.text("near", name), justify="right" if right else "left")
    for row in found:
        style = "bold red" if row.category == 1 else ""
        cells = [write(row) for write in columns.values()]
        table.add_row(
            Text(printable(row.species), style="italic"), Text(cells[0], style), *cells[1:]
        )
    return table


def _percent(probability: float | None) -> str:
    if probability is None:
        return NONE
    return f"{probability:.1%}" if probability >= 0.001 else "<0.1%"


def _kilometres(row: NearbySpecies) -> str:
    if row.records is None:
        return NONE
    return ">500 km" if row.nearest_km is None else f"{row.nearest_km} km"
