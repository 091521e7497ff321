"""The page in a real browser, with made answers behind it: what a person does, sees and hears."""

import re
import threading
from pathlib import Path
from typing import Any

import pytest
from made_answers import KINDS, made_answer
from page_server import Question, page_server

import ophis
from ophis.page import Mode, Settings
from ophis.words import languages, read_words

AXE = Path(__file__).resolve().parents[1] / "node_modules" / "axe-core" / "axe.min.js"
SETTINGS = Settings(Mode.SERVICE, "0123456789ab", judged=True, species=783)
UNSEEN = ("no snake", "unusable")


class FakeService:
    """Answers what it is told to, in no time or when it is let go; keeps what it was asked."""

    def __init__(self) -> None:
        self.url = ""
        self.kind = "species"
        self.refusal: tuple[int, str] | None = None
        self.asked: list[Question] = []
        self.go = threading.Event()

    def reset(self) -> None:
        self.__dict__.update(kind="species", refusal=None, asked=[])
        self.go.set()

    def __call__(self, question: Question) -> tuple[int, dict[str, Any]]:
        self.asked.append(question)
        self.go.wait(20)
        if self.refusal:
            status, error = self.refusal
            return status, {"error": error, "emergency": read_words().say("advice", "emergency")}
        return 200, made_answer(self.kind, question.photos, question.fields["language"])


@pytest.fixture(scope="module")
def service():
    fake = FakeService()
    with page_server(SETTINGS, fake) as fake.url:
        yield fake


@pytest.fixture
def fake(service):
    service.reset()
    return service


@pytest.fixture
def visit(browser, fake):
    """Open the page as somebody's browser would; whatever it complains of fails the test."""
    opened = []

    def open_page(*, width=390, scheme="light", language="en", script="", url=None, routes=()):
        context = browser.new_context(
            viewport={"width": width, "height": 844}, color_scheme=scheme, locale=language
        )
        page = context.new_page()
        page.said, page.requests = [], []
        page.on("console", lambda message: page.said.append(message.text))
        page.on("pageerror", lambda error: page.said.append(str(error)))
        page.on("request", lambda request: page.requests.append(request.url))
        if script:
            page.add_init_script(script)
        for path, body in routes:
            page.route(f"**/{path}", fulfil(body))
        page.goto(url or fake.url)
        started(page)
        opened.append((context, page))
        return page

    yield open_page
    for context, page in opened:
        assert [text for text in page.said if "status of" not in text] == []
        outside = [u for u in page.requests if not u.startswith(("http://127.0.0.1", "blob:"))]
        assert outside == []
        context.close()


def wait_for(page, happened):
    """Until something has happened that the browser tells of, ten seconds at most."""
    for _ in range(200):
        if happened():
            return
        page.wait_for_timeout(50)
    pytest.fail("it never happened")


def fulfil(body):
    return lambda route: route.fulfill(content_type="text/javascript", body=body)


def started(page):
    """Until the page listens: what is chosen before that is lost, for a test as for nobody else."""
    page.wait_for_selector("#starting", state="detached")


def reload(page):
    page.reload()
    started(page)


def choose(page, *photos):
    page.set_input_files("#files", [str(photo) for photo in photos])


def ask(page):
    page.click("#submit")
    page.wait_for_selector("#verdict")


def give_country(page, text="brazil"):
    page.fill("#country", text)
    page.press("#country", "Enter")


def violations(page):
    """What axe-core finds, in short."""
    if not AXE.is_file():
        pytest.skip("axe-core is not here (npm ci)")
    page.evaluate(AXE.read_text(encoding="utf-8"))
    found = page.evaluate("axe.run(document, {resultTypes: ['violations']})")
    return [
        (rule["id"], node["html"][:120], node["failureSummary"][:200])
        for rule in found["violations"]
        for node in rule["nodes"]
    ]


def overflows(page):
    """What sticks out of the page, or out of its own button."""
    return page.evaluate(
        """() => [
          ...(document.documentElement.scrollWidth > innerWidth ? ["the page"] : []),
          ...[...document.querySelectorAll("button, .emergency a, .verdict, [role=option]")]
            .filter((e) => e.checkVisibility() && e.scrollWidth > e.clientWidth + 1)
            .map((e) => e.outerHTML.slice(0, 120)),
        ]"""
    )


# --- every state, in every light


@pytest.mark.slow
@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [390, 1280])
def test_every_answer_fits_and_axe_finds_nothing(visit, fake, drawn_photo, width, scheme):
    page = visit(width=width, scheme=scheme)
    assert (violations(page), overflows(page)) == ([], [])
    for kind in KINDS:
        fake.kind = kind
        reload(page)
        choose(page, drawn_photo, drawn_photo)
        ask(page)
        assert (violations(page), overflows(page)) == ([], []), kind
        verdict = page.inner_text("#verdict")
        expected = "verdict", "not known to be dangerous" if kind == "listed" else "may be venomous"
        if kind in UNSEEN:
            assert verdict == read_words().say("page", kind)
        else:
            assert verdict == read_words().say(*expected)
        assert read_words().say(*expected) in page.inner_text("#answer")
        # Whatever is scrolled to, what to do now is on the screen.
        page.evaluate("scrollTo(0, document.body.scrollHeight)")
        box = page.locator("#emergency-words").bounding_box()
        assert box["y"] >= 0
    lightness = page.evaluate(
        "getComputedStyle(document.body).backgroundColor.match(/\\d+/g).map(Number)"
    )
    assert (sum(lightness) > 600) == (scheme == "light")


@pytest.mark.parametrize("language", languages())
@pytest.mark.parametrize("width", [320, 640])  # 640: 1280 pixels at 200 %
def test_every_language_fits(visit, fake, drawn_photo, language, width):
    page = visit(width=width, language=language)
    words = read_words(language)
    assert page.get_attribute("html", "lang") == language
    assert page.inner_text("#emergency-words") == words.say("advice", "emergency")
    assert overflows(page) == []
    choose(page, drawn_photo)
    fake.kind = "contradicts"
    ask(page)
    assert overflows(page) == []
    assert fake.asked[-1].fields["language"] == language
    assert words.say("verdict", "may be venomous") in page.inner_text("#verdict")
    assert words.say("list", "possible") in page.inner_text("#answer")
    assert violations(page) == []
    for text in page.inner_text("body").split("\n"):
        assert "{" not in text


def test_the_danger_comes_first_and_the_rest_in_order(visit, fake, drawn_photo):
    page = visit()
    choose(page, drawn_photo)
    ask(page)
    said = page.inner_text("#answer")
    order = [
        "May be venomous.", "Most likely Bothrops atrox.", "Cannot be excluded:", "93.1%",
        "Less likely:", "4.1%", "< 0.1%", "Show where the model looked",
        "The country, as given: Brazil.", "Bundle 0123456789ab.", "Print a card",
    ]  # fmt: skip
    places = [said.index(text) for text in order]
    assert places == sorted(places)
    assert said.strip().startswith("May be venomous.")
    assert page.locator(".others li").count() == 3
    assert page.evaluate("document.activeElement.id") == "verdict"
    assert page.inner_text("#live") == "May be venomous. Most likely Bothrops atrox."
    widths = page.evaluate(
        "[...document.querySelectorAll('.filled')].map("
        "e => e.getBoundingClientRect().width / e.parentElement.getBoundingClientRect().width)"
    )
    assert widths[:2] == pytest.approx([0.931, 0.041], abs=0.01)


def test_a_bundle_that_was_never_judged_says_so_before_all_else(visit, fake, drawn_photo):
    fake.kind = "never judged"
    page = visit()
    choose(page, drawn_photo)
    ask(page)
    warning = read_words().say("bundle", "never_judged")
    assert page.inner_text("#answer").strip().startswith(warning)
    assert page.locator(".bar").count() == 0
    assert "Guesses, for trying out only:" in page.inner_text("#answer")


def test_each_state_without_a_name_has_a_look_of_its_own(visit, fake, drawn_photo):
    page = visit()
    looks = set()
    for kind in ("species", "unidentified", "listed", *UNSEEN):
        fake.kind = kind
        reload(page)
        choose(page, drawn_photo)
        ask(page)
        box = page.locator(".verdict")
        style = box.evaluate("e => [getComputedStyle(e).borderTopStyle, e.className]")
        drawing = page.locator("#verdict use").get_attribute("href")
        looks.add((*style, drawing, page.locator(".named > .icon").count()))
        if kind in UNSEEN:
            assert "treat it as venomous" in page.inner_text("#answer")
            assert page.locator(".guesses").count() == 0
    assert len(looks) == 5


def test_photos_without_a_say_are_shown_with_the_reason(visit, fake, drawn_photo, tmp_path):
    other = tmp_path / "other.jpg"
    other.write_bytes(drawn_photo.read_bytes() + b"\0")
    page = visit()
    for kind, reason in (
        ("left out", "Photo 2 had no say: it has too few pixels."),
        ("one unread", "Photo 2 had no say: it cannot be read, or is far too small."),
    ):
        fake.kind = kind
        reload(page)
        choose(page, drawn_photo, other)
        ask(page)
        assert page.locator("figcaption").all_inner_texts() == [reason]
        assert page.locator(".photo").nth(1).locator("canvas").count() == 0
        assert page.locator(".photo").nth(0).locator("canvas").count() == 1
    assert "photo 2: damaged or cut short" in page.inner_text(".reasons")


def test_where_the_network_looked_is_drawn_told_and_switched_off(visit, fake, drawn_photo):
    page = visit()
    choose(page, drawn_photo)
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
    page.uncheck(".looked input")
    assert not canvas.is_visible()
    page.check(".looked input")
    assert canvas.is_visible()


# --- photos


def test_photos_are_chosen_pasted_dropped_and_removed(visit, fake, drawn_photo):
    page = visit(width=1280)
    choose(page, drawn_photo)
    give = """([kind, data]) => {
      const bytes = Uint8Array.from(atob(data), (c) => c.charCodeAt(0));
      const files = new DataTransfer();
      files.items.add(new File([bytes], `${kind}.jpg`, { type: "image/jpeg" }));
      const event = kind === "paste"
        ? new ClipboardEvent("paste", { clipboardData: files, bubbles: true, cancelable: true })
        : new DragEvent("drop", { dataTransfer: files, bubbles: true, cancelable: true });
      document.querySelector("#main").dispatchEvent(event);
    }"""
    import base64

    data = base64.b64encode(drawn_photo.read_bytes()).decode()
    page.evaluate(give, ["paste", data])
    page.evaluate(give, ["drop", data])
    shown = page.locator("#thumbnails img")
    assert shown.count() == 3
    assert page.inner_text("#live") == "Photos chosen: 3."
    page.click("[aria-label='Remove photo 2']")
    assert shown.count() == 2
    assert page.evaluate("document.activeElement.ariaLabel") == "Remove photo 2"
    assert page.evaluate("[...document.images].every(i => i.complete && i.naturalWidth > 0)")
    ask(page)
    assert [len(photo) for photo in fake.asked[-1].photos] == [len(drawn_photo.read_bytes())] * 2


def test_what_is_no_photo_is_refused_and_one_that_cannot_be_shown_is_kept(visit, fake, tmp_path):
    (tmp_path / "letter.pdf").write_bytes(b"%PDF-1.7")
    (tmp_path / "snake.heic").write_bytes(b"no picture that a browser knows")
    page = visit()
    choose(page, tmp_path / "letter.pdf")
    assert "letter.pdf is not a photo" in page.inner_text("#problem")
    assert page.locator("#thumbnails li").count() == 0
    choose(page, tmp_path / "snake.heic")
    page.wait_for_selector(".unseen")
    assert "cannot show this photo" in page.inner_text("#thumbnails")
    assert page.inner_text("#problem") == ""


def test_without_a_photo_the_page_says_what_is_missing(visit, fake):
    page = visit()
    page.click("#submit")
    assert page.inner_text("#problem") == "Take or choose a photo first."
    assert page.evaluate("document.activeElement.id") == "take"
    assert fake.asked == []


def test_the_camera_gives_a_photo_and_is_switched_off_again(visit, fake):
    page = visit(width=1280)
    page.click("#take")
    page.wait_for_function("() => document.querySelector('#view').videoWidth > 0")
    assert page.evaluate("document.activeElement.id") == "shutter"
    assert violations(page) == []
    stream = page.evaluate_handle("document.querySelector('#view').srcObject")
    page.click("#shutter")
    page.wait_for_selector("#thumbnails img")
    assert not page.is_visible("#camera")
    assert page.evaluate("s => s.getTracks().map(t => t.readyState)", stream) == ["ended"]
    ask(page)
    (photo,) = fake.asked[-1].photos
    assert photo.startswith(b"\xff\xd8")


def test_a_camera_that_is_refused_is_said(visit):
    page = visit(
        width=1280,
        script="navigator.mediaDevices.getUserMedia = async () => { throw new Error('no') }",
    )
    page.click("#take")
    page.wait_for_function("() => document.querySelector('#problem').textContent")
    assert page.inner_text("#problem") == read_words().say("page", "camera_failed")


def test_a_phone_uses_its_own_camera(browser, fake, visit):
    phone = visit(script="const m = matchMedia; matchMedia = q => q.includes('coarse')"
                         " ? { matches: true } : m(q)")  # fmt: skip
    choosers = []
    phone.on("filechooser", lambda chooser: choosers.append(chooser))  # noqa: PLW0108
    phone.click("#take")
    wait_for(phone, lambda: choosers)
    assert choosers[0].element.get_attribute("capture") == "environment"


# --- the country


@pytest.mark.parametrize(
    ("typed", "code"),
    [
        ("brazil", "BR"), ("Brasil", "BR"), ("भारत", "IN"), ("cote divoire", "CI"), ("CIV", "CI"),
        ("tz", "TZ"), ("Tailandia", "TH"), ("AFRIKA KUSINI", "ZA"), ("burma", "MM"), ("usa", "US"),
        ("niger", "NE"), ("Äthiopien", "ET"), ("congo kinshasa", "CD"), ("নেপাল", "NP"),
    ],
)  # fmt: skip
def test_a_country_is_found_by_any_of_its_names(visit, fake, drawn_photo, typed, code):
    page = visit(language="en")
    page.focus("#country")
    page.wait_for_load_state("networkidle")
    page.fill("#country", typed)
    assert page.locator("[role=option]").first.get_attribute("data-code") == code
    assert page.get_attribute("#country", "aria-expanded") == "true"
    page.press("#country", "ArrowDown")
    active = page.get_attribute("#country", "aria-activedescendant")
    assert page.get_attribute(f"#{active}", "data-code") == code
    assert violations(page) == []
    page.press("#country", "Enter")
    assert page.input_value("#country") == page.evaluate(
        "c => fetch('words/en.json').then(r => r.json()).then(w => w.countries[c])", code
    )
    choose(page, drawn_photo)
    ask(page)
    assert fake.asked[-1].fields["country"] == code


def test_a_name_of_no_country_is_said_and_not_asked(visit, fake, drawn_photo):
    page = visit()
    choose(page, drawn_photo)
    page.fill("#country", "Atlantis")
    page.click("#submit")
    assert "No country has this name" in page.inner_text("#problem")
    assert page.get_attribute("#country", "aria-invalid") == "true"
    assert fake.asked == []
    page.check("#unknown")
    assert page.input_value("#country") == ""
    ask(page)
    assert "country" not in fake.asked[-1].fields
    assert fake.asked[-1].fields["gps"] == "false"


def test_a_name_typed_in_full_needs_no_choice(visit, fake, drawn_photo):
    page = visit()
    choose(page, drawn_photo)
    page.fill("#country", "kenya")
    page.press("#country", "Tab")
    ask(page)
    assert fake.asked[-1].fields["country"] == "KE"


def test_who_types_before_the_names_have_come_is_understood_too(visit, fake, drawn_photo):
    page = visit()
    held = []
    page.route("**/countries.json", lambda route: held.append(route))  # noqa: PLW0108
    choose(page, drawn_photo)
    page.fill("#country", "Tailandia")
    page.press("#country", "Enter")  # nothing in the list yet, so this asks
    wait_for(page, lambda: held)
    held[0].continue_()
    page.wait_for_selector("#verdict")
    assert fake.asked[-1].fields["country"] == "TH"


def test_the_country_that_the_photo_tells_is_asked_about_before(visit, fake, drawn_photo):
    told = "export async function countriesOf() { return { KE: 1 } }"
    page = visit(routes=[("position.js", told)])
    choose(page, drawn_photo)
    page.wait_for_selector("#offer")
    assert "position says: Kenya. Is that right?" in page.inner_text("#offer")
    assert violations(page) == []
    page.click("#offer button:has-text('Yes')")
    assert page.input_value("#country") == "Kenya"
    ask(page)
    assert fake.asked[-1].fields["country"] == "KE"


def test_the_country_that_the_photo_tells_can_be_declined(visit, fake, drawn_photo):
    told = "export async function countriesOf() { return { KE: 0.6, TZ: 0.4 } }"
    page = visit(routes=[("position.js", told)])
    choose(page, drawn_photo)
    page.wait_for_selector("#offer")
    assert page.locator("#offer button").all_inner_texts() == ["Kenya", "Tanzania", "I don't know"]
    page.click("#offer button:has-text('know')")
    ask(page)
    assert "country" not in fake.asked[-1].fields
    assert fake.asked[-1].fields["gps"] == "false"


def test_the_country_of_an_answer_is_confirmed_or_not(visit, fake, drawn_photo):
    page = visit()
    for kind, click, asked in (
        ("position", "Yes: Brazil", None),
        ("position", "No", {"gps": "false"}),
        ("border", "Colombia", {"country": "CO"}),
    ):
        fake.kind = kind
        reload(page)
        choose(page, drawn_photo)
        ask(page)
        assert fake.asked[-1].fields["gps"] == "true"
        before = len(fake.asked)
        page.locator(".offered").get_by_role("button", name=click, exact=True).click()
        if asked is None:
            page.wait_for_selector(".offered", state="detached")
            assert len(fake.asked) == before
            assert page.evaluate("document.querySelector('#country').value") == "Brazil"
        else:
            page.wait_for_function("() => document.activeElement.id === 'verdict'")
            assert len(fake.asked) == before + 1
            assert asked.items() <= fake.asked[-1].fields.items()


def test_photo_and_country_that_contradict_each_other_lead_back(visit, fake, drawn_photo):
    fake.kind = "contradicts"
    page = visit()
    choose(page, drawn_photo)
    ask(page)
    assert "Is the country right?" in page.inner_text(".doubt")
    page.click(".doubt button")
    assert page.is_visible("#country")
    assert page.evaluate("document.activeElement.id") == "heading"
    assert page.locator("#thumbnails li").count() == 1  # the photo is kept


# --- waiting, and no answer


def test_a_question_can_be_cancelled(visit, fake, drawn_photo):
    fake.go.clear()
    page = visit()
    choose(page, drawn_photo)
    page.click("#submit")
    page.wait_for_selector("#asking")
    assert page.inner_text("#asking-words") == read_words().say("page", "asking")
    assert page.evaluate("document.activeElement.id") == "asking-words"
    assert violations(page) == []
    page.click("#cancel")
    assert page.evaluate("document.activeElement.id") == "submit"
    assert page.inner_text("#live") == "Cancelled. Nothing was answered."
    fake.go.set()
    page.wait_for_timeout(200)
    assert page.locator("#verdict").count() == 0


def test_the_model_on_its_way_is_shown(visit, drawn_photo):
    slow = """export async function openAnswerer() {
      return { warm: (tell) => { globalThis.tell = tell; return new Promise(
        (done) => { globalThis.done = done; }); },
        ask: () => new Promise(() => {}), kept: async () => true };
    }"""
    page = visit(routes=[("answerer.js", slow)])
    page.wait_for_function("() => globalThis.tell")
    page.evaluate("tell(0.4)")
    assert page.inner_text("#loading-words") == "Getting the model ready: 40.0%"
    assert violations(page) == []
    choose(page, drawn_photo)
    page.click("#submit")
    assert page.is_visible("#asking-progress")
    page.evaluate("done()")
    page.wait_for_selector("#asking-progress", state="hidden")
    assert page.inner_text("#asking-words") == read_words().say("page", "asking")
    page.click("#cancel")
    assert page.inner_text("#kept") == read_words().say("page", "kept")


@pytest.mark.parametrize(
    ("refusal", "key"),
    [
        ((413, "the photo is larger than 64 MiB; send a smaller one"), "refusal_large"),
        ((422, "photo: damaged or cut short"), "refusal_photo"),
        ((422, "no country is called 'Atlantis'; use its ISO code"), "refusal_country"),
        ((503, "too many questions wait"), "refusal_busy"),
        ((501, "no such thing"), "refusal_other"),
        ((500, ""), "refusal_other"),
    ],
)
def test_a_refusal_says_why_and_what_to_do(visit, fake, drawn_photo, refusal, key):
    fake.refusal = refusal
    page = visit()
    choose(page, drawn_photo)
    ask(page)
    said = page.inner_text("#answer")
    assert read_words().say("page", key) in said
    assert refusal[1] in said
    assert page.is_visible("#emergency-words")
    assert page.evaluate("document.activeElement.id") == "verdict"
    assert (violations(page), overflows(page)) == ([], [])
    fake.refusal = None
    page.click(".buttons button >> nth=0")
    if refusal[0] < 500:
        page.click("#submit")
    page.wait_for_selector(".named")


def test_a_server_that_is_gone_is_said_and_the_guide_stays(visit, fake, drawn_photo):
    page = visit()
    choose(page, drawn_photo)
    page.context.set_offline(True)
    page.wait_for_selector("#network")
    assert page.inner_text("#network") == read_words().say("page", "offline_service")
    assert violations(page) == []
    ask(page)
    page.said.clear()  # the browser itself says that the request failed
    assert read_words().say("page", "refusal_network") in page.inner_text("#answer")
    assert read_words().say("page", "not_tie") in page.inner_text("#bite")
    page.context.set_offline(False)
    page.wait_for_function("() => navigator.onLine")
    page.click("button:has-text('Try again')")
    page.wait_for_selector(".named")


def test_a_browser_that_cannot_run_the_model_is_told_so(visit, fake):
    local = Settings(Mode.LOCAL, "0123456789ab", judged=True, species=783)
    with page_server(local, fake) as url:
        page = visit(url=url, script="delete globalThis.WebAssembly")
        assert read_words().say("page", "old_browser") in page.inner_text("#answer")
        assert not page.is_visible("#ask")
        assert page.is_visible("#bite")
        assert page.is_visible("#emergency-words")
        assert (violations(page), overflows(page)) == ([], [])
        page.said.clear()  # what the engine may say of it


# --- keyboard, language, paper, what is kept


def test_the_keyboard_is_enough(visit, fake, drawn_photo):
    page = visit()
    choosers = []  # from the start: waited for later, some are missed
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
    choosers[0].set_files(str(drawn_photo))
    tab_to(".remove")
    tab_to("#country")
    page.keyboard.type("ken")
    page.keyboard.press("ArrowDown")
    page.keyboard.press("Enter")
    tab_to("#unknown")
    tab_to("#submit")
    page.keyboard.press("Enter")
    page.wait_for_selector("#verdict")
    assert fake.asked[-1].fields["country"] == "KE"
    tab_to(".looked input")
    page.keyboard.press("Space")
    assert not page.is_visible(".frame canvas")
    tab_to(".buttons button:last-child")
    page.keyboard.press("Enter")
    assert page.evaluate("document.activeElement.id") == "heading"
    assert page.locator("#thumbnails li").count() == 0
    assert page.input_value("#country") == ""


@pytest.mark.parametrize("width", [390, 1280])
def test_what_is_touched_is_large_enough(visit, fake, drawn_photo, width):
    page = visit(width=width)
    choose(page, drawn_photo)
    page.fill("#country", "in")
    fake.kind = "border"
    targets = "button, select, input[type=text], .tick, .emergency a, [role=option]"
    measure = (
        "s => [...document.querySelectorAll(s)].filter(e => e.checkVisibility())"
        ".map(e => [e.outerHTML.slice(0, 80), e.getBoundingClientRect()])"
        ".filter(([, box]) => box.width < 44 || box.height < 44).map(([html]) => html)"
    )
    assert page.evaluate(measure, targets) == []
    page.press("#country", "Enter")
    ask(page)
    assert page.evaluate(measure, targets) == []


def test_another_language_is_chosen_asked_in_and_kept(visit, fake, drawn_photo):
    page = visit(language="de")  # there are no words in it
    assert page.get_attribute("html", "lang") == "en"
    names = page.locator("#language option").all_inner_texts()
    assert names == ["English", "Español", "Français", "हिन्दी", "Português", "Kiswahili"]
    choose(page, drawn_photo)
    give_country(page, "india")
    ask(page)
    page.select_option("#language", "hi")
    page.wait_for_function(
        "() => document.querySelector('#verdict')?.textContent.includes('विषैला')"
    )
    assert page.get_attribute("html", "lang") == "hi"
    assert page.evaluate("document.querySelector('#country').value") == "भारत"
    assert [question.fields["language"] for question in fake.asked] == ["en", "hi"]
    reload(page)
    assert page.get_attribute("html", "lang") == "hi"


def test_nothing_is_kept_but_the_language(visit, fake, drawn_photo):
    page = visit()
    choose(page, drawn_photo)
    give_country(page)
    page.select_option("#language", "es")
    ask(page)
    assert page.evaluate("Object.entries(localStorage)") == [["ophis-language", "es"]]
    assert page.evaluate("sessionStorage.length") == 0
    assert page.context.cookies() == []
    assert page.evaluate("indexedDB.databases()") == []
    assert page.url == fake.url


@pytest.mark.parametrize("kind", ["genus", "never judged", "no snake"])
@pytest.mark.parametrize("language", ["en", "hi"])
def test_the_card_is_one_sheet_of_paper(visit, fake, drawn_photo, tmp_path, kind, language):
    fake.kind = kind
    page = visit(scheme="dark", script="print = () => { globalThis.printed = true }",
                 language=language)  # fmt: skip
    choose(page, drawn_photo)
    ask(page)
    words = read_words(language)
    page.click(f"button:has-text('{words.say('page', 'print')}')")
    assert page.evaluate("printed")
    page.emulate_media(media="print")
    card = page.inner_text("#card")
    expected = [
        words.say("page", "card_not_diagnosis"), words.say("verdict", "may be venomous"),
        words.say("page", "card_person"), words.say("page", "card_bite_time"), "0123456789ab",
        words.say("advice", "emergency"),
    ]  # fmt: skip
    for text in expected:
        assert text in card
    if kind == "never judged":
        assert words.say("bundle", "never_judged") in card
    assert not page.is_visible("#main")
    assert page.evaluate("getComputedStyle(document.body).backgroundColor") == "rgb(255, 255, 255)"
    path = tmp_path / "card.pdf"
    page.pdf(path=path, prefer_css_page_size=True)
    assert len(re.findall(rb"/Type\s*/Page\b", path.read_bytes())) == 1


def test_without_an_answer_the_guide_is_printed(visit):
    page = visit()
    page.emulate_media(media="print")
    assert page.is_visible("#bite")
    assert not page.is_visible("#ask")
    assert page.is_visible("#emergency-words")


def test_who_wants_no_motion_sees_none(visit, fake, drawn_photo):
    fake.go.clear()
    page = visit()
    choose(page, drawn_photo)
    page.click("#submit")
    moving = "getComputedStyle(document.querySelector('.spinner')).animationName"
    assert page.evaluate(moving) == "turn"
    page.emulate_media(reduced_motion="reduce")
    assert page.evaluate(moving) == "none"
    fake.go.set()


# --- without a browser

PAGE = Path(ophis.__file__).parent / "page"


def test_the_first_words_stand_in_the_page_before_any_script_runs():
    html = (PAGE / "index.html").read_text(encoding="utf-8")
    assert read_words().say("advice", "emergency") in html
    assert not re.search(r"<script(?![^>]*\bsrc=)|<style|\sstyle=|\son\w+=", html)


def test_no_colour_is_green():
    import colorsys

    for path in [*PAGE.glob("*.css"), PAGE / "icon.svg", PAGE / "app.webmanifest"]:
        text = path.read_text(encoding="utf-8")
        assert not re.search(r"(?<!-)\b(green|lime|teal|olive)\b(?! any)", text.split("*/")[-1])
        for colour in re.findall(r"#([0-9a-f]{6})\b", text):
            parts = [int(colour[n : n + 2], 16) / 255 for n in (0, 2, 4)]
            hue, _, saturation = colorsys.rgb_to_hls(*parts)
            assert not (saturation > 0.15 and 75 < 360 * hue < 180), (path.name, colour)


def test_every_sentence_of_the_page_is_used_and_every_one_used_is_there():
    code = "\n".join(
        path.read_text(encoding="utf-8") for path in [*PAGE.glob("*.js"), PAGE / "index.html"]
    )
    there = set(read_words().sections["page"])
    assert set(re.findall(r"data-say(?:-label)?=\"page\.(\w+)\"", code)) <= there
    places = ("top_left", "top", "top_right", "left", "middle", "right", "bottom_left")
    made = {f"where_{place}" for place in (*places, "bottom", "bottom_right")}
    made |= {f"{kind}_{mode}" for kind in ("private", "offline") for mode in Mode}
    made |= {kind.replace(" ", "_") for kind in UNSEEN}
    assert made <= there
    named = {key for key in there if re.search(rf"[\".]{key}[\"]", code)}
    assert there - named - made == set()
