"""Position with the country: used after a confirmation only, and kept nowhere."""

from dataclasses import replace

import pytest

from ophis.locales import languages, read_sentences
from tests.support.page_actions import (
    NAIROBI,
    NAMANGA,
    SETTINGS,
    FakeService,
    ask,
    ask_again,
    choose,
    give_country,
    photo_at,
    require_fit,
)
from tests.support.page_server import page_server

WORDS = read_sentences()
KEPT = """async () => [
  Object.keys(localStorage), Object.keys(sessionStorage), await caches.keys(),
  (await indexedDB.databases()).length, document.cookie, history.length,
]"""


@pytest.fixture(scope="module")
def located():
    """Service whose bundle has records of positions."""
    fake = FakeService()
    with page_server(replace(SETTINGS, records=True), fake) as fake.url:
        yield fake


@pytest.fixture
def here(visit, located):
    """Page of that service, at a position."""
    located.reset()
    return lambda place=NAIROBI, **more: visit(
        url=located.url, permissions=["geolocation"],
        geolocation={"latitude": place[0], "longitude": place[1], "accuracy": 20}, **more,
    )  # fmt: skip


def confirm(page, country="Kenya"):
    page.click("#device-use")
    page.wait_for_selector("#offer-text:has-text('You are')")
    page.click(f"#offer button:has-text('{country}')")


def fields(located):
    return located.requests[-1].fields


def traces(page):
    """Return the digits of Nairobi's position wherever the page could leave them."""
    shown = [page.content(), page.url, *page.requests, *page.messages]
    return [text for text in shown if "1.286" in text or "36.81" in text]


def test_confirmed_position_of_the_device_is_sent(here, located, synthetic_photo):
    page = here()
    host = located.url.split("/")[2]
    sentence = WORDS.text("page", "device_private_service", host=host)
    assert page.inner_text("#device-private") == sentence
    choose(page, synthetic_photo)
    assert not page.is_visible("#position-used")
    confirm(page)
    assert page.inner_text("#position-text") == WORDS.text("page", "position_service")
    ask(page)
    assert fields(located)["at"] == "-1.28600,36.81700,20"
    assert (fields(located)["country"], fields(located)["gps"]) == ("KE", "false")
    ask_again(page)  # the position is not found anew
    assert fields(located)["at"] == "-1.28600,36.81700,20"
    assert traces(page) == []
    assert page.evaluate(KEPT) == [[], [], [], 0, "", page.evaluate("history.length")]


@pytest.mark.parametrize("act", ["leave", "other country", "I don't know", "declined", "nothing"])
def test_position_is_sent_only_while_its_country_is_confirmed(here, located, synthetic_photo, act):
    page = here()
    choose(page, synthetic_photo)
    if act == "declined":
        page.click("#device-use")
        page.click("#offer button:has-text('No')")
    elif act != "nothing":
        confirm(page)
    if act == "leave":
        page.click("#position-leave")
        assert page.evaluate("document.activeElement.id") == "submit"
    if act == "other country":
        give_country(page, "uganda")
    if act == "I don't know":
        page.click("#unknown")
    assert not page.is_visible("#position-used")
    ask(page)
    assert "at" not in fields(located)
    country = {"leave": "KE", "other country": "UG"}.get(act)
    assert fields(located).get("country") == country


def test_another_snake_forgets_the_position(here, located, synthetic_photo):
    page = here()
    choose(page, synthetic_photo)
    confirm(page)
    ask(page)
    page.click("button:has-text('Identify another snake')")
    choose(page, synthetic_photo)
    ask(page)
    assert "at" not in fields(located)


def test_near_a_border_the_position_is_sent_with_the_country(here, located, synthetic_photo):
    page = here(NAMANGA)
    choose(page, synthetic_photo)
    confirm(page, "Tanzania")
    ask(page)
    assert fields(located)["country"] == "TZ"
    assert fields(located)["at"].startswith("-2.545")


def test_confirmed_position_of_a_photo_is_used_until_it_is_removed(
    here, located, synthetic_photo, tmp_path
):
    page = here()
    choose(page, photo_at(tmp_path, NAIROBI))
    page.click("#offer button:has-text('Yes: Kenya')")
    ask(page)
    assert (fields(located)["at"], fields(located)["gps"]) == ("-1.28600,36.81700,1000", "false")
    ask_again(page, synthetic_photo)
    assert "at" not in fields(located)
    assert traces(page) == []


def test_unconfirmed_position_of_a_photo_stays_in_its_file(here, located, tmp_path):
    page = here()
    choose(page, photo_at(tmp_path, NAIROBI))
    page.wait_for_selector("#offer")
    ask(page)
    assert "at" not in fields(located)
    assert fields(located)["gps"] == "true"


def test_answer_shows_the_records_of_each_species(here, located, synthetic_photo):
    page = here()
    located.kind = "place"
    choose(page, synthetic_photo)
    confirm(page)
    ask(page)
    text = WORDS.text
    assert page.locator("#answer .recorded").all_inner_texts() == [
        text("records", "near", number="41", km="3"), text("records", "one", km="87"),
        text("records", "far", km="230"), text("records", "none"),
    ]  # fmt: skip
    assert text("prior", "place") in page.inner_text(".reasons")
    assert text("records", "total", number="1,204") in page.inner_text(".reasons")
    located.kind = "species"
    ask_again(page)
    assert page.locator("#answer .recorded").count() == 0


@pytest.mark.parametrize("language", languages())
def test_position_has_sentences_in_every_language(here, language):
    page, words = here(language=language, width=320), read_sentences(language)
    page.click("#device-use")
    page.wait_for_selector("#offer button")
    page.click("#offer button")
    assert page.inner_text("#position-text") == words.text("page", "position_service")
    assert page.inner_text("#position-leave") == words.text("page", "position_leave")
    require_fit(page, language)


def test_text_of_twice_the_size_fits(here, located, synthetic_photo):
    page = here()
    located.kind = "place"
    choose(page, synthetic_photo)
    confirm(page)
    page.evaluate("document.documentElement.style.fontSize = '200%'")
    page.evaluate("document.querySelector('#near summary').click()")
    page.wait_for_selector("#near-list li")
    wide = "document.documentElement.scrollWidth > innerWidth"
    assert page.evaluate(wide) is False
    page.evaluate("document.querySelector('#form').requestSubmit()")
    page.wait_for_selector("#verdict")
    assert page.evaluate(wide) is False
