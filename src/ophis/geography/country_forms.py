"""Forms of the English names of countries: inverted, abbreviated, or with a second name."""

from __future__ import annotations

import re
import unicodedata
from functools import lru_cache

from ophis.geography.country_names import english_names

_SMALL = frozenset({"the", "of", "and"})
_SPELLED = {"st": "saint", "ste": "saint", "sainte": "saint", "rep": "republic",
            "dem": "democratic", "is": "islands", "isl": "islands",
            "n": "n.", "s": "s.", "e": "e.", "w": "w."}  # fmt: skip
_CONTESTED = frozenset({"congo", "china", "korea"})  # names of which "republic" means one
_RARE = 4  # countries with a word in their names
_SHORTEST_ABBREVIATION = 3  # letters, where no other word follows


def codes_of_form(text: str) -> tuple[str, ...]:
    """Return the alpha-2 codes of the countries with an English name in another form, sorted.

    The forms are "Congo, Democratic Republic of the", "Micronesia (Federated States of)", "Dem.
    Rep. Congo", "S. Sudan" and "Republic of Kenya". A word with a point abbreviates any word that
    has its letters in their order.

    >>> codes_of_form("Congo, Dem. Rep."), codes_of_form("Congo, Rep."), codes_of_form("Aust.")
    (('CD',), ('CG',), ('AT', 'AU'))
    """
    orders = [words for order in _orders(text) if (words := _words(order))]
    for words in orders:
        if code := _names().get(words) or _names().get(_without_form(words)):
            return (code,)
    return tuple(sorted({code for words in orders for code in _abbreviated(words)}))


def names_of_form(text: str) -> tuple[str, ...]:
    """Return the names in "X (Y)" and "X/Y"; one where there is no second.

    >>> names_of_form("burma-(myanmar)"), names_of_form("georgia (country)")
    (('burma', 'myanmar'), ('georgia',))
    """
    names = _brackets(text) or [part.strip(" -") for part in text.split("/")]
    return tuple(name for name in names if name != "country")


def codes_with_words(text: str) -> tuple[str, ...]:
    """Return the codes of countries with a rare word of the text in their name, sorted.

    >>> codes_with_words("State of Georgia"), codes_with_words("Trinidad")
    (('GE', 'GS'), ('TT',))
    """
    codes = [_codes_of_words().get(word, ()) for word in _words(text)]
    return tuple(sorted({code for found in codes if len(found) <= _RARE for code in found}))


@lru_cache(maxsize=1)
def _codes_of_words() -> dict[str, set[str]]:
    codes: dict[str, set[str]] = {}
    for words, code in _names().items():
        for word in words:
            if len(word) > _SHORTEST_ABBREVIATION:
                codes.setdefault(word, set()).add(code)
    return codes


def _orders(text: str) -> list[str]:
    """Return a text with its parts in other orders: "X, Y" and "X (Y)" as "Y X"."""
    if brackets := _brackets(text):
        head, inside = brackets
        return [f"{inside} {head}", f"{head} {inside}"]
    inverted = [f"{tail} {head}" for head, _, tail in (text.partition(","), text.rpartition(","))]
    return [text, *inverted] if "," in text else [text]


def _brackets(text: str) -> tuple[str, str] | None:
    found = re.fullmatch(r"([^(\[]+)[(\[]([^)\]]+)[)\]]", text)
    return (found[1].strip(" -"), found[2].strip(" -")) if found else None


def _words(text: str) -> tuple[str, ...]:
    """Return the words without accents and small words; an abbreviation keeps its point."""
    text = unicodedata.normalize("NFKD", text.casefold())
    text = "".join(c for c in text if not unicodedata.combining(c) and c not in "'`\u2018\u2019")
    initials = r"(?<![^\W_])((?:[^\W_]\.)+[^\W_])\.?(?![^\W_])"  # u.s., s.a.r
    text = re.sub(initials, lambda found: found[1].replace(".", ""), text)
    words = (_SPELLED.get(word.removesuffix("."), word) for word in re.findall(r"[^\W_]+\.?", text))
    return tuple(word for word in words if word not in _SMALL)


def _without_form(words: tuple[str, ...]) -> tuple[str, ...]:
    """Return ("kenya",) of ("republic", "kenya")."""
    short = words[0] not in ("republic", "kingdom") or _CONTESTED & set(words)
    return () if short else words[1:]


def _abbreviated(words: tuple[str, ...]) -> tuple[str, ...]:
    if not any(word.endswith(".") for word in words):
        return ()
    if len(words) == 1 and len(words[0]) <= _SHORTEST_ABBREVIATION:
        return ()
    patterns = [_pattern(word, alone=len(words) == 1) for word in words]
    found = {
        code
        for name, code in _names().items()
        if len(name) == len(words)
        and all(pattern.fullmatch(word) for pattern, word in zip(patterns, name, strict=True))
    }
    return tuple(sorted(found))


def _pattern(word: str, *, alone: bool) -> re.Pattern[str]:
    if not word.endswith("."):
        return re.compile(re.escape(word))
    letters = word[:-1]
    return re.compile((letters if alone else ".*".join(letters)) + ".*")


@lru_cache(maxsize=1)
def _names() -> dict[tuple[str, ...], str]:
    """Return the alpha-2 code by the words of each English name, also of inverted ones."""
    names: dict[tuple[str, ...], str] = {}
    for code, name in english_names():
        if len(name) > _SHORTEST_ABBREVIATION:  # no code
            for order in (name, *_orders(name)[1:]):
                names.setdefault(_words(order), code)
    return names
