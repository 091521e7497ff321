"""Scientific names of species in one spelling."""

from __future__ import annotations

import re
from functools import lru_cache
from itertools import pairwise

from ophis.taxonomy.spelling import plain_text

# The Code has 26 letters (ICZN 11.2); some sources keep the accents of the first description.
_LETTER = "[A-Za-z\u00c0-\u00d6\u00d8-\u00f6\u00f8-\u00ff]"
_WORD = re.compile(f"{_LETTER}+(?:-{_LETTER}+)*")
# Open nomenclature (Sigovini et al. 2016, doi:10.1111/2041-210X.12594): what follows is not the
# species itself, so such a name is kept apart from the species.
_NEAR = {"cf": "cf.", "cfr": "cf.", "aff": "aff.", "nr": "nr.", "near": "nr."}
_SOME = frozenset({"sp", "spp", "species"})
# A name with one of these words is a common name, not a scientific one.
_ENGLISH = frozenset({"snake", "snakes", "rattlesnake", "viper", "adder", "racer", "keelback"})
# Particles before an author's surname.
_PARTICLES = frozenset({"da", "de", "del", "den", "der", "di", "du", "la", "le", "van", "von"})
_BETWEEN_AUTHORS = frozenset({"and", "et", "in", "ex", "apud", "y", "und", "al"})
# With one of these words a name covers more or less than the species, or something else.
_CONCEPT = frozenset({
    "complex", "group", "agg", "auct", "auctt", "sensu", "non", "nec", "sl", "ss", "lato",
    "stricto", "hybrid", "intergrade", "nomen", "indet", "inc", "or", "vs", "versus",
})  # fmt: skip


@lru_cache(maxsize=1 << 16)  # a table repeats each name thousands of times
def scientific_name(text: str) -> str:
    """Return one spelling of a species' name: genus and epithet, "Naja nivea".

    Authors, years, a subgenus in parentheses and names below the species (subspecies, variety,
    form) are dropped. Underscores, and hyphens in the first word, separate words; capital letters
    follow the usual writing. "cf.", "aff.", "sp.", "?", "complex" and similar marks stay: such a
    name is not certainly that species. A hybrid names both parents with "×". A name of other than
    two words, or with a word like "snake", keeps everything but its spaces.

    The function is idempotent.

    >>> scientific_name("crotalus-viridis-viridis"), scientific_name("Naja  NAJA (Linnaeus, 1758)")
    ('Crotalus viridis', 'Naja naja')
    >>> scientific_name("Naja cf naja"), scientific_name("Pantherophis guttatus x P. obsoletus")
    ('Naja cf. naja', 'Pantherophis guttatus × Pantherophis obsoletus')
    """
    text = plain_text(text)
    words = text.replace("_", " ").split()
    if not words:
        return text.strip()
    if _WORD.fullmatch(words[0]):
        words[:1] = words[0].split("-")  # no genus has a hyphen
    words = " ".join(words).replace("×", " × ").split()
    words[:-1] = ("×" if word in ("x", "X") else word for word in words[:-1])
    if "×" in words:
        return _hybrid(words)
    return _one_name(words)


def is_above_species(name: str) -> bool:
    """Return True for a name above the species (genus, family): one word, authors aside."""
    return len(scientific_name(name).split()) == 1


def _hybrid(words: list[str]) -> str:
    """Write both parents in full; "obsoletus" and "P. obsoletus" take the first parent's genus."""
    parents: list[list[str]] = [[]]
    for word in words:
        if word == "×":
            parents.append([])
        else:
            parents[-1].append(word)
    if not all(parents) or len(parents[0]) < 2:  # "× Aus bus", "Aus × bus" name a nothospecies
        return " ".join(words)
    genus = parents[0][0]
    for parent in parents[1:]:
        if len(parent) == 1 and parent[0].islower():
            parent.insert(0, genus)
        elif len(parent) > 1 and parent[0].casefold() == f"{genus[0]}.".casefold():
            parent[0] = genus
    return " × ".join(_one_name(parent) for parent in parents)


def _one_name(words: list[str]) -> str:
    plain = " ".join(words)
    if not _WORD.fullmatch(words[0]) or _ENGLISH & {word.casefold() for word in words}:
        return plain
    genus, rest = words[0].capitalize(), words[1:]
    if len(rest) > 1 and re.fullmatch(rf"\({_LETTER}+\)", rest[0]) and _is_epithet(rest[1]):
        rest = rest[1:]  # a subgenus
    if rest and (qualified := _qualified(genus, rest)):
        return qualified
    if not rest or _is_author(rest):
        return genus
    epithet = rest[0].rstrip(",")
    if _is_epithet(epithet) or (_WORD.fullmatch(epithet) and _is_titled(rest)):
        return f"{genus} {epithet.lower()}"
    return " ".join([genus, *rest])


def _qualified(genus: str, rest: list[str]) -> str | None:
    """Return the name where it is not certainly of one species, else None."""
    first = rest[0].rstrip(".").casefold()
    if first in _SOME:
        return " ".join([genus, "sp.", *rest[1:]])
    plain = {re.sub(r"\W", "", word).casefold() for word in rest}
    if first in _NEAR and len(rest) > 1 and _is_epithet(rest[1]) and not plain & _CONCEPT:
        return f"{genus} {_NEAR[first]} {rest[1]}"
    if plain & (_CONCEPT | _NEAR.keys() | _SOME) or re.search(r"[?/+]", "".join(rest)):
        return " ".join([genus, *rest])
    return " ".join([genus, *rest]) if _has_second_name(rest) else None


def _has_second_name(rest: list[str]) -> bool:
    """Return True where a second species follows, as in "Aus bus, Cus dus"."""
    return any(
        re.fullmatch(rf"[A-Z](?:\.|{_LETTER}+)", first) and _is_epithet(second.rstrip(","))
        for first, second in pairwise(rest)
        if second not in _BETWEEN_AUTHORS | _PARTICLES
    )


def _is_epithet(word: str) -> bool:
    return len(word) > 1 and word.islower() and bool(_WORD.fullmatch(word))


def _is_titled(rest: list[str]) -> bool:
    """Return True where capitals are mere style: "Naja Naja", "NAJA NAJA LINNAEUS"."""
    large = all(_WORD.fullmatch(word) and word[0].isupper() for word in rest)
    shouted = "".join(rest).isupper() and len(rest[0]) > 1
    return large or shouted or "".join(rest[1:2]).startswith("(")


def _is_author(rest: list[str]) -> bool:
    """Return True where an author follows the genus: "Laurenti, 1768", "de Haas"."""
    first, following = rest[0], "".join(rest[1:2])
    if first.startswith("("):
        return True
    if first in _PARTICLES:
        return following[:1].isupper()
    ends = first.endswith(",") or following in ("&", "et", "and") or following[:1].isdigit()
    return first[:1].isupper() and ends
