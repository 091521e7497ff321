"""Scientific names as sources write them, in one spelling; who would be merged, and by whose word.

A name is never merged with another in silence: `Naming` says what would change and which names
would become one; `Naming.apply` does it, and merges only when asked.
"""

from __future__ import annotations

import re
import unicodedata
from collections import Counter, defaultdict
from dataclasses import dataclass, replace
from functools import cached_property, lru_cache
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING

import polars as pl

from ophis.errors import InputError
from ophis.files.tables import Rows
from ophis.taxonomy.species_list import UNWRITABLE

if TYPE_CHECKING:
    from collections.abc import Mapping

    from ophis.datasets.manifest import Manifest

AS_FOUND = "species_as_found"  # the column that keeps what the source said

# The Code has 26 letters (ICZN 11.2); some sources keep the accents of the first description.
_LETTER = "[A-Za-z\u00c0-\u00d6\u00d8-\u00f6\u00f8-\u00ff]"
_WORD = re.compile(f"{_LETTER}+(?:-{_LETTER}+)*")
# Open nomenclature (Sigovini et al. 2016, doi:10.1111/2041-210X.12594): what follows is not the
# species itself, so such a name stays a name of its own.
_NEAR = {"cf": "cf.", "cfr": "cf.", "aff": "aff.", "nr": "nr.", "near": "nr."}
_SOME = frozenset({"sp", "spp", "species"})
# Of no scientific name: a name with one of these is a common one.
_ENGLISH = frozenset({"snake", "snakes", "rattlesnake", "viper", "adder", "racer", "keelback"})
# Small words in front of an author's name.
_PARTICLES = frozenset({"da", "de", "del", "den", "der", "di", "du", "la", "le", "van", "von"})
_BETWEEN_AUTHORS = frozenset({"and", "et", "in", "ex", "apud", "y", "und", "al"})
# With these a name means more, less or something else than the species of that name.
_CONCEPT = frozenset({
    "complex", "group", "agg", "auct", "auctt", "sensu", "non", "nec", "sl", "ss", "lato",
    "stricto", "hybrid", "intergrade", "nomen", "indet", "inc", "or", "vs", "versus",
})  # fmt: skip


@lru_cache(maxsize=1 << 16)  # tables say the same name thousands of times
def scientific_name(text: str) -> str:
    """One spelling of a species' name: genus and epithet, "Naja nivea".

    Dropped are authors and years, a subgenus in parentheses, and names below the species
    (subspecies, variety, form). Underscores, and hyphens in the first word, part words; letters
    are put in the usual case. "cf.", "aff." and "sp." stay, and so does what a name with "?",
    "complex" or the like says: it is not, or not surely, that species. A hybrid names both parents
    with "×". What is no name of two words, or has a word like "snake", is left as it is, but for
    spaces.

    The same name comes out when it is put in again.

    >>> scientific_name("crotalus-viridis-viridis"), scientific_name("Naja  NAJA (Linnaeus, 1758)")
    ('Crotalus viridis', 'Naja naja')
    >>> scientific_name("Naja cf naja"), scientific_name("Pantherophis guttatus x P. obsoletus")
    ('Naja cf. naja', 'Pantherophis guttatus × Pantherophis obsoletus')
    """
    words = unicodedata.normalize("NFC", text).replace("_", " ").split()
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
    """Whether a name is of a genus, a family or the like: one word, with authors or without."""
    return len(scientific_name(name).split()) == 1


def _hybrid(words: list[str]) -> str:
    """Both parents in full; "obsoletus" and "P. obsoletus" have the first parent's genus."""
    parents: list[list[str]] = [[]]
    for word in words:
        if word == "×":
            parents.append([])
        else:
            parents[-1].append(word)
    if not all(parents) or len(parents[0]) < 2:  # "× Aus bus", "Aus × bus": names of their own
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
    """A name that is not, or not surely, of one species; None for any other."""
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
    """Whether another species follows: "Aus bus, Cus dus" is not to pass for the first alone."""
    return any(
        re.fullmatch(rf"[A-Z](?:\.|{_LETTER}+)", first) and _is_epithet(second.rstrip(","))
        for first, second in pairwise(rest)
        if second not in _BETWEEN_AUTHORS | _PARTICLES
    )


def _is_epithet(word: str) -> bool:
    return len(word) > 1 and word.islower() and bool(_WORD.fullmatch(word))


def _is_titled(rest: list[str]) -> bool:
    """Whether large letters say nothing: "Naja Naja", "NAJA NAJA LINNAEUS", "Naja Naja (L.)"."""
    large = all(_WORD.fullmatch(word) and word[0].isupper() for word in rest)
    shouted = "".join(rest).isupper() and len(rest[0]) > 1
    return large or shouted or "".join(rest[1:2]).startswith("(")


def _is_author(rest: list[str]) -> bool:
    """Whether an author stands where the epithet would: "Laurenti, 1768", "de Haas"."""
    first, following = rest[0], "".join(rest[1:2])
    if first.startswith("("):
        return True
    if first in _PARTICLES:
        return following[:1].isupper()
    ends = first.endswith(",") or following in ("&", "et", "and") or following[:1].isdigit()
    return first[:1].isupper() and ends


@dataclass(frozen=True)
class Naming:
    """What one spelling would do to the names of a manifest.

    Attributes:
        photos: how many photos each name has, as it was found.
        names: what each becomes.
    """

    photos: Mapping[str, int]
    names: Mapping[str, str]

    @cached_property
    def meetings(self) -> dict[str, tuple[str, ...]]:
        """Names that would become one, two at least, by what they would become."""
        found = defaultdict(list)
        for name in sorted(self.names):
            found[self.names[name]].append(name)
        return {name: tuple(of) for name, of in sorted(found.items()) if len(of) > 1}

    @cached_property
    def changes(self) -> dict[str, str]:
        """Names that change and meet no other."""
        return {
            name: new
            for name, new in sorted(self.names.items())
            if name != new and new not in self.meetings
        }

    def apply(self, manifest: Manifest, *, merge: bool) -> Manifest:
        """The manifest with the new names.

        Args:
            manifest: which ``photos`` were counted of.
            merge: also names that would become one; else these stay as they are, all of them.

        Returns:
            Where any name changes, its column `species_as_found` keeps the names as they were.
        """
        names = {name: new for name, new in self.names.items() if merge or name in self.changes}
        names = {name: new for name, new in names.items() if name != new}
        table = manifest.table
        if not names:
            return manifest
        if AS_FOUND not in table.columns:
            table = table.with_columns(pl.col("species").fill_null("").alias(AS_FOUND))
        species = pl.col("species").replace(list(names), list(names.values()))
        return replace(manifest, table=table.with_columns(species))


def normalised(manifest: Manifest) -> Naming:
    """What `scientific_name` makes of each name of a manifest."""
    photos = _photos(manifest)
    return Naming(photos, {name: scientific_name(name) for name in photos})


def with_synonyms(manifest: Manifest, synonyms: Mapping[str, str]) -> Naming:
    """What a table of synonyms makes of each name; names are looked up in one spelling.

    Args:
        manifest: whose names.
        synonyms: accepted name by name, of `read_synonyms`.
    """
    photos = _photos(manifest)
    spellings = defaultdict(list)
    for name in photos:
        spellings[scientific_name(name)].append(name)
    names = {name: synonyms.get(scientific_name(name), name) for name in photos}
    for name, new in names.items():
        # As the manifest already writes the accepted name, where it does so in one way.
        if name != new and len(spellings[new]) == 1:
            names[name] = spellings[new][0]
    return Naming(photos, names)


def read_synonyms(path: str | Path) -> dict[str, str]:
    """Read a CSV or Parquet table `name,accepted`: the accepted name of each, both normalised.

    Raises:
        InputError: naming the file, the row and the mend.
    """
    rows = Rows.of_file(Path(path))
    for column in ("name", "accepted"):
        if column not in rows.table.columns:
            raise InputError(f"{path}: column {column!r} is missing; needed are name, accepted")
        rows.refuse_first(pl.col(column).str.strip_chars() == "", f"{column} is empty; fill it in")
    pairs = [
        (scientific_name(name), scientific_name(other))
        for name, other in rows.table.select("name", "accepted").iter_rows()
    ]
    accepted: dict[str, str] = {}
    for row, (name, other) in enumerate(pairs):
        if UNWRITABLE.search(name + other):
            raise InputError(f"{rows.where(row)}: a name has a line break or the like; take it out")
        if accepted.setdefault(name, other) != other:
            raise InputError(
                f"{rows.where(row)}: {name!r} is {accepted[name]!r} further up; keep one of them"
            )
    for row, (name, other) in enumerate(pairs):
        if accepted.get(other, other) != other:
            raise InputError(
                f"{rows.where(row)}: {other!r} is itself a synonym, of {accepted[other]!r}; give"
                f" {name!r} the accepted name"
            )
    return accepted


def _photos(manifest: Manifest) -> Counter[str]:
    return Counter(manifest.table["species"].drop_nulls())
