"""Throughput and latency of the service with one client and with several.

    python benchmarks/service_load.py BUNDLE [--at-once 8] [--seconds 20]

Starts `ophis serve BUNDLE` and prints requests a second, their times and their CPU time. The
photos are synthetic. Service and clients share the cores of this machine. Linux only.
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
from pathlib import Path

from ophis.datasets.synthetic.camera import photograph
from ophis.datasets.synthetic.population import sightings

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))  # tests.support
from tests.support.load_client import Load, percentile, request_of, responses_of
from tests.support.service_process import processor_seconds, service_of


def main() -> None:
    """Measure the service of a bundle."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("bundle")
    parser.add_argument("--at-once", type=int, default=8)
    parser.add_argument("--seconds", type=float, default=20)
    options = parser.parse_args()
    measure(options.bundle, options.at_once, options.seconds)


def measure(bundle: str, at_once: int, seconds: float) -> None:
    """Print throughput and latency with one client and with several."""
    photos = [photograph(one, seed=0).data for one in sightings(36, seed=0)]
    with tempfile.TemporaryDirectory() as folder, service_of(bundle, Path(folder)) as service:
        for number, photo in enumerate(photos):
            Path(folder, str(number)).write_bytes(request_of([photo], country="India"))
        for clients in (1, at_once):
            load = Load(service.port, folder, len(photos), at_once=clients, seconds=seconds)
            pid = service.process.pid
            before = processor_seconds(pid)
            answers = [one for one in responses_of(load) if one.status == 200]
            used = 1000 * (processor_seconds(pid) - before) / len(answers)
            took = [1000 * one.seconds for one in answers]
            print(
                f"{clients} at once, {os.cpu_count()} cores: {len(answers) / seconds:.1f} requests"
                f" a second, {used:.1f} ms of a core each, median {percentile(took, 0.5):.0f} ms,"
                f" 95 % within {percentile(took, 0.95):.0f} ms"
            )


if __name__ == "__main__":
    main()
