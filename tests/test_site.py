"""Site of docs/: builds without warnings, complete, without requests to other hosts."""

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
    """Site built from a copy of docs/ with the command of `make docs`."""
    folder = tmp_path_factory.mktemp("site")
    shutil.copy(ROOT / "zensical.toml", folder)
    shutil.copytree(ROOT / "docs", folder / "docs")
    done = subprocess.run(
        [ZENSICAL, "build", "--strict"], cwd=folder, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "Warning" not in done.stdout + done.stderr
    return folder / "site"


def test_every_page_is_built_and_in_the_navigation(site):
    front = (site / "index.html").read_text(encoding="utf-8")
    for page in PAGES:
        name = page.with_suffix(".html").name
        assert (site / name).is_file()
        assert page.stem == "index" or f'href="./{name}"' in front, name


def test_warning_fails_the_build(site, tmp_path):
    shutil.copy(ROOT / "zensical.toml", tmp_path)
    (tmp_path / "docs").mkdir()
    (tmp_path / "docs" / "index.md").write_text("# Hello\n\n[nowhere](nowhere.md)\n")
    done = subprocess.run(
        [ZENSICAL, "build", "--strict"], cwd=tmp_path, capture_output=True, check=False
    )
    assert done.returncode != 0


def test_pages_load_nothing_from_other_hosts(site):
    for page in site.glob("*.html"):
        text = page.read_text(encoding="utf-8")
        assert not re.findall(r'<(?:script|img|iframe)[^>]* src="(?:https?:)?//[^"]*', text)
        links = re.findall(r"<link[^>]*>", text)
        loaded = [link for link in links if 'rel="canonical"' not in link]
        assert not [link for link in loaded if re.search(r'href="(?:https?:)?//', link)]


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [390, 1280])
def test_pages_fit_in_a_browser(site, browser, width, scheme):
    with served(site) as address:
        page = browser.new_page(viewport={"width": width, "height": 900}, color_scheme=scheme)
        requests, messages = [], []
        page.on("request", lambda request: requests.append(request.url))
        page.on("console", lambda message: messages.append(message.text))
        page.on("pageerror", lambda error: messages.append(str(error)))
        for name in ("index.html", "health-worker.html", "performance.html"):
            page.goto(address + name)
            assert page.evaluate("document.documentElement.scrollWidth") <= width
        own = (address, "data:", "blob:")
        assert [url for url in requests if not url.startswith(own)] == []
        assert messages == []
        page.close()
