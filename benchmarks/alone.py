"""Run one command and print its seconds, its peak memory and its output, as JSON.

    python -S benchmarks/alone.py COMMAND ...

The system counts the memory of a new process from that of its parent on. Started directly by a
benchmark that holds gigabytes, every command would seem to need them.
"""

import json
import os
import subprocess
import sys
import time

started = time.perf_counter()
process = subprocess.Popen(sys.argv[1:], stdout=subprocess.PIPE, text=True)
assert process.stdout is not None
output = process.stdout.read()
_, status, usage = os.wait4(process.pid, 0)
seconds = time.perf_counter() - started
megabytes = usage.ru_maxrss * (1 if sys.platform == "darwin" else 1024) / 1e6
print(json.dumps({"seconds": seconds, "megabytes": megabytes, "output": output}))
sys.exit(os.waitstatus_to_exitcode(status))
