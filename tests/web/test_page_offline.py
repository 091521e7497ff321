"""Exported page on a phone without a network."""

import pytest

from ophis import load
from ophis.inference.bundles.bundle import read_bundle
from ophis.locales import read_sentences
from ophis.web.export import web_files, with_file_digests, with_inline_engine
from ophis.web.runtime import MODULE
from ophis.web.single_file import single_page
from tests.support.page_actions import (
    NAIROBI,
    ask,
    ask_again,
    choose,
    give_country,
    overflows,
    started,
    violations,
)
from tests.support.page_browser import served, write_page
from tests.support.web_pages import CONTROLLED, until

HINDI = read_sentences("hi")


@pytest.fixture(scope="module")
def whole(made, engine):
    """Exported page, and its bundle."""
    return web_files(read_bundle(made[1]), engine), load(made[1])


@pytest.fixture
def phone(browser):
    """Emulated phone; console messages fail the test."""
    context = browser.new_context(
        viewport={"width": 390, "height": 844}, locale="hi", has_touch=True, is_mobile=True,
        permissions=["geolocation"],
        geolocation={"latitude": NAIROBI[0], "longitude": NAIROBI[1]},
    )  # fmt: skip
    page, messages = context.new_page(), []
    page.on("console", lambda message: messages.append(message.text))
    page.on("pageerror", lambda error: messages.append(str(error)))
    yield page
    assert messages == []
    context.close()


def require_answers(page, classifier, photo, tmp_path):
    """Require an answer to a photo in the page's language, and an error for a PDF."""
    choose(page, photo)
    give_country(page, "केन्या")
    ask(page)
    expected = classifier.identify(photo, country="KE", language="hi", top=8)
    warning, verdict, state, *_ = expected.lines
    text = page.inner_text("#answer")
    for line in (warning, verdict, state, expected.guesses[0].species):
        assert line in text
    (tmp_path / "letter.jpg").write_bytes(b"%PDF-1.7 a letter")
    ask_again(page, tmp_path / "letter.jpg")
    assert HINDI.text("error", "not_a_photo") in page.inner_text(".verdict")
    assert page.inner_text(".detail").startswith("photo: this is a PDF")
    assert (overflows(page), violations(page)) == ([], [])


def test_phone_answers_offline(phone, whole, synthetic_photo, tmp_path):
    files, classifier = whole
    with served(write_page(tmp_path / "page", with_file_digests(files))) as address:
        phone.goto(address)
        started(phone)
        phone.wait_for_selector("#available-offline")
        assert phone.inner_text("#available-offline") == HINDI.text("page", "available_offline")
        until(phone, CONTROLLED)
    phone.context.set_offline(True)
    phone.goto(address)  # the server is gone too
    started(phone)
    assert phone.inner_text("#network") == HINDI.text("page", "offline_local")
    require_answers(phone, classifier, synthetic_photo, tmp_path)
    phone.click("#answer .buttons button >> nth=-1")
    phone.click("#device-use")  # the position gives a country without a network
    phone.wait_for_selector("#offer")
    assert "केन्या" in phone.inner_text("#offer")


def test_single_file_answers_on_a_phone_from_disk(phone, whole, engine, synthetic_photo, tmp_path):
    files, classifier = whole
    path = tmp_path / "page.html"
    path.write_bytes(single_page(with_inline_engine(files), engine[MODULE]))
    phone.context.set_offline(True)
    phone.goto(path.as_uri())
    started(phone)
    assert phone.is_visible("#device-use")
    require_answers(phone, classifier, synthetic_photo, tmp_path)
