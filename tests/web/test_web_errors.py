"""Errors of the local backend."""

from dataclasses import replace

import pytest

from ophis.inference.bundles.bundle import MODEL, read_bundle
from ophis.locales import read_sentences
from ophis.web.export import MODEL as WEB_MODEL
from ophis.web.export import web_files, with_file_digests
from tests.support.page_browser import served, tried, write_page
from tests.support.web_pages import ask, encoded, until

EMERGENCY = read_sentences().text("advice", "emergency")


def refused(page, photos: list[bytes], **more) -> tuple[int, str, str]:
    """Return status, reason and message; require the emergency advice."""
    refusal = ask(page, photos, **more)["refusal"]
    assert refusal["name"] == "BackendError"
    assert refusal["emergency"] in {EMERGENCY, read_sentences("es").text("advice", "emergency")}
    return refusal["status"], refusal["reason"], refusal["error"]


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
            status, code, error = refused(page, [synthetic_photo.read_bytes()], language=language)
            assert (status, code) == (503, reason)
            assert error.startswith(f"{WEB_MODEL}: ")
        told = page.evaluate("backend.load().catch((e) => [e.name, e.status, e.reason])")
        assert told == ["BackendError", 503, reason]
        (folder / WEB_MODEL).write_bytes(model)  # the network is back
        assert "lines" in ask(page, [synthetic_photo.read_bytes()])


def test_model_that_cannot_run_is_reported(opened, made, engine, synthetic_photo, tmp_path):
    bundle = read_bundle(made[1])
    (tmp_path / MODEL).write_bytes(b"no model")
    member = replace(bundle.members[0], model=tmp_path / MODEL)
    page_files = tried(web_files(replace(bundle, members=(member,)), engine))
    with served(write_page(tmp_path / "page", with_file_digests(page_files))) as address:
        page = opened(address)
        assert refused(page, [synthetic_photo.read_bytes()])[:2] == (500, "model_failed")


def test_browser_without_webassembly_is_reported(opened, made, synthetic_photo, tmp_path):
    with served(write_page(tmp_path / "page", with_file_digests(made[0]))) as address:
        page = opened(address, before="delete globalThis.WebAssembly;")
        told = refused(page, [synthetic_photo.read_bytes()])
        assert told == (501, "no_webassembly", "")


def test_invalid_requests_are_refused_like_python(opened, made, synthetic_photo, tmp_path):
    files, _ = made
    photo = synthetic_photo.read_bytes()
    with served(write_page(tmp_path / "page", with_file_digests(files))) as address:
        page = opened(address)
        status, reason, error = refused(page, [b"%PDF-1.7 a letter", b""], language="es")
        assert (status, reason) == (422, "unreadable")
        assert error == (
            "photo 1: this is a PDF; send a JPEG, PNG or WebP photo;"
            " photo 2: the file is empty; copy it again"
        )
        assert refused(page, [b"%PDF-", b"a letter"])[1] == "not_a_photo"
        assert refused(page, [])[:2] == (422, "no_photo")
        assert refused(page, [photo], top=0)[:2] == (422, "wrong_input")
        assert refused(page, [photo], country="Atlantis") == (
            422, "unknown_country", "no country is called 'Atlantis'; use its ISO code",
        )  # fmt: skip
        *told, error = refused(page, [photo], language="tlh")
        assert told == [422, "wrong_input"]
        assert error.startswith("no sentences in language 'tlh'")
        answer = ask(page, [b"GIF89a", photo])  # one of two is enough
        (failure,) = answer["failures"]
        assert (failure["photo_id"], failure["code"]) == ("photo 1", "other_format")
        assert [seen["name"] for seen in answer["photos"]] == ["photo 2"]


def test_request_can_be_aborted_and_progress_is_reported(opened, made, synthetic_photo, tmp_path):
    with served(write_page(tmp_path / "page", with_file_digests(made[0]))) as address:
        page = opened(address)
        until(page, "Boolean(globalThis.backend)")
        shares = page.evaluate(
            "async () => { const s = []; await backend.load((x) => s.push(x)); return s; }"
        )
        assert shares == sorted(shares)
        assert shares[-1] == 1
        assert len(shares) > 2
        name = page.evaluate(
            """async (text) => {
              const photo = new Blob([Uint8Array.from(atob(text), (c) => c.charCodeAt(0))]);
              const taken = new AbortController();
              const asked = backend.identify({photos: [photo], country: null, gps: false, top: 5,
                language: "en", evidence: false}, {signal: taken.signal});
              taken.abort();
              return asked.catch((error) => error.name);
            }""",
            encoded(synthetic_photo.read_bytes()),
        )
        assert name == "AbortError"
        assert "lines" in ask(page, [synthetic_photo.read_bytes()])
