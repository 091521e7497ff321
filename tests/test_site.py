"""The site of docs/: built without a warning, whole, and asking nobody else for anything."""

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.page_browser import served
from tests.support.paths import ROOT

ZENSICAL = Path(sys.executable).with_name("zensical")
PAGES = sorted((ROOT / "docs").glob("*.md"))

pytestmark = pytest.mark.skipif(not ZENSICAL.exists(), reason="zensical is not installed")


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The site, built as `make docs` builds it, of a copy, so that nothing is left behind."""
    folder = tmp_path_factory.mktemp("site")
    shutil.copy(ROOT / "zensical.toml", folder)
    shutil.copytree(ROOT / "docs", folder / "docs")
    done = subprocess.run(
        [ZENSICAL, "build", "--strict"], cwd=folder, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "Warning" not in done.stdout + done.stderr
    return folder / "site"


def test_every_page_is_there_and_stands_in_the_navigation(site):
    front = (site / "index.html").read_text(encoding="utf-8")
    for page in PAGES:
        name = page.with_suffix(".html").name
        assert (site / name).is_file()
        assert page.stem == "index" or f'href="./{name}"' in front, name


def test_a_warning_ends_the_build(site, tmp_path):
    shutil.copy(ROOT / "zensical.toml", tmp_path)
    (tmp_path / "docs").mkdir()
    (tmp_path / "docs" / "index.md").write_text("# Hello\n\n[nowhere](nowhere.md)\n")
    done = subprocess.run(
        [ZENSICAL, "build", "--strict"], cwd=tmp_path, capture_output=True, check=False
    )
    assert done.returncode != 0


def test_nothing_is_asked_of_another_host(site):
    for page in site.glob("*.html"):
        text = page.read_text(encoding="utf-8")
        assert not re.findall(r'<(?:script|img|iframe)[^>]* src="(?:https?:)?//[^"]*', text)
        links = re.findall(r"<link[^>]*>", text)
        loaded = [link for link in links if 'rel="canonical"' not in link]
        assert not [link for link in loaded if re.search(r'href="(?:https?:)?//', link)]


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [390, 1280])
def test_it_fits_in_a_real_browser(site, browser, width, scheme):
    with served(site) as address:
        page = browser.new_page(viewport={"width": width, "height": 900}, color_scheme=scheme)
        asked, said = [], []
        page.on("request", lambda request: asked.append(request.url))
        page.on("console", lambda message: said.append(message.text))
        page.on("pageerror", lambda error: said.append(str(error)))
        for name in ("index.html", "health-worker.html", "performance.html"):
            page.goto(address + name)
            assert page.evaluate("document.documentElement.scrollWidth") <= width
        ours = (address, "data:", "blob:")
        assert [url for url in asked if not url.startswith(ours)] == []
        assert said == []
        page.close()
