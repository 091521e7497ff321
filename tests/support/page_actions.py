"""Actions of a user on the page in a browser, and checks of the layout."""

import threading
from pathlib import Path
from typing import Any

import pytest
from PIL import ExifTags, Image

from ophis.locales import read_sentences
from ophis.web.page import Mode, Settings
from tests.support.page_server import PageRequest
from tests.support.paths import ROOT
from tests.support.synthetic_answers import made_answer

AXE = ROOT / "node_modules" / "axe-core" / "axe.min.js"
SETTINGS = Settings(Mode.SERVICE, "0123456789ab", evaluated=True, species=783)
LOCAL = Settings(Mode.LOCAL, "0123456789ab", evaluated=True, species=783)
WIDTHS, SCHEMES = (390, 1280), ("light", "dark")
HEIGHT = 844
UNSEEN = ("no snake", "unusable")
OLD = "data-before"  # marks the verdict of the previous answer


class FakeService:
    """Service that gives a chosen answer or error, at once or after `go`; records the requests."""

    def __init__(self) -> None:
        self.url = ""
        self.kind = "species"
        self.error: tuple[int, str, str] | None = None
        self.requests: list[PageRequest] = []
        self.go = threading.Event()

    def reset(self) -> None:
        self.__dict__.update(kind="species", error=None, requests=[])
        self.go.set()

    def __call__(self, request: PageRequest) -> tuple[int, dict[str, Any]]:
        self.requests.append(request)
        self.go.wait(300)
        if self.error:
            status, reason, error = self.error
            emergency = read_sentences().text("advice", "emergency")
            body = {"error": error, "reason": reason, "emergency": emergency}
            return status, body if reason else {}
        return 200, made_answer(self.kind, request.photos, request.fields["language"])


def wait_for(page, happened):
    """Wait until a condition on events of the browser holds; fail after a generous limit."""
    for _ in range(15_000):
        if happened():
            return
        page.wait_for_timeout(20)
    pytest.fail("the condition was never met")


def started(page):
    """Wait until the page handles input; earlier input is lost."""
    page.wait_for_selector("#starting", state="detached")


def reload(page):
    page.reload()
    started(page)


def choose(page, *photos):
    page.set_input_files("#files", [str(photo) for photo in photos])


def give_country(page, text="brazil"):
    page.fill("#country", text)
    page.press("#country", "Enter")


def answered(page, act):
    """Send a request with `act` and wait for the new answer."""
    page.evaluate(f"document.querySelector('#verdict')?.setAttribute('{OLD}', '')")
    act()
    page.wait_for_selector(f"#verdict:not([{OLD}])")


def ask(page):
    answered(page, lambda: page.click("#submit"))


def ask_again(page, *photos):
    """Send the request again, or with other photos."""
    if photos:
        page.evaluate("document.querySelectorAll('.remove').forEach((button) => button.click())")
        choose(page, *photos)
    answered(page, lambda: page.evaluate("document.querySelector('#form').requestSubmit()"))


def focused(page):
    return page.evaluate("document.activeElement.id")


def violations(page):
    """Return the violations that axe-core finds, shortened."""
    if not AXE.is_file():
        pytest.skip("axe-core is not installed (npm ci)")
    if not page.evaluate("'axe' in globalThis"):
        page.evaluate(AXE.read_text(encoding="utf-8"))
    found = page.evaluate("axe.run(document, {resultTypes: ['violations']})")
    return [
        (rule["id"], node["html"][:120], node["failureSummary"][:200])
        for rule in found["violations"]
        for node in rule["nodes"]
    ]


def overflows(page):
    """Return elements that are wider than the page or than their button."""
    return page.evaluate(
        """() => [
          ...(document.documentElement.scrollWidth > innerWidth ? ["the page"] : []),
          ...[...document.querySelectorAll("button, .emergency a, .verdict, [role=option]")]
            .filter((e) => e.checkVisibility() && e.scrollWidth > e.clientWidth + 1)
            .map((e) => e.outerHTML.slice(0, 120)),
        ]"""
    )


def require_fit(page, what=""):
    """Check layout and accessibility on a phone and wide, light and dark."""
    before = page.viewport_size["width"]
    for width in WIDTHS:
        page.set_viewport_size({"width": width, "height": HEIGHT})
        for scheme in SCHEMES:
            page.emulate_media(color_scheme=scheme)
            assert (violations(page), overflows(page)) == ([], []), (what, width, scheme)
            ground = "getComputedStyle(document.body).backgroundColor.match(/\\d+/g).map(Number)"
            assert (sum(page.evaluate(ground)) > 600) == (scheme == "light")
    page.set_viewport_size({"width": before, "height": HEIGHT})
    page.emulate_media(color_scheme=None)


NAIROBI, NAMANGA = (-1.286, 36.817), (-2.545, 36.787)  # Namanga: Kenya and Tanzania


def photo_at(folder: Path, position: tuple[float, float]) -> Path:
    """Write a photo with a GPS position, latitude and longitude in degrees."""
    exif = Image.Exif()
    latitude, longitude = position
    exif.get_ifd(ExifTags.IFD.GPSInfo).update(
        {
            ExifTags.GPS.GPSLatitude: (abs(latitude), 0.0, 0.0),
            ExifTags.GPS.GPSLatitudeRef: "S" if latitude < 0 else "N",
            ExifTags.GPS.GPSLongitude: (abs(longitude), 0.0, 0.0),
            ExifTags.GPS.GPSLongitudeRef: "W" if longitude < 0 else "E",
        }
    )
    path = folder / "placed.jpg"
    Image.new("RGB", (80, 80)).save(path, exif=exif.tobytes())
    return path
