"""Section "Dangerous snakes recorded near you" of the page against `ophis.near`."""

import numpy as np
import pytest

from ophis import CountryPrior, SpeciesList, near
from ophis.geography.country_names import name_in
from ophis.inference.bundles.bundle import read_bundle
from ophis.locales import languages, read_sentences
from ophis.priors.bayes import BayesPrior
from ophis.priors.location import LocationPrior
from ophis.priors.records import Records
from ophis.web.export import web_files
from tests.support.made_bundle import write_made_bundle
from tests.support.page_actions import NAIROBI, give_country, photo_at, require_fit, wait_for
from tests.support.page_browser import served, write_page

WORDS = read_sentences()
LIST = "#near-list li .latin"
EMERGENCY = "#near-list > :last-child"


def unfold(page):
    page.evaluate("document.querySelector('#near summary').click()")
    page.wait_for_selector(EMERGENCY)


def listed(page, expected):
    """Wait for a list of species."""
    wait_for(page, lambda: page.locator(LIST).all_inner_texts() == expected)
    return True


def test_list_of_a_country_needs_no_photo(visit):
    page = visit()
    assert not page.is_visible("#near-list")  # collapsed
    assert not any("near.json" in url for url in page.requests)
    unfold(page)
    assert WORDS.text("page", "near_first") in page.inner_text("#near-list")
    give_country(page, "kenya")
    rows = near("KE")
    assert listed(page, [row.species for row in rows])
    texts = page.locator("#near-list li").all_inner_texts()
    for row, text in zip(rows, texts, strict=True):
        category = WORDS.text("page", "near_category", category=str(row.category))
        assert (category in text) == (row.category is not None), text
        assert "%" not in text
    text = page.inner_text("#near-list")
    assert WORDS.text("near", "incomplete") in text
    assert page.inner_text(EMERGENCY) == WORDS.text("advice", "emergency")
    require_fit(page, "near")
    give_country(page, "nepal")
    assert listed(page, [row.species for row in near("NP")])
    page.fill("#country", "")
    page.press("#country", "Escape")
    assert listed(page, [])


def test_country_without_dangerous_snakes_is_no_all_clear(visit):
    page = visit()
    give_country(page, "ireland")
    unfold(page)
    page.wait_for_selector("#near-list h3")
    assert page.inner_text("#near-list h3") == WORDS.text("near", "none", countries="Ireland")
    assert WORDS.text("near", "incomplete") in page.inner_text("#near-list")
    assert page.inner_text(EMERGENCY) == WORDS.text("advice", "emergency")


@pytest.mark.parametrize("language", languages())
def test_list_is_in_every_language(visit, language):
    page, words = visit(language=language, width=320), read_sentences(language)
    give_country(page, "kenya")
    unfold(page)
    page.wait_for_selector(LIST)
    text, kenya = page.inner_text("#near"), name_in("KE", language)
    for line in (
        words.text("near", "page_heading"), words.text("near", "heading", countries=kenya),
        words.text("near", "incomplete"), words.text("near", "categories"),
        words.text("page", "near_category", category="1"), words.text("advice", "emergency"),
    ):  # fmt: skip
        assert line in text
    require_fit(page, language)


def test_missing_list_is_reported(visit):
    page = visit()
    page.route("**/near.json", lambda route: route.fulfill(status=503), times=1)
    give_country(page, "kenya")
    unfold(page)
    assert WORDS.text("error", "unreachable") in page.inner_text("#near-list")
    assert page.inner_text(EMERGENCY) == WORDS.text("advice", "emergency")
    give_country(page, "nepal")
    assert listed(page, [row.species for row in near("NP")])


@pytest.fixture(scope="module")
def exported(engine, tmp_path_factory):
    """Page of a bundle with records around Nairobi, in the browser, and its prior."""
    rng = np.random.default_rng(3)
    species = SpeciesList(
        (
            "Bitis arietans", "Naja ashei", "Dendroaspis polylepis", "Boaedon fuliginosus",
            "Naja naja", "Daboia russelii",
        )
    )  # fmt: skip
    counts = CountryPrior(species, ("kenya", "tanzania"), rng.poisson(4.0, (2, 6)))
    records = Records.of(
        species, latitude=rng.normal(-1.3, 1.5, 200), longitude=rng.normal(36.8, 1.5, 200),
        column=rng.choice([0, 1, 3, 4], 200),
    )  # fmt: skip
    folder = tmp_path_factory.mktemp("located")
    bundle = write_made_bundle(
        folder / "bundle", species, prior=LocationPrior(BayesPrior(counts), records)
    )
    read = read_bundle(bundle)
    with served(write_page(folder / "page", web_files(read, engine))) as address:
        yield address, read.prior


def test_position_adds_probabilities_and_records(visit, exported, tmp_path):
    address, prior = exported
    page = visit(
        url=address, permissions=["geolocation"],
        geolocation={"latitude": NAIROBI[0], "longitude": NAIROBI[1], "accuracy": 1000},
    )  # fmt: skip
    assert page.inner_text("#device-private") == WORDS.text("page", "device_private_local")
    unfold(page)
    page.click("#device-use")
    page.click("#offer button:has-text('Yes: Kenya')")
    assert page.inner_text("#position-text") == WORDS.text("page", "position_local")
    rows = near(NAIROBI, prior=prior)
    assert listed(page, [row.species for row in rows])
    assert [row.species for row in rows if not row.countries] == ["Naja naja"]
    texts = page.locator("#near-list li").all_inner_texts()
    for row, text in zip(rows, texts, strict=True):
        p = row.probability
        assert (f"{p:.1%}" in text) if p and p >= 0.001 else ("%" not in text or "<" in text), text
        if row.records and row.records > 1:
            found = WORDS.text("records", "near", number=str(row.records), km=str(row.nearest_km))
            assert found in text
        assert (WORDS.text("near", "only_recorded") in text) == (not row.countries)
    total = WORDS.text("records", "total", number=str(rows.records))
    assert total in page.inner_text("#near-list")
    require_fit(page, "near a position")
    page.click("#position-leave")
    assert listed(page, [row.species for row in near("KE")])
    shown = [page.content(), page.url, *page.requests]
    assert [text for text in shown if "1.286" in text or "36.81" in text] == []
    page.reload()
    page.wait_for_selector("#starting", state="detached")
    unfold(page)
    page.set_input_files("#files", str(photo_at(tmp_path, NAIROBI)))
    assert listed(page, [row.species for row in rows])
    page.click("#unknown")
    assert listed(page, [])
    page.click("#unknown")
    assert listed(page, [row.species for row in rows])
