"""Countries as people write them: one key a name, and its ISO 3166 code."""

from __future__ import annotations

import difflib
import gettext
import re
import unicodedata
from functools import lru_cache
from typing import TYPE_CHECKING

from ophis.errors import InputError, Reason

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

UNKNOWN = "UNKNOWN"

# What people write when they do not know. "NA" is not among them: it is Namibia's code.
_NOT_KNOWN = frozenset({"", "unknown", "nan", "none", "null"})

# Names that ISO 3166 does not list, each with where it comes from.
_ALIASES = {
    # As SnakeCLEF tables write them (they follow the names of the Natural Earth borders).
    "aland": "AX",
    "democratic-republic-of-the-congo": "CD",
    "east-timor": "TL",
    "hong-kong-s.a.r.": "HK",
    "indian-ocean-territories": "IO",
    "ivory-coast": "CI",
    "kosovo": "XK",  # user-assigned code: ISO lists none
    "macao-s.a.r": "MO",
    "n-cyprus": "CY",  # no code of its own in ISO 3166
    "republic-of-congo": "CG",
    "republic-of-serbia": "RS",
    "republic-of-the-congo": "CG",
    "st-kitts-and-nevis": "KN",
    "st-vincent-and-the-grenadines": "VC",
    "the-bahamas": "BS",
    "turks-and-caicos": "TC",
    "united-republic-of-tanzania": "TZ",
    "united-states-virgin-islands": "VI",
    "virgin-islands": "VI",
    "virgin-islands,-u.s.": "VI",
    "west-bank": "PS",
    # The same borders' other names, which later tables and GPS look-ups give.
    "gaza": "PS",
    "hong-kong-sar": "HK",
    "macao-sar": "MO",
    "northern-cyprus": "CY",  # no code of its own in ISO 3166
    "saint-martin": "MF",  # its southern half is Sint Maarten, SX
    "sint-maarten": "SX",
    "somaliland": "SO",  # no code of its own in ISO 3166
    "vatican": "VA",
    # Renamed since; old tables and people still use them.
    "burma": "MM",
    "cape-verde": "CV",
    "czech-republic": "CZ",
    "fyrom": "MK",
    "macedonia": "MK",
    "swaziland": "SZ",
    "turkey": "TR",
    "zaire": "CD",
    # Short forms in daily use.
    "america": "US",
    "bolivia": "BO",
    "britain": "GB",
    "brunei": "BN",
    "congo-brazzaville": "CG",
    "congo-kinshasa": "CD",
    "dr-congo": "CD",
    "drc": "CD",
    "england": "GB",
    "falkland-islands": "FK",
    "gambia": "GM",
    "great-britain": "GB",
    "holland": "NL",
    "iran": "IR",
    "laos": "LA",
    "macau": "MO",
    "micronesia": "FM",
    "moldova": "MD",
    "north-korea": "KP",
    "northern-ireland": "GB",
    "palestine": "PS",
    "republic-of-korea": "KR",
    "russia": "RU",
    "scotland": "GB",
    "south-korea": "KR",
    "syria": "SY",
    "taiwan": "TW",
    "tanzania": "TZ",
    "the-gambia": "GM",
    "the-netherlands": "NL",
    "u.k.": "GB",
    "u.s.": "US",
    "u.s.a.": "US",
    "uae": "AE",
    "uk": "GB",
    "united-states": "US",
    "usa": "US",
    "venezuela": "VE",
    "vietnam": "VN",
    "wales": "GB",
    # The same in daily use elsewhere, where CLDR and ISO list only the long or the new form.
    "ee.uu.": "US",  # Spanish
    "ee-uu": "US",
    "eeuu": "US",
    "eua": "US",  # Portuguese
    "rdc": "CD",  # French, Spanish and Portuguese
    "rd-congo": "CD",
    "congo-rdc": "CD",
    "elfenbeinkuste": "CI",
    "inglaterra": "GB",
    "angleterre": "GB",
    "holanda": "NL",
    "hollande": "NL",
    "birma": "MM",
    "birmania": "MM",
    "birmanie": "MM",
    "suazilandia": "SZ",
    "swasiland": "SZ",
    # Codes that ISO does not hold.
    "xk": "XK",
    "xkx": "XK",
}

# The languages whose names of countries are understood, as CLDR writes them: the official ones of
# the United Nations, and those spoken where most people are bitten.
LANGUAGES = (
    "am ar bn de es fa fil fr gu ha hi id ig it ja km kn ko lo ml mr ms my ne nl or pa ps pt pt_PT"
    " ru rw si so sw ta te th tr ur vi yo zh_Hans zh_Hant zu"
)
# In these ISO's own names, which are longer than CLDR's, are translated too, and without gaps.
_ISO_LANGUAGES = ("de", "es", "fr", "it", "nl", "pt", "pt_BR", "ru")

# "la France", "los Estados Unidos": what may stand before a name.
_ARTICLES = "the la le les l el los las o a os as die der das il lo gli het"

# Continents by the United Nations' M49, the Americas in its two halves: species do not know the
# continents of atlases, but Mexico's snakes are nearer to Panama's than to Canada's. Taiwan and
# Kosovo, which M49 does not list, stand with their neighbours.
_CONTINENTS = {
    "africa": "AO BF BI BJ BW CD CF CG CI CM CV DJ DZ EG EH ER ET GA GH GM GN GQ GW IO KE KM LR LS"
    " LY MA MG ML MR MU MW MZ NA NE NG RE RW SC SD SH SL SN SO SS ST SZ TD TF TG TN TZ UG YT ZA ZM"
    " ZW",
    "antarctica": "AQ BV GS HM",
    "asia": "AE AF AM AZ BD BH BN BT CC CN CX CY GE HK ID IL IN IQ IR JO JP KG KH KP KR KW KZ LA LB"
    " LK MM MN MO MV MY NP OM PH PK PS QA SA SG SY TH TJ TL TM TR TW UZ VN YE",
    "europe": "AD AL AT AX BA BE BG BY CH CZ DE DK EE ES FI FO FR GB GG GI GR HR HU IE IM IS IT JE"
    " LI LT LU LV MC MD ME MK MT NL NO PL PT RO RS RU SE SI SJ SK SM UA VA XK",
    "latin-america-and-the-caribbean": "AG AI AR AW BB BL BO BQ BR BS BZ CL CO CR CU CW DM DO EC FK"
    " GD GF GP GT GY HN HT JM KN KY LC MF MQ MS MX NI PA PE PR PY SR SV SX TC TT UY VC VE VG VI",
    "northern-america": "BM CA GL PM US",
    "oceania": "AS AU CK FJ FM GU KI MH MP NC NF NR NU NZ PF PG PN PW SB TK TO TV UM VU WF WS",
}


def country_key(text: str | None) -> str:
    """One spelling of a country's name: lower case, words joined by '-'; "UNKNOWN" for none.

    >>> country_key(" United States_of  America ")
    'united-states-of-america'
    >>> country_key("NA")  # Namibia, not "not available"
    'na'
    """
    folded = _folded(_folded(text or ""))  # some letters need it twice
    words = re.split(r"[\s_\-\u2010-\u2015]+", folded.strip().strip("\"'"))
    key = "-".join(word for word in words if word)
    return UNKNOWN if key in _NOT_KNOWN else key


def _folded(text: str) -> str:
    return unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", text).casefold())


def country_name(key: str) -> str:
    """A key as people read it.

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
    """ISO 3166 alpha-2 code of a country's name, alpha-2 or alpha-3; None when there is none.

    Names match exactly, never roughly: a rough match takes Niger for Nigeria. Only accents,
    punctuation, an article, and "&" or "St." for "and" and "Saint" make no difference. A name that
    means two countries has no code; see `country_choices`.

    >>> country_code("niger"), country_code("Tailandia"), country_code("Afrika Kusini")
    ('NE', 'TH', 'ZA')
    """
    choices = country_choices(key)
    return choices[0] if len(choices) == 1 else None


@lru_cache(maxsize=4096)
def country_choices(key: str) -> tuple[str, ...]:
    """ISO 3166 alpha-2 codes of the countries that a name means, sorted; more than one is rare.

    What ISO 3166 and our own table say comes first, then the names in `LANGUAGES`.
    """
    key = country_key(key)
    if key == UNKNOWN:
        return ()
    for form in _forms(key):
        if code := _ALIASES.get(form) or _codes().get(form):
            return (code,)
        if any(letter.isalpha() for letter in form) and (found := _translated().get(form)):
            return tuple(sorted(found))
    return ()


def code_or_key(country: str) -> str:
    """ISO code of a country, of none its key: one for all names of a country.

    >>> code_or_key("the-bahamas"), code_or_key("Atlantis")
    ('BS', 'atlantis')
    """
    return country_code(country) or country_key(country)


def same_country(keys: Iterable[str]) -> list[tuple[str, ...]]:
    """Which of several names mean one country, in their order; each group has two or more.

    >>> same_country(["bahamas", "kenya", "the-bahamas", "UNKNOWN"])
    [('bahamas', 'the-bahamas')]
    """
    groups: dict[str, list[str]] = {}
    for key in dict.fromkeys(keys):
        groups.setdefault(code_or_key(key), []).append(key)
    return [tuple(group) for group in groups.values() if len(group) > 1]


def continent(key: str) -> str | None:
    """The continent of a country, of a name or a code; None when it has none.

    >>> continent("mexico"), continent("KE"), continent(UNKNOWN)
    ('latin-america-and-the-caribbean', 'africa', None)
    """
    return _continents().get(country_code(key) or "")


def iso_codes() -> tuple[str, ...]:
    """The alpha-2 codes of ISO 3166, and Kosovo's, sorted.

    >>> len(iso_codes()), iso_codes()[0]
    (250, 'AD')
    """
    return tuple(sorted(_continents()))


@lru_cache(maxsize=1)
def _continents() -> dict[str, str]:
    return {code: name for name, codes in _CONTINENTS.items() for code in codes.split()}


def read_country(text: str | None) -> str:
    """The key of a country as a person wrote it.

    Raises:
        InputError: when it is neither empty nor a country; names the ones that look alike.
    """
    key = country_key(text)
    if key == UNKNOWN or country_code(key):
        return key
    if choices := country_choices(key):
        names = " or ".join(f"{english_name(code)} ({code})" for code in choices)
        raise InputError(
            f"{text!r} means {names}; write the ISO code", reason=Reason.UNKNOWN_COUNTRY
        )
    close = _like(key)
    mend = f"did you mean {' or '.join(close)}?" if close else "use its English name or ISO code"
    raise InputError(f"no country is called {text!r}; {mend}", reason=Reason.UNKNOWN_COUNTRY)


def english_name(code: str) -> str:
    """What a country is called in English, by its ISO 3166 alpha-2 code.

    >>> english_name("BO"), english_name("XK")
    ('Bolivia', 'Kosovo')
    """
    import pycountry  # noqa: PLC0415 - read only when a name is asked for

    country = pycountry.countries.get(alpha_2=code)
    if country is None:  # Kosovo's is the one code that ISO does not hold
        return "Kosovo"
    return getattr(country, "common_name", country.name)


def name_in(code: str, language: str) -> str:
    """What a country is called in a language, by its alpha-2 code; in English if CLDR lacks it.

    >>> name_in("TH", "es"), name_in("TH", "en")
    ('Tailandia', 'Thailand')
    """
    import babel  # noqa: PLC0415 - read only when a name is asked for

    if language == "en":
        return english_name(code)
    return str(babel.Locale.parse(language).territories.get(code) or english_name(code))


def other_names() -> dict[str, tuple[str, ...]]:
    """What else each country is called in `LANGUAGES` and in daily use; by alpha-2 code.

    >>> [name in other_names()["CI"] for name in ("Costa de Marfil", "CIV", "ivory coast")]
    [True, True, True]
    """
    import pycountry  # noqa: PLC0415 - read only when a name is asked for

    names: dict[str, set[str]] = {code: set() for code in iso_codes()}
    for code, name in _cldr_names():
        names[code].add(name)
    for key, code in _ALIASES.items():
        names[code].add(key.replace("-", " "))
    for country in pycountry.countries:
        names[country.alpha_2] |= {country.alpha_3, country.name}
    return {code: tuple(sorted(called)) for code, called in names.items()}


def _like(key: str) -> list[str]:
    """At most three names that a key may have been meant as: two that hold it, or look alike."""
    names = [name for name in {**_codes(), **_ALIASES} if len(name) > 3]
    words = set(key.split("-"))
    holding = {
        country_code(name): name
        for name in sorted(names, key=len, reverse=True)
        if words <= set(name.split("-"))
    }
    if 1 < len(holding) <= 3:  # korea
        return sorted(holding.values())
    return _close(key, names) or _close(key, [name for name in _translated() if len(name) > 3])


def _close(key: str, names: list[str]) -> list[str]:
    """The nearest names, one a country."""
    close = difflib.get_close_matches(key, names, n=9, cutoff=0.75)
    return list({country_choices(name): name for name in reversed(close)}.values())[::-1][:3]


def _forms(key: str) -> tuple[str, ...]:
    """A key as it is, without accents, and without punctuation and article."""
    plain = _plain(key)
    # An apostrophe parts words or is left out: "d ivoire", "divoire". Nothing else joins two
    # words: "niger ia" is no Nigeria.
    bare = (_bare(plain.replace("'", between)) for between in ("-", ""))
    # Short ones are codes, which must stand alone: "n.a." is not Namibia.
    return (key, plain, *(form for form in bare if len(form) > 3 or not form.isascii()))


def _bare(key: str) -> str:
    letters = "".join(c for c in key if c == "-" or unicodedata.category(c)[0] in "LMN")
    words = [word for word in letters.split("-") if word]
    return "-".join(words[1:] if len(words) > 1 and words[0] in _ARTICLES.split() else words)


def _plain(key: str) -> str:
    """A key as a keyboard without accents has it: "cote-d'ivoire", "st-lucia" -> "saint-lucia"."""
    letters = unicodedata.normalize("NFKD", re.sub("[`\u2018\u2019]", "'", key))
    letters = "".join(letter for letter in letters if not unicodedata.combining(letter))
    words = ({"&": "and", "st": "saint", "st.": "saint"}.get(w, w) for w in letters.split("-"))
    return "-".join(words)


@lru_cache(maxsize=1)
def _translated() -> dict[str, frozenset[str]]:
    """Every form of the names in `LANGUAGES`, to the codes that bear it."""
    found: dict[str, set[str]] = {}
    for code, name in (*_cldr_names(), *_iso_names()):
        outside = re.sub(r"\s*[(\uff08].*?[)\uff09]", "", name)  # "Myanmar (Birmania)"
        for form in {form for text in (name, outside) for form in _forms(country_key(text))}:
            found.setdefault(form, set()).add(code)
    return {form: frozenset(codes) for form, codes in found.items()}


def _cldr_names() -> Iterator[tuple[str, str]]:
    import babel  # noqa: PLC0415 - read only when English does not know a name

    codes = set(_codes().values()) | {"XK"}
    for language in LANGUAGES.split():
        names = babel.Locale.parse(language).territories
        for code in codes:
            if code in names:
                yield code, str(names[code])


def _iso_names() -> Iterator[tuple[str, str]]:
    import pycountry  # noqa: PLC0415

    for language in _ISO_LANGUAGES:
        told = gettext.translation("iso3166-1", pycountry.LOCALES_DIR, languages=[language]).gettext
        for country in pycountry.countries:
            # Not `common_name`: in pycountry's tables some of these stand with the wrong country.
            for field in ("name", "official_name"):
                if name := getattr(country, field, None):
                    yield country.alpha_2, told(name)


@lru_cache(maxsize=1)
def _codes() -> dict[str, str]:
    """Key of every name and code that ISO 3166 knows, to its alpha-2 code."""
    import pycountry  # noqa: PLC0415 - read only when a code is asked for

    codes: dict[str, str] = {}
    for country in pycountry.countries:
        for field in ("name", "official_name", "common_name", "alpha_2", "alpha_3"):
            if name := getattr(country, field, None):
                codes[country_key(name)] = country.alpha_2
    # "Venezuela, Bolivarian Republic of" is also written without what follows the comma, unless
    # two countries share the first part (Korea, Congo, Virgin Islands).
    first_parts = [key.split(",")[0] for key in codes if "," in key]
    for key, code in list(codes.items()):
        first = key.split(",")[0]
        if first != key and first_parts.count(first) == 1:
            codes.setdefault(first, code)
    for key, code in list({**codes, **_ALIASES}.items()):
        for form in _forms(key):
            codes.setdefault(form, code)
    return codes
