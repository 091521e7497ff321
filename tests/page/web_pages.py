"""Pages in a real headless Chromium: served from a folder, or opened from disk."""

import base64
import functools
import re
import shutil
import threading
from contextlib import contextmanager
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from ophis.page import Mode, Settings, page_files

if TYPE_CHECKING:
    from collections.abc import Generator

    from playwright.sync_api import Browser

CHROMIUM = next(
    filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None
)
SWITCHES = [
    "--no-sandbox", "--disable-gpu", "--disable-background-networking",
    # A camera that shows a made picture, and nobody to ask.
    "--use-fake-device-for-media-stream", "--use-fake-ui-for-media-stream",
]  # fmt: skip
# A page without looks: what the tests ask is asked through `answerer`.
(POLICY,) = re.findall(
    rb'<meta http-equiv="Content-Security-Policy"[^>]*>',
    files("ophis.page").joinpath("index.html").read_bytes(),
)
INDEX = (
    b'<!doctype html><html lang="en"><head><meta charset="utf-8">'
    + POLICY
    + b"<title>tried</title>"
    b'<link rel="icon" href="data:,"></head>'
    b'<body><script type="module" src="probe.js"></script></body></html>'
)
PROBE = b"""import { openAnswerer } from "./answerer.js";
const settings = await (await fetch("settings.json")).json();
globalThis.answerer = await openAnswerer(settings);
"""
ASK = """async ({photos, ...more}) => {
  const bytes = (text) => Uint8Array.from(atob(text), (letter) => letter.charCodeAt(0));
  const blobs = photos.map((text) => new Blob([bytes(text)]));
  const question = {country: null, gps: false, top: 5, language: "en", evidence: false, ...more};
  try {
    return await answerer.ask({photos: blobs, ...question});
  } catch ({name, status, error, emergency, message}) {
    return {refusal: {name, status, error, emergency, message}};
  }
}"""


@contextmanager
def chromium() -> "Generator[Browser]":
    """A browser; skips with one line where there is none."""
    pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
    from playwright.sync_api import sync_playwright

    if CHROMIUM is None:
        pytest.skip("no Chromium here (on Debian: apt install chromium)")
    with sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=CHROMIUM, args=SWITCHES)
        yield browser
        browser.close()


class Quiet(SimpleHTTPRequestHandler):
    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - its name there
        """No line a request."""


class Server(ThreadingHTTPServer):
    @property
    def address(self) -> str:
        return f"http://127.0.0.1:{self.server_port}/"


@contextmanager
def served(folder: Path):
    """A plain web server of the standard library; its address, and a way to end it sooner."""
    server = Server(("127.0.0.1", 0), functools.partial(Quiet, directory=folder))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield server
    finally:
        server.shutdown()
        server.server_close()


def write_page(folder: Path, files: dict[str, bytes]) -> Path:
    for path, data in files.items():
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_bytes(data)
    return folder


def modules_page(folder: Path) -> Path:
    """The page's modules, to be asked one by one."""
    page = page_files(Settings(Mode.LOCAL, bundle="none", judged=False, species=1))
    return write_page(folder, page | {"index.html": INDEX.replace(b"probe.js", b"none.js")})


@contextmanager
def opened_modules(folder: Path):
    """A page of a browser in which the modules can be asked."""
    with chromium() as browser, served(modules_page(folder)) as server:
        page = browser.new_page()
        page.goto(server.address)
        yield page


def encoded(data: bytes) -> str:
    return base64.b64encode(data).decode()


def until(page, expression: str, seconds: float = 20) -> None:
    """Wait; playwright's own waiting evaluates text in the page, which its policy forbids."""
    for _ in range(int(seconds * 20)):
        if page.evaluate(expression):
            return
        page.wait_for_timeout(50)
    pytest.fail(f"not within {seconds} s: {expression}")


def ask(page, photos: list[bytes], **more):
    """What a page of `INDEX` answers; a refusal comes back as {"refusal": ...}."""
    until(page, "Boolean(globalThis.answerer)")
    return page.evaluate(ASK, {"photos": [encoded(photo) for photo in photos], **more})
