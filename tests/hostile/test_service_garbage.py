"""What no browser sends, and those who never end: refused or cut off, and nothing is lost by it."""

import contextlib
import socket

import httpx2
import pytest

from tests.support.photos import photo
from tests.support.service import BOUNDARY, FORM, form
from tests.support.service_load import Service, service_of
from tests.support.serving import decoders, descriptors, gauge, threads, wait_until

pytestmark = pytest.mark.full

PART = b"--" + BOUNDARY + b'\r\nContent-Disposition: form-data; name="top"\r\n\r\n5\r\n'
END = b"--" + BOUNDARY + b"--\r\n"
PHOTO = b"--" + BOUNDARY + b'\r\nContent-Disposition: form-data; name="photo"; filename="a"\r\n\r\n'


def post(body: bytes, *heads: str, length: int | str | None = None) -> bytes:
    """A form as it is sent, with a length that may be a lie."""
    length = len(body) if length is None else length
    lines = ["POST /identify HTTP/1.1", "Host: a", f"Content-Type: {FORM['content-type']}"]
    lines += [*heads, f"Content-Length: {length}" if length != "" else ""]
    return "\r\n".join(filter(None, lines)).encode() + b"\r\n\r\n" + body


WHOLE = form(photo())
GARBAGE = {
    "10,000 parts": post(PART * 10_000 + END),
    "10,000 photos": post((PHOTO + b"x\r\n") * 10_000 + END),
    "10,000 fields of one name": post(PART.replace(b"top", b"country") * 10_000 + END),
    "a negative length": post(WHOLE, length=-1),
    "a length that is no number": post(WHOLE, length="ten"),
    "two lengths": post(WHOLE, "Content-Length: 5"),
    "no length": post(WHOLE, length=""),
    "a length of 20 digits": post(WHOLE, length="9" * 20),
    "a length and pieces": post(WHOLE, "Transfer-Encoding: chunked"),
    "pieces of a negative size": post(b"-5\r\nx\r\n", "Transfer-Encoding: chunked", length=""),
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
    "a path that is no path": b"GET \xff\xfe HTTP/1.1\r\nHost: a\r\n\r\n",
}


def said(service: Service, request: bytes) -> bytes:
    """What comes back until the service closes the connection, or 2 seconds are over."""
    found = b""
    with (
        socket.create_connection(("127.0.0.1", service.port), timeout=2) as client,
        contextlib.suppress(OSError),
    ):
        client.sendall(request)
        while piece := client.recv(2**16):
            found += piece
            if b"\r\n\r\n" in found and found.endswith(b"}"):
                break
    return found


def cut_off(service: Service, many: int) -> None:
    """Uploads that end in their middle."""
    request = post(WHOLE)
    for number in range(many):
        with socket.create_connection(("127.0.0.1", service.port), timeout=60) as client:
            client.sendall(request[: 50 + (len(request) - 60) * number // many])


def test_garbage_slow_clients_and_cut_uploads_cost_nothing(served, tmp_path, figure):
    turns, many = 3, 60
    question = {"files": {"photo": photo()}, "data": {"country": "India"}, "timeout": 60}
    with service_of(served, tmp_path) as service, contextlib.ExitStack() as slow:
        url = f"http://127.0.0.1:{service.port}/identify"
        before = httpx2.post(url, **question)
        assert before.status_code == 200
        kept = (decoders(service), threads(service), descriptors(service))
        for number in range(many):  # who says nothing, half a head, half a form, and stays
            request = (b"", post(WHOLE)[:60], post(WHOLE)[:300])[number % 3]
            client = slow.enter_context(
                socket.create_connection(("127.0.0.1", service.port), timeout=60)
            )
            client.sendall(request)
        wait_until(lambda: gauge(service, "ophis_places_taken") >= many // 3)
        found = {name: said(service, sent) for name, sent in GARBAGE.items() for _ in range(turns)}
        slow.close()
        cut_off(service, many)
        wait_until(lambda: not gauge(service, "ophis_places_taken"))
        after = httpx2.post(url, **question)
        assert (after.status_code, after.content) == (200, before.content)
        wait_until(lambda: descriptors(service) <= kept[2], seconds=30)
        assert (decoders(service), threads(service)) == kept[:2]
        assert gauge(service, "ophis_decoders_replaced_total") == 0
    wrong = {
        name: answer[:60]
        for name, answer in found.items()
        if answer and not answer.startswith(b"HTTP/1.1 4")
    }
    assert wrong == {}
    figure(
        f"{len(GARBAGE)} kinds of garbage, {turns} times each, {many} slow clients and {many} cut"
        " uploads: 4xx or closed; then the same answer, decoders, threads and descriptors"
    )
