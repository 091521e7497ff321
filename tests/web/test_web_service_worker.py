"""Service worker: storage of the page, and its replacement by a newer version."""

import json
import re
from contextlib import suppress

import pytest

from ophis.web.export import FACTS, SERVICE_WORKER, with_file_digests
from tests.support.page_browser import INDEX, served, write_page
from tests.support.web_pages import CONTROLLED, ask, until


def test_new_page_replaces_the_old_one_when_complete(opened, made, tmp_path, synthetic_photo):
    """The old page remains until every file of the new one is stored."""
    playwright = pytest.importorskip("playwright.sync_api")
    files, _ = made
    folder = write_page(tmp_path / "page", with_file_digests(files))
    update = "navigator.serviceWorker.getRegistration().then((r) => r.update()).catch(String)"
    version = "document.title"
    with served(folder) as address:
        page = opened(address)
        until(page, "Boolean(globalThis.backend)")
        assert page.evaluate("backend.availableOffline()") is True
        until(page, CONTROLLED)
        newer = with_file_digests(files | {"index.html": INDEX.replace(b"tried", b"newer")})
        write_page(folder, newer | {"index.html": INDEX})  # half of an upload
        page.evaluate(update)
        until(
            page,
            "navigator.serviceWorker.getRegistration().then((r) => !r.installing && !r.waiting)",
        )
        page.reload()
        assert page.evaluate(version) == "tried"
        assert "lines" in ask(page, [synthetic_photo.read_bytes()])
        write_page(folder, newer)
        page.evaluate(update)
        until(page, "navigator.serviceWorker.getRegistration().then((r) => !!r.waiting)")
        page.reload()
        assert page.evaluate(version) == "tried"  # this page is still open
        assert "lines" in ask(page, [synthetic_photo.read_bytes()])
    again = page.context.new_page()
    page.close()
    for _ in range(100):  # the server is gone; once no old page is open the newer one takes over
        with suppress(
            playwright.TimeoutError
        ):  # Chromium once never loaded a page opened in the exchange
            again.goto(address, timeout=10_000)
            if again.evaluate(version) == "newer":
                break
        again.goto("about:blank")
        again.wait_for_timeout(50)
    assert again.evaluate(version) == "newer"
    assert "lines" in ask(again, [synthetic_photo.read_bytes()])
    names = again.evaluate("caches.keys()")
    assert len(names) == 1


def test_service_worker_lists_the_files_of_the_page(made):
    files = with_file_digests(made[0])
    (line,) = re.findall(r"(?m)^const PAGE = (.*);$", files[SERVICE_WORKER].decode())
    listed = json.loads(line)
    assert listed["files"].keys() == files.keys() - {SERVICE_WORKER}
    other = with_file_digests(made[0] | {FACTS: made[0][FACTS] + b" "})
    assert other[SERVICE_WORKER] != files[SERVICE_WORKER]
