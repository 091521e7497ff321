"""Files of the page, shared by the service and the export.

The page either sends photos to `ophis serve`, or runs the network in the browser (`ophis web`);
`settings.json` holds the mode.
"""

from __future__ import annotations

import re
from dataclasses import asdict, dataclass
from enum import StrEnum
from importlib.resources import files
from typing import TYPE_CHECKING, Any

from ophis.geography.countries import iso_codes
from ophis.geography.country_names import all_names, english_names, name_in
from ophis.locales import languages, read_sentences
from ophis.web.facts import as_json, near_facts

if TYPE_CHECKING:
    from collections.abc import Iterator
    from importlib.resources.abc import Traversable

    from ophis.taxonomy.species_list import SpeciesList

KINDS = {
    ".html": "text/html; charset=utf-8",
    ".css": "text/css; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".mjs": "text/javascript; charset=utf-8",
    ".json": "application/json",
    ".webmanifest": "application/manifest+json",
    ".svg": "image/svg+xml",
    ".png": "image/png",
    ".wasm": "application/wasm",
    ".onnx": "application/octet-stream",
    ".bin": "application/octet-stream",
}
SETTINGS, BORDERS, NEAR = "settings.json", "borders.json", "near.json"
COUNTRIES = "countries.json"  # names of countries in all languages, for the search
_POLICY = re.compile(r'<meta http-equiv="Content-Security-Policy" content="([^"]*)">')


class Mode(StrEnum):
    """Place of inference: a server, or the browser."""

    SERVICE = "service"
    LOCAL = "local"


@dataclass(frozen=True)
class Settings:
    """Content of settings.json, which the page reads first.

    Attributes:
        mode: place of inference.
        bundle: version of the bundle.
        evaluated: whether the bundle was evaluated on photos.
        species: number of species.
        records: whether the bundle has records, so that positions are used.
    """

    mode: Mode
    bundle: str
    evaluated: bool
    species: int
    records: bool = False


def page_files(settings: Settings, species: SpeciesList) -> dict[str, bytes]:
    """Return every file of the page by path: static files, sentences, country names, settings.

    The borders are included: the browser resolves a photo's position to a country in either mode.

    Args:
        settings: of the page.
        species: of the bundle; the dangerous species of each country refer to its columns.
    """
    found = dict(_static(files("ophis.web").joinpath("static")))
    found[BORDERS] = files("ophis.geography").joinpath(BORDERS).read_bytes()
    for language in languages():
        found[f"sentences/{language}.json"] = as_json(sentences_of(language))
    english: dict[str, list[str]] = {}
    for code, name in english_names():
        english.setdefault(code, []).append(name)
    found[COUNTRIES] = as_json({"names": all_names(), "english": english})
    found[NEAR] = as_json(near_facts(species))
    found[SETTINGS] = as_json({**asdict(settings), "languages": languages()})
    return found


def content_security_policy() -> str:
    """Return the content security policy in index.html, which allows no other host."""
    found = _POLICY.search(
        files("ophis.web").joinpath("static").joinpath("index.html").read_text(encoding="utf-8")
    )
    if not found:
        raise ValueError("index.html has no content security policy")
    return found[1]


def sentences_of(language: str) -> dict[str, Any]:
    """Return the sentences of a language, and its country names by ISO 3166 alpha-2 code."""
    sentences = read_sentences(language)
    countries = {code: name_in(code, language) for code in iso_codes()}
    return {"language": language, **sentences.sections, "countries": countries}


def _static(folder: Traversable, before: str = "") -> Iterator[tuple[str, bytes]]:
    for entry in sorted(folder.iterdir(), key=lambda entry: entry.name):
        name = before + entry.name
        if entry.is_dir():
            yield from _static(entry, f"{name}/")
        elif f".{entry.name.rpartition('.')[2]}" in KINDS:
            yield name, entry.read_bytes()
