"""Framing, Host and origin of requests: refused where another reader may see another request."""

import asyncio

import pytest

from ophis import load
from ophis.serve import create_app
from ophis.serve.readiness import Readiness
from ophis.serve.request_head import Hosts, accepts_json, preferences, preferred_language
from tests.support.photos import photo
from tests.support.service import body_of, evaluated_bundle, form, post

LOCAL = Hosts.of(["127.0.0.1"], ["Snakes.example.org", "192.0.2.9"], "use the option")
EVERYWHERE = Hosts.of(["0.0.0.0"], ["snakes"], "use the option")  # noqa: S104


@pytest.fixture(scope="module")
def classifier(tmp_path_factory):
    return load(evaluated_bundle(tmp_path_factory.mktemp("head") / "bundle"))


def ask(classifier, headers, *, hosts=None, method="POST", path="/identify"):
    app, data = create_app(classifier, hosts=hosts), form(photo())
    app.state.service.readiness = Readiness.READY
    return asyncio.run(
        post(app, [data], length=len(data), headers=headers, method=method, path=path)
    )


def require_refused(reply, status, words):
    assert (reply.status, reply.headers["connection"], reply.taken) == (status, "close", 0)
    assert words in body_of(reply)["error"]
    assert body_of(reply).keys() == {"error", "reason", "emergency"}


@pytest.mark.parametrize(("method", "path"), [
    ("POST", "/identify"), ("GET", "/health"), ("GET", "/"), ("POST", "/nothing"),
])  # fmt: skip
@pytest.mark.parametrize("encoding", ["chunked", "identity", "gzip, chunked"])
def test_length_beside_chunks_is_refused(classifier, method, path, encoding):
    reply = ask(classifier, {"transfer-encoding": encoding}, method=method, path=path)
    require_refused(reply, 400, "send Content-Length or Transfer-Encoding, not both")


@pytest.mark.parametrize("host", [
    "localhost", "LOCALHOST:8000", "127.0.0.1:8000", "snakes.example.org", "snakes.example.org.:80",
    "192.0.2.9",
])  # fmt: skip
def test_host_of_the_service_is_accepted(classifier, host):
    for method, path in (("POST", "/identify"), ("GET", "/health")):
        reply = ask(classifier, {"host": host}, hosts=LOCAL, method=method, path=path)
        assert reply.status == 200


@pytest.mark.parametrize(("hosts", "host"), [
    (LOCAL, "evil.example"), (LOCAL, "127.0.0.1.evil.example"), (LOCAL, "192.0.2.1:8000"),
    (LOCAL, "[::1]:8000"), (LOCAL, "evil.example:80:80"), (LOCAL, "evil@localhost"),
    (LOCAL, "localhost.evil.example:8000"), (EVERYWHERE, "evil.example"), (EVERYWHERE, "0x7f.1"),
    (EVERYWHERE, "[localhost]:80:"), (EVERYWHERE, "\\"), (LOCAL, "["),
])  # fmt: skip
@pytest.mark.parametrize("path", ["/identify", "/", "/species", "/nothing"])
def test_other_host_is_refused(classifier, hosts, host, path):
    method = "POST" if path == "/identify" else "GET"
    reply = ask(classifier, {"host": host}, hosts=hosts, method=method, path=path)
    require_refused(reply, 421, "; use the option")


@pytest.mark.parametrize("host", ["192.0.2.1:8000", "[2001:DB8::0:1]:8000", "snakes", "10.0.0.1"])
def test_service_at_every_address_is_reached_by_each(classifier, host):
    for listening in ("0.0.0.0", "::"):  # noqa: S104
        hosts = Hosts.of([listening], ["snakes"])
        assert ask(classifier, {"host": host}, hosts=hosts).status == 200


@pytest.mark.parametrize("headers", [
    {}, {"sec-fetch-site": "same-origin"}, {"sec-fetch-site": "none"},
    {"origin": "http://localhost:8000"}, {"origin": "HTTP://LOCALHOST:8000"},
    {"host": "localhost", "origin": "https://localhost:443"},
    {"host": "localhost:80", "origin": "http://localhost"},
    # Behind a proxy that replaces Host.
    {"sec-fetch-site": "same-origin", "origin": "https://snakes.example.org"},
])  # fmt: skip
def test_page_of_the_service_is_answered(classifier, headers):
    assert ask(classifier, {"host": "localhost:8000", **headers}).status == 200


FOREIGN = [
    {"sec-fetch-site": "cross-site"}, {"sec-fetch-site": "same-site"}, {"sec-fetch-site": "other"},
    {"sec-fetch-site": "cross-site", "origin": "http://localhost:8000"},
    {"origin": "https://evil.example"}, {"origin": "null"}, {"origin": "http://localhost:8001"},
    {"origin": "http://localhost"}, {"origin": "https://localhost"}, {"origin": "localhost"},
    {"origin": "http://localhost:8000.evil.example"},
]  # fmt: skip


@pytest.mark.parametrize("headers", FOREIGN)
def test_photo_from_another_page_is_refused(classifier, headers):
    reply = ask(classifier, {"host": "localhost:8000", **headers})
    require_refused(reply, 403, "a page of another address sent this")


@pytest.mark.parametrize("headers", FOREIGN)
def test_link_from_another_page_is_answered(classifier, headers):
    reply = ask(classifier, {"host": "localhost:8000", **headers}, method="GET", path="/")
    assert reply.status == 200


@pytest.mark.parametrize(("header", "values"), [
    ("", []), (" , ", []), ("es", ["es"]), ("es-MX, en;q=0.8", ["es-mx", "en"]),
    ("en;q=0.5, sw", ["sw", "en"]), ("en; q=0, sw ; q=0.001", ["sw"]),
    ("a;q=nan, b;q=2", ["a", "b"]),
    ("text/html;level=1;q=0.4, */*", ["*/*", "text/html"]),
])  # fmt: skip
def test_preferences_are_in_order_of_quality(header, values):
    assert preferences(header) == values


@pytest.mark.parametrize(("header", "language"), [
    ("", "en"), ("de", "en"), ("*", "en"), ("es", "es"), ("ES-mx", "es"), ("de, hi;q=0.1", "hi"),
    ("en-GB,en;q=0.9,fr;q=0.8", "en"), ("fr;q=0, pt", "pt"), ("../en, sw", "sw"),
])  # fmt: skip
def test_language_is_the_most_wanted_that_has_sentences(header, language):
    assert preferred_language(header) == language


@pytest.mark.parametrize(("header", "accepts"), [
    ("", True), ("*/*", True), ("application/json", True), ("text/html, application/*;q=0.1", True),
    ("text/html", False), ("application/json;q=0", False), ("application/xml", False),
])  # fmt: skip
def test_json_is_accepted(header, accepts):
    assert accepts_json(header) is accepts
