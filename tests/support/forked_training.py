"""Runs of `ophis train` that a test ends at a given point; see `training_fork_server`."""

import json
import os
import subprocess
import sys
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

SERVER = Path(__file__).with_name("training_fork_server.py")


@dataclass
class TrainingResult:
    """Exit, output and notes of a run.

    Attributes:
        statuses: exit status of each process, as a shell has it: 137 was killed.
        seconds: from its start to its end.
        seconds_to_end: from the signal to its end.
        output: stderr and stdout.
        notes: of its processes, in the order of their ranks.
    """

    statuses: list[int]
    seconds: float
    seconds_to_end: float
    output: str
    notes: list[dict[str, Any]] = field(repr=False)

    @property
    def killed(self) -> str | None:
        """Point at which the run killed itself; None if it did not."""
        places = [note["killed"] for note in self.notes if "killed" in note]
        return places[0] if places else None


class TrainingRuns:
    """Runs training processes one after another, forked from a process that has imported torch."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self._process = process
        self._number = 0

    def run(
        self, words: list[str], folder: Path, *, processes: int = 1, **order: Any
    ) -> TrainingResult:
        """Run `ophis` with these words.

        Args:
            words: the command line.
            folder: for output and notes.
            processes: number of processes, which exchange through gloo as under torchrun.
            order: how the run ends: at the number of a `micro_batch`; in the number of a `save`,
                at a `fraction` of its bytes or before a `call`; by a `signal`, some `seconds`
                after the note `when`, to `rank` or to `all`; or another hook of the server.
        """
        self._number += 1
        output, notes = folder / f"output-{self._number}", folder / f"notes-{self._number}"
        answer = self._request(
            {"words": words, "processes": processes, "output": str(output), "notes": str(notes)}
            | order
        )
        lines = [
            line
            for rank in range(processes)
            for line in Path(f"{notes}-{rank}").read_text().splitlines()
            if line.endswith("}")  # the last may be incomplete
        ]
        return TrainingResult(
            output=output.read_text(), notes=list(map(json.loads, lines)), **answer
        )

    def state_of(self, run: Path) -> dict[str, Any]:
        """Return digests of the checkpoint of a run."""
        return self._request({"state": str(run)})

    def _request(self, order: dict[str, Any]) -> dict[str, Any]:
        assert self._process.stdin
        assert self._process.stdout
        self._process.stdin.write(json.dumps(order) + "\n")
        self._process.stdin.flush()
        answer = self._process.stdout.readline()
        assert answer, "the fork server has ended"
        return json.loads(answer)


@contextmanager
def training_runs() -> Generator[TrainingRuns]:
    """Start the fork server, and end it at the end of the context."""
    one_thread = {"OMP_NUM_THREADS": "1", "TF_CPP_MIN_LOG_LEVEL": "3"}
    with subprocess.Popen(
        [sys.executable, SERVER],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env=os.environ | one_thread,
    ) as process:
        yield TrainingRuns(process)
        assert process.stdin
        process.stdin.close()
