"""Errors of the local backend."""

import json
from dataclasses import replace
from typing import Any

import pytest

from ophis import SpeciesList
from ophis.inference.bundles.bundle import read_bundle
from ophis.inference.bundles.index import MODEL
from ophis.locales import languages, read_sentences
from ophis.web.export import FACTS, web_files, with_file_digests, with_inline_engine
from ophis.web.export import MODEL as WEB_MODEL
from ophis.web.runtime import MODULE
from ophis.web.single_file import single_page
from tests.support.made_bundle import write_made_bundle
from tests.support.page_actions import require_fit
from tests.support.page_browser import served, tried, write_page
from tests.support.web_pages import ask, encoded, until

EMERGENCY = read_sentences().text("advice", "emergency")


def error_of(page, photos: list[bytes], **more) -> tuple[int, str, str]:
    """Return status, reason and message; require the emergency advice."""
    error = ask(page, photos, **more)["error"]
    assert error["name"] == "BackendError"
    assert error["emergency"] in {EMERGENCY, read_sentences("es").text("advice", "emergency")}
    return error["status"], error["reason"], error["error"]


@pytest.mark.parametrize("how", ["cut short", "changed", "missing"])
def test_incomplete_model_is_reported(opened, made, synthetic_photo, tmp_path, how):
    files, _ = made
    folder = write_page(tmp_path / "page", with_file_digests(files))
    model = files[WEB_MODEL]
    (folder / WEB_MODEL).write_bytes(
        {"cut short": model[:-100], "changed": model[:-1] + b"!", "missing": b""}[how]
    )
    if how == "missing":
        (folder / WEB_MODEL).unlink()
    reason = "model_missing" if how == "missing" else "model_damaged"
    with served(folder) as address:
        page = opened(address)
        for language in ("en", "es"):
            status, code, error = error_of(page, [synthetic_photo.read_bytes()], language=language)
            assert (status, code) == (503, reason)
            assert error.startswith(f"{WEB_MODEL}: ")
        found = page.evaluate("backend.load().catch((e) => [e.name, e.status, e.reason])")
        assert found == ["BackendError", 503, reason]
        (folder / WEB_MODEL).write_bytes(model)  # the network is back
        assert "lines" in ask(page, [synthetic_photo.read_bytes()])


def test_model_that_cannot_run_is_reported(opened, made, engine, synthetic_photo, tmp_path):
    bundle = read_bundle(made[1])
    (tmp_path / MODEL).write_bytes(b"no model")
    member = replace(bundle.members[0], model=tmp_path / MODEL)
    page_files = tried(web_files(replace(bundle, members=(member,)), engine))
    with served(write_page(tmp_path / "page", with_file_digests(page_files))) as address:
        page = opened(address)
        assert error_of(page, [synthetic_photo.read_bytes()])[:2] == (500, "model_failed")


@pytest.fixture(scope="module")
def tested(tmp_path_factory, engine):
    """Files of a page whose bundle has a self-test."""
    species = SpeciesList(("Boa constrictor", "Naja naja", "Natrix natrix"))
    folder = tmp_path_factory.mktemp("tested") / "bundle"
    return web_files(read_bundle(write_made_bundle(folder, species, selftest=True)), engine)


def tampered(files, logit) -> dict[str, bytes]:
    """Return files whose self-test expects another first logit, or a function of it."""
    facts = json.loads(files[FACTS])
    (test,) = facts["selftests"]
    test["logits"][0] = logit(test["logits"][0], max(1, *map(abs, test["logits"])))
    return {**files, FACTS: json.dumps(facts).encode()}


def sets(**values) -> dict[str, Any]:
    """Return sets of three species as a fit has them, but for some values."""
    fitted = {"coverage": 0.99, "confidence": 0.95, "observations": [299] * 3}
    return fitted | {"thresholds": [0.9] * 3} | values


@pytest.mark.parametrize(
    ("danger", "selftest"),
    [
        ({"thresholds": [-1] * 3}, {}),
        ({"coverage": 0}, {}),
        ({"observations": [-5] * 3}, {}),
        ({"observations": [298] * 3}, {}),
        ({}, {"tolerance": 2}),
        ({}, {"photo": ""}),
        ({}, {"verdict": "fine"}),
        ({}, {}),
    ],
)
def test_facts_outside_the_bounds_of_an_export_are_refused(
    opened, tested, synthetic_photo, tmp_path, danger, selftest
):
    facts = json.loads(tested[FACTS])
    facts["selftests"][0] |= selftest
    facts["rule"] = {
        "ood": {"by": "energy", "limit": None, "passing": 0.9},
        "image": {"names": sets(), "danger": sets(**danger)}, "country": None,
    }  # fmt: skip
    files = tried({**tested, FACTS: json.dumps(facts).encode()})
    with served(write_page(tmp_path / "page", with_file_digests(files))) as address:
        page = opened(address)
        if not danger and not selftest:
            assert ask(page, [synthetic_photo.read_bytes()])["evaluated"]
            return
        status, code, error = error_of(page, [synthetic_photo.read_bytes()])
        assert (status, code) == (503, "model_damaged")
        assert error.startswith("facts.json: ")


@pytest.mark.parametrize("lost", [False, True])
def test_page_that_loses_the_warning_of_the_known_photo_gives_no_answer(
    opened, tested, synthetic_photo, tmp_path, lost
):
    facts = json.loads(tested[FACTS])
    facts["selftests"][0]["verdict"] = "may be venomous"
    for species in facts["species"]:
        species["dangerous"] = not lost
    files = tried({**tested, FACTS: json.dumps(facts).encode()})
    with served(write_page(tmp_path / "page", with_file_digests(files))) as address:
        page, photo = opened(address), synthetic_photo.read_bytes()
        if lost:
            status, code, error = error_of(page, [photo])
            assert (status, code) == (500, "model_wrong")
            assert 'had the verdict "may be venomous" at the export' in error
        else:
            assert "lines" in ask(page, [photo])


@pytest.mark.parametrize("single_file", [False, True])
def test_device_that_counts_wrong_gives_no_answer(
    opened, engine, tested, synthetic_photo, tmp_path, single_file
):
    photo = synthetic_photo.read_bytes()
    for off, wrong in ((5e-5, False), (3e-4, True)):
        files = tried(tampered(tested, lambda logit, most, off=off: logit + off * most))
        if single_file:
            path = tmp_path / f"{off}.html"
            path.write_bytes(single_page(with_inline_engine(files), engine[MODULE]))
            page = opened(path.as_uri())
            found = ask(page, [photo])
        else:
            with served(write_page(tmp_path / str(off), with_file_digests(files))) as address:
                page = opened(address)
                found = ask(page, [photo])
                loaded = page.evaluate("backend.load().catch((e) => e.reason)")
                assert loaded == ("model_wrong" if wrong else None)
        if wrong:
            assert found["error"]["reason"] == "model_wrong"
            assert found["error"]["emergency"] == EMERGENCY
            assert "differ from those at the export by 3.0e-4" in found["error"]["error"]
        else:
            assert "lines" in found


@pytest.mark.parametrize("language", languages())
def test_page_of_a_device_that_counts_wrong_shows_what_to_do(visit, tested, tmp_path, language):
    files = tampered(tested, lambda logit, most: logit + most)
    words = read_sentences(language)
    with served(write_page(tmp_path / "page", with_file_digests(files))) as address:
        page = visit(url=address, language=language)
        page.wait_for_selector("#verdict")
        assert words.text("error", "model_wrong") in page.inner_text("#answer")
        assert not page.is_visible("#request")
        assert page.is_visible("#bite")
        assert page.inner_text("#emergency-text") == words.text("advice", "emergency")
        require_fit(page, "counts wrong")


def test_browser_without_webassembly_is_reported(opened, made, synthetic_photo, tmp_path):
    with served(write_page(tmp_path / "page", with_file_digests(made[0]))) as address:
        page = opened(address, before="delete globalThis.WebAssembly;")
        found = error_of(page, [synthetic_photo.read_bytes()])
        assert found == (501, "no_webassembly", "")


def test_invalid_requests_are_refused_like_python(opened, made, synthetic_photo, tmp_path):
    files, _ = made
    photo = synthetic_photo.read_bytes()
    with served(write_page(tmp_path / "page", with_file_digests(files))) as address:
        page = opened(address)
        status, reason, error = error_of(page, [b"%PDF-1.7 a letter", b""], language="es")
        assert (status, reason) == (422, "unreadable")
        assert error == (
            "photo 1: this is a PDF; send a JPEG, PNG or WebP photo;"
            " photo 2: the file is empty; copy it again"
        )
        assert error_of(page, [b"%PDF-", b"a letter"])[1] == "not_a_photo"
        assert error_of(page, [])[:2] == (422, "no_photo")
        assert error_of(page, [photo], top=0)[:2] == (422, "wrong_input")
        assert error_of(page, [photo], country="Atlantis") == (
            422, "unknown_country", "no country is called 'Atlantis'; use its ISO code",
        )  # fmt: skip
        *found, error = error_of(page, [photo], language="tlh")
        assert found == [422, "wrong_input"]
        assert error.startswith("no sentences in language 'tlh'")
        assert ask(page, [photo], language="es_MX")["language"] == "es"
        answer = ask(page, [b"GIF89a", photo])  # one of two is enough
        (failure,) = answer["failures"]
        assert (failure["photo_id"], failure["code"]) == ("photo 1", "other_format")
        assert [seen["name"] for seen in answer["photos"]] == ["photo 2"]


def test_request_can_be_aborted_and_progress_is_reported(opened, made, synthetic_photo, tmp_path):
    with served(write_page(tmp_path / "page", with_file_digests(made[0]))) as address:
        page = opened(address)
        until(page, "Boolean(globalThis.backend)")
        fractions = page.evaluate(
            "async () => { const s = []; await backend.load((x) => s.push(x)); return s; }"
        )
        assert fractions == sorted(fractions)
        assert fractions[-1] == 1
        assert len(fractions) > 2
        name = page.evaluate(
            """async (text) => {
              const photo = new Blob([Uint8Array.from(atob(text), (c) => c.charCodeAt(0))]);
              const taken = new AbortController();
              const answer = backend.identify({photos: [photo], country: null, gps: false, top: 5,
                language: "en", evidence: false}, {signal: taken.signal});
              taken.abort();
              return answer.catch((error) => error.name);
            }""",
            encoded(synthetic_photo.read_bytes()),
        )
        assert name == "AbortError"
        assert "lines" in ask(page, [synthetic_photo.read_bytes()])
