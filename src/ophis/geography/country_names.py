"""Names of countries from ISO 3166, CLDR and an alias table, in many languages."""

from __future__ import annotations

import gettext
import tomllib
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

# Languages, as CLDR writes them: the official ones of the United Nations, and those spoken where
# most snakebites happen.
LANGUAGES = (
    "am ar bn de es fa fil fr gu ha hi id ig it ja km kn ko lo ml mr ms my ne nl or pa ps pt pt_PT"
    " ru rw si so sw ta te th tr ur vi yo zh_Hans zh_Hant zu"
)
# Languages with a complete translation of ISO's own names, which are longer than CLDR's.
_ISO_LANGUAGES = ("de", "es", "fr", "it", "nl", "pt", "pt_BR", "ru")
_FOLDER = Path(__file__).parent


@lru_cache(maxsize=1)
def aliases() -> dict[str, str]:
    """Read the alpha-2 code of each name that ISO 3166 does not list, by its key."""
    sections = tomllib.loads((_FOLDER / "country_aliases.toml").read_text(encoding="utf-8"))
    return {name: code for section in sections.values() for name, code in section.items()}


@lru_cache(maxsize=1)
def continents() -> dict[str, str]:
    """Read the continent of each country, by its alpha-2 code."""
    text = (_FOLDER / "continents.toml").read_text(encoding="utf-8")
    return {code: name for name, codes in tomllib.loads(text).items() for code in codes}


@lru_cache(maxsize=1)
def sovereigns() -> dict[str, str]:
    """Read the country that a territory is often named with, by alpha-2 codes."""
    text = (_FOLDER / "territories.toml").read_text(encoding="utf-8")
    return {code: of for of, codes in tomllib.loads(text).items() for code in codes}


def english_name(code: str) -> str:
    """Return the English name of a country by its alpha-2 code.

    >>> english_name("BO"), english_name("XK"), english_name("CD")
    ('Bolivia', 'Kosovo', 'Democratic Republic of the Congo')
    """
    import pycountry  # noqa: PLC0415 - loaded only when a name is requested

    country = pycountry.countries.get(alpha_2=code)
    if country is None:  # Kosovo: the one code that ISO 3166 does not list
        return "Kosovo"
    name = getattr(country, "common_name", country.name)
    # "Micronesia, Federated States of", but "Bonaire, Sint Eustatius and Saba".
    head, _, tail = name.partition(", ")
    inverted = tail and (tail.split()[-1] in ("of", "the", "U.S.", "British"))
    return f"{tail.removeprefix('The ')} {head}" if inverted else name


def name_in(code: str, language: str) -> str:
    """Return the name of a country in a language; the English name where CLDR lacks it.

    >>> name_in("TH", "es"), name_in("TH", "en")
    ('Tailandia', 'Thailand')
    """
    import babel  # noqa: PLC0415 - loaded only when a name is requested

    if language == "en":
        return english_name(code)
    return str(babel.Locale.parse(language).territories.get(code) or english_name(code))


def all_names() -> dict[str, tuple[str, ...]]:
    """List all names of each country, by alpha-2 code: CLDR's in `LANGUAGES`, aliases, codes.

    >>> [name in all_names()["CI"] for name in ("Costa do Marfim", "CIV", "ivory coast")]
    [True, True, True]
    """
    import pycountry  # noqa: PLC0415 - loaded only when names are requested

    names: dict[str, set[str]] = {code: set() for code in sorted(continents())}
    for code, name in cldr_names():
        names[code].add(name)
    for key, code in aliases().items():
        names[code].add(key.replace("-", " "))
    for country in pycountry.countries:
        names[country.alpha_2] |= {country.alpha_3, country.numeric, country.name}
    return {code: tuple(sorted(called)) for code, called in names.items()}


def english_names() -> Iterator[tuple[str, str]]:
    """Yield the alpha-2 code and every English name: aliases, ISO's names, CLDR's."""
    import babel  # noqa: PLC0415 - loaded only when ISO has no such name

    for key, code in aliases().items():
        yield code, key.replace("-", " ")
    yield from iso_names("name", "official_name", "common_name")
    names = babel.Locale.parse("en").territories
    yield from ((code, str(names[code])) for code in continents() if code in names)


def cldr_names() -> Iterator[tuple[str, str]]:
    """Yield CLDR's name of each country in `LANGUAGES`, with its alpha-2 code."""
    import babel  # noqa: PLC0415 - loaded only when English has no such name

    for language in LANGUAGES.split():
        names = babel.Locale.parse(language).territories
        for code in continents():
            if code in names:
                yield code, str(names[code])


def iso_translations() -> Iterator[tuple[str, str]]:
    """Yield ISO's translated names of each country, with its alpha-2 code."""
    import pycountry  # noqa: PLC0415 - loaded only when English has no such name

    for language in _ISO_LANGUAGES:
        translation = gettext.translation("iso3166-1", pycountry.LOCALES_DIR, languages=[language])
        for code, name in iso_names("name", "official_name"):
            # Not `common_name`: pycountry's tables have some of these at the wrong country.
            yield code, translation.gettext(name)


def iso_names(*fields: str) -> Iterator[tuple[str, str]]:
    """Yield some fields of pycountry's records, with the alpha-2 code."""
    import pycountry  # noqa: PLC0415 - loaded only when a code is requested

    for country in pycountry.countries:
        for field in fields:
            if name := getattr(country, field, None):
                yield country.alpha_2, str(name)
