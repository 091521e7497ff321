"""Honest clients of the service beside slow uploads, idle connections and heavy photos.

    python benchmarks/service_attacks.py BUNDLE [--kind 1] [--seconds 60] [--descriptors 1024]

Kind 1: slow uploads and idle connections. Kind 2: progressive JPEGs of many passes, eight a
request, whose sender is gone after 2 seconds; the service refuses them before decoding. Kind 3:
the same with photos just within its bounds. Starts `ophis serve BUNDLE`, and sends two honest
requests a second beside each kind. The photos are synthetic. Service, attackers and clients share
the cores and the address of this machine: run it on an idle one. Linux only.
"""

from __future__ import annotations

import argparse
import asyncio
import io
import os
import resource
import sys
import tempfile
from collections import Counter
from dataclasses import replace
from functools import partial
from pathlib import Path

from PIL import Image
from sized_photos import sized_photos

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))  # tests.support
from tests.support.attackers import attack_slowly, attacked
from tests.support.load_client import Load, percentile, request_of, responses_of, send
from tests.support.service_probe import write_requests
from tests.support.service_process import service_of

PHOTOS = 4  # of the honest clients
PER_SECOND = 2  # honest requests
PATIENCE = 20  # seconds, of an honest client
GONE = 2  # seconds after which an attacker of kind 2 leaves
HEAVY = {  # size and passes of the photos of a kind
    "2": ((10_000, 8_000), 100),
    "3": ((4_000, 3_000), 90),
}
ATTACKERS = {
    "1": "52 slow uploads and 600 idle connections of one address",
    **{
        kind: f"2 senders of 8 JPEGs of {passes} passes over {w * h // 10**6} million pixels each,"
        f" gone after {GONE} s"
        for kind, ((w, h), passes) in HEAVY.items()
    },
}


def main() -> None:
    """Measure the service of a bundle beside each kind of attacker."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("bundle")
    parser.add_argument("--kind", choices=sorted(ATTACKERS), help="default: one after the other")
    parser.add_argument("--seconds", type=float, default=60)
    parser.add_argument("--descriptors", type=int, default=1024, help="of the service")
    options = parser.parse_args()
    limit = (options.descriptors, options.descriptors)
    photos = sized_photos(PHOTOS, (2000, 1500))
    honest = [request_of([photo], country="India") for photo in photos]
    for kind in [options.kind] if options.kind else sorted(ATTACKERS):
        with (
            tempfile.TemporaryDirectory() as folder,
            service_of(options.bundle, Path(folder)) as service,
        ):
            resource.prlimit(service.process.pid, resource.RLIMIT_NOFILE, limit)
            requests = write_requests(honest, Path(folder, "requests"))
            load = Load(service.port, str(requests), PHOTOS, patience=PATIENCE)
            measure(load, kind, options.seconds)


def measure(load: Load, kind: str, seconds: float) -> None:
    """Print the fraction of honest requests that are answered beside attackers."""
    alone = responses_of(replace(load, at_once=1, most=20, seconds=20 * PATIENCE))
    if not all(one.status == 200 for one in alone):
        raise SystemExit(f"without attackers: status {[one.status for one in alone]}")
    unloaded = percentile([one.seconds for one in alone], 0.95)
    attack = partial(attack_with_photos, kind=kind) if kind in HEAVY else attack_slowly
    with attacked(attack, load.port):
        found = responses_of(replace(load, per_second=PER_SECOND, seconds=seconds))
    times = [one.seconds for one in found if one.status == 200]
    others = Counter(one.status for one in found if one.status != 200)
    answered, prompt = len(times), sum(took <= 2 * unloaded for took in times)
    print(
        f"{ATTACKERS[kind]}, beside {PER_SECOND} requests a second for {seconds:.0f} s on"
        f" {os.cpu_count()} cores: {answered} of {len(found)} answered"
        f" ({100 * answered / len(found):.0f} %), {prompt} ({100 * prompt / len(found):.0f} %)"
        f" within twice the unloaded {1000 * unloaded:.0f} ms (95th percentile)"
        f"{f'; the others by status: {dict(others)}' if others else ''}",
        flush=True,
    )


async def attack_with_photos(port: int, kind: str) -> None:
    """Send requests of heavy photos, and leave before the answer."""
    request = request_of([heavy_photo(*HEAVY[kind])] * 8)

    async def sender() -> None:
        while True:
            await send(port, request, patience=GONE)
            await asyncio.sleep(0.5)

    await asyncio.gather(sender(), sender())


def heavy_photo(size: tuple[int, int], passes: int) -> bytes:
    """Return a grey progressive JPEG that repeats its last pass, which has no content.

    A decoder visits all blocks of pixels in each pass.
    """
    file = io.BytesIO()
    Image.new("L", size, 128).save(file, "JPEG", progressive=True)
    data = file.getvalue()
    scan = data.rindex(b"\xff\xda")
    return data[:scan] + data[scan:-2] * (passes - data.count(b"\xff\xda") + 1) + data[-2:]


if __name__ == "__main__":
    main()
