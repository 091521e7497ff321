"""View of answers: layout, languages, order of sections."""

import pytest

from ophis.errors import Reason
from ophis.locales import languages, read_sentences
from tests.support.page_actions import (
    HEIGHT,
    UNSEEN,
    ask,
    ask_again,
    choose,
    focused,
    overflows,
    require_fit,
    violations,
)
from tests.support.synthetic_answers import KINDS


def test_every_answer_fits_and_is_accessible(visit, fake, synthetic_photo):
    page = visit()
    choose(page, synthetic_photo, synthetic_photo)
    for kind in KINDS:
        fake.kind = kind
        ask_again(page)
        require_fit(page, kind)
        verdict = page.inner_text("#verdict")
        expected = "verdict", "not known to be dangerous" if kind == "listed" else "may be venomous"
        if kind in UNSEEN:
            assert verdict == read_sentences().text("page", kind)
        else:
            assert verdict == read_sentences().text(*expected)
        assert read_sentences().text(*expected) in page.inner_text("#answer")
        # The emergency advice stays on the screen while scrolling.
        page.evaluate("scrollTo(0, document.body.scrollHeight)")
        box = page.locator("#emergency-text").bounding_box()
        assert box["y"] >= 0


@pytest.mark.parametrize("language", languages())
def test_every_language_fits(visit, fake, synthetic_photo, language):
    page, words = visit(width=320, language=language), read_sentences(language)

    def require_narrow_and_large():
        for width in (320, 640):  # 640: 1280 pixels at 200 %
            page.set_viewport_size({"width": width, "height": HEIGHT})
            assert (violations(page), overflows(page)) == ([], []), width

    assert page.get_attribute("html", "lang") == language
    assert page.inner_text("#emergency-text") == words.text("advice", "emergency")
    require_narrow_and_large()
    choose(page, synthetic_photo)
    fake.kind = "contradicts"
    ask(page)
    require_narrow_and_large()
    assert fake.requests[-1].fields["language"] == language
    assert words.text("verdict", "may be venomous") in page.inner_text("#verdict")
    assert words.text("list", "possible") in page.inner_text("#answer")
    for text in page.inner_text("body").split("\n"):
        assert "{" not in text


def test_verdict_precedes_the_other_sections(visit, fake, synthetic_photo):
    page = visit()
    choose(page, synthetic_photo)
    ask(page)
    text = page.inner_text("#answer")
    order = [
        "May be venomous.", "Most likely Bothrops atrox.", "Cannot be excluded:", "93.1%",
        "Less likely:", "4.1%", "< 0.1%", "Show where the model looked",
        "The country, as given: Brazil.", "Bundle 0123456789ab.", "Print a card",
    ]  # fmt: skip
    places = [text.index(part) for part in order]
    assert places == sorted(places)
    assert text.strip().startswith("May be venomous.")
    assert page.locator(".others li").count() == 3
    assert focused(page) == "verdict"
    assert page.inner_text("#live") == "May be venomous. Most likely Bothrops atrox."
    widths = page.evaluate(
        "[...document.querySelectorAll('.filled')].map("
        "e => e.getBoundingClientRect().width / e.parentElement.getBoundingClientRect().width)"
    )
    assert widths[:2] == pytest.approx([0.931, 0.041], abs=0.01)


def test_photos_of_two_snakes_have_each_its_answer(visit, fake, synthetic_photo):
    page, words = visit(), read_sentences()
    fake.kind = "two snakes"
    choose(page, synthetic_photo, synthetic_photo)
    ask(page)
    assert page.inner_text("#verdict") == words.text("verdict", "may be venomous")
    assert page.inner_text("#answer > .named") == words.text("photo", "contradicting")
    assert page.locator("#answer > .names").count() == 0
    first, second = (page.locator(".alone").nth(number).inner_text() for number in range(2))
    parts = ("Photo 1", "May be venomous.", "Most likely Bothrops atrox.", "Cannot be excluded:")
    assert [part for part in parts if part not in first] == []
    for part in ("Photo 2", words.text("verdict", "not known to be dangerous"), "Coronella"):
        assert part in second
    assert page.locator(".alone canvas").count() == page.locator(".alone img").count() == 2
    card = page.evaluate("document.querySelector('#card').textContent")
    for part in ("Photo 1. May be venomous.", "Bothrops atrox", "Coronella austriaca"):
        assert part in card


def test_unevaluated_bundle_shows_its_warning_first(visit, fake, synthetic_photo):
    fake.kind = "not evaluated"
    page = visit()
    choose(page, synthetic_photo)
    ask(page)
    warning = read_sentences().text("bundle", "not_evaluated")
    assert page.inner_text("#answer").strip().startswith(warning)
    assert page.locator(".bar").count() == 0
    assert "Guesses, for trying out only:" in page.inner_text("#answer")


def test_each_state_without_a_name_has_a_distinct_banner(visit, fake, synthetic_photo):
    page = visit()
    choose(page, synthetic_photo)
    styles = set()
    for kind in ("species", "unidentified", "listed", *UNSEEN):
        fake.kind = kind
        ask_again(page)
        box = page.locator(".verdict")
        style = box.evaluate("e => [getComputedStyle(e).borderTopStyle, e.className]")
        symbol = page.locator("#verdict use").get_attribute("href")
        styles.add((*style, symbol, page.locator(".named > .icon").count()))
        if kind in UNSEEN:
            assert "treat it as venomous" in page.inner_text("#answer")
            assert page.locator(".guesses").count() == 0
    assert len(styles) == 5


def test_excluded_photos_are_shown_with_the_reason(visit, fake, synthetic_photo, tmp_path):
    other = tmp_path / "other.jpg"
    other.write_bytes(synthetic_photo.read_bytes() + b"\0")
    page = visit()
    choose(page, synthetic_photo, other)
    for kind, reason in (
        ("left out", "Photo 2 was not used: it has too few pixels."),
        ("one unread", "Photo 2 was not used: it cannot be read, or is far too small."),
    ):
        fake.kind = kind
        ask_again(page)
        assert page.locator("figcaption").all_inner_texts() == [reason]
        assert page.locator(".photo").nth(1).locator("canvas").count() == 0
        assert page.locator(".photo").nth(0).locator("canvas").count() == 1


@pytest.mark.parametrize("language", ["en", "hi"])
def test_unreadable_photo_is_reported_in_the_page_language(visit, fake, synthetic_photo, language):
    fake.kind = "one unread"
    page, words = visit(language=language), read_sentences(language)
    choose(page, synthetic_photo, synthetic_photo)
    ask(page)
    (line,) = page.locator(".reasons ul:last-of-type li").all()
    assert line.inner_text().startswith(words.text("page", "photo_number", number="2"))
    assert words.text("error", Reason.DAMAGED) in line.inner_text()
    detail = line.locator(".detail")
    assert detail.inner_text() == "photo 2: damaged or cut short"
    assert detail.get_attribute("lang") == "en"


def test_evidence_map_is_drawn_described_and_switched_off(visit, fake, synthetic_photo):
    page = visit()
    choose(page, synthetic_photo)
    ask(page)
    canvas = page.locator(".frame canvas")
    assert canvas.get_attribute("aria-label") == ("Where the model looked: mostly in the middle.")
    box, photo = canvas.bounding_box(), page.locator(".frame img").bounding_box()
    assert [round(box[k]) for k in box] == [round(photo[k]) for k in photo]
    opacity = canvas.evaluate(
        "c => { const d = c.getContext('2d').getImageData(0, 0, c.width, c.height).data;"
        " const at = (x, y) => [...d.slice(4 * (Math.round(y * c.height) * c.width"
        " + Math.round(x * c.width))).slice(0, 3)]; return [at(0.42, 0.62), at(0.02, 0.02)]; }"
    )
    assert opacity[0][0] > 200  # glows where the hill is
    assert max(opacity[1]) < 60  # shaded where there is nothing
    page.uncheck(".evidence input")
    assert not canvas.is_visible()
    page.check(".evidence input")
    assert canvas.is_visible()
