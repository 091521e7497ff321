import string
import tomllib
from dataclasses import fields
from pathlib import Path

import pytest

import ophis
from ophis import InputError, SpeciesList
from ophis.decision.decision import State
from ophis.decision.verdict import Verdict
from ophis.errors import Reason
from ophis.geography.countries import iso_codes
from ophis.geography.location import Source
from ophis.inference.answer import LeftOut
from ophis.inference.bundles.model_card import imagenet17_card
from ophis.locales import known_language, languages, read_sentences
from ophis.priors.effect import PriorEffect, PriorUse
from ophis.serve.error_response import HTTPReason
from ophis.taxonomy.danger import Danger
from ophis.web.page import sentences_of
from tests.support.paths import SOURCE

FILES = sorted((SOURCE / "locales").glob("*.toml"))
SECTIONS = {
    "danger": Danger,
    "verdict": Verdict,
    "state": State,
    "why": LeftOut,
    "place": Source,
    "prior": PriorUse,
    "error": (*Reason, *HTTPReason),
}


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_a_language_has_every_sentence_of_the_enums(path):
    words = read_sentences(path.stem)
    for section, kinds in SECTIONS.items():
        for kind in kinds:
            filled = {"name": "Naja", "why": "it is dark", "countries": "Nepal"}
            assert words.text(section, kind, **filled).strip()
    for effect in (field.name for field in fields(PriorEffect) if field.type == "bool"):
        assert words.text("country", effect).strip()
    english = read_sentences("en").sections
    assert {s: set(keys) for s, keys in words.sections.items()} == {
        s: set(keys) for s, keys in english.items()
    }


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_placeholders_equal_those_of_english(path):
    for section, keys in tomllib.loads(path.read_text(encoding="utf-8")).items():
        for key, sentence in keys.items():
            places = {name for _, name, _, _ in string.Formatter().parse(sentence) if name}
            expected = string.Formatter().parse(read_sentences("en").sections[section][key])
            assert places == {name for _, name, _, _ in expected if name}, (section, key)


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_a_language_file_has_no_english_sentence(path):
    """No sentence was left in English, and Hindi is written in Devanagari."""
    if path.stem == "en":
        return
    for section, keys in read_sentences(path.stem).sections.items():
        for key, sentence in keys.items():
            if len(sentence) > 15:
                assert sentence != read_sentences("en").sections[section][key], (section, key)
            assert (path.stem == "hi") == any("\u0900" <= letter <= "\u097f" for letter in sentence)


@pytest.mark.parametrize("language", languages())
def test_countries_have_a_name_in_every_language(language):
    names = sentences_of(language)["countries"]
    assert set(names) == set(iso_codes())
    assert all(name.strip() for name in names.values())
    assert len(set(names.values())) == len(names)
    known = {"fr": "Inde", "hi": "भारत", "pt": "Índia", "sw": "India", "es": "India", "en": "India"}
    assert names["IN"] == known[language]


@pytest.mark.parametrize(
    ("tag", "language"),
    [
        ("es-MX", "es"), ("es_MX", "es"), ("es-419", "es"), ("pt_BR", "pt"), ("EN-gb", "en"),
        ("sw-KE", "sw"), ("hi-Deva-IN", "hi"), ("hi_IN.UTF-8", "hi"), ("FR", "fr"),
        ("tlh-AQ", None), ("spa", None), ("es-", None), ("es MX", None), ("../es", None),
        ("", None), ("es-MX\n", None),
    ],
)  # fmt: skip
def test_a_regional_form_has_the_sentences_of_its_language(tag, language):
    assert known_language(tag) == language
    if language:
        assert read_sentences(tag) is read_sentences(language)


def test_an_unknown_language_is_refused_with_the_known_ones():
    assert {"en", "es"} <= set(languages())
    with pytest.raises(InputError, match="no sentences in language 'tlh'; choose one of en, es"):
        read_sentences("tlh")


def test_the_emergency_advice_is_in_the_locales_only():
    sentence = read_sentences().text("advice", "emergency")
    for path in Path(ophis.__file__).parent.rglob("*"):
        if path.suffix in (".py", ".jinja", ".js"):
            assert sentence[:20] not in path.read_text(encoding="utf-8"), path
    assert sentence in imagenet17_card(SpeciesList(("boa",)))
