"""Report in a real browser: no overflow, no requests, sortable tables."""

import numpy as np
import pytest

from ophis import CountryPrior, read_recipe
from ophis.evaluation.report.examples import SaliencyMaps
from ophis.evaluation.report.page import write_report
from ophis.evaluation.run import ScoredRun
from tests.support.made_scores import compared, made, photographed


@pytest.fixture(scope="module")
def report(tmp_path_factory):
    """Report with every section and very long names."""
    folder = tmp_path_factory.mktemp("report")
    names = tuple(f"Pantherophis-longnameius subspecificus{n}" for n in range(40))
    pair = [made(200, 40, strength=s, seed=n, names=names) for n, s in ((1, 1.0), (2, 2.5))]
    counts = np.array([[5 + n**2 for n in range(40)], [1] * 40])
    prior = CountryPrior(pair[0].species, ("democratic-republic-of-the-congo", "UNKNOWN"), counts)
    comparison = compared(pair, prior, names=("efficientnet_b0_scratch_long_name", "B"))
    saliency = tuple(np.random.default_rng(0).random((2, 64, 64)).astype(np.float32))
    maps = {x.photo_id: SaliencyMaps(saliency, (0.1, 0.2)) for x in comparison.gains_of_b[:12]}
    runs = tuple(
        ScoredRun(name, scores, prior=prior, recipe=read_recipe("demo"), facts={"digest": "0" * 64})
        for name, scores in zip(comparison.names, pair, strict=True)
    )
    return write_report(
        comparison, folder / "report.html", runs=runs, maps=maps, maps_note="made maps",
        photos=photographed(folder, pair[0]),
    )  # fmt: skip


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [390, 1280])
def test_page_fits_and_makes_no_requests(browser, report, width, scheme):
    page = browser.new_page(viewport={"width": width, "height": 900}, color_scheme=scheme)
    requests, messages = [], []
    page.on("request", lambda request: requests.append(request.url))
    page.on("console", lambda message: messages.append(message.text))
    page.on("pageerror", lambda error: messages.append(str(error)))
    page.goto(report.as_uri())
    for details in page.query_selector_all("details"):
        details.evaluate("element => { element.open = true }")
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    assert [url for url in requests if not url.startswith(("file:", "data:"))] == []
    assert messages == []
    colour = page.evaluate("getComputedStyle(document.body).backgroundColor")
    lightness = sum(int(part) for part in colour[4:-1].split(","))
    assert (lightness > 600) == (scheme == "light")
    # Every picture was decoded and every plot has a size.
    assert page.evaluate("[...document.images].every(i => i.complete && i.naturalWidth > 0)")
    heights = page.evaluate("[...document.querySelectorAll('.plot svg')].map(s => s.clientHeight)")
    assert len(heights) >= 5
    assert min(heights) > 100
    page.close()


def test_heading_sorts_column_and_reverses_it(browser, report):
    page = browser.new_page()
    page.goto(report.as_uri())
    page.evaluate("document.querySelectorAll('details').forEach(d => { d.open = true })")
    table = page.locator("#species table")
    column = table.locator("thead th").all_inner_texts().index("gain") + 1
    heading = table.locator(f"thead th:nth-child({column}) button")

    def gains():
        cells = table.locator(f"tbody td:nth-child({column})").all_inner_texts()
        return [float(text.replace("\N{MINUS SIGN}", "-")) for text in cells]

    before = gains()
    heading.click()
    assert gains() == sorted(before, reverse=True)
    assert table.locator(f"thead th:nth-child({column})").get_attribute("aria-sort") == "descending"
    heading.press("Enter")  # the keyboard too
    assert gains() == sorted(before)
    table.locator("thead th:nth-child(1) button").click()
    names = table.locator("tbody td:nth-child(1)").all_inner_texts()
    assert names == sorted(names, key=str.lower)
    page.close()


def test_page_prints_dark_on_light(browser, report, tmp_path):
    page = browser.new_page(color_scheme="dark")
    page.goto(report.as_uri())
    page.emulate_media(media="print")
    assert page.evaluate("getComputedStyle(document.body).backgroundColor") == "rgb(255, 255, 255)"
    assert page.evaluate("getComputedStyle(document.body).color") == "rgb(0, 0, 0)"
    page.pdf(path=tmp_path / "report.pdf", format="A4")
    assert (tmp_path / "report.pdf").read_bytes().startswith(b"%PDF")
    page.close()
