"""Malformed requests, slow clients and cut uploads: refused or closed, without lasting effect."""

import contextlib
import socket

import httpx2
import pytest

from ophis.serve import Limits
from tests.support.photos import photo
from tests.support.service import BOUNDARY, FORM, form
from tests.support.service_probe import decoders, descriptors, gauge, threads, wait_until
from tests.support.service_process import Service, service_of

pytestmark = pytest.mark.full

PART = b"--" + BOUNDARY + b'\r\nContent-Disposition: form-data; name="top"\r\n\r\n5\r\n'
END = b"--" + BOUNDARY + b"--\r\n"
PHOTO = b"--" + BOUNDARY + b'\r\nContent-Disposition: form-data; name="photo"; filename="a"\r\n\r\n'


def post(body: bytes, *heads: str, length: int | str | None = None) -> bytes:
    """Return a form with headers and a content length that may be wrong."""
    length = len(body) if length is None else length
    lines = ["POST /identify HTTP/1.1", "Host: localhost", f"Content-Type: {FORM['content-type']}"]
    lines += [*heads, f"Content-Length: {length}" if length != "" else ""]
    return "\r\n".join(filter(None, lines)).encode() + b"\r\n\r\n" + body


WHOLE = form(photo())
MALFORMED = {
    "10,000 parts": post(PART * 10_000 + END),
    "10,000 photos": post((PHOTO + b"x\r\n") * 10_000 + END),
    "10,000 fields of one name": post(PART.replace(b"top", b"country") * 10_000 + END),
    "a negative length": post(WHOLE, length=-1),
    "a length that is no number": post(WHOLE, length="ten"),
    "two lengths": post(WHOLE, "Content-Length: 5"),
    "no length": post(WHOLE, length=""),
    "a length of 20 digits": post(WHOLE, length="9" * 20),
    "a length and chunks": post(WHOLE, "Transfer-Encoding: chunked"),
    "chunks of a negative size": post(b"-5\r\nx\r\n", "Transfer-Encoding: chunked", length=""),
    "a form without an end": post(WHOLE[:-8]),
    "a form that never begins": post(b"x" * 5000),
    "a boundary of another form": post(WHOLE.replace(BOUNDARY, b"another")),
    "a part without a name": post(WHOLE.replace(b'name="photo"; ', b"")),
    "a part without an end of its head": post(PHOTO.rstrip() + b"x" * 100_000),
    "a part with 1,000 heads": post(PHOTO.rstrip() + b"\r\n" + b"a: b\r\n" * 1000 + b"\r\n" + END),
    "zeros for a photo": post(PHOTO + bytes(100_000) + b"\r\n" + END),
    "a head of 1 MB": post(WHOLE, "X: " + "x" * 1_000_000),
    "100,000 heads": post(WHOLE, *(f"X-{n}: x" for n in range(100_000))),
    "no HTTP": b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" * 100,
    "nothing but line ends": b"\r\n" * 100,
    "a path that is no path": b"GET \xff\xfe HTTP/1.1\r\nHost: localhost\r\n\r\n",
}


def response_to(service: Service, request: bytes) -> bytes:
    """Return all bytes until the service closes the connection, or none come for 2 seconds."""
    found = b""
    with (
        socket.create_connection(("127.0.0.1", service.port), timeout=2) as client,
        contextlib.suppress(OSError),
    ):
        client.sendall(request)
        while part := client.recv(2**16):
            found += part
            if b"\r\n\r\n" in found and found.endswith(b"}"):
                break
    return found


def cut_off(service: Service, many: int) -> None:
    """Send uploads that end before their last byte."""
    request = post(WHOLE)
    for number in range(many):
        with socket.create_connection(("127.0.0.1", service.port), timeout=60) as client:
            client.sendall(request[: 50 + (len(request) - 60) * number // many])


def test_malformed_slow_and_cut_requests_have_no_lasting_effect(served, tmp_path, figure):
    turns, many = 3, 60
    request_fields = {"files": {"photo": photo()}, "data": {"country": "India"}, "timeout": 60}
    with service_of(served, tmp_path) as service, contextlib.ExitStack() as slow:
        url = f"http://127.0.0.1:{service.port}/identify"
        threads_without_pool = threads(service)
        before = httpx2.post(url, **request_fields)
        assert before.status_code == 200
        decoders_before, descriptors_before = decoders(service), descriptors(service)
        for number in range(many):  # nothing, half a head or half a form, then silence
            request = (b"", post(WHOLE)[:60], post(WHOLE)[:300])[number % 3]
            client = slow.enter_context(
                socket.create_connection(("127.0.0.1", service.port), timeout=60)
            )
            client.sendall(request)
        wait_until(lambda: gauge(service, "ophis_places_taken") >= many // 3)
        found = {
            name: response_to(service, sent)
            for name, sent in MALFORMED.items()
            for _ in range(turns)
        }
        slow.close()
        cut_off(service, many)
        wait_until(lambda: not gauge(service, "ophis_places_taken"))
        after = httpx2.post(url, **request_fields)
        assert (after.status_code, after.content) == (200, before.content)
        wait_until(lambda: descriptors(service) <= descriptors_before)
        assert decoders(service) == decoders_before
        # The pool starts its threads on demand and keeps them.
        wait_until(lambda: threads(service) <= threads_without_pool + Limits().workers)
        assert gauge(service, "ophis_decoders_replaced_total") == 0
    wrong = {
        name: answer[:60]
        for name, answer in found.items()
        if answer and not answer.startswith(b"HTTP/1.1 4")
    }
    assert wrong == {}
    figure(
        f"{len(MALFORMED)} kinds of malformed requests, {turns} times each, {many} slow clients and"
        f" {many} cut uploads: 4xx or closed; then the same answer, decoders and descriptors"
    )
