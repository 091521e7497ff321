"""Timing of ophis against a peer, by alternating turns in one run; shared by all speed benchmarks.

A ratio is the peer's median time over that of ophis; above 1 ophis is faster. Turns alternate
because a machine's speed drifts: the drift then affects both alike. The spread is the range from
the lower to the upper quartile of the ratios of neighbouring turns.
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
    """A line of the table.

    Attributes:
        work: the task, its data and the number of threads.
        peer: the other program, with its version.
        ratio: the peer's figure over that of ophis; above 1 is better.
        reach: the least ratio wanted, or None.
        ophis_median: the median of ophis, with its unit.
        peer_median: the peer's median.
        spread: lower and upper quartile of the ratios.
        difference: the difference between both results.
    """

    work: str
    peer: str
    ratio: float
    reach: float | None
    ophis_median: str
    peer_median: str
    spread: tuple[float, float]
    difference: str

    @property
    def met(self) -> bool:
        """True when the ratio, rounded to two digits, reaches its target."""
        return self.reach is None or round(self.ratio, 2) >= self.reach


def timed(
    ophis: Callable[[], object],
    peer: Callable[[], object],
    *,
    rounds: int = 9,
    clock: Callable[[], float] = time.perf_counter,
) -> tuple[list[float], list[float]]:
    """Return the seconds of each turn of ophis and of the peer, after one warm-up turn each."""
    programs = (ophis, peer)
    seconds: tuple[list[float], list[float]] = ([], [])
    for turn in range(rounds + 1):
        # The order alternates, so that both profit alike from warm caches.
        for which in (0, 1) if turn % 2 else (1, 0):
            # Idle thread pools spin for a while: let them stop.
            time.sleep(PAUSE_SECONDS)
            started = clock()
            programs[which]()
            if turn:
                seconds[which].append(clock() - started)
    return seconds


@dataclass(frozen=True)
class Alone:
    """Time and memory of one command in a separate process."""

    seconds: float
    megabytes: float  # at its peak
    output: str


def alone(command: Sequence[str]) -> Alone:
    """Run a command in a separate process; see `alone.py`.

    Raises:
        SystemExit: when it fails; its error output is on the terminal.
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
    """Return a line from the figures of ophis and of the peer; smaller figures are better."""
    own, other = figures
    ratios = [b / a for a, b in zip(own, other, strict=True)]
    low, _, high = quantiles(ratios, n=4, method="inclusive") if len(ratios) > 1 else ratios * 3
    return Row(
        work=work,
        peer=peer,
        ratio=median(other) / median(own),
        reach=reach,
        ophis_median=_written(median(own), unit),
        peer_median=_written(median(other), unit),
        spread=(low, high),
        difference=difference,
    )


def _written(figure: float, unit: str) -> str:
    if unit == "s" and figure < 1:
        return f"{figure * 1000:.3g} ms"
    return f"{figure:,.0f} {unit}" if figure >= 1000 else f"{figure:.3g} {unit}"


def arguments(description: str | None) -> argparse.ArgumentParser:
    """Return a parser of the options that all scripts of the table share."""
    parser = argparse.ArgumentParser(description=(description or "").splitlines()[0])
    parser.add_argument("--rows", type=Path, help="append the rows to this file, as JSON lines")
    parser.add_argument("--rounds", type=int, default=9, help="turns of ophis and of the peer")
    parser.add_argument(
        "--photos", type=Path, help="manifest of real photos; default: synthetic ones"
    )
    return parser


def report(rows: Sequence[Row], path: Path | None) -> None:
    """Print the rows as Markdown, and append them to a file for `benchmarks/table.py`."""
    print(markdown(rows))
    if path:
        write_rows(path, [*read_rows(path), *rows])


def write_rows(path: Path, rows: Sequence[Row]) -> None:
    """Write rows as JSON lines."""
    lines = "".join(json.dumps(asdict(line)) + "\n" for line in rows)
    path.write_text(lines, encoding="utf-8")


def read_rows(path: Path) -> list[Row]:
    """Return the rows that `report` appended; none without the file."""
    lines = path.read_text(encoding="utf-8").splitlines() if path.exists() else []
    return [Row(**(found | {"spread": tuple(found["spread"])})) for found in map(json.loads, lines)]


def markdown(rows: Sequence[Row]) -> str:
    """Return the table."""
    head = ("work", "peer", "ratio", "quartiles", "reach", "ophis", "peer's", "difference")
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
                line.ophis_median,
                line.peer_median,
                line.difference,
            )
        )
    return "\n".join(f"| {' | '.join(cells)} |" for cells in lines)
