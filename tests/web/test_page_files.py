"""Files of the page, without a browser: content, sentences, pinned versions."""

import colorsys
import json
import re

import pytest

from ophis.errors import Reason
from ophis.geography.countries import country_code, iso_codes
from ophis.locales import languages, read_sentences
from ophis.serve.error_response import HTTPReason
from ophis.web.page import SETTINGS, Mode, Settings, page_files, sentences_of
from tests.support.classifiers import SPECIES
from tests.support.paths import ROOT, SOURCE

PAGE = SOURCE / "web" / "static"


@pytest.fixture(scope="module")
def page():
    settings = Settings(Mode.SERVICE, bundle="abc", evaluated=True, species=3)
    return page_files(settings, SPECIES)


def test_page_contains_sentences_and_settings(page):
    assert page["index.html"].startswith(b"<!doctype html>")
    assert {f"sentences/{language}.json" for language in languages()} <= page.keys()
    assert json.loads(page[SETTINGS]) == {
        "mode": "service", "bundle": "abc", "evaluated": True, "species": 3,
        "records": False, "languages": languages(),
    }  # fmt: skip


@pytest.mark.parametrize("language", languages())
def test_country_names_resolve_to_their_country(language):
    countries = sentences_of(language)["countries"]
    assert tuple(countries) == iso_codes()
    for code, name in countries.items():
        assert country_code(name) in (code, None), name  # None: two countries have this name


def test_lock_of_the_page_has_digests_and_no_hosts():
    text = (ROOT / "package-lock.json").read_text(encoding="utf-8")
    packages = json.loads(text)["packages"]
    packages.pop("")
    assert all("resolved" not in package for package in packages.values())
    assert all(package["integrity"].startswith("sha512-") for package in packages.values())


def test_emergency_advice_needs_no_script():
    html = (PAGE / "index.html").read_text(encoding="utf-8")
    assert read_sentences().text("advice", "emergency") in html
    assert not re.search(r"<script(?![^>]*\bsrc=)|<style|\sstyle=|\son\w+=", html)


def test_no_colour_is_green():
    for path in [*PAGE.glob("*.css"), PAGE / "icon.svg", PAGE / "app.webmanifest"]:
        text = path.read_text(encoding="utf-8")
        assert not re.search(r"(?<!-)\b(green|lime|teal|olive)\b(?! any)", text.split("*/")[-1])
        for colour in re.findall(r"#([0-9a-f]{6})\b", text):
            parts = [int(colour[n : n + 2], 16) / 255 for n in (0, 2, 4)]
            hue, _, saturation = colorsys.rgb_to_hls(*parts)
            assert not (saturation > 0.15 and 75 < 360 * hue < 180), (path.name, colour)


def test_sentences_of_the_page_are_used_and_complete():
    code = "\n".join(
        path.read_text(encoding="utf-8") for path in [*PAGE.glob("*.js"), PAGE / "index.html"]
    )
    there = set(read_sentences().sections["page"])
    assert set(re.findall(r"data-text(?:-label)?=\"page\.(\w+)\"", code)) <= there
    places = ("top_left", "top", "top_right", "left", "middle", "right", "bottom_left")
    made = {f"where_{place}" for place in (*places, "bottom", "bottom_right")}
    kinds = ("private", "offline", "device_private", "position")
    made |= {f"{kind}_{mode}" for kind in kinds for mode in Mode}
    made |= {f"{whose}_{how}" for whose in ("position", "device") for how in ("offer", "border")}
    made |= {"no_snake", "unusable"}
    assert made <= there
    named = {key for key in there if re.search(rf"[\".]{key}[\"]", code)}
    assert there - named - made == set()


def test_error_sentences_match_the_reasons():
    """Reasons of Python, and those of the page only."""
    code = "\n".join(path.read_text(encoding="utf-8") for path in PAGE.glob("*.js"))
    there, reasons = set(read_sentences().sections["error"]), {*Reason, *HTTPReason}
    assert reasons <= there
    assert {key for key in there - reasons if f'"{key}"' not in code} == set()
