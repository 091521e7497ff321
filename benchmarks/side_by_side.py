"""Two ways of one piece of work, timed turn by turn in one run: what all speed benchmarks share.

A ratio is the peer's median time over ours, so above 1 we are faster. Turn by turn, because a
machine's speed drifts: both sides then drift alike. The spread is the range of the ratios of
neighbouring turns without the lowest and the highest quarter.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import median, quantiles
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

PAUSE_SECONDS = 0.05


@dataclass(frozen=True)
class Row:
    """One line of the table.

    Attributes:
        work: what was done, on what, with how many threads.
        peer: who else did it, with its version.
        ratio: the peer's figure over ours; above 1 is better.
        reach: what the ratio should be at least; None where nothing was set.
        ours: our median, with its unit.
        theirs: the peer's median.
        spread: of the ratios, lower and upper quartile.
        difference: how far both results are apart.
    """

    work: str
    peer: str
    ratio: float
    reach: float | None
    ours: str
    theirs: str
    spread: tuple[float, float]
    difference: str

    @property
    def met(self) -> bool:
        """True when the ratio, rounded to two digits, reaches its target."""
        return self.reach is None or round(self.ratio, 2) >= self.reach


def timed(
    ours: Callable[[], object],
    theirs: Callable[[], object],
    *,
    rounds: int = 9,
    clock: Callable[[], float] = time.perf_counter,
) -> tuple[list[float], list[float]]:
    """Seconds of each turn, ours and theirs, after one turn each to warm up."""
    sides = (ours, theirs)
    seconds: tuple[list[float], list[float]] = ([], [])
    for turn in range(rounds + 1):
        # Who goes first changes: what one leaves in the caches then helps both.
        for side in (0, 1) if turn % 2 else (1, 0):
            # Thread pools wait for more work for a while, at full speed: let them fall asleep.
            time.sleep(PAUSE_SECONDS)
            started = clock()
            sides[side]()
            if turn:
                seconds[side].append(clock() - started)
    return seconds


@dataclass(frozen=True)
class Alone:
    """Time and memory of one command in a separate process."""

    seconds: float
    megabytes: float  # at its peak
    output: str


def alone(command: Sequence[str]) -> Alone:
    """Run a command whole; see `alone.py`.

    Raises:
        SystemExit: when it fails, with its words on the terminal.
    """
    script = Path(__file__).with_name("alone.py")
    done = subprocess.run(
        [sys.executable, "-S", str(script), *command],
        stdout=subprocess.PIPE,
        text=True,
        check=False,
    )
    if done.returncode:
        sys.exit(f"{' '.join(command)}: ended with {done.returncode}")
    return Alone(**json.loads(done.stdout))


def row(
    work: str,
    peer: str,
    figures: tuple[Sequence[float], Sequence[float]],
    *,
    difference: str,
    reach: float | None = None,
    unit: str = "s",
) -> Row:
    """A line from the figures of the turns, ours and theirs; smaller figures are better."""
    ours, theirs = figures
    ratios = [b / a for a, b in zip(ours, theirs, strict=True)]
    low, _, high = quantiles(ratios, n=4, method="inclusive") if len(ratios) > 1 else ratios * 3
    return Row(
        work=work,
        peer=peer,
        ratio=median(theirs) / median(ours),
        reach=reach,
        ours=_written(median(ours), unit),
        theirs=_written(median(theirs), unit),
        spread=(low, high),
        difference=difference,
    )


def _written(figure: float, unit: str) -> str:
    if unit == "s" and figure < 1:
        return f"{figure * 1000:.3g} ms"
    return f"{figure:,.0f} {unit}" if figure >= 1000 else f"{figure:.3g} {unit}"


def arguments(description: str | None) -> argparse.ArgumentParser:
    """The options that every script of a row has."""
    parser = argparse.ArgumentParser(description=(description or "").splitlines()[0])
    parser.add_argument("--rows", type=Path, help="append the rows to this file, as JSON lines")
    parser.add_argument("--rounds", type=int, default=9, help="turns of each side")
    parser.add_argument("--photos", type=Path, help="manifest of real photos; else drawn ones")
    return parser


def tell(rows: Sequence[Row], path: Path | None) -> None:
    """Print the rows as Markdown, and append them to a file for `benchmarks/table.py`."""
    print(markdown(rows))
    if path:
        write_rows(path, [*read_rows(path), *rows])


def write_rows(path: Path, rows: Sequence[Row]) -> None:
    """Write rows as JSON lines."""
    lines = "".join(json.dumps(asdict(line)) + "\n" for line in rows)
    path.write_text(lines, encoding="utf-8")


def read_rows(path: Path) -> list[Row]:
    """Return the rows that `tell` appended; none without the file."""
    lines = path.read_text(encoding="utf-8").splitlines() if path.exists() else []
    return [Row(**(found | {"spread": tuple(found["spread"])})) for found in map(json.loads, lines)]


def markdown(rows: Sequence[Row]) -> str:
    """The table."""
    head = ("work", "peer", "ratio", "quartiles", "reach", "ours", "peer's", "difference")
    lines = [head, ("---",) * len(head)]
    for line in rows:
        reach = "-" if line.reach is None else f"{line.reach:g}{'' if line.met else ', not met'}"
        low, high = line.spread
        lines.append(
            (
                line.work,
                line.peer,
                f"{line.ratio:.3g}x",
                f"{low:.3g} to {high:.3g}",
                reach,
                line.ours,
                line.theirs,
                line.difference,
            )
        )
    return "\n".join(f"| {' | '.join(cells)} |" for cells in lines)
