"""Top-1, top-5 and macro F1 of a million photos, from a file that does not fit in memory.

    python benchmarks/metrics.py [--scores 1000000] [--rows ROWS.jsonl] [--rounds 2]

A scores file of 783 species (3.1 GB) is made by a seeded generator. ophis is `evaluate` after
`read_scores`. The peer, torchmetrics, gets the same logits, mapped from the same file, in blocks of
10,000 rows: MulticlassAccuracy (micro) with top-1 and top-5 and MulticlassF1Score (macro), each
separately, without checks of the arguments, on all cores. Peak memory is that of a separate
process, libraries included.
"""

from __future__ import annotations

import importlib
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from side_by_side import arguments, report, row, timed

from ophis import Scores, SpeciesList, evaluate, read_scores
from ophis.files.blocks import mapped, row_blocks

if TYPE_CHECKING:
    from collections.abc import Callable

SPECIES, ROWS = 783, 10_000
REACH = 30
FARTHEST = 1e-6


def main() -> None:
    """Make the file, time ophis and the peer in turn, and measure the memory of each."""
    parser = arguments(__doc__)
    parser.set_defaults(rounds=2)
    parser.add_argument("--scores", type=int, default=1_000_000, help="photos in the file")
    parser.add_argument("--only", nargs=2, metavar=("PROGRAM", "FILE"), help="only for its memory")
    options = parser.parse_args()
    if options.only:
        program, path = options.only
        PROGRAMS[program](read_scores(path))()
        print(peak_mib())
        return
    with tempfile.TemporaryDirectory() as folder:
        path = made(Path(folder), options.scores)
        what = f"top-1, top-5, macro F1 of {options.scores:,} x {SPECIES}"
        compare(path, what, options.rounds, options.rows)


def compare(path: Path, what: str, rounds: int, rows: Path | None) -> None:
    """Print time and memory of ophis and the peer on one file."""
    torch, torchmetrics = (importlib.import_module(name) for name in ("torch", "torchmetrics"))
    peer = f"torchmetrics {torchmetrics.__version__}, {torch.get_num_threads()} threads"
    started = time.perf_counter()
    scores = read_scores(path)
    opened = time.perf_counter() - started
    own, other = by_ophis(scores), by_torchmetrics(scores)
    apart = float(np.abs(own() - other()).max())
    assert apart <= FARTHEST, apart
    figures = timed(own, other, rounds=rounds)
    difference = f"{apart:.1e}"
    peaks = [memory_of(program, path) for program in PROGRAMS]
    report(
        [
            row(
                f"{what}, {os.cpu_count()} threads",
                peer,
                figures,
                difference=difference,
                reach=REACH,
            ),
            row(
                "the same with opening the file, every byte checked",
                peer,
                ([seconds + opened for seconds in figures[0]], figures[1]),
                difference=difference,
            ),
            row(
                f"peak memory; the logits have {scores.logits.nbytes >> 20:,} MiB",
                peer,
                ([peaks[0]], [peaks[1]]),
                difference=difference,
                unit="MiB",
            ),
        ],
        rows,
    )


def made(folder: Path, photos: int) -> Path:
    """Write a scores file of random logits, some of them right, block by block."""
    truth = np.random.default_rng(0).integers(SPECIES, size=photos)
    with (folder / "logits").open("wb") as file:
        for start in range(0, photos, ROWS):
            own = truth[start : start + ROWS]
            rng = np.random.default_rng([1, start])
            block = rng.standard_normal((len(own), SPECIES), np.float32)
            block[np.arange(len(own)), own] += 3
            file.write(block.tobytes())
    ids = tuple(map(str, range(photos)))
    logits = mapped(folder / "logits", np.float32, shape=(photos, SPECIES))
    species = SpeciesList(tuple(f"made species {n:03}" for n in range(SPECIES)))
    path = Scores(logits, species, ids, truth, ("UNKNOWN",) * photos, ids).write(folder / "s.npz")
    (folder / "logits").unlink()
    return path


def by_ophis(scores: Scores) -> Callable[[], np.ndarray]:
    """Return a call of `evaluate`."""

    def turn() -> np.ndarray:
        found = evaluate(scores)
        return np.array([found.top1, found.top5, found.macro_f1])

    return turn


def by_torchmetrics(scores: Scores) -> Callable[[], np.ndarray]:
    """Return an update of the peer's three metrics, block by block."""
    torch: Any = importlib.import_module("torch")
    classification: Any = importlib.import_module("torchmetrics.classification")
    most: dict[str, Any] = {"num_classes": SPECIES, "validate_args": False}
    metrics = [
        classification.MulticlassAccuracy(**most, average="micro"),
        classification.MulticlassAccuracy(**most, average="micro", top_k=5),
        classification.MulticlassF1Score(**most, average="macro"),
    ]
    truth = torch.from_numpy(scores.truth)
    buffer = np.empty((ROWS, SPECIES), np.float32)

    def turn() -> np.ndarray:
        for metric in metrics:
            metric.reset()
        for start in range(0, len(scores), ROWS):
            part = scores.logits[start : start + ROWS]
            for rows in row_blocks(part):  # row_blocks releases the memory of each block
                buffer[rows] = part[rows]
            logits = torch.from_numpy(buffer[: len(part)])
            for metric in metrics:
                metric.update(logits, truth[start : start + ROWS])
        return np.array([float(metric.compute()) for metric in metrics])

    return turn


def memory_of(program: str, path: Path) -> float:
    """Return the peak resident memory of a program in a separate process, in MiB."""
    command = [sys.executable, __file__, "--only", program, str(path)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    return float(done.stdout.split()[-1])


def peak_mib() -> float:
    """Return the peak memory of this process (Linux)."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return int(next(line for line in lines if line.startswith("VmHWM")).split()[1]) / 1024


PROGRAMS = {"ophis": by_ophis, "torchmetrics": by_torchmetrics}

if __name__ == "__main__":
    main()
