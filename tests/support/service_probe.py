"""Observation of a running service from outside: memory, descriptors, threads, metrics."""

import contextlib
import io
import re
import threading
import time
from collections.abc import Callable, Generator, Sequence
from pathlib import Path

import httpx2
from PIL import Image

from ophis.datasets.synthetic.camera import photograph
from ophis.datasets.synthetic.population import sightings
from tests.support.service_process import Service, family


def phone_photos(count: int, width: int = 2000) -> list[bytes]:
    """Return synthetic photos in the size that a phone sends."""
    found = []
    for sighting in sightings(36, seed=0)[:count]:
        with Image.open(io.BytesIO(photograph(sighting, seed=0).data)) as photo:
            large = photo.convert("RGB").resize((width, width * 3 // 4), Image.Resampling.BICUBIC)
        file = io.BytesIO()
        large.save(file, "JPEG", quality=80)
        found.append(file.getvalue())
    return found


def write_requests(requests: Sequence[bytes], folder: Path) -> Path:
    """Write requests into the folder of a `Load`."""
    folder.mkdir()
    for number, request in enumerate(requests):
        (folder / str(number)).write_bytes(request)
    return folder


def memory_mib(service: Service) -> float:
    """Return the anonymous memory of a service and its decoders in MiB.

    Shared pages of mapped files depend on other processes of the machine.
    """
    found = 0
    for pid in family(service.process.pid):
        with contextlib.suppress(FileNotFoundError, ProcessLookupError):  # just replaced
            text = Path(f"/proc/{pid}/smaps_rollup").read_text(encoding="ascii")
            found += int(re.findall(r"^Anonymous: +(\d+)", text, re.MULTILINE)[0])
    return found / 1024


def descriptors(service: Service) -> int:
    """Return the number of open files, sockets and pipes of the service."""
    return len(list(Path(f"/proc/{service.process.pid}/fd").iterdir()))


def threads(service: Service) -> int:
    """Return the number of threads of the service."""
    return len(list(Path(f"/proc/{service.process.pid}/task").iterdir()))


def decoders(service: Service) -> list[int]:
    """Return the process ids of the decoders of the service."""
    return family(service.process.pid)[1:]


def gauge(service: Service, name: str) -> int:
    """Return one value of /metrics."""
    text = httpx2.get(f"http://127.0.0.1:{service.port}/metrics", timeout=300).text
    return int(re.findall(rf"^{name} (\d+)\.0$", text, re.MULTILINE)[0])


@contextlib.contextmanager
def watched(service: Service) -> Generator[list[float]]:
    """Record the memory in MiB five times a second inside the context."""
    seen, over = [memory_mib(service)], threading.Event()

    def watch() -> None:
        while not over.wait(0.2):
            seen.append(memory_mib(service))

    thread = threading.Thread(target=watch)
    thread.start()
    try:
        yield seen
    finally:
        over.set()
        thread.join()


def wait_until(done: Callable[[], bool], seconds: float = 300) -> None:
    """Wait for a condition; fail after a generous limit."""
    deadline = time.monotonic() + seconds
    while not done():
        assert time.monotonic() < deadline, f"condition not met in {seconds} seconds"
        time.sleep(0.01)


def at_rest(service: Service) -> float:
    """Return the memory in MiB when no request is in progress."""
    wait_until(lambda: not gauge(service, "ophis_places_taken"))
    return memory_mib(service)
