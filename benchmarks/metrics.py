"""Top-1, top-5 and macro F1 of a million photos, from a file that does not fit in memory.

    python benchmarks/metrics.py [--scores 1000000] [--rows ROWS.jsonl] [--rounds 2]

A scores file of 783 species (3.1 GB) is made by a seeded generator. Ours is `evaluate` of what
`read_scores` gave. The peer, torchmetrics, is given the same logits, mapped from the same file, in
blocks of 10,000 rows: MulticlassAccuracy (micro) with top-1 and top-5 and MulticlassF1Score
(macro), each by itself, its checks of the arguments off, all cores. Peak memory is that of each
side in a process of its own, its libraries with it.
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
from side_by_side import arguments, row, tell, timed

from ophis import Scores, SpeciesList, evaluate, read_scores
from ophis.files.blocks import mapped, row_blocks

if TYPE_CHECKING:
    from collections.abc import Callable

SPECIES, ROWS = 783, 10_000
REACH = 30
FARTHEST = 1e-6


def main() -> None:
    """Make the file, time both sides turn by turn, and ask each for its memory."""
    parser = arguments(__doc__)
    parser.set_defaults(rounds=2)
    parser.add_argument("--scores", type=int, default=1_000_000, help="photos in the file")
    parser.add_argument("--side", nargs=2, metavar=("SIDE", "FILE"), help="only for its memory")
    options = parser.parse_args()
    if options.side:
        side, path = options.side
        {"ours": ours, "theirs": theirs}[side](read_scores(path))()
        print(peak_mib())
        return
    with tempfile.TemporaryDirectory() as folder:
        path = made(Path(folder), options.scores)
        what = f"top-1, top-5, macro F1 of {options.scores:,} x {SPECIES}"
        compare(path, what, options.rounds, options.rows)


def compare(path: Path, what: str, rounds: int, rows: Path | None) -> None:
    """Tell time and memory of both sides on one file."""
    torch, torchmetrics = (importlib.import_module(name) for name in ("torch", "torchmetrics"))
    peer = f"torchmetrics {torchmetrics.__version__}, {torch.get_num_threads()} threads"
    started = time.perf_counter()
    scores = read_scores(path)
    opened = time.perf_counter() - started
    one, other = ours(scores), theirs(scores)
    apart = float(np.abs(one() - other()).max())
    assert apart <= FARTHEST, apart
    figures = timed(one, other, rounds=rounds)
    difference = f"{apart:.1e}"
    peaks = [memory_of(side, path) for side in ("ours", "theirs")]
    tell(
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
    """A scores file of logits that are right now and then; made block by block."""
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


def ours(scores: Scores) -> Callable[[], np.ndarray]:
    """`evaluate`."""

    def turn() -> np.ndarray:
        judged = evaluate(scores)
        return np.array([judged.top1, judged.top5, judged.macro_f1])

    return turn


def theirs(scores: Scores) -> Callable[[], np.ndarray]:
    """The peer's three metrics, updated block by block."""
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
            for rows in row_blocks(part):  # so that what was read leaves memory here too
                buffer[rows] = part[rows]
            logits = torch.from_numpy(buffer[: len(part)])
            for metric in metrics:
                metric.update(logits, truth[start : start + ROWS])
        return np.array([float(metric.compute()) for metric in metrics])

    return turn


def memory_of(side: str, path: Path) -> float:
    """Peak resident memory of one side in a process of its own, MiB."""
    command = [sys.executable, __file__, "--side", side, str(path)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    return float(done.stdout.split()[-1])


def peak_mib() -> float:
    """Return the peak memory of this process (Linux)."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return int(next(line for line in lines if line.startswith("VmHWM")).split()[1]) / 1024


if __name__ == "__main__":
    main()
