"""Countries: one key a name, and the ISO 3166 code of a name in any of many languages."""

from __future__ import annotations

import difflib
import re
import unicodedata
from functools import lru_cache
from typing import TYPE_CHECKING

from ophis.errors import InputError, Reason
from ophis.geography.country_forms import codes_of_form, codes_with_words, names_of_form
from ophis.geography.country_names import (
    aliases,
    cldr_names,
    continents,
    english_name,
    iso_names,
    iso_translations,
    sovereigns,
)

if TYPE_CHECKING:
    from collections.abc import Iterable

UNKNOWN = "UNKNOWN"
MAX_NAME = 200  # characters of a country's name; the longest has 60

# Values for an unknown country. "NA" is not among them: it is Namibia's code.
_NOT_KNOWN = frozenset({"", "unknown", "nan", "none", "null", "n/a", "#n/a", "<na>"})

# Articles before a name: "la France", "los Estados Unidos".
_ARTICLES = "the la le les l el los las o a os as die der das il lo gli het"


def country_key(text: str | None) -> str:
    """Normalise a country's name: lower case, words joined by '-'; "UNKNOWN" for none.

    >>> country_key(" United States_of  America ")
    'united-states-of-america'
    >>> country_key("NA")  # Namibia, not "not available"
    'na'
    """
    if text and len(text) > MAX_NAME:  # no name; folding takes minutes for a text of accents
        return text
    folded = _folded(_folded(text or ""))  # twice: casefolding is not idempotent
    words = re.split(r"[\s_\-\u2010-\u2015]+", folded.strip().strip("\"'"))
    key = "-".join(word for word in words if word)
    return UNKNOWN if key in _NOT_KNOWN else key


def _folded(text: str) -> str:
    return unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", text).casefold())


def country_name(key: str) -> str:
    """Return the display name of a key.

    >>> country_name("bosnia-and-herzegovina"), country_name("usa"), country_name(UNKNOWN)
    ('Bosnia and Herzegovina', 'USA', 'country not known')
    """
    if key == UNKNOWN:
        return "country not known"
    if len(key) <= 3:
        return key.upper()
    small = {"and", "of", "the"}
    words = key.split("-")
    return " ".join(w if n and w in small else w.capitalize() for n, w in enumerate(words))


def country_code(key: str) -> str | None:
    """Return the ISO 3166 alpha-2 code of a name, alpha-2 or alpha-3 code; None without one.

    Names match exactly: an approximate match takes Niger for Nigeria. Only accents, punctuation, an
    article, and "&" or "St." for "and" and "Saint" are ignored; English names may be inverted or
    abbreviated, see `codes_of_form`. A name of two countries has no code; see `country_choices`.

    >>> country_code("niger"), country_code("Tailandia"), country_code("Afrika Kusini")
    ('NE', 'TH', 'ZA')
    """
    choices = country_choices(key)
    return choices[0] if len(choices) == 1 else None


@lru_cache(maxsize=4096)
def country_choices(key: str) -> tuple[str, ...]:
    """Return the alpha-2 codes of all countries with a name, sorted; more than one is rare.

    ISO 3166 and the alias table take precedence over names in other languages.
    """
    key = country_key(key)
    if key == UNKNOWN or len(key) > MAX_NAME:
        return ()
    for form in _forms(key):
        if code := aliases().get(form) or _codes().get(form):
            return (code,)
        if any(letter.isalpha() for letter in form) and (found := _translated().get(form)):
            return tuple(sorted(found))
    if found := codes_of_form(key):
        return found
    names = names_of_form(key)
    each = [country_choices(name) for name in names if name != key]
    codes = {code for found in each for code in found} if all(each) else set()
    return tuple(sorted(codes - {sovereigns().get(code) for code in codes}))  # "Réunion (France)"


def code_or_key(country: str) -> str:
    """Return the ISO code of a country, or the key of a name without one.

    >>> code_or_key("the-bahamas"), code_or_key("Atlantis")
    ('BS', 'atlantis')
    """
    return country_code(country) or country_key(country)


def same_country(keys: Iterable[str]) -> list[tuple[str, ...]]:
    """Group the names of one country, in their order; each group has two or more.

    >>> same_country(["bahamas", "kenya", "the-bahamas", "UNKNOWN"])
    [('bahamas', 'the-bahamas')]
    """
    groups: dict[str, list[str]] = {}
    for key in dict.fromkeys(keys):
        groups.setdefault(code_or_key(key), []).append(key)
    return [tuple(group) for group in groups.values() if len(group) > 1]


def continent(key: str) -> str | None:
    """Return the continent of a country by name or code; None without one.

    >>> continent("mexico"), continent("KE"), continent(UNKNOWN)
    ('latin-america-and-the-caribbean', 'africa', None)
    """
    return continents().get(country_code(key) or "")


def iso_codes() -> tuple[str, ...]:
    """List the alpha-2 codes of ISO 3166 and of Kosovo, sorted.

    >>> len(iso_codes()), iso_codes()[0]
    (250, 'AD')
    """
    return tuple(sorted(continents()))


def read_country(text: str | None) -> str:
    """Return the key of a country in free text.

    Raises:
        InputError: when the text is neither empty nor a country; lists countries of similar name.
    """
    key = country_key(text)
    if key == UNKNOWN or country_code(key):
        return key
    if choices := country_choices(key):
        names = " or ".join(f"{english_name(code)} ({code})" for code in choices)
        raise InputError(
            f"{text!r} means {names}; write the ISO code", reason=Reason.UNKNOWN_COUNTRY
        )
    close = _suggestions(key)
    fix = f"did you mean {' or '.join(close)}?" if close else "use its English name or ISO code"
    raise InputError(f"no country is called {text!r}; {fix}", reason=Reason.UNKNOWN_COUNTRY)


def _suggestions(key: str) -> list[str]:
    """Return English names: of countries that share a word with the key, or of similar names."""
    if len(key) > MAX_NAME:
        return []
    if found := codes_with_words(key):
        return [english_name(code) for code in found]
    names = [name for name in {**_codes(), **aliases()} if len(name) > 3]
    others = [name for name in _translated() if len(name) > 3]
    return _close(key, names, cutoff=0.75) or _close(key, others, cutoff=0.85)


def _close(key: str, names: list[str], *, cutoff: float) -> list[str]:
    """Return the English names of the countries with the most similar names."""
    close = difflib.get_close_matches(key, names, n=9, cutoff=cutoff)
    codes = [code for name in close for code in country_choices(name)]
    return [english_name(code) for code in dict.fromkeys(codes)][:3]


def _forms(key: str) -> tuple[str, ...]:
    """Return a key unchanged, without accents, and without punctuation and article."""
    plain = _plain(key)
    # An apostrophe separates words or is omitted: "d ivoire", "divoire". Nothing else joins two
    # words: "niger ia" is not Nigeria.
    bare = (_bare(plain.replace("'", between)) for between in ("-", ""))
    # Short forms are codes, which match unchanged only: "n.a." is not Namibia, "cin" not "Çin".
    return (key, *(form for form in (plain, *bare) if len(form) > 3 or not form.isascii()))


def _bare(key: str) -> str:
    letters = "".join(c for c in key if c == "-" or unicodedata.category(c)[0] in "LMN")
    words = [word for word in letters.split("-") if word]
    return "-".join(words[1:] if len(words) > 1 and words[0] in _ARTICLES.split() else words)


def _plain(key: str) -> str:
    """Return a key without accents and abbreviations: "st-lucia" becomes "saint-lucia"."""
    letters = unicodedata.normalize("NFKD", re.sub("[`\u2018\u2019]", "'", key))
    letters = "".join(letter for letter in letters if not unicodedata.combining(letter))
    words = ({"&": "and", "st": "saint", "st.": "saint"}.get(w, w) for w in letters.split("-"))
    return "-".join(words)


@lru_cache(maxsize=1)
def _translated() -> dict[str, frozenset[str]]:
    """Return the alpha-2 codes of each form of the names in all languages."""
    found: dict[str, set[str]] = {}
    for code, name in (*cldr_names(), *iso_translations()):
        outside = re.sub(r"\s*[(\uff08].*?[)\uff09]", "", name)  # "Myanmar (Birmania)"
        for form in {form for text in (name, outside) for form in _forms(country_key(text))}:
            if len(form) > 3 or not form.isascii():  # three letters are a code: SIN of Singapore
                found.setdefault(form, set()).add(code)
    return {form: frozenset(codes) for form, codes in found.items()}


@lru_cache(maxsize=1)
def _codes() -> dict[str, str]:
    """Return the alpha-2 code of each name and code in ISO 3166, by key."""
    fields = ("name", "official_name", "common_name", "alpha_2", "alpha_3", "numeric")
    codes = {country_key(name): code for code, name in iso_names(*fields)}
    # "Venezuela, Bolivarian Republic of" is also written without the part after the comma, unless
    # two countries have the first part in common (Korea, Congo, Virgin Islands).
    first_parts = [key.split(",")[0] for key in codes if "," in key]
    for key, code in list(codes.items()):
        first = key.split(",")[0]
        if first != key and first_parts.count(first) == 1:
            codes.setdefault(first, code)
    for key, code in list({**codes, **aliases()}.items()):
        for form in _forms(key):
            codes.setdefault(form, code)
    return codes
