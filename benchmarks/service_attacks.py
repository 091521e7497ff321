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
import contextlib
import io
import multiprocessing
import os
import re
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING

from PIL import Image
from sized_photos import sized_photos

if TYPE_CHECKING:
    from collections.abc import Generator, Sequence

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
    honest = [form([photo], country="India") for photo in sized_photos(4, (2000, 1500))]
    for kind in [options.kind] if options.kind else sorted(ATTACKERS):
        with service(options.bundle, options.descriptors) as port:
            measure(port, kind, honest, options.seconds)


def measure(port: int, kind: str, honest: Sequence[bytes], seconds: float) -> None:
    """Print the fraction of honest requests that are answered beside attackers."""
    alone = [asyncio.run(ask(port, honest[n % len(honest)])) for n in range(20)]
    if not all(status == 200 for status, _ in alone):
        raise SystemExit(f"without attackers: status {[status for status, _ in alone]}")
    unloaded = statistics.quantiles([took for _, took in alone], n=20)[-1]
    with attacked(port, kind):
        found = asyncio.run(ask_regularly(port, honest, seconds))
    times = [took for status, took in found if status == 200]
    others = Counter(status for status, _ in found if status != 200)
    answered, prompt = len(times), sum(took <= 2 * unloaded for took in times)
    print(
        f"{ATTACKERS[kind]}, beside {PER_SECOND} requests a second for {seconds:.0f} s on"
        f" {os.cpu_count()} cores: {answered} of {len(found)} answered"
        f" ({100 * answered / len(found):.0f} %), {prompt} ({100 * prompt / len(found):.0f} %)"
        f" within twice the unloaded {1000 * unloaded:.0f} ms (95th percentile)"
        f"{f'; the others by status: {dict(others)}' if others else ''}",
        flush=True,
    )


async def ask_regularly(
    port: int, requests: Sequence[bytes], seconds: float
) -> list[tuple[int, float]]:
    """Send requests at a constant rate, without waiting for their answers."""
    begin, tasks = time.monotonic(), []
    for number in range(int(seconds * PER_SECOND)):
        await asyncio.sleep(max(0.0, begin + number / PER_SECOND - time.monotonic()))
        tasks.append(asyncio.create_task(ask(port, requests[number % len(requests)])))
    return await asyncio.gather(*tasks)


async def ask(port: int, request: bytes, patience: float = PATIENCE) -> tuple[int, float]:
    """Return the status of one request, 0 for none, and its time to the last byte in seconds."""
    begin, reply = time.monotonic(), b""
    with contextlib.suppress(OSError):  # TimeoutError is one
        async with asyncio.timeout(patience):
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            with contextlib.closing(writer):
                writer.write(request)
                reply = await reader.read(-1)
    status = re.match(rb"HTTP/1\.1 (\d+)", reply)
    return int(status[1]) if status else 0, time.monotonic() - begin


def form(photos: Sequence[bytes], **fields: str) -> bytes:
    """Return the bytes of a request to /identify."""
    values = [(f'name="{name}"', value.encode()) for name, value in fields.items()]
    body = b"".join(
        f"--a-boundary\r\nContent-Disposition: form-data; {head}\r\n\r\n".encode() + value + b"\r\n"
        for head, value in [*(('name="photo"; filename="a"', photo) for photo in photos), *values]
    )
    body += b"--a-boundary--\r\n"
    return form_head(len(body)) + body


def form_head(length: int) -> bytes:
    """Return the head of a request to /identify."""
    return (
        "POST /identify HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n"
        "Content-Type: multipart/form-data; boundary=a-boundary\r\n"
        f"Content-Length: {length}\r\n\r\n"
    ).encode()


@contextlib.contextmanager
def service(bundle: str, descriptors: int) -> Generator[int]:
    """Start `ophis serve`; give its port when it is ready, and kill it in the end."""
    command = [sys.executable, "-m", "ophis", "serve", bundle, "--port", "0"]
    with tempfile.NamedTemporaryFile() as log, subprocess.Popen(command, stderr=log) as process:
        try:
            resource.prlimit(process.pid, resource.RLIMIT_NOFILE, (descriptors, descriptors))
            yield ready_port(process, Path(log.name))
        finally:
            process.kill()


def ready_port(process: subprocess.Popen[bytes], log: Path) -> int:
    """Wait for the port of a service, and for the end of its self-test."""
    ready = b"GET /ready HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"
    while process.poll() is None:
        port = re.search(r"listening at http://[^:]*:(\d+)\n", log.read_text())
        if port and asyncio.run(ask(int(port[1]), ready))[0] == 200:
            return int(port[1])
        time.sleep(0.1)
    raise SystemExit(log.read_text())


@contextlib.contextmanager
def attacked(port: int, kind: str) -> Generator[None]:
    """Attack a service inside the context, from another process."""
    process = multiprocessing.get_context("spawn").Process(target=attack, args=(port, kind))
    process.start()
    try:
        yield
        if not process.is_alive():
            raise SystemExit("the attackers ended with an error")
    finally:
        process.kill()
        process.join()


def attack(port: int, kind: str) -> None:
    """Attack a service without end."""
    asyncio.run(attack_with_photos(port, kind) if kind in HEAVY else attack_slowly(port))


async def attack_slowly(port: int) -> None:
    """Send bytes slowly, or none, on many connections."""
    start = b"GET / HTTP/1.1\r\nHost: localhost\r\n"
    kinds: list[tuple[int, bytes, int, float]] = [
        # connections, begin of each, bytes at a time, seconds between them
        (4, form_head(64 * 2**20), 1, 20),
        (32, form_head(10**6), 1, 20),
        (16, form_head(10**7), 12_000, 1),
        (500, start, 0, 30),
        (100, b"", 0, 30),
    ]
    await asyncio.gather(*(
        drip(port, begin, size, pause)
        for count, begin, size, pause in kinds
        for _ in range(count)
    ))  # fmt: skip


async def drip(port: int, begin: bytes, size: int, pause: float) -> None:
    """Send bytes slowly; begin anew when the connection is closed."""
    while True:
        with contextlib.suppress(OSError):
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            with contextlib.closing(writer):
                writer.write(begin)
                while not reader.at_eof() and not writer.is_closing():
                    with contextlib.suppress(TimeoutError):
                        await asyncio.wait_for(reader.read(), pause)
                    writer.write(b"x" * size)
                    await writer.drain()
        await asyncio.sleep(0.5)


async def attack_with_photos(port: int, kind: str) -> None:
    """Send requests of heavy photos, and leave before the answer."""
    request = form([heavy_photo(*HEAVY[kind])] * 8)

    async def sender() -> None:
        while True:
            await ask(port, request, GONE)
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
