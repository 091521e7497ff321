"""Peak memory of code, measured in another process."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

# Polars' allocator keeps freed pages for a time of the clock; on a busy machine they would count.
_NO_FREED_PAGES = {"_RJEM_MALLOC_CONF": "dirty_decay_ms:0,muzzy_decay_ms:0"}
_BEFORE = """
import ctypes, gc, json, time
def _memory(kind):
    lines = open("/proc/self/status").read().splitlines()
    return int(next(line for line in lines if line.startswith(kind)).split()[1])
def _from_here():
    gc.collect()
    if hasattr(ctypes.CDLL(None), "malloc_trim"):
        ctypes.CDLL(None).malloc_trim(0)  # cached free memory hides new allocations
    open("/proc/self/clear_refs", "w").write("5")  # the peak begins here
    return _memory("VmRSS"), time.process_time()
def _report(name, before, outcome=None):
    taken = (_memory("VmHWM") - before[0]) / 1024, time.process_time() - before[1]
    print(json.dumps([name, *taken, outcome]), flush=True)
"""


def peak_mib(before: str, work: str) -> float:
    """Return the peak resident memory of `work` above the state after `before`, in MiB."""
    rows = _run(f"{before}\n_start = _from_here()\n{work}\n_report('', _start)")
    return rows[-1][1]


def peaks_of(before: str, over: str, outcome: str) -> dict[str, tuple[float, float, Any]]:
    """Measure memory and processor time of an expression for many items, in one process.

    Args:
        before: code that runs first.
        over: expression of pairs of a name and an `item`.
        outcome: expression of the `item`, which is measured.

    Returns:
        By name: MiB at the peak, seconds of processor time, and the outcome.
    """
    rows = _run(
        f"{before}\nfor _name, item in {over}:\n    _start = _from_here()\n"
        f"    _report(_name, _start, {outcome})"
    )
    return {name: (peak, seconds, found) for name, peak, seconds, found in rows}


def _run(code: str) -> list[list[Any]]:
    if not Path("/proc/self/clear_refs").exists():
        pytest.skip("peak memory is read on Linux only")
    done = subprocess.run(
        [sys.executable, "-c", _BEFORE + code],
        capture_output=True,
        text=True,
        check=False,
        env=os.environ | _NO_FREED_PAGES,
    )
    assert done.returncode == 0, done.stderr
    # Other lines are output of the measured code.
    return [json.loads(line) for line in done.stdout.splitlines() if line.startswith("[")]
