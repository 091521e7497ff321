"""Country from the position of the device: only after a tap, confirmed, never stored."""

import pytest

from ophis.locales import languages, read_sentences
from tests.support.page_actions import (
    NAIROBI,
    NAMANGA,
    ask,
    choose,
    focused,
    give_country,
    photo_at,
    require_fit,
    wait_for,
)

WORDS = read_sentences()
AT_SEA = (-20.0, 75.0)
# Geolocation stub that answers on command and counts requests.
STUB = """globalThis.calls = [];
navigator.geolocation.getCurrentPosition = (found, failed, how) => calls.push({found, failed, how});
globalThis.at = (latitude, longitude, accuracy = 20) =>
  calls.at(-1).found({coords: {latitude, longitude, accuracy}});
globalThis.fail = (code) => calls.at(-1).failed({code});
"""
PROBLEM = "document.querySelector('#device-problem').textContent"


def problem(page):
    page.wait_for_function(f"() => {PROBLEM}")
    return page.inner_text("#device-problem")


def at(place, **more):
    return {"latitude": place[0], "longitude": place[1], **more}


@pytest.fixture
def here(visit):
    """Page in a browser with permission for its position."""
    return lambda place, **more: visit(permissions=["geolocation"], geolocation=at(place), **more)


def test_device_position_becomes_a_confirmed_country(here, fake, synthetic_photo):
    page = here(NAIROBI)
    choose(page, synthetic_photo)
    page.requests.clear()
    page.click("#device-use")
    page.wait_for_selector("#offer")
    assert page.inner_text("#offer-text") == "You are in: Kenya. Was the snake seen there?"
    assert page.inner_text("#live") == page.inner_text("#offer-text")
    assert page.evaluate("document.activeElement.textContent") == "Yes: Kenya"
    assert page.input_value("#country") == ""  # not before it is confirmed
    assert page.requests == [f"{fake.url}borders.json"]
    page.keyboard.press("Enter")
    assert (page.input_value("#country"), focused(page)) == ("Kenya", "submit")
    assert not page.is_visible("#offer")
    ask(page)
    (request,) = fake.requests
    assert request.fields.keys() == {"country", "gps", "top", "language", "evidence"}
    assert (request.fields["country"], request.fields["gps"]) == ("KE", "false")
    assert request.photos == (synthetic_photo.read_bytes(),)
    kept = "[localStorage, sessionStorage].map((s) => Object.keys(s)).flat()"
    assert page.evaluate(kept) == []
    assert page.url == fake.url


def test_near_a_border_each_country_is_offered(here, fake, synthetic_photo):
    page = here(NAMANGA)
    choose(page, synthetic_photo)
    page.click("#device-use")
    page.wait_for_selector("#offer")
    assert page.inner_text("#offer-text") == WORDS.text("page", "device_border")
    buttons = page.locator("#offer button").all_inner_texts()
    assert (sorted(buttons[:2]), buttons[2:]) == (["Kenya", "Tanzania"], ["I don't know"])
    page.click("#offer button:has-text('Tanzania')")
    ask(page)
    assert fake.requests[-1].fields["country"] == "TZ"


def test_declined_device_country_keeps_earlier_input(here, fake, tmp_path):
    page = here(NAIROBI)
    choose(page, photo_at(tmp_path, NAIROBI))
    give_country(page, "uganda")
    page.click("#device-use")
    page.wait_for_selector("#offer-text:has-text('You are in')")
    page.click("#offer button:has-text('No')")
    assert (page.input_value("#country"), focused(page)) == ("Uganda", "country")
    assert not page.is_visible("#offer")
    page.fill("#country", "")
    page.press("#country", "Escape")
    ask(page)  # the photo's own position was not declined
    assert fake.requests[-1].fields["gps"] == "true"


def test_position_at_sea_has_no_country(here):
    page = here(AT_SEA)
    page.click("#device-use")
    assert problem(page) == WORDS.text("page", "device_nowhere")
    assert focused(page) == "device-use"
    assert not page.is_visible("#offer")


def test_denied_position_is_reported(visit):
    page = visit()  # without permission
    page.click("#device-use")
    assert problem(page) == WORDS.text("page", "device_denied")
    assert focused(page) == "device-use"


def test_position_needs_a_tap_and_can_be_cancelled(visit, fake, tmp_path):
    page = visit(script=STUB)
    choose(page, photo_at(tmp_path, NAIROBI))
    page.wait_for_selector("#offer")
    page.fill("#country", "in")
    page.press("#country", "Escape")
    ask(page)
    page.click("button:has-text('Change photo')")
    assert page.evaluate("calls.length") == 0
    page.click("#device-use")
    assert page.evaluate("calls.length") == 1
    assert not page.is_visible("#offer")  # that of the photo
    assert page.is_visible("#device-wait")
    assert (focused(page), page.inner_text("#live")) == (
        "device-cancel", WORDS.text("page", "device_waiting"),
    )  # fmt: skip
    page.keyboard.press("Enter")
    assert (focused(page), page.inner_text("#live")) == (
        "device-use", WORDS.text("page", "device_cancelled"),
    )  # fmt: skip
    # A result after the cancellation is ignored.
    page.evaluate(f"at{NAIROBI}")
    page.evaluate("fail(1)")
    page.click("#device-use")
    page.evaluate(f"at{NAMANGA}")
    page.wait_for_selector("#offer")
    assert "border" in page.inner_text("#offer-text")
    assert page.inner_text("#device-problem") == ""


def test_search_cancelled_while_borders_load_offers_nothing(here, fake, synthetic_photo):
    page, routes = here(NAIROBI), []
    choose(page, synthetic_photo)
    page.route("**/borders.json", lambda route: routes.append(route))  # noqa: PLW0108
    page.click("#device-use")
    wait_for(page, lambda: routes)
    page.click("#device-cancel")
    with page.expect_response("**/borders.json"):
        routes[0].continue_()
    ask(page)  # slower than finding a country
    assert page.locator("#offer button").count() == 0


def test_submitting_ends_the_search(visit, fake, synthetic_photo):
    page = visit(script=STUB, width=1280)
    choose(page, synthetic_photo)
    page.click("#device-use")
    ask(page)
    assert not page.is_visible("#device-wait")
    page.evaluate(f"at{NAIROBI}")
    ask(page)
    assert not page.is_visible("#offer")


@pytest.mark.parametrize("code", [2, 3])
def test_unavailable_position_is_reported(visit, code):
    page = visit(script=STUB)
    page.click("#device-use")
    page.evaluate(f"fail({code})")
    assert problem(page) == WORDS.text("page", "device_unavailable")


def test_search_ends_after_a_time_limit(visit):
    """The browser may never report that its dialog was dismissed."""
    page = visit(script=STUB + "const after = setTimeout; let waits = [];"
                 "globalThis.setTimeout = (act, ms) => ms === 30000 ? waits.push(act)"
                 " : after(act, ms); globalThis.later = () => waits.forEach((act) => act());"
                 )  # fmt: skip
    page.click("#device-use")
    assert page.is_visible("#device-wait")
    page.evaluate("later()")
    assert problem(page) == WORDS.text("page", "device_unavailable")
    assert not page.is_visible("#device-wait")


def test_inaccurate_position_offers_all_countries_in_range(visit):
    page, arusha = visit(script=STUB), [-3.37, 36.68]  # 90 km from Kenya
    for accuracy, countries in ((20, ["Yes: Tanzania"]), (99_000, ["Kenya", "Tanzania"])):
        page.click("#device-use")
        page.evaluate(f"at(...{arusha}, {accuracy})")
        page.wait_for_selector("#offer")
        *offered, _ = page.locator("#offer button").all_inner_texts()
        assert sorted(offered) == countries
    page.click("#device-use")
    page.evaluate(f"at(...{arusha}, 101000)")  # too rough
    assert problem(page) == WORDS.text("page", "device_unavailable")


def test_missing_borders_are_reported_and_loaded_again(here):
    page = here(NAIROBI)
    page.route("**/borders.json", lambda route: route.fulfill(status=503), times=1)
    page.click("#device-use")
    assert problem(page) == WORDS.text("page", "device_unavailable")
    page.click("#device-use")
    page.wait_for_selector("#offer")
    assert page.inner_text("#device-problem") == ""


def test_position_is_not_offered_over_plain_http_or_without_a_receiver(visit):
    for script in (
        "Object.defineProperty(globalThis, 'isSecureContext', {value: false})",
        "Object.defineProperty(Navigator.prototype, 'geolocation', {value: undefined})",
    ):
        page = visit(script=script)
        assert not page.is_visible("#device-position")


@pytest.mark.parametrize("language", languages())
def test_each_state_has_sentences_in_every_language(visit, language):
    page, words = visit(script=STUB, width=320, language=language), read_sentences(language)

    def seen(key, **filled):
        return words.text("page", key, **filled) in page.inner_text("#country-field")

    assert seen("device_use")
    assert seen("device_private")
    page.click("#device-use")
    assert seen("device_waiting")
    for act, key in (("fail(1)", "denied"), ("fail(2)", "unavailable"), (f"at{AT_SEA}", "nowhere")):
        page.evaluate(act)
        assert problem(page) == words.text("page", f"device_{key}")
        page.click("#device-use")
    page.evaluate(f"at{NAMANGA}")
    page.wait_for_selector("#offer")
    assert seen("device_border")


def test_each_state_fits_and_is_accessible(visit):
    page = visit(script=STUB)
    page.click("#device-use")
    require_fit(page, "waiting")
    for act, state in (("fail(1)", "denied"), ("fail(2)", "unavailable"), (f"at{AT_SEA}", "sea")):
        page.evaluate(act)
        problem(page)
        require_fit(page, state)
        page.click("#device-use")
    for place in (NAIROBI, NAMANGA):
        page.evaluate(f"at{place}")
        page.wait_for_selector("#offer")
        require_fit(page, str(place))
        page.click("#device-use")
    wait_for(page, lambda: not page.is_visible("#offer"))
