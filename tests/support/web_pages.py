"""Pages in headless Chromium, and requests to them."""

import base64
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from ophis.taxonomy.species_list import SpeciesList
from ophis.web.page import Mode, Settings, page_files
from tests.support.page_browser import ASK, INDEX, served, write_page

CONTROLLED = "navigator.serviceWorker.controller !== null"
TOLERANCE = 1e-3  # of a probability, between ONNX Runtime on this machine and in the browser


@contextmanager
def opened_modules(browser, folder: Path):
    """Open a page in which single modules of the page can be called."""
    settings = Settings(Mode.LOCAL, bundle="none", evaluated=False, species=0)
    files = page_files(settings, SpeciesList(()))
    files["index.html"] = INDEX.replace(b"probe.js", b"none.js")
    with served(write_page(folder, files)) as address:
        page = browser.new_page()
        page.goto(address)
        yield page
        page.close()


def encoded(data: bytes) -> str:
    return base64.b64encode(data).decode()


def until(page, expression: str, seconds: float = 300) -> None:
    """Wait for a condition; the page's policy forbids the evaluation of `wait_for_function`."""
    for _ in range(int(seconds * 50)):
        if page.evaluate(expression):
            return
        page.wait_for_timeout(20)
    pytest.fail(f"not within {seconds} s: {expression}")


def ask(page, photos: list[bytes], **more):
    """Return the answer of a page of `INDEX`, or {"error": ...} for an error."""
    return page.evaluate(ASK, {"photos": [encoded(photo) for photo in photos], **more})


def require_same(
    found: dict[str, Any], expected: dict[str, Any], tolerance: float = TOLERANCE
) -> None:
    """Compare field by field; the probabilities within the tolerance."""
    for one, other in zip(*([a, *a["each"]] for a in (found, expected)), strict=True):
        p = [guess.pop("probability") for guess in other["guesses"]]
        assert [guess.pop("probability") for guess in one["guesses"]] == pytest.approx(
            p, abs=tolerance
        )
    assert found == expected
