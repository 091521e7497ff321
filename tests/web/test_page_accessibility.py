"""Accessibility of the page: keyboard, touch, languages, print; and storage."""

import re

import pytest

from ophis.locales import read_sentences
from tests.support.page_actions import (
    HEIGHT,
    WIDTHS,
    answered,
    ask,
    ask_again,
    choose,
    focused,
    give_country,
    reload,
    wait_for,
)


def test_page_is_usable_by_keyboard(visit, fake, synthetic_photo):
    page = visit()
    choosers = []  # recorded from the start, so that none is missed
    page.on("filechooser", lambda chooser: choosers.append(chooser))  # noqa: PLW0108

    def tab_to(selector):
        for _ in range(40):
            page.keyboard.press("Tab")
            if page.evaluate("s => document.activeElement.matches(s)", selector):
                outline = "getComputedStyle(document.activeElement).outlineStyle"
                assert page.evaluate(outline) == "solid", selector
                return
        pytest.fail(f"Tab never comes to {selector}")

    tab_to("#language")
    tab_to(".emergency a")
    tab_to("#choose")
    page.keyboard.press("Enter")
    wait_for(page, lambda: choosers)
    choosers[0].set_files(str(synthetic_photo))
    tab_to(".remove")
    tab_to("#country")
    page.keyboard.type("ken")
    page.keyboard.press("ArrowDown")
    page.keyboard.press("Enter")
    tab_to("#device-use")
    tab_to("#unknown")
    tab_to("#submit")
    answered(page, lambda: page.keyboard.press("Enter"))
    assert fake.requests[-1].fields["country"] == "KE"
    tab_to(".evidence input")
    page.keyboard.press("Space")
    assert not page.is_visible(".frame canvas")
    tab_to(".buttons button:last-child")
    page.keyboard.press("Enter")
    assert focused(page) == "heading"
    assert page.locator("#thumbnails li").count() == 0
    assert page.input_value("#country") == ""


def test_touch_targets_are_large_enough(visit, fake, synthetic_photo):
    page = visit()
    choose(page, synthetic_photo)
    page.fill("#country", "in")
    fake.kind = "border"
    targets = "button, select, input[type=text], .tick, .emergency a, [role=option]"
    measure = (
        "s => [...document.querySelectorAll(s)].filter(e => e.checkVisibility())"
        ".map(e => [e.outerHTML.slice(0, 80), e.getBoundingClientRect()])"
        ".filter(([, box]) => box.width < 44 || box.height < 44).map(([html]) => html)"
    )

    def require_large():
        for width in WIDTHS:
            page.set_viewport_size({"width": width, "height": HEIGHT})
            assert page.evaluate(measure, targets) == []

    require_large()
    page.press("#country", "Enter")
    ask(page)
    require_large()


def test_chosen_language_is_sent_and_stored(visit, fake, synthetic_photo):
    page = visit(language="de")  # a language without sentences
    assert page.get_attribute("html", "lang") == "en"
    names = page.locator("#language option").all_inner_texts()
    assert names == ["English", "Español", "Français", "हिन्दी", "Português", "Kiswahili"]
    choose(page, synthetic_photo)
    give_country(page, "india")
    ask(page)
    answered(page, lambda: page.select_option("#language", "hi"))
    assert "विषैला" in page.inner_text("#verdict")
    assert page.get_attribute("html", "lang") == "hi"
    assert page.evaluate("document.querySelector('#country').value") == "भारत"
    assert [request.fields["language"] for request in fake.requests] == ["en", "hi"]
    reload(page)
    assert page.get_attribute("html", "lang") == "hi"


def test_only_the_language_is_stored(visit, fake, synthetic_photo):
    page = visit()
    choose(page, synthetic_photo)
    give_country(page)
    page.select_option("#language", "es")
    ask(page)
    assert page.evaluate("Object.entries(localStorage)") == [["ophis-language", "es"]]
    assert page.evaluate("sessionStorage.length") == 0
    assert page.context.cookies() == []
    assert page.evaluate("indexedDB.databases()") == []
    assert page.url == fake.url


@pytest.mark.parametrize("language", ["en", "hi"])
def test_printed_card_fits_one_page(visit, fake, synthetic_photo, tmp_path, language):
    page = visit(scheme="dark", script="print = () => { globalThis.printed = true }",
                 language=language)  # fmt: skip
    choose(page, synthetic_photo)
    words = read_sentences(language)
    for kind in ("genus", "not evaluated", "no snake"):
        fake.kind = kind
        page.emulate_media(media="screen")
        ask_again(page)
        page.evaluate("printed = false")
        page.click(f"button:has-text('{words.text('page', 'print')}')")
        assert page.evaluate("printed")
        page.emulate_media(media="print")
        card = page.inner_text("#card")
        expected = [
            words.text("page", "card_not_diagnosis"), words.text("verdict", "may be venomous"),
            words.text("page", "card_person"), words.text("page", "card_bite_time"), "0123456789ab",
            words.text("advice", "emergency"),
        ]  # fmt: skip
        for text in expected:
            assert text in card
        assert (words.text("bundle", "not_evaluated") in card) == (kind == "not evaluated")
        assert not page.is_visible("#main")
        ground = page.evaluate("getComputedStyle(document.body).backgroundColor")
        assert ground == "rgb(255, 255, 255)"
        path = tmp_path / f"{kind}.pdf"
        page.pdf(path=path, prefer_css_page_size=True)
        assert len(re.findall(rb"/Type\s*/Page\b", path.read_bytes())) == 1


def test_guide_is_printed_without_an_answer(visit):
    page = visit()
    page.emulate_media(media="print")
    assert page.is_visible("#bite")
    assert not page.is_visible("#request")
    assert page.is_visible("#emergency-text")


def test_reduced_motion_is_respected(visit, fake, synthetic_photo):
    fake.go.clear()
    page = visit()
    choose(page, synthetic_photo)
    page.click("#submit")
    moving = "getComputedStyle(document.querySelector('#identifying .spinner')).animationName"
    assert page.evaluate(moving) == "turn"
    page.emulate_media(reduced_motion="reduce")
    assert page.evaluate(moving) == "none"
    fake.go.set()
