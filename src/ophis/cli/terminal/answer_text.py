"""An answer as a person reads it on the terminal; its words are those of its language."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

from rich.cells import cell_len
from rich.table import Table
from rich.text import Text

from ophis.cli.terminal.streams import holds
from ophis.cli.terminal.tables import console
from ophis.decision.verdict import Verdict
from ophis.errors import printable
from ophis.inference.answer import lines_by_kind, recorded
from ophis.locales import read_sentences
from ophis.taxonomy.danger import Danger

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rich.console import Console

    from ophis.inference.answer import Answer, Guess
    from ophis.locales import Sentences

WIDEST_BAR, NARROWEST_BAR = 20, 5  # cells; where there is less room there is no bar
PERCENT_WIDTH = len("100.0%")
GAP = 2  # cells between columns
# No green: no answer may resemble an all-clear.
_DANGER_STYLES = {
    Danger.VENOMOUS: "bold red",
    Danger.UNKNOWN: "yellow",
    Danger.NOT_KNOWN_DANGEROUS: "default",
}
_VERDICT_STYLES = {
    Verdict.MAY_BE_VENOMOUS: "bold red",
    Verdict.NOT_KNOWN_DANGEROUS: "bold",
}


def print_answer(answer: Answer) -> None:
    """Evaluation of the bundle, danger, identification, names, and the standing advice.

    Photos that do not fit one snake follow one by one, below what holds for all of them.
    """
    out = console()
    try:
        _print_snake(out, answer)
        for alone in answer.each:
            out.print()
            _print_snake(out, alone, answer)
    finally:  # whatever went wrong above
        if answer.each:
            out.print()
        emergency = answer.lines[-1]
        _print_line(out, emergency, "bold")
        if not holds(emergency):  # letters as codes: nobody can read them
            _print_line(out, read_sentences().text("advice", "emergency"), "bold")


def _print_snake(out: Console, answer: Answer, common: Answer | None = None) -> None:
    """Print an answer without the advice; ``common`` is the answer to all photos, above this."""
    for name in [p.name for p in answer.photos] or [f.photo_id for f in answer.failures]:
        # The terminal breaks it, not we: copied, it is one path.
        out.print(Text(printable(name), style="bold"), soft_wrap=True)
    words = read_sentences(answer.language)
    caution, verdict, state, more, _ = lines_by_kind(answer, words, common)
    if caution:
        _print_line(out, caution, "bold yellow")
    _print_line(out, verdict, _VERDICT_STYLES[answer.verdict])
    _print_line(out, state)
    _print_guesses(out, answer, words)
    for line in more:
        _print_line(out, line, "dim")


def _print_line(out: Console, line: str, style: str = "") -> None:
    """Print a line; in a file or a pipe it is never broken, so that a search finds it."""
    out.print(Text(printable(line), style=style), soft_wrap=not sys.stdout.isatty())


def _print_guesses(out: Console, answer: Answer, words: Sentences) -> None:
    """Print the possible species with bars, then the other guesses."""
    if not answer.guesses:
        return
    columns = _columns(out, answer.guesses, words)
    if not answer.evaluated:
        _print_line(out, words.text("list", "guesses"))
        _print_rows(out, answer, answer.guesses, (columns[0], 0))
        return
    left = [guess for guess in answer if guess.species in answer.possible]
    others = [guess for guess in answer if guess.species not in answer.possible]
    if left:
        _print_line(out, words.text("list", "possible"))
        _print_rows(out, answer, left, columns)
    if further := len(answer.possible) - len(left):
        _print_line(out, words.text("list", "further", number=f"{further:,}"), "dim")
    if others:
        _print_line(out, words.text("list", "others"), "dim")
        _print_rows(out, answer, others, columns, style="dim")


def _print_rows(
    out: Console,
    answer: Answer,
    guesses: Sequence[Guess],
    columns: tuple[int, int],
    style: str = "",
) -> None:
    """Print a table of guesses; the records of each around a position are below it."""
    words = read_sentences(answer.language)
    if answer.place_records is None:
        out.print(_rows(guesses, words, columns), style=style)
        return
    for guess in guesses:
        out.print(_rows([guess], words, columns), style=style)
        _print_line(out, f"{' ' * GAP}{recorded(guess, words)}", "dim")


def _columns(out: Console, guesses: Sequence[Guess], words: Sentences) -> tuple[int, int]:
    """Cells for names and for bars; no cells for names where they and the danger want two lines."""
    names = max((cell_len(guess.species) for guess in guesses), default=0)
    dangers = max((cell_len(words.text("danger", g.danger)) for g in guesses), default=0)
    room = out.width - PERCENT_WIDTH - dangers - 2 * GAP
    bar = min(room - names - GAP, WIDEST_BAR)
    return names if names <= room else 0, bar if bar >= NARROWEST_BAR else 0


def _rows(guesses: Sequence[Guess], words: Sentences, columns: tuple[int, int]) -> Table:
    """A row a guess: name, probability, bar where there is one, what is known of the danger."""
    name_width, bar_width = columns
    if not name_width:
        return _pairs(guesses, words)
    table = Table(box=None, padding=(0, GAP, 0, 0), pad_edge=False, show_header=False)
    table.add_column(width=name_width)
    table.add_column(width=PERCENT_WIDTH)
    for _ in range(2 if bar_width else 1):
        table.add_column()
    for guess in guesses:
        filled = round(guess.probability * bar_width)
        bar = Text("█" * filled, style="cyan") + Text("░" * (bar_width - filled), style="dim")
        table.add_row(
            Text(guess.species, style="italic"),
            f"{guess.probability:6.1%}",
            *((bar,) if bar_width else ()),
            _danger(guess, words),
        )
    return table


def _pairs(guesses: Sequence[Guess], words: Sentences) -> Table:
    """On a narrow terminal: the name, and below it the probability and the danger."""
    table = Table(box=None, pad_edge=False, show_header=False)
    table.add_column(overflow="fold")
    for guess in guesses:
        table.add_row(Text(guess.species, style="italic"))
        share = Text(f"{guess.probability:{PERCENT_WIDTH + GAP}.1%}{' ' * GAP}")
        table.add_row(share + _danger(guess, words))
    return table


def _danger(guess: Guess, words: Sentences) -> Text:
    return Text(words.text("danger", guess.danger), style=_DANGER_STYLES[guess.danger])
