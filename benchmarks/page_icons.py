"""Icons of the page as PNG, from icon.svg: `python benchmarks/page_icons.py`.

They are kept beside icon.svg, because phones do not install a page without them. Run it after a
change of icon.svg. Needs Chromium and playwright.
"""

from __future__ import annotations

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))  # tests.support
from tests.support.page_browser import chromium

PAGE = Path(__file__).resolve().parents[1] / "src" / "ophis" / "web" / "static"
# Name, pixels, and the fraction that the drawing fills: a maskable icon is cut, often to a circle.
ICONS = (("icon-192.png", 192, 1.0), ("icon-512.png", 512, 1.0), ("icon-maskable.png", 512, 0.8))


def main() -> None:
    """Write all icons."""
    drawing = (PAGE / "icon.svg").read_text(encoding="utf-8")
    with chromium() as browser:
        for name, pixels, filled in ICONS:
            page = browser.new_page(viewport={"width": pixels, "height": pixels})
            ground = "transparent" if filled == 1 else "#16324f"
            size = round(pixels * filled)
            page.set_content(
                f"<style>body{{margin:0;height:100vh;display:grid;place-items:center;"
                f"background:{ground}}}svg{{width:{size}px}}</style>{drawing}"
            )
            page.screenshot(path=PAGE / name, omit_background=True)
            print(PAGE / name)


if __name__ == "__main__":
    main()
