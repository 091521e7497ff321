"""Lives of `ophis train`, as the tests order them; see `life`."""

import json
import os
import subprocess
import sys
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

LIFE = Path(__file__).with_name("life.py")


@dataclass
class Life:
    """What is known of one when it is over.

    Attributes:
        statuses: exit status of each process, as a shell has it: 137 was killed.
        seconds: from its start to its end.
        seconds_to_end: from the signal to its end.
        said: what it wrote to stderr and stdout.
        notes: of its processes, in the order of their ranks.
    """

    statuses: list[int]
    seconds: float
    seconds_to_end: float
    said: str
    notes: list[dict[str, Any]] = field(repr=False)

    @property
    def killed(self) -> str | None:
        """Where it ended itself."""
        places = [note["killed"] for note in self.notes if "killed" in note]
        return places[0] if places else None


class Lives:
    """Forks a life after the other from a process that has torch loaded already."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self._process = process
        self._number = 0

    def live(self, words: list[str], folder: Path, *, processes: int = 1, **order: Any) -> Life:
        """One life of `ophis` and these words.

        Args:
            words: the command line.
            folder: for what it says and notes.
            processes: how many, exchanging through gloo as under torchrun.
            order: how it ends, see `life`: `piece`, its number; `save`, its number, with `share`
                of the bytes or `call`; `signal`, `when` something was noted, `seconds` later, to
                `rank` or to `all`; or what else happens to it.
        """
        self._number += 1
        said, notes = folder / f"said-{self._number}", folder / f"notes-{self._number}"
        answer = self._ask(
            {"words": words, "processes": processes, "said": str(said), "notes": str(notes)} | order
        )
        lines = [
            line
            for rank in range(processes)
            for line in Path(f"{notes}-{rank}").read_text().splitlines()
            if line.endswith("}")  # the last may be cut short
        ]
        return Life(said=said.read_text(), notes=list(map(json.loads, lines)), **answer)

    def state_of(self, run: Path) -> dict[str, Any]:
        """Digests of all that the checkpoint of a run holds."""
        return self._ask({"state": str(run)})

    def _ask(self, order: dict[str, Any]) -> dict[str, Any]:
        assert self._process.stdin
        assert self._process.stdout
        self._process.stdin.write(json.dumps(order) + "\n")
        self._process.stdin.flush()
        answer = self._process.stdout.readline()
        assert answer, "the process that forks lives is gone"
        return json.loads(answer)


@contextmanager
def begin_lives() -> Generator[Lives]:
    """The process that forks them, for a while."""
    one_thread = {"OMP_NUM_THREADS": "1", "TF_CPP_MIN_LOG_LEVEL": "3"}
    with subprocess.Popen(
        [sys.executable, LIFE],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env=os.environ | one_thread,
    ) as process:
        yield Lives(process)
        assert process.stdin
        process.stdin.close()
