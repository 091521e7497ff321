"""Country field: search by name, and the position of a photo."""

from ophis.web.page import sentences_of
from tests.support.page_actions import (
    NAIROBI,
    NAMANGA,
    answered,
    ask,
    choose,
    focused,
    photo_at,
    reload,
    wait_for,
)

NAMES = {
    "brazil": "BR", "Brasil": "BR", "भारत": "IN", "cote divoire": "CI", "CIV": "CI", "tz": "TZ",
    "Tailandia": "TH", "AFRIKA KUSINI": "ZA", "burma": "MM", "usa": "US", "niger": "NE",
    "Äthiopien": "ET", "congo kinshasa": "CD", "নেপাল": "NP",
}  # fmt: skip


def test_country_is_found_by_any_name(visit, fake, synthetic_photo):
    page = visit(width=1280)  # wide: the form stays beside the answer
    choose(page, synthetic_photo)
    page.fill("#country", "Tailandia")
    page.wait_for_selector("[data-code=TH]")  # the names in other languages are loaded
    called = sentences_of("en")["countries"]
    for typed, code in NAMES.items():
        page.fill("#country", typed)
        first = page.locator("[role=option]").first
        assert (first.get_attribute("data-code"), typed) == (code, typed)
        assert page.get_attribute("#country", "aria-expanded") == "true"
        page.press("#country", "ArrowDown")
        active = page.get_attribute("#country", "aria-activedescendant")
        assert page.get_attribute(f"#{active}", "data-code") == code
        page.press("#country", "Enter")
        assert page.input_value("#country") == called[code]
        ask(page)
        assert fake.requests[-1].fields["country"] == code


def test_unknown_country_name_is_reported_and_not_sent(visit, fake, synthetic_photo):
    page = visit()
    choose(page, synthetic_photo)
    page.fill("#country", "Atlantis")
    page.click("#submit")
    page.wait_for_selector("#problem:has-text('No country has this name')")
    assert page.get_attribute("#country", "aria-invalid") == "true"
    assert fake.requests == []
    page.check("#unknown")
    assert page.input_value("#country") == ""
    ask(page)
    assert "country" not in fake.requests[-1].fields
    assert fake.requests[-1].fields["gps"] == "false"


def test_fully_typed_country_needs_no_choice(visit, fake, synthetic_photo):
    page = visit()
    choose(page, synthetic_photo)
    page.fill("#country", "kenya")
    page.press("#country", "Tab")
    ask(page)
    assert fake.requests[-1].fields["country"] == "KE"


def test_country_typed_before_the_names_are_loaded_is_resolved(visit, fake, synthetic_photo):
    page = visit()
    routes = []
    page.route("**/countries.json", lambda route: routes.append(route))  # noqa: PLW0108
    choose(page, synthetic_photo)
    page.fill("#country", "Tailandia")
    page.press("#country", "Enter")  # the list is empty, so this sends the request
    wait_for(page, lambda: routes)
    routes[0].continue_()
    page.wait_for_selector("#verdict")
    assert fake.requests[-1].fields["country"] == "TH"


def test_country_of_the_photo_is_offered_for_confirmation(visit, fake, tmp_path):
    page = visit()
    choose(page, photo_at(tmp_path, NAIROBI))
    page.wait_for_selector("#offer")
    assert "position: Kenya. Is that right?" in page.inner_text("#offer")
    page.select_option("#language", "es")
    page.wait_for_selector("#offer :text('¿Es correcto?')")
    page.click("#offer button:has-text('Sí')")
    assert page.input_value("#country") == "Kenia"
    assert focused(page) == "submit"
    ask(page)
    assert fake.requests[-1].fields["country"] == "KE"


def test_country_of_the_photo_can_be_declined(visit, fake, tmp_path):
    page = visit()
    choose(page, photo_at(tmp_path, NAMANGA))
    page.wait_for_selector("#offer")
    buttons = page.locator("#offer button").all_inner_texts()
    assert sorted(buttons[:2]) == ["Kenya", "Tanzania"]
    assert buttons[2:] == ["I don't know"]
    page.click("#offer button:has-text('know')")
    ask(page)
    assert "country" not in fake.requests[-1].fields
    assert fake.requests[-1].fields["gps"] == "false"


def test_no_country_is_offered_for_a_removed_photo(visit, fake, synthetic_photo, tmp_path):
    page, routes = visit(), []
    page.route("**/borders.json", lambda route: routes.append(route))  # noqa: PLW0108
    choose(page, photo_at(tmp_path, NAIROBI))
    wait_for(page, lambda: routes)
    page.click(".remove")
    choose(page, synthetic_photo)
    with page.expect_response("**/borders.json"):
        routes[0].continue_()
    ask(page)  # slower than finding a country
    assert not page.is_visible("#offer")
    assert page.locator("#offer button").count() == 0


def test_borders_are_loaded_again_after_a_failure(visit, fake, tmp_path):
    page, photo = visit(), photo_at(tmp_path, NAIROBI)
    page.route("**/borders.json", lambda route: route.fulfill(status=503), times=1)
    with page.expect_response("**/borders.json"):
        choose(page, photo)
    with page.expect_response("**/borders.json"):
        choose(page, photo)
    page.wait_for_selector("#offer")
    assert "Kenya" in page.inner_text("#offer")


def test_country_of_an_answer_is_confirmed_or_declined(visit, fake, synthetic_photo):
    page = visit()
    for kind, click, fields in (
        ("position", "Yes: Brazil", None),
        ("position", "No", {"gps": "false"}),
        ("border", "Colombia", {"country": "CO"}),
    ):
        fake.kind = kind
        reload(page)
        choose(page, synthetic_photo)
        ask(page)
        assert fake.requests[-1].fields["gps"] == "true"
        before = len(fake.requests)
        button = page.locator(".offered").get_by_role("button", name=click, exact=True)
        if fields is None:
            button.click()
            page.wait_for_selector(".offered", state="detached")
            assert len(fake.requests) == before
            assert page.evaluate("document.querySelector('#country').value") == "Brazil"
        else:
            answered(page, button.click)
            assert focused(page) == "verdict"
            assert len(fake.requests) == before + 1
            assert fields.items() <= fake.requests[-1].fields.items()


def test_contradicting_country_leads_back_to_the_form(visit, fake, synthetic_photo):
    fake.kind = "contradicts"
    page = visit()
    choose(page, synthetic_photo)
    ask(page)
    assert "Is the place right?" in page.inner_text(".doubt")
    page.click(".doubt button")
    assert page.is_visible("#country")
    assert focused(page) == "heading"
    assert page.locator("#thumbnails li").count() == 1  # the photo is kept
