"""Fixtures of the page in a real browser: with a fake service, or with an exported network."""

import pytest

from ophis import SpeciesList
from ophis.inference.bundles.bundle import read_bundle
from ophis.web.export import web_files
from ophis.web.runtime import runtime_files
from tests.support.made_bundle import write_made_bundle
from tests.support.page_actions import HEIGHT, SETTINGS, FakeService, started
from tests.support.page_browser import served, tried, write_page
from tests.support.page_server import page_server
from tests.support.web_pages import ask


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
    """Open the page in a fresh browser context; console errors fail the test."""
    opened = []

    def open_page(
        *, width=390, scheme="light", language="en", script="", url=None, routes=(), **more
    ):
        context = browser.new_context(
            viewport={"width": width, "height": HEIGHT},
            color_scheme=scheme,
            locale=language,
            **more,
        )
        page = context.new_page()
        page.messages, page.requests = [], []
        page.on("console", lambda message: page.messages.append(message.text))
        page.on("pageerror", lambda error: page.messages.append(str(error)))
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
    fake.go.set()
    for context, page in opened:
        assert [text for text in page.messages if "status of" not in text] == []
        outside = [u for u in page.requests if not u.startswith(("http://127.0.0.1", "blob:"))]
        assert outside == []
        context.close()


def fulfil(body):
    return lambda route: route.fulfill(content_type="text/javascript", body=body)


@pytest.fixture
def opened(browser):
    """Open a page in a fresh profile, recording requests and console errors."""
    contexts = []

    def open_page(address: str, before: str = ""):
        context = browser.new_context()
        contexts.append(context)
        if before:
            context.add_init_script(before)
        page = context.new_page()
        page.requests, page.messages = [], []
        context.on("request", lambda request: page.requests.append(request.url))
        page.on("console", lambda message: page.messages.append(message.text))
        page.on("pageerror", lambda error: page.messages.append(str(error)))
        page.goto(address)
        return page

    yield open_page
    for context in contexts:
        context.close()


@pytest.fixture(scope="session")
def engine():
    """onnxruntime-web."""
    return runtime_files()


@pytest.fixture(scope="session")
def made(tmp_path_factory, engine):
    """Page with a tiny network, and its bundle."""
    species = SpeciesList(("Boa constrictor", "Naja naja", "Natrix natrix"))
    bundle = write_made_bundle(tmp_path_factory.mktemp("made") / "bundle", species)
    return tried(web_files(read_bundle(bundle), engine)), bundle


@pytest.fixture
def answers(opened, engine, tmp_path):
    """Answers of an exported page and of Python to the same photos."""

    def ask_both(classifier, *photo_sets, **more):
        page_files = tried(web_files(classifier.bundle, engine))
        with served(write_page(tmp_path / "page", page_files)) as address:
            page = opened(address)
            return [
                (ask(page, photos, **more), classifier.identify(photos, **more).as_dict())
                for photos in photo_sets
            ]

    return ask_both


@pytest.fixture
def photo_sets(coloured):
    """Each photo alone, and all photos together as one snake."""
    photos = [path.read_bytes() for path in coloured.paths()[:6]]
    return [[photo] for photo in photos] + [photos]
