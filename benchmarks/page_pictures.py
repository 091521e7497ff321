"""Screenshots of the page for docs/page.md: the answer of `ophis serve` to a synthetic photo.

    ophis serve demo/bundle
    python benchmarks/page_pictures.py http://127.0.0.1:8000/ \
        demo/sample/photos/synthetic-00003.jpg Australia

Use synthetic photos only, so that docs/images is free of others' rights.
Needs Chromium and playwright.
"""

from __future__ import annotations

import io
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from PIL import Image

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))  # tests.support
from tests.support.page_browser import chromium

if TYPE_CHECKING:
    from playwright.sync_api import Browser

IMAGES = Path(__file__).resolve().parents[1] / "docs" / "images"
# Name, width and height in pixels, light or dark.
PICTURES = (("page-phone.png", 390, 1158, "light"), ("page-desktop.png", 1280, 900, "dark"))
MOST_BYTES = 150_000


def picture(
    browser: Browser, address: str, photo: str, country: str, *, size: tuple[int, int], scheme: str
) -> bytes:
    """Return a screenshot of the answer, as PNG."""
    page = browser.new_page(
        viewport={"width": size[0], "height": size[1]},
        color_scheme="dark" if scheme == "dark" else "light",
        locale="en",
    )
    page.goto(address)
    page.wait_for_selector("#starting", state="detached")
    page.set_input_files("#files", photo)
    page.fill("#country", country)
    page.press("#country", "Tab")
    page.click("#submit")
    page.wait_for_selector("#verdict", timeout=60_000)
    page.mouse.move(0, 0)
    page.evaluate("() => scrollTo(0, 0)")
    data = page.screenshot()
    page.close()
    return data


def small(data: bytes) -> bytes:
    """Return a PNG of 256 colours."""
    file = io.BytesIO()
    Image.open(io.BytesIO(data)).convert("RGB").quantize(256).save(file, "PNG", optimize=True)
    return file.getvalue()


def main(address: str, photo: str, country: str) -> None:
    """Write all screenshots."""
    IMAGES.mkdir(exist_ok=True)
    with chromium() as browser:
        for name, width, height, scheme in PICTURES:
            data = small(
                picture(browser, address, photo, country, size=(width, height), scheme=scheme)
            )
            (IMAGES / name).write_bytes(data)
            print(f"{IMAGES / name}: {len(data):,} bytes")
            if len(data) > MOST_BYTES:
                sys.exit(f"{name}: more than {MOST_BYTES:,} bytes; choose another photo")


if __name__ == "__main__":
    main(*sys.argv[1:])
