"""States of the page without an answer: form, progress, errors."""

import pytest

from ophis.errors import Reason
from ophis.locales import read_sentences
from ophis.serve.error_response import HTTPReason
from tests.support.page_actions import (
    LOCAL,
    NAIROBI,
    NAMANGA,
    answered,
    ask,
    ask_again,
    choose,
    focused,
    overflows,
    photo_at,
    require_fit,
)
from tests.support.page_server import page_server

WORDS = read_sentences()
REASONS = tuple(WORDS.sections["error"])
TEMPORARY = {
    "too_slow", "busy", "starting", "stopping", "broken", "wrong_input", "not_found",
    "unreachable", "model_missing", "model_damaged", "model_failed",
}  # fmt: skip
NO_SIMD = "WebAssembly.validate = () => false"


def test_every_state_without_an_answer_fits_and_is_accessible(
    visit, fake, synthetic_photo, tmp_path
):
    page = visit(width=1280)
    require_fit(page, "start")
    page.click("#submit")
    require_fit(page, "no photo")
    page.fill("#country", "in")
    require_fit(page, "countries")
    page.fill("#country", "Atlantis")
    page.press("#country", "Tab")
    require_fit(page, "no country")
    page.fill("#country", "")
    for name, place in (("offer", NAIROBI), ("near a border", NAMANGA)):
        choose(page, photo_at(tmp_path, place))
        page.wait_for_selector("#offer")
        require_fit(page, name)
        page.click(".remove")
    page.click("#take")
    page.wait_for_function("() => document.querySelector('#view').videoWidth > 0")
    require_fit(page, "camera")
    page.click("#camera-close")
    choose(page, synthetic_photo)
    fake.go.clear()
    page.click("#submit")
    require_fit(page, "identifying")
    page.click("#cancel")
    fake.go.set()
    fake.error = 422, "damaged", "photo: damaged or cut short (image file is truncated)"
    ask(page)
    require_fit(page, "error")
    page.context.set_offline(True)
    page.wait_for_selector("#network")
    ask_again(page)
    require_fit(page, "offline")
    page.messages.clear()  # the browser logs the failed request
    page.context.set_offline(False)


def test_request_can_be_cancelled(visit, fake, synthetic_photo):
    fake.go.clear()
    page = visit()
    choose(page, synthetic_photo)
    page.click("#submit")
    page.wait_for_selector("#identifying")
    assert page.inner_text("#identifying-text") == WORDS.text("page", "identifying")
    assert focused(page) == "identifying-text"
    page.click("#cancel")
    assert focused(page) == "submit"
    assert page.inner_text("#live") == "Cancelled. Nothing was answered."
    fake.go.set()
    # The answer to the cancelled request is ignored; only the next one is shown.
    fake.kind = "genus"
    ask(page)
    assert "genus" in page.inner_text(".state")


def test_loading_progress_is_shown(visit, synthetic_photo):
    slow = """export class BackendError extends Error {}
    export async function openBackend() {
      return { load: (tell) => { globalThis.tell = tell; return new Promise(
        (done) => { globalThis.done = done; }); },
        identify: () => new Promise(() => {}), availableOffline: async () => true };
    }"""
    page = visit(routes=[("backend.js", slow)])
    page.wait_for_function("() => globalThis.tell")
    page.evaluate("tell(0.4)")
    assert page.inner_text("#loading-text") == "Getting the model ready: 40.0%"
    require_fit(page, "loading")
    choose(page, synthetic_photo)
    page.click("#submit")
    assert page.is_visible("#identifying-progress")
    page.evaluate("done()")
    page.wait_for_selector("#identifying-progress", state="hidden")
    assert page.inner_text("#identifying-text") == WORDS.text("page", "identifying")
    page.click("#cancel")
    assert page.inner_text("#available-offline") == WORDS.text("page", "available_offline")


@pytest.mark.parametrize("language", ["en", "es", "hi"])
def test_error_gives_reason_and_fix_in_the_page_language(visit, fake, synthetic_photo, language):
    page, words = visit(width=320, language=language), read_sentences(language)
    choose(page, synthetic_photo)
    for reason in REASONS:
        fake.error = 422, reason, f"photo: in English, {reason}"
        ask_again(page)
        banner = page.locator(".verdict.error")
        assert words.text("page", "no_answer") in banner.inner_text()
        assert words.text("error", reason) in banner.inner_text()
        detail = banner.locator(".detail")
        assert detail.inner_text() == f"photo: in English, {reason}"
        assert detail.get_attribute("lang") == "en"
        assert focused(page) == "verdict"
        assert page.is_visible("#emergency-text")
        assert overflows(page) == []
        if reason not in {"no_webassembly", "model_wrong"}:
            buttons = page.locator("#answer .buttons button").all_inner_texts()
            again = [words.text("page", "again")] if reason in TEMPORARY else []
            assert buttons == [*again, words.text("page", "change")]
    count = len(fake.requests)
    page.select_option("#language", "fr")
    page.wait_for_selector(f".verdict:has-text('{read_sentences('fr').text('page', 'no_answer')}')")
    assert read_sentences("fr").text("error", REASONS[-1]) in page.inner_text(".verdict")
    assert len(fake.requests) == count  # no new request


def test_error_offers_retry_or_change(visit, fake, synthetic_photo):
    page = visit()
    choose(page, synthetic_photo)
    for status, reason in ((503, HTTPReason.BUSY), (422, Reason.DAMAGED)):
        fake.error = status, reason, ""
        ask_again(page)
        assert page.locator(".detail").count() == 0
        fake.error = None
        first = page.locator("#answer .buttons button").first
        if reason is HTTPReason.BUSY:
            answered(page, first.click)
        else:
            first.click()
            assert focused(page) == "heading"
            ask(page)
        assert page.is_visible(".named")


def test_error_of_a_proxy_is_understood(visit, fake, synthetic_photo):
    page = visit()
    choose(page, synthetic_photo)
    for status, reason in (
        (413, "too_large"), (429, "busy"), (503, "busy"), (408, "too_slow"), (504, "too_slow"),
        (502, "broken"), (404, "wrong_input"),
    ):  # fmt: skip
        fake.error = status, "", ""
        ask_again(page)
        assert WORDS.text("error", reason) in page.inner_text(".verdict"), status
    # An unknown reason, for example of a newer service.
    fake.error = 422, "asleep", "the snake is asleep"
    ask_again(page)
    assert WORDS.text("error", "broken") in page.inner_text(".verdict")
    assert "the snake is asleep" in page.inner_text(".verdict")


def test_unreachable_server_is_reported_and_the_guide_stays(visit, fake, synthetic_photo):
    page = visit()
    choose(page, synthetic_photo)
    page.context.set_offline(True)
    page.wait_for_selector("#network")
    assert page.inner_text("#network") == WORDS.text("page", "offline_service")
    ask(page)
    page.messages.clear()  # the browser logs the failed request
    assert WORDS.text("error", "unreachable") in page.inner_text("#answer")
    assert WORDS.text("page", "not_tie") in page.inner_text("#bite")
    page.context.set_offline(False)
    page.wait_for_function("() => navigator.onLine")
    answered(page, lambda: page.click("button:has-text('Try again')"))
    assert page.is_visible(".named")


@pytest.mark.parametrize("script", ["delete globalThis.WebAssembly", NO_SIMD])
def test_unsupported_browser_is_reported(visit, fake, script):
    with page_server(LOCAL, fake) as url:
        page = visit(url=url, script=script)
        page.wait_for_selector("#verdict")
        assert WORDS.text("error", "no_webassembly") in page.inner_text("#answer")
        assert not page.is_visible("#request")
        assert page.is_visible("#bite")
        assert page.is_visible("#emergency-text")
        require_fit(page, "no WebAssembly")
        page.messages.clear()  # the engine may log an error
