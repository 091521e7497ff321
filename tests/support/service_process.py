"""Processes of `ophis serve` for tests and benchmarks, and the processor time they use."""

from __future__ import annotations

import asyncio
import contextlib
import os
import re
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from tests.support.load_client import send

if TYPE_CHECKING:
    from collections.abc import Generator


@dataclass(frozen=True)
class Service:
    """Running service that is ready.

    Attributes:
        port: its port on this machine.
        process: its process.
        log: file of its stderr.
    """

    port: int
    process: subprocess.Popen[bytes]
    log: Path


@contextlib.contextmanager
def service_of(bundle: str | Path, folder: Path, *options: str) -> Generator[Service]:
    """Start `ophis serve` with a log in a folder; kill it at the end of the context."""
    command = [sys.executable, "-m", "ophis", "serve", str(bundle), "--port", "0", *options]
    log = folder / "log"
    with log.open("wb") as file, subprocess.Popen(command, stderr=file) as process:
        try:
            yield Service(_ready_port(process, log), process, log)
        finally:
            process.kill()


def _ready_port(process: subprocess.Popen[bytes], log: Path) -> int:
    ready = b"GET /ready HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"
    for _ in range(6000):
        if process.poll() is not None:
            break
        found = re.search(r"listening at http://[^:]*:(\d+)\n", log.read_text())
        if found and asyncio.run(send(int(found[1]), ready)).status == 200:
            return int(found[1])
        time.sleep(0.05)
    raise RuntimeError(log.read_text())


def family(pid: int) -> list[int]:
    """Return the ids of a process and its descendants (Linux)."""
    started: list[int] = []
    with contextlib.suppress(FileNotFoundError, ProcessLookupError):
        for task in Path(f"/proc/{pid}/task").iterdir():
            started += map(int, (task / "children").read_text(encoding="ascii").split())
    return [pid, *(each for child in started for each in family(child))]


def processor_seconds(pid: int) -> float:
    """Return the processor time of a process, its descendants and its ended children."""
    ticks = 0
    for each in family(pid):
        fields = Path(f"/proc/{each}/stat").read_text(encoding="ascii").rpartition(")")[2].split()
        ticks += sum(map(int, fields[11:15]))
    return ticks / os.sysconf("SC_CLK_TCK")
