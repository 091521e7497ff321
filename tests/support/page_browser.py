"""Headless Chromium and plain web servers, for tests and benchmarks of the page."""

from __future__ import annotations

import functools
import shutil
import threading
from contextlib import contextmanager
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING

from ophis.web.page import content_security_policy

if TYPE_CHECKING:
    from collections.abc import Generator, Mapping
    from pathlib import Path

    from playwright.sync_api import Browser

CHROMIUM = next(
    filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None
)
SWITCHES = [
    "--no-sandbox", "--disable-gpu", "--disable-background-networking",
    # A camera with a synthetic picture, and no permission dialog.
    "--use-fake-device-for-media-stream", "--use-fake-ui-for-media-stream",
]  # fmt: skip
# A page without style sheets; `ASK` sends requests to its `backend`.
INDEX = (
    '<!doctype html><html lang="en"><head><meta charset="utf-8">'
    f'<meta http-equiv="Content-Security-Policy" content="{content_security_policy()}">'
    '<title>tried</title><link rel="icon" href="data:,"></head>'
    '<body><script type="module" src="probe.js"></script></body></html>'
).encode()
PROBE = b"""import { openBackend } from "./backend.js";
const settings = await (await fetch("settings.json")).json();
globalThis.backend = await openBackend(settings);
"""
ASK = """async ({photos, ...more}) => {
  for (let tries = 0; !globalThis.backend; tries++) {
    if (tries === 4000) throw new Error("the page does not start");
    await new Promise((later) => setTimeout(later, 5));
  }
  const bytes = (text) => Uint8Array.from(atob(text), (letter) => letter.charCodeAt(0));
  const blobs = photos.map((text) => new Blob([bytes(text)]));
  const request = {country: null, gps: false, top: 5, language: "en", evidence: false, ...more};
  try {
    return await backend.identify({photos: blobs, ...request});
  } catch ({name, status, reason, error, emergency, message}) {
    return {error: {name, status, reason, error, emergency, message}};
  }
}"""


@contextmanager
def chromium() -> Generator[Browser]:
    """Start Chromium; close it at the end of the context."""
    from playwright.sync_api import sync_playwright

    with sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=CHROMIUM, args=SWITCHES)
        yield browser
        browser.close()


def tried(page: Mapping[str, bytes]) -> dict[str, bytes]:
    """Return the files of a page with `INDEX` and `PROBE`."""
    return {**page, "index.html": INDEX, "probe.js": PROBE}


class _Quiet(SimpleHTTPRequestHandler):
    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - name in the base class
        """Log nothing."""


@contextmanager
def served(folder: Path) -> Generator[str]:
    """Serve a folder with the web server of the standard library; yield its address."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(_Quiet, directory=folder))
    threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_port}/"
    finally:
        server.shutdown()
        server.server_close()


def write_page(folder: Path, page: Mapping[str, bytes]) -> Path:
    """Write files by their paths."""
    for path, data in page.items():
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_bytes(data)
    return folder
