"""Parameters and headers of requests: each is read or refused, none passed over."""

import asyncio

import pytest

from ophis import load
from ophis.locales import read_sentences
from tests.support.photos import photo
from tests.support.service import BOUNDARY, body_of, evaluated_bundle, form, post, ready_app

FIELDS = "photo, country, at, gps, top, language, evidence"


@pytest.fixture(scope="module")
def app(tmp_path_factory):
    return ready_app(load(evaluated_bundle(tmp_path_factory.mktemp("request") / "bundle")))


def ask(app, data=None, **request):
    data = form(photo()) if data is None else data
    return asyncio.run(post(app, [data], length=len(data), **request))


def require_refused(reply, status, words):
    assert (reply.status, body_of(reply)["error"][: len(words)]) == (status, words)
    assert body_of(reply).keys() == {"error", "reason", "emergency"}
    assert body_of(reply)["reason"] == "wrong_input"


@pytest.mark.parametrize("name", FIELDS.split(", "))
@pytest.mark.parametrize("form_too", [False, True])
def test_field_in_the_address_is_refused(app, name, form_too):
    data = form(photo(), country="Kenya") if form_too else None
    reply = ask(app, data, query=f"{name}=Kenya")
    require_refused(reply, 422, f"{name} is in the address; send it as a field of the form")
    assert reply.taken == 0


@pytest.mark.parametrize(("method", "path", "query", "words"), [
    ("POST", "/identify", "Country=Kenya", "/identify has no parameter 'Country' in its address"),
    ("POST", "/identify", "contry=Kenya", "/identify has no parameter 'contry'"),
    ("POST", "/identify", "country", "country is in the address"),
    ("POST", "/identify", "country=", "country is in the address"),
    ("POST", "/identify", "country=Kenya&country=India", "country is in the address"),
    ("POST", "/identify", "%63ountry=Kenya", "country is in the address"),
    ("POST", "/identify", "=Kenya", "/identify has no parameter ''"),
    ("POST", "/identify", "_method=GET", "/identify has no parameter '_method'"),
    ("GET", "/species", "language=es", "/species has no parameter 'language'"),
    ("GET", "/health", "country=Kenya", "/health has no parameter 'country'"),
    ("GET", "/ready", "x", "/ready has no parameter 'x'"),
    ("GET", "/metrics", "name[]=up", "/metrics has no parameter 'name[]'"),
])  # fmt: skip
def test_other_parameter_of_the_address_is_refused(app, method, path, query, words):
    require_refused(ask(app, method=method, path=path, query=query), 422, words)


def test_page_passes_over_parameters_that_links_carry(app):
    plain, shared = (ask(app, b"", method="GET", path="/", query=q) for q in ("", "utm_source=x"))
    assert (plain.status, shared.status) == (200, 200)
    assert plain.body == shared.body


@pytest.mark.parametrize(("headers", "status", "words"), [
    ({"content-encoding": "gzip"}, 415, "send the form without compression"),
    ({"content-encoding": "identity, br"}, 415, "send the form without compression"),
    ({"expect": "200-ok"}, 417, "Expect: only 100-continue is served"),
    ({"accept": "application/xml"}, 406, "answers are JSON"),
    ({"accept": "text/*, image/png"}, 406, "answers are JSON"),
    ({"accept": "application/json;q=0, text/html"}, 406, "answers are JSON"),
    ({"content-type": "image/jpeg"}, 415, "send the photo in a form"),
    ({"content-type": "application/json"}, 415, "send the photo in a form"),
    ({"content-type": "multipart/mixed; boundary=a-boundary"}, 415, "send the photo in a form"),
])  # fmt: skip
def test_header_that_cannot_be_served_is_refused(app, headers, status, words):
    reply = ask(app, headers=headers)
    require_refused(reply, status, words)
    assert reply.taken == 0


@pytest.mark.parametrize("headers", [
    {"content-encoding": "Identity"}, {"expect": "100-Continue"},
    {"accept": "text/html, */*;q=0.1"},
    {"accept": "Application/JSON"}, {"accept": "application/*;q=0.5"}, {"accept": ""},
    {"range": "bytes=0-9", "if-none-match": "*", "x-http-method-override": "GET", "cookie": "a=b"},
])  # fmt: skip
def test_other_headers_pass(app, headers):
    reply = ask(app, headers=headers)
    assert (reply.status, reply.headers["content-type"]) == (200, "application/json")
    assert reply.body == ask(app).body


def test_long_field_is_cut_in_the_error(app):
    error = body_of(ask(app, form(photo(), country="x y " * 255)))["error"]
    assert error == f"no country is called {'x y ' * 50!r}"[:-1] + (
        "...'; use its English name or ISO code"
    )
    error = body_of(ask(app, form(photo(), country="x y " * 5_000_000)))["error"]
    assert len(error) < 400


@pytest.mark.parametrize(("fields", "language"), [
    ({}, "es"), ({"language": ""}, "es"), ({"language": "fr"}, "fr"), ({"language": "pt_BR"}, "pt"),
])  # fmt: skip
def test_accept_language_is_the_default_of_the_language(app, fields, language):
    headers = {"accept-language": "de, es-MX;q=0.9, en;q=0.5"}
    assert body_of(ask(app, form(photo(), **fields), headers=headers))["language"] == language
    error = body_of(ask(app, form(photo(), country="Atlantis", **fields), headers=headers))
    assert error["emergency"] == read_sentences(language).text("advice", "emergency")


@pytest.mark.parametrize("request_", [
    {"query": "country=KE"}, {"path": "/nothing"}, {"headers": {"content-length": ""}},
    {"headers": {"content-type": "text/plain"}},
])  # fmt: skip
def test_advice_before_the_form_is_read_is_in_an_accepted_language(app, request_):
    headers = {"accept-language": "sw", **request_.pop("headers", {})}
    error = body_of(ask(app, headers=headers, **request_))
    assert error["emergency"] == read_sentences("sw").text("advice", "emergency")


@pytest.mark.parametrize(("fields", "words"), [
    ({"Country": "Kenya"}, f"there is no field 'Country'; the fields are {FIELDS}"),
    ({"country ": "Kenya"}, "there is no field 'country '"),
    ({"": "Kenya"}, "there is no field ''"),
    ({"_charset_": "utf-8"}, "there is no field '_charset_'"),
    ({"top": "1_0"}, "top = '1_0' should be a whole number"),
    ({"top": "٣"}, "top = '٣' should be a whole number"),
    ({"top": "2.7"}, "top = '2.7' should be a whole number"),
])  # fmt: skip
def test_field_that_is_misspelt_is_refused(app, fields, words):
    require_refused(ask(app, form(photo(), **fields)), 422, words)


def test_text_before_an_empty_photo_field_is_refused(app):
    part = b'--%b\r\nContent-Disposition: form-data; name="photo"\r\n\r\n%b\r\n'
    data = part % (BOUNDARY, b"text") + part % (BOUNDARY, b"") + form(photo())
    require_refused(ask(app, data), 422, "photo: a file is needed")


def test_empty_fields_are_not_given(app):
    fields = {"country": " ", "at": " ", "gps": "", "top": "", "language": "", "evidence": ""}
    assert body_of(ask(app, form(photo(), **fields))) == body_of(ask(app))


@pytest.mark.parametrize("charset", [
    "punycode", "idna", "utf-7", "utf-16", "unicode_escape", "undefined", "base64", "rot13", "\xff",
    "x" * 500, "../../x",
])  # fmt: skip
@pytest.mark.parametrize("fields", [{"country": "M\xfcnchen\xff-"}, {"language": "\xff--a"}])
def test_charset_of_a_form_changes_no_answer(app, charset, fields):
    plain, form_type = form(photo(), **fields), f"; boundary={BOUNDARY.decode()}; charset={charset}"
    reply = ask(app, plain, headers={"content-type": f"multipart/form-data{form_type}"})
    assert reply.status == 422
    assert reply.body == ask(app, plain).body
    part = b"Content-Type: text/plain; charset=" + charset.encode("latin-1") + b"\r\n\r\n"
    assert ask(app, plain.replace(b"\r\n\r\n", b"\r\n" + part)).body == reply.body
