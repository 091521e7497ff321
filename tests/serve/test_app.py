"""Answers and errors of the service, field by field."""

import json
import re
import time
from typing import Any

import pytest
from jsonschema import Draft202012Validator
from starlette.testclient import TestClient

from ophis import InputError, load
from ophis.geography.location import read_position
from ophis.locales import languages, read_sentences
from ophis.serve import Limits, create_app
from ophis.serve.middleware import HEADERS
from ophis.serve.request import FIELDS, IdentifyRequest
from ophis.serve.site import site_of
from ophis.taxonomy.danger import danger
from ophis.web.page import SETTINGS, Mode, Settings, page_files
from tests.support.classifiers import SPECIES
from tests.support.decision_bundles import BUNDLES
from tests.support.photos import heic, kathmandu_photo, photo, picture, png_header
from tests.support.service import evaluated_bundle


@pytest.fixture(scope="module")
def classifier(tmp_path_factory):
    return load(evaluated_bundle(tmp_path_factory.mktemp("serve") / "bundle"))


@pytest.fixture(scope="module")
def app(classifier):
    return create_app(classifier)


@pytest.fixture(scope="module")
def client(app):
    with TestClient(app, raise_server_exceptions=False) as client:
        while client.get("/ready").status_code != 200:
            time.sleep(0.01)
        yield client


def identify(client, *photos, **fields):
    return client.post("/identify", files=[("photo", data) for data in photos], data=fields)


@pytest.mark.parametrize("fields", [
    {}, {"country": "India"}, {"country": "IN", "top": "1"}, {"country": "ken", "language": "es"},
    {"gps": "true"}, {"gps": "true", "country": "KE"}, {"gps": "false", "country": ""},
    {"country": "UNKNOWN"}, {"evidence": "true"}, {"at": "27,84.8667,50"},
    {"at": " -1.29, 36.82 ", "country": "KE", "gps": "true"},
])  # fmt: skip
@pytest.mark.parametrize(
    "photos", [[photo(1)], [photo(2), kathmandu_photo()], [photo(3), b"no photo"]]
)
def test_service_answers_like_the_library(client, classifier, fields, photos):
    answer = identify(client, *photos, **fields)
    assert answer.status_code == 200, answer.text
    expected = classifier.identify(
        photos,
        country=fields.get("country") or None,
        at=read_position(fields["at"]) if "at" in fields else None,
        gps=fields.get("gps") == "true",
        top=int(fields.get("top", 5)),
        language=fields.get("language", "en"),
        evidence="evidence" in fields,
    )
    assert answer.json() == expected.as_dict()


def test_country_comes_from_the_position_of_the_photo(client):
    found = identify(client, kathmandu_photo(), gps="true").json()
    assert (found["country"], found["source"]) == ("np", "position")
    assert identify(client, kathmandu_photo()).json()["source"] is None
    assert identify(client, kathmandu_photo(), gps="1", country="NE").json()["source"] == "given"


def test_position_is_in_no_response(client, classifier, caplog):
    caplog.set_level(0)
    for fields in ({"at": "-1.29207,36.82194,77.5"}, {"at": "-1.29207,36.82194,77.5,3"},
                   {"at": "-1.29207,36.82194,77.5", "country": "Nepal"}):  # fmt: skip
        found = identify(client, photo(), **fields)
        text = f"{found.text} {found.headers} {caplog.text} {client.get('/metrics').text}"
        assert [
            digits for digits in ("1.29", "2920", "36.8", "8219", "77.5") if digits in text
        ] == []
    assert identify(client, photo(), at="-1.29207,36.82194").json()["source"] == "given position"


def test_heic_photo_is_answered(client, classifier):
    data = heic(picture(size=(96, 64)))  # skips this test without a decoder
    assert identify(client, data).json() == classifier.identify(data).as_dict()


def test_file_names_are_in_no_response(client):
    files = [("photo", ("Anna Muster.jpg", photo(1))), ("photo", ("Anna 2.jpg", b"text"))]
    answer = client.post("/identify", files=files)
    assert answer.status_code == 200
    assert [seen["name"] for seen in answer.json()["photos"]] == ["photo 1"]
    assert answer.json()["failures"][0]["photo_id"] == "photo 2"
    assert "Anna" not in answer.text
    error = client.post("/identify", files={"photo": ("Anna.jpg", b"text")})
    assert error.status_code == 422
    assert "Anna" not in error.text


@pytest.mark.parametrize(("photos", "fields", "status", "words", "reason"), [
    ([], {"country": "India"}, 422, "no photo was sent", "no_photo"),
    ([b""], {}, 422, "photo: the file is empty", "empty"),
    ([b"%PDF-1.7 ..."], {}, 422, "photo: this is a PDF", "not_a_photo"),
    ([b"this is text"], {}, 422, "photo: this is no photo; send a JPEG, PNG or WebP photo",
     "not_a_photo"),
    ([b"text", b"%PDF-"], {}, 422, "photo 1: this is no photo; send a JPEG, PNG or WebP photo; "
                                   "photo 2: this is a PDF", "not_a_photo"),
    ([b"text", b"GIF89a"], {}, 422, "photo 1: this is no photo", "unreadable"),
    ([b"GIF89a"], {}, 422, "photo: GIF, TIFF and BMP pictures are not read", "other_format"),
    ([photo()[:900]], {}, 422, "photo: damaged or cut short", "damaged"),
    ([photo(side=31)], {}, 422, "photo: 31 x 31 pixels show nothing", "too_small"),
    ([png_header(13370, 13370)], {}, 422, "photo: more than 80 million pixels", "too_large"),
    ([photo()], {"country": "Atlantis"}, 422, "no country is called 'Atlantis'",
     "unknown_country"),
    ([photo()], {"country": "刚果"}, 422, "'刚果' means Democratic Republic of the Congo",
     "unknown_country"),
    ([photo()], {"at": "91,36.8"}, 422, "at: the latitude (it comes first) should", "wrong_input"),
    ([photo()], {"at": "1,29,36,82"}, 422, "at: the position has too many commas", "wrong_input"),
    ([photo()], {"at": "-1.29,36.82", "country": "Nepal"}, 422,
     "the position is in Kenya, not in Nepal; leave out the one that is wrong", "wrong_input"),
    ([photo()], {"language": "tlh"}, 422, "no sentences in language 'tlh'; choose one of en",
     "wrong_input"),
    ([photo()], {"top": "0"}, 422, "top = 0 should be 1 or more", "wrong_input"),
    ([photo()], {"top": "-3"}, 422, "top = -3 should be 1 or more", "wrong_input"),
    ([photo()], {"top": "many"}, 422, "top = 'many' should be a whole number", "wrong_input"),
    ([photo()], {"top": "1.5"}, 422, "top = '1.5' should be a whole number", "wrong_input"),
    ([photo()], {"gps": "maybe"}, 422, "gps = 'maybe' should be true or false", "wrong_input"),
    ([photo()], {"contry": "India"}, 422, "there is no field 'contry'; the fields are photo,",
     "wrong_input"),
    ([photo()], {"country": ["India", "Nepal"]}, 422, "country is given 2 times", "wrong_input"),
    ([photo()], {"photo": "text"}, 422, "photo: a file is needed", "wrong_input"),
    ([photo()], {"country": "x" * 2000}, 400, "the form cannot be read", "wrong_input"),
    ([photo()] * 9, {}, 413, "more than 8 photos", "too_many_photos"),
])  # fmt: skip
def test_error_has_status_sentence_and_reason(client, photos, fields, status, words, reason):
    files = [("photo", ("a", data)) for data in photos] or [("photo", ("", b""))]
    error = client.post("/identify", files=files, data=fields)
    assert (error.status_code, error.json()["error"][: len(words)]) == (status, words)
    assert error.json().keys() == {"error", "reason", "emergency"}
    assert error.json()["reason"] == reason
    assert error.json()["emergency"] == read_sentences().text("advice", "emergency")
    assert "\n" not in error.json()["error"]


def test_country_as_file_is_refused(client):
    files = [("photo", photo()), ("country", ("a", b"India"))]
    error = client.post("/identify", files=files)
    assert (error.status_code, error.json()["error"]) == (422, "country: text is needed")


@pytest.mark.parametrize("language", languages())
def test_advice_of_an_error_is_in_the_language_of_the_request(client, language):
    error = identify(client, b"text", language=language)
    assert error.json()["emergency"] == read_sentences(language).text("advice", "emergency")


def test_evidence_is_off_by_default():
    class Recorder:
        def identify(self, photos, **options):
            self.options = options
            return self

        def as_dict(self):
            return self.options

    assert IdentifyRequest((b"",)).run(Recorder())["evidence"] is False
    assert IdentifyRequest((b"",), evidence=True).run(Recorder())["evidence"] is True


def test_defect_gives_a_sentence_and_no_data(client, classifier, monkeypatch, caplog):
    def broken(*_: object, **__: object) -> None:
        raise ZeroDivisionError("Anna in Kathmandu")

    monkeypatch.setattr(classifier, "identify", broken)
    error = identify(client, photo())
    assert error.status_code == 500
    assert error.json().keys() == {"error", "reason", "emergency"}
    assert error.json()["reason"] == "broken"
    assert "Anna" not in error.text + caplog.text
    assert "defect: ZeroDivisionError in test_app.py, line " in caplog.text


def test_species_with_their_danger_and_health(client, classifier):
    assert client.get("/species").json() == [
        {"species": name, "danger": danger(name)} for name in SPECIES
    ]
    assert client.get("/health").json() == {"status": "ok", "bundle": classifier.bundle.version}
    assert client.get("/ready").json()["bundle"] == classifier.bundle.version
    for path in ("/health", "/ready"):
        assert (client.head(path).status_code, client.head(path).content) == (200, b"")
    wrong = client.get("/identify")
    assert (wrong.status_code, wrong.headers["allow"]) == (405, "POST")
    assert client.post("/species").status_code == client.head("/metrics").status_code == 405


def test_page_uses_positions_if_the_bundle_has_records():
    for name, records in (("location", True), ("bayes", False), ("image", False)):
        settings = json.loads(site_of(BUNDLES[name])[SETTINGS].body)
        assert settings["records"] is records


def test_only_files_of_the_page_are_served(client, classifier):
    bundle = classifier.bundle
    settings = Settings(Mode.SERVICE, bundle=bundle.version, evaluated=True, species=len(SPECIES))
    files = page_files(settings, SPECIES)
    for name, body in files.items():
        found = client.get(f"/{name}")
        assert (found.status_code, found.content) == (200, body), name
    assert client.get("/").content == files["index.html"]
    assert client.get(f"/{SETTINGS}").json()["mode"] == "service"
    for path in (
        "/docs", "/redoc", "/bundle.json", "/__init__.py", "/sentences", "/sentences/",
        "/sentences/en.toml", "/../pyproject.toml", "/%2e%2e/%2e%2e/etc/passwd", "//etc/passwd",
        "/sentences/..%2findex.html",
        "/sentences/%2e%2e/index.html", "/index.html%00", "/C:/windows/win.ini",
    ):  # fmt: skip
        missing = client.get(path)
        assert missing.status_code == 404, path
        assert missing.json().keys() == {"error", "reason", "emergency"}
        assert missing.json()["reason"] == "not_found"
    assert client.post("/").status_code == 405


def test_page_has_content_types_etags_and_security_headers(client):
    kinds = {"": "text/html; charset=utf-8", "sentences/en.json": "application/json"}
    for path, kind in kinds.items():
        found = client.get(f"/{path}")
        assert found.headers["content-type"] == kind
        assert found.headers["cache-control"] == "no-cache"
        for name, value in HEADERS.items():
            assert found.headers[name] == value
        known = client.get(f"/{path}", headers={"if-none-match": f'"x", {found.headers["etag"]}'})
        assert (known.status_code, known.content) == (304, b"")
        assert client.get(f"/{path}", headers={"if-none-match": '"x"'}).status_code == 200
        head = client.head(f"/{path}")
        assert (head.status_code, head.headers["content-length"]) == (200, str(len(found.content)))
    assert "default-src 'none'" in HEADERS["Content-Security-Policy"]


def test_openapi_describes_real_answers_and_errors(client):
    description = client.get("/openapi.json").json()
    assert "application/json" in client.get("/openapi.json").headers["content-type"]

    def validator(schema: dict[str, Any]) -> Any:
        whole = {**schema, "components": description["components"]}
        Draft202012Validator.check_schema(whole)
        return Draft202012Validator(whole)

    answers = description["paths"]["/identify"]["post"]["responses"]
    body = answers["200"]["content"]["application/json"]
    schema = validator(body["schema"])
    real = identify(client, photo(1), photo(2), b"text", country="KE").json()
    schema.validate(real)
    schema.validate(body["example"])
    assert real.keys() == body["example"].keys()
    assert real.keys() == set(description["components"]["schemas"]["Answer"]["required"])
    assert not schema.is_valid({**real, "verdict": "harmless"})
    assert not schema.is_valid({**real, "guesses": [{"species": 3}]})
    statuses = [200, 400, 403, 406, 408, 411, 413, 415, 417, 421, 422, 500, 503]
    assert set(answers) == {str(status) for status in statuses}
    for status in set(answers) - {"200"}:
        error = answers[status]["content"]["application/json"]
        validator(error["schema"]).validate(error["example"])
        validator(error["schema"]).validate(identify(client, b"text").json())
    body = description["paths"]["/identify"]["post"]["requestBody"]["content"]
    schema = body["multipart/form-data"]
    assert tuple(schema["schema"]["properties"]) == FIELDS
    assert schema["example"].keys() <= set(FIELDS)
    assert set(description["paths"]) == {"/identify", "/species", "/health", "/ready", "/metrics"}
    for path in ("/species", "/health", "/ready"):
        schema = description["paths"][path]["get"]["responses"]["200"]["content"][
            "application/json"
        ]
        validator(schema["schema"]).validate(client.get(path).json())
        validator(schema["schema"]).validate(schema["example"])


LABELS = re.compile(r'^(ophis_\w+)(?:\{((?:\w+="[^"\\]*",?)*)\})? (\S+)$')


def test_metrics_count_routes_and_hold_no_client_data(classifier):
    with TestClient(create_app(classifier)) as client:
        for _ in range(3):
            identify(client, photo(), country="India")
        identify(client, b"text", language="es")
        client.get("/Anna/Muster?country=Nepal")
        client.request("ANNA", "/identify")
        found = client.get("/metrics")
    assert found.headers["content-type"].startswith("text/plain; version=0.0.4")
    rows = {}
    for line in found.text.splitlines():
        if not line.startswith("#"):
            match = LABELS.match(line)
            assert match, line
            rows[match[1], match[2]] = float(match[3])
    labels = 'method="{}",route="{}",status="{}"'
    total = "ophis_requests_total"
    assert rows[total, labels.format("POST", "/identify", 200)] == 3
    assert rows[total, labels.format("POST", "/identify", 422)] == 1
    assert rows[total, labels.format("GET", "other", 404)] == 1
    assert rows[total, labels.format("other", "/identify", 405)] == 1
    seconds = [value for (name, label), value in rows.items() if "_bucket" in name
               and 'route="/identify"' in label]  # fmt: skip
    assert seconds == sorted(seconds)
    assert seconds[-1] == 5 == rows["ophis_request_seconds_count", 'route="/identify"']
    for gauge in ("ophis_queue_length", "ophis_in_progress", "ophis_places_taken"):
        assert rows[gauge, None] == 0
    assert not re.search("(?i)anna|muster|nepal|india", found.text)


def test_invalid_limits_are_refused():
    with pytest.raises(InputError, match="workers = 0 should be 1 or more"):
        Limits(workers=0)
    with pytest.raises(InputError, match="waiting = -1 should be 0 or more"):
        Limits(waiting=-1)
    assert Limits(waiting=0).waiting == 0
