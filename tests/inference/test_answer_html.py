"""Answers in a notebook: complete, escaped, without script, for light and dark pages."""

import re
from dataclasses import replace
from html.parser import HTMLParser

import pytest

from ophis.decision.verdict import Verdict
from ophis.files.markup import html_table
from ophis.inference.answer import Answer, Guess, SeenPhoto, answer_html, answer_markdown
from ophis.locales import languages, read_sentences
from ophis.taxonomy.danger import Danger
from tests.support.made_answer import made_answer

EVIL = '<script>alert("1")</script> | *x* ](javascript:1)'


class Page(HTMLParser):
    """Tags, attributes and text of an HTML fragment."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.attributes: list[tuple[str, str | None]] = []
        self.text: list[str] = []
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.attributes += attrs

    def handle_data(self, data: str) -> None:
        self.text.append(data)


GUESSES = (
    Guess("Bothrops atrox", 0.625, Danger.VENOMOUS),
    Guess("Antaresia childreni", 0.01, Danger.NOT_KNOWN_DANGEROUS),
)


@pytest.fixture
def answer() -> Answer:
    return made_answer(
        photos=("a.jpg",),
        possible=("Bothrops atrox", "Naja naja"),
        guesses=GUESSES,
    )


@pytest.mark.parametrize("language", languages())
def test_html_has_the_content_and_order_of_the_terminal(answer, language):
    words = read_sentences(language)
    page = Page(answer_html(replace(answer, language=language)))
    assert page.text == [
        "a.jpg", "Verdict.", "State.",
        words.text("list", "possible"), "Bothrops atrox", "62.5%", words.text("danger", "venomous"),
        words.text("list", "further", number="1"),
        words.text("list", "others"), "Antaresia childreni", "1.0%",
        words.text("danger", "not known to be dangerous"),
        "Country.", words.text("bundle", "version", version=answer.bundle), "Emergency.",
    ]  # fmt: skip
    assert ("lang", language) in page.attributes
    assert any("width:62.5%" in str(value) for _, value in page.attributes)


def test_photos_of_two_snakes_follow_the_common_warning(answer):
    lines = ("Verdict alone.", "Name alone.", "Country.", "Emergency.")
    alone = replace(answer, guesses=GUESSES[:1], possible=("Bothrops atrox",), lines=lines)
    both = replace(answer, guesses=(), each=(alone, alone))
    words = read_sentences()
    one = [
        "a.jpg", "Verdict alone.", "Name alone.",
        words.text("list", "possible"), "Bothrops atrox", "62.5%", words.text("danger", "venomous"),
    ]  # fmt: skip
    assert Page(answer_html(both)).text == [
        "a.jpg", "Verdict.", "State.", "Country.", "Bundle 0123456789ab.", *one, *one, "Emergency.",
    ]  # fmt: skip
    text = answer_markdown(both)
    assert (text.count("Name alone."), text.count("Country."), text.count("Emergency.")) == (
        2,
        1,
        1,
    )
    assert text.endswith("**Emergency.**")


def test_guesses_of_unevaluated_bundle_have_no_bars(answer):
    unevaluated = replace(answer, evaluated=False, lines=("Caution.", *answer.lines))
    html = answer_html(unevaluated)
    assert "width:62.5%" not in html
    assert Page(html).text[1:3] == ["Caution.", "Verdict."]
    assert answer_markdown(unevaluated).startswith("**Caution.**\n\n**Verdict.**")


def test_untrusted_text_is_escaped(answer):
    evil = replace(
        answer,
        photos=(SeenPhoto(EVIL, "0" * 64),),
        guesses=(Guess(EVIL, 0.5, Danger.UNKNOWN),),
        possible=(EVIL,),
        lines=(EVIL,) * 4,
        language="en",
    )
    page = Page(answer_html(evil))
    assert set(page.tags) <= {"div", "p", "table", "tbody", "tr", "td", "em", "span", "strong"}
    assert {name for name, _ in page.attributes} <= {"lang", "style", "aria-hidden"}
    assert page.text.count(EVIL) == 6
    assert "script" not in Page(html_table([EVIL], [[EVIL]])).tags
    rows = [line for line in answer_markdown(evil).splitlines() if line.startswith("|")]
    assert all(len(re.findall(r"(?<!\\)\|", row)) == 4 for row in rows)
    assert "<script>" not in answer_markdown(evil)


def test_no_colour_is_green(answer):
    for verdict in Verdict:
        html = answer_html(replace(answer, verdict=verdict))
        for red, green, blue in re.findall(r"#([0-9a-f]{2})([0-9a-f]{2})([0-9a-f]{2})\b", html):
            assert int(green, 16) <= max(int(red, 16), int(blue, 16))
        assert "green" not in html


@pytest.mark.parametrize("page", ["#ffffff", "#111111"])
def test_danger_and_bars_have_contrast_on_light_and_dark_pages(answer, browser, page):
    """WCAG contrast of the colours computed by a real browser."""
    ink = "#111" if page == "#ffffff" else "#eee"
    shown = browser.new_page()
    shown.set_content(f'<body style="background:{page};color:{ink}">{answer_html(answer)}')
    box = shown.get_by_text("Verdict.")
    style = box.evaluate("e => [getComputedStyle(e).color, getComputedStyle(e).backgroundColor]")
    bar = shown.locator("span > span").first
    filled = bar.evaluate("e => getComputedStyle(e).backgroundColor")
    assert bar.bounding_box()["width"] == pytest.approx(100, rel=0.05)  # 62.5 % of 10em
    shown.close()
    assert contrast(*map(numbers, style)) > 4.5
    assert contrast(numbers(filled), numbers(page)) > 3


def numbers(colour: str) -> list[int]:
    if colour.startswith("#"):
        return [int(colour[place : place + 2], 16) for place in (1, 3, 5)]
    return [int(number) for number in re.findall(r"\d+", colour)[:3]]


def contrast(one: list[int], other: list[int]) -> float:
    light, dark = sorted((luminance(one), luminance(other)), reverse=True)
    return (light + 0.05) / (dark + 0.05)


def luminance(colour: list[int]) -> float:
    """Return the relative luminance of WCAG 2.2."""
    parts = [c / 255 / 12.92 if c <= 10 else ((c / 255 + 0.055) / 1.055) ** 2.4 for c in colour]
    return 0.2126 * parts[0] + 0.7152 * parts[1] + 0.0722 * parts[2]
