"""Meaning of the folders above each photo: a species, a part of a dataset, or neither.

The species is the folder that holds the photos. Folders above it are parts (`train`, `Val`,
`test_set`) by their names, or groups such as families, which are passed over; folders below it
(`photos`, `2024`) are part of it. A layout with two readings is refused, because a wrong one would
train a network on species that do not exist.
"""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, NoReturn

from ophis.errors import InputError
from ophis.taxonomy.families import family

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping
    from pathlib import Path

    Names = tuple[str, ...]  # of folders, from the top to a photo

# Words are matched in one way only; two ways would take exponential time.
_EXTRA = (
    r"(?:sets?|sub|data|split|part|images?|imgs?|photos?|pics?|pictures?|jpe?gs?|pngs?|files?"
    r"|folders?|dir|snakes?|species|final|full|new|old|all|raw|resized|augmented|cropped|crops?"
    r"|originals?|mini|small|large|samples?|public|private|labell?ed|adults?|juveniles?|males?|females?"
    r"|[0-9])"
)
_PART_WORD = (
    r"(?:train(?:ing)?|trn|val(?:id(?:ation)?)?|dev(?:elopment)?|test(?:ing)?|tst"
    r"|eval(?:uation)?|holdout|heldout)"
)
_PART = re.compile(f"{_EXTRA}*{_PART_WORD}+{_EXTRA}*")
_GENERIC = re.compile(f"{_EXTRA}+")
_GENUS = re.compile("[A-Z][a-z]+")
_EPITHET = re.compile("[a-z]{2,}(?:-[a-z]{2,})?")
_BINOMIAL = re.compile(r"[A-Za-z][a-z]+[\s_-]+[A-Za-z][a-z]+(?:[\s_-].*)?")
_SHOWN = 4
_FIX = "put the photos of each species in one folder of its name, all at one depth"
_NO_SPECIES = (
    "photos lie directly in this folder{beside}, so their species is not known; put them in one"
    " folder per species, or write a metadata.csv"
)


@dataclass(frozen=True)
class Layout:
    """Species and part of each folder that holds photos.

    Attributes:
        species: by the names of the folders above a photo.
        parts: name of the part of the dataset by the same names; empty without parts.
        understood: a line on parts and on folders without a meaning; empty where every folder is a
            species.
    """

    species: Mapping[Names, str]
    parts: Mapping[Names, str]
    understood: str = ""


def is_part(name: str) -> bool:
    """Return True for the name of a part of a dataset: `train`, `Val`, "test images"."""
    return bool(_PART.fullmatch(_collapsed(name)))


def read_layout(root: Path, folders: Iterable[Names]) -> Layout:
    """Return the meaning of the folders that hold photos.

    Args:
        root: the folder, for messages.
        folders: names of the folders from the top to the photos, for each folder with photos.

    Raises:
        InputError: for a layout without species, or with more than one reading.
    """
    whole = sorted(set(folders))
    parts, rest = _split_parts(root, whole)
    for folder in whole:
        if not rest[folder]:
            beside = " beside folders of photos" if len(whole) > 1 else ""
            raise InputError(f"{root.joinpath(*folder)}: {_NO_SPECIES.format(beside=beside)}")
    chains = {folder: _without_tail(names) for folder, names in rest.items()}
    species, above = _species(root, set(chains.values()))
    layout = Layout({folder: species[names] for folder, names in chains.items()}, parts)
    first = min(layout.species.values())
    if all(map(_is_generic, layout.species.values())) and _has_letters(first):
        raise InputError(f"{root}: {first!r} is no name of a species; {_FIX}")
    joined = any(name not in names for names, name in species.items())
    ends = {f: len(above[chains[f]]) + 1 + joined for f in whole}
    below = {name for folder in whole for name in rest[folder][ends[folder] :]}
    passed = {name for names in above.values() for name in names}
    return replace(layout, understood=_understood(layout, passed, below, joined=joined))


def _split_parts(root: Path, whole: list[Names]) -> tuple[dict[Names, str], dict[Names, Names]]:
    """Return the part of each folder, and its names without those of parts."""
    levels = []
    for level in range(max(map(len, whole))):
        names = {folder[level] if len(folder) > level else "" for folder in whole}
        parts = {name for name in names if is_part(name)}
        if other := parts and names - parts:
            beside = min(other) and f"{min(other)!r} beside it does not"
            raise InputError(
                f"{root}: the folder {min(parts)!r} seems to be a part of a dataset, but"
                f" {beside or 'some photos lie in no such folder'}; put all photos below parts"
                " (train, validation, test), or rename the folder"
            )
        if parts:
            levels.append(level)
    rest = {f: tuple(name for n, name in enumerate(f) if n not in levels) for f in whole}
    return {f: "/".join(f[n] for n in levels) for f in whole} if levels else {}, rest


def _without_tail(names: Names) -> Names:
    """Leave out folders below a species whose names mean no species: `photos`, `2024`."""
    while len(names) > 1 and _is_generic(names[-1]):
        # Numbers may be the species themselves, which is refused by number.
        if not _has_letters(names[-1]) and not family(names[-2]):
            break
        names = names[:-1]
    return names


def _species(root: Path, chains: set[Names]) -> tuple[dict[Names, str], dict[Names, Names]]:
    """Return the species of each chain of folders, and the folders passed over above it."""
    depths = {len(names) for names in chains}
    last = min(depths) - 1
    if len(depths) == 1 and last and (joined := _genus_and_epithet(root, chains)):
        return joined, {names: names[:-2] for names in chains}
    known = [level for level in range(last + 1) if any(family(names[level]) for names in chains)]
    level = last
    if len(depths) > 1 or (known and known[-1] < last):
        level = known[-1] if known else 0
        deeper = [name for names in chains for name in names[level + 1 :]]
        binomial = all(_BINOMIAL.fullmatch(names[level]) for names in chains)
        if not known or not binomial or any(map(family, deeper)):
            _refuse(root, chains)
    elif last and not known and _recurs(chains):
        _refuse(root, chains)
    return {c: c[level] for c in chains}, {c: c[:level] for c in chains}


def _genus_and_epithet(root: Path, chains: set[Names]) -> dict[Names, str] | None:
    """Return the species where every photo lies in a genus and an epithet: `Vipera/berus`."""
    pairs = {c for c in chains if _GENUS.fullmatch(c[-2]) and _EPITHET.fullmatch(c[-1])}
    known = {names for names in pairs if family(names[-2])}
    if not known:
        return None
    if len(pairs) < len(chains) or 2 * len(known) <= len(pairs) or _recurs(chains):
        _refuse(root, chains)
    return {names: f"{names[-2]} {names[-1]}" for names in chains}


def _recurs(chains: set[Names]) -> bool:
    """Return True where every last name stands in two folders: `Aus/front`, `Bus/front`."""
    return min(Counter(names[-1].casefold() for names in chains).values()) > 1


def _refuse(root: Path, chains: set[Names]) -> NoReturn:
    ordered = sorted(chains, key=lambda names: (len(names), names))
    shortest, longest = ordered[0], ordered[-1]
    for names in ordered:  # a folder in another one shows the reason best
        for end in range(1, len(names)):
            if names[:end] in chains:
                shortest, longest = names[:end], names
    if len(shortest) < len(longest):
        found = f"photos lie at different depths, in {_path(shortest)} and in {_path(longest)}"
    else:
        found = f"in {_path(shortest)} either folder may be the species"
    raise InputError(f"{root}: {found}; {_FIX}")


def _path(names: Names) -> str:
    return repr("/".join(names))


def _is_generic(name: str) -> bool:
    return bool(_GENERIC.fullmatch(_collapsed(name)))


def _has_letters(name: str) -> bool:
    return bool(re.search(r"[^\W\d_]", name))


def _collapsed(name: str) -> str:
    return re.sub(r"[\W_]+", "", name.casefold())


def _understood(
    layout: Layout, above: Collection[str], below: Collection[str], *, joined: bool
) -> str:
    """Return a line on the parts, and on the folders that are neither part nor species."""
    words, first = [], min(layout.species.values())
    if parts := sorted(set(layout.parts.values())):
        number = "1 part" if len(parts) == 1 else f"{len(parts)} parts"
        words.append(f"{number}: {', '.join(parts)}; species from the folders below")
    if joined:
        words.append(f"species from folders of genus and epithet, such as {first!r}")
    elif above:
        words.append(f"species from the folders of the photos, such as {first!r}")
    if above:
        words.append(f"passed over are the folders above: {_listed(above)}")
    if below:
        words.append(f"folders inside a species are read as part of it: {_listed(below)}")
    return "; ".join(words)


def _listed(names: Collection[str]) -> str:
    shown = sorted(names)[:_SHOWN]
    more = f" and {len(names) - len(shown):,} more" if len(names) > len(shown) else ""
    return ", ".join(shown) + more
