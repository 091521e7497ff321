"""How fast a service answers one person, and many at once.

    python benchmarks/service_load.py BUNDLE [--at-once 8] [--seconds 20]

starts `ophis serve BUNDLE` and prints questions a second, how long they took, and what each took of
a processor core. Photos are drawn. Service and people share this machine's cores. On Linux.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import os
import re
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from ophis.datasets.synthetic.camera import photograph
from ophis.datasets.synthetic.population import sightings
from tests.support.service_people import Load, ask, asked, percentile, request_of

if TYPE_CHECKING:
    from collections.abc import Generator


@dataclass(frozen=True)
class Service:
    """A service that is ready.

    Attributes:
        port: where it listens, on this machine.
        process: that it is.
        log: what it wrote so far.
    """

    port: int
    process: subprocess.Popen[bytes]
    log: Path


@contextlib.contextmanager
def service_of(bundle: str | Path, folder: Path, *options: str) -> Generator[Service]:
    """`ophis serve` in a process of its own, its log in that folder."""
    command = [sys.executable, "-m", "ophis", "serve", str(bundle), "--port", "0", *options]
    log = folder / "log"
    with log.open("wb") as file, subprocess.Popen(command, stderr=file) as process:
        try:
            yield Service(_ready_port(process, log), process, log)
        finally:
            process.kill()


def _ready_port(process: subprocess.Popen[bytes], log: Path) -> int:
    ready = b"GET /ready HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n"
    for _ in range(1200):
        if process.poll() is not None:
            break
        found = re.search(r"listening at http://[^:]*:(\d+)\n", log.read_text())
        if found and asyncio.run(ask(int(found[1]), ready, 0)).status == 200:
            return int(found[1])
        time.sleep(0.05)
    raise RuntimeError(log.read_text())


def family(pid: int) -> list[int]:
    """A process and those that it started, on Linux; of one that is gone only itself."""
    started: list[int] = []
    with contextlib.suppress(FileNotFoundError, ProcessLookupError):
        for task in Path(f"/proc/{pid}/task").iterdir():
            started += map(int, (task / "children").read_text(encoding="ascii").split())
    return [pid, *(each for child in started for each in family(child))]


def processor_seconds(pid: int) -> float:
    """What a process and those that it started, and did not survive, worked."""
    ticks = 0
    for each in family(pid):
        fields = Path(f"/proc/{each}/stat").read_text(encoding="ascii").rpartition(")")[2].split()
        ticks += sum(map(int, fields[11:15]))
    return ticks / os.sysconf("SC_CLK_TCK")


def main() -> None:
    """Measure a service."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("bundle")
    parser.add_argument("--at-once", type=int, default=8)
    parser.add_argument("--seconds", type=float, default=20)
    options = parser.parse_args()
    measure(options.bundle, options.at_once, options.seconds)


def measure(bundle: str, at_once: int, seconds: float) -> None:
    """Print how a service answers one person, and many."""
    drawn = [photograph(one, seed=0).data for one in sightings(36, seed=0)]
    with tempfile.TemporaryDirectory() as folder, service_of(bundle, Path(folder)) as service:
        for number, photo in enumerate(drawn):
            Path(folder, str(number)).write_bytes(request_of([photo], country="India"))
        for people in (1, at_once):
            load = Load(service.port, folder, len(drawn), at_once=people, seconds=seconds)
            pid = service.process.pid
            before = processor_seconds(pid)
            answers = [one for one in asked(load) if one.status == 200]
            worked = 1000 * (processor_seconds(pid) - before) / len(answers)
            took = [1000 * one.seconds for one in answers]
            print(
                f"{people} at once, {os.cpu_count()} cores: {len(answers) / seconds:.1f} questions"
                f" a second, {worked:.1f} ms of a core each, median {percentile(took, 0.5):.0f} ms,"
                f" 95 % within {percentile(took, 0.95):.0f} ms"
            )


if __name__ == "__main__":
    main()
