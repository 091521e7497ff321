"""Mixed requests over a long time: constant memory, descriptors, threads and answers."""

import os
import signal
import statistics
from collections import Counter

import pytest

from tests.support.load_client import Load, Response, request_of, responses_of
from tests.support.photos import photo
from tests.support.service_probe import (
    at_rest,
    decoders,
    descriptors,
    phone_photos,
    threads,
    write_requests,
)
from tests.support.service_process import Service, service_of

pytestmark = pytest.mark.full

GROWTH_MIB = 20
CHANGING = "200 metrics"


def requests_of() -> dict[str, bytes]:
    """Return requests by expected status and number: good and bad photos, cut uploads, files."""
    large = phone_photos(3, 4000)
    good = [*large, *phone_photos(3, 640), photo(1), photo(2, 300, "WEBP"), photo(3, 40)]
    bad = [large[0][:-5000], photo(4)[:900], b"no photo", b"", b"%PDF-1.7", photo(5, 20)]
    options = [
        {"country": "India", "language": "es"}, {"gps": "true", "evidence": "true"}, {"top": "3"}
    ]  # fmt: skip
    files = ("/", "/app.js", "/health", "/ready", "/species", "/openapi.json")
    wrong = ({"country": "Atlantis"}, {"language": "tlh"}, {"top": "0"}, {"field": "x"})
    found = [
        *(("200", request_of([data], **fields)) for data in good for fields in options),
        ("200", request_of([*good[3:6], *bad[1:3]], country="Kenya")),
        *(("422", request_of([data])) for data in bad),
        *(("422", request_of([photo(6)], **fields)) for fields in wrong),
        ("413", request_of([photo(7)] * 9)),
        *(("0", request_of([data])[: len(data) // 2]) for data in large),
        *(("200", _get(path)) for path in files),
        *(("404", _get(f"/{name}")) for name in ("nothing", "../etc/passwd", "words")),
    ]
    named = {f"{status} {number}": request for number, (status, request) in enumerate(found)}
    return {**named, CHANGING: _get("/metrics")}


def _get(path: str) -> bytes:
    return f"GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n".encode()


def round_of(service: Service, folder: str, names: list[str], seconds: float) -> list[Response]:
    """Kill a decoder; then send all requests in turn from three clients."""
    os.kill(decoders(service)[0], signal.SIGKILL)
    return responses_of(Load(service.port, folder, len(names), at_once=3, seconds=seconds))


def test_mixed_requests_leave_memory_and_answers_constant(served, tmp_path, figure):
    rounds, seconds = 6, 20
    requests = requests_of()
    names = list(requests)
    folder = str(write_requests(list(requests.values()), tmp_path / "requests"))
    statuses: Counter[str] = Counter()
    memory: list[float] = []
    open_counts: list[tuple[int, int]] = []
    wrong: list[tuple[str, int]] = []
    right: dict[str, str] = {}
    with service_of(served, tmp_path) as service:
        for _ in range(rounds):
            for one in round_of(service, folder, names, seconds):
                name = names[one.number % len(names)]
                expected = int(name.split()[0])
                same = right.setdefault(name, one.digest) == one.digest or name == CHANGING
                if one.status != expected or not same:
                    wrong.append((name, one.status))
                statuses[str(one.status)] += 1
            memory.append(at_rest(service))
            open_counts.append((descriptors(service), threads(service)))
    assert wrong == []
    grown = statistics.median(memory[-3:]) - memory[0]
    figure(
        f"{rounds} rounds of {seconds} s, {statuses.total():,} requests of {len(names)} kinds:"
        f" {grown:+.1f} MB after the first, of {memory[0]:.0f}; descriptors and threads"
        f" {open_counts[0]} before, {open_counts[-1]} after"
    )
    assert grown < GROWTH_MIB
    assert max(each for each, _ in open_counts) <= open_counts[0][0]
    assert max(each for _, each in open_counts) <= open_counts[0][1]
