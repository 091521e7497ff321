"""How much memory a piece of work takes, in a process of its own."""

import subprocess
import sys
from pathlib import Path

import pytest

_BEFORE = """
import gc
def _memory(kind):
    lines = open("/proc/self/status").read().splitlines()
    return int(next(line for line in lines if line.startswith(kind)).split()[1])
"""
_AROUND = """
gc.collect()
open("/proc/self/clear_refs", "w").write("5")  # the peak begins here
_before = _memory("VmRSS")
{work}
print(_memory("VmHWM") - _before)
"""


def peak_mib(before: str, work: str) -> float:
    """What ``work`` takes at its peak on top of what ``before`` left, resident, in MiB."""
    if not Path("/proc/self/clear_refs").exists():
        pytest.skip("only Linux tells the peak of a process")
    code = f"{_BEFORE}\n{before}\n{_AROUND.format(work=work)}"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return int(done.stdout.split()[-1]) / 1024
