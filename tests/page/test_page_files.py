"""The page's files as Python gives them out, and what package.json pins."""

import json
from pathlib import Path

import pytest

from ophis.page import SETTINGS, Mode, Settings, page_files, words_of
from ophis.places import country_code, iso_codes
from ophis.words import languages

ROOT = Path(__file__).resolve().parents[1]


@pytest.fixture(scope="module")
def page():
    return page_files(Settings(Mode.SERVICE, bundle="abc", judged=True, species=3))


def test_the_page_has_its_words_and_settings(page):
    assert page["index.html"].startswith(b"<!doctype html>")
    assert {f"words/{language}.json" for language in languages()} <= page.keys()
    assert json.loads(page[SETTINGS]) == {
        "mode": "service", "bundle": "abc", "judged": True, "species": 3,
        "languages": languages(),
    }  # fmt: skip


@pytest.mark.parametrize("language", languages())
def test_every_country_has_a_name_that_means_it(language):
    countries = words_of(language)["countries"]
    assert tuple(countries) == iso_codes()
    for code, name in countries.items():
        assert country_code(name) in (code, None), name  # None: two countries bear it


def test_the_lock_of_the_page_names_no_host_and_has_digests():
    text = (ROOT / "package-lock.json").read_text(encoding="utf-8")
    packages = json.loads(text)["packages"]
    packages.pop("")
    assert all("resolved" not in package for package in packages.values())
    assert all(package["integrity"].startswith("sha512-") for package in packages.values())
