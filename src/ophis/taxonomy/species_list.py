"""Species list: the ordered columns of scores and classes of a model."""

from __future__ import annotations

import difflib
import re
from dataclasses import dataclass
from functools import cached_property
from itertools import zip_longest
from pathlib import Path
from typing import TYPE_CHECKING

from ophis.errors import InputError
from ophis.files.csv import read_columns, write_csv
from ophis.taxonomy.spelling import plain_text, species_name

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

_HEADER = "species"

# Control characters, line breaks and single surrogates: tables lose them, and one-line messages
# cannot show them.
UNWRITABLE = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff]")


@dataclass(frozen=True)
class SpeciesList:
    """Species in a fixed order: the columns of scores and the classes of a model.

    Attributes:
        names: not empty, without line breaks, each once; written as `species_name` does.

    Raises:
        InputError: naming the species that is listed twice, empty, or no name.
    """

    names: tuple[str, ...]

    def __post_init__(self) -> None:
        names = []
        for place, name in enumerate(self.names, start=1):
            if UNWRITABLE.search(name.strip()):
                raise InputError(f"species {name!r} has a line break or the like; take it out")
            names.append(species_name(name))
            if not names[-1].strip():
                raise InputError(f"species {place} has no name; give it one")
        object.__setattr__(self, "names", tuple(names))
        if len(self._places) < len(self.names):
            twice = next(name for name in self.names if self.names.count(name) > 1)
            raise InputError(f"species {twice!r} stands twice in the list; keep it once")

    def __len__(self) -> int:
        return len(self.names)

    def __iter__(self) -> Iterator[str]:
        return iter(self.names)

    def __getitem__(self, place: int) -> str:
        return self.names[place]

    def __contains__(self, name: object) -> bool:
        return name in self._places

    @cached_property
    def _places(self) -> dict[str, int]:
        return {name: place for place, name in enumerate(self.names)}

    @cached_property
    def alphabetical(self) -> tuple[int, ...]:
        """Rank of each species in alphabetical order, from 0."""
        order = sorted(range(len(self)), key=self.names.__getitem__)
        return tuple(sorted(range(len(self)), key=order.__getitem__))

    def index(self, name: str) -> int:
        """Return the column of a species, from 0.

        Raises:
            InputError: when it is not in the list; suggests up to three similar names.
        """
        if name in self._places:
            return self._places[name]
        if (name := species_name(name)) in self._places:
            return self._places[name]
        close = difflib.get_close_matches(name, self.names, n=3)
        fix = f"did you mean {' or '.join(map(repr, close))}?" if close else "check its spelling"
        raise InputError(f"species {name!r} is not among the {len(self)} of the list; {fix}")

    def like(self, name: str) -> int:
        """Return the column of a species, ignoring case, hyphens and spaces.

        The exact name takes precedence.

        Raises:
            InputError: when it is not in the list, or several species differ only in these.
        """
        found = self._keys.get(species_key(name), [])
        if name in self._places or not found:
            return self.index(name)
        if len(found) > 1:
            names = " and ".join(repr(self.names[place]) for place in found)
            raise InputError(f"species {name!r} may be {names}; write it as the list does")
        return found[0]

    def columns_of(self, keys: Iterable[str]) -> list[int]:
        """Return the sorted columns of the names that have one of some keys; see `species_key`."""
        return sorted(place for key in keys for place in self._keys.get(key, ()))

    @cached_property
    def _keys(self) -> dict[str, list[int]]:
        keys: dict[str, list[int]] = {}
        for place, name in enumerate(self.names):
            keys.setdefault(species_key(name), []).append(place)
        return keys

    def write(self, path: str | Path) -> Path:
        """Write a CSV with the one column `species`, atomically."""
        return write_csv(path, [(_HEADER,), *((name,) for name in self)])

    @classmethod
    def read(cls, path: str | Path) -> SpeciesList:
        """Read a list written by `write`.

        Raises:
            InputError: naming the file and what is wrong in it.
        """
        try:
            names = tuple(name for _, (name,) in read_columns(Path(path), (_HEADER,)))
        except FileNotFoundError:
            raise InputError(f"{path}: there is no such species list") from None
        except OSError as error:
            raise InputError(f"{path}: cannot be read: {error.strerror or error}") from None
        try:
            return cls(names)
        except InputError as error:
            raise InputError(f"{path}: {error}") from None


def require_same_species(
    species: SpeciesList, others: SpeciesList, *, names: tuple[str, str], fix: str
) -> None:
    """Raise an error for lists that differ in a name or in the order.

    Columns of numbers are assigned to species by position: with another list of the same length
    the results would be wrong without any sign of it.

    Args:
        species: a list.
        others: the list to compare.
        names: of both lists in the error message, such as "the scores".
        fix: the action that the message proposes.

    Raises:
        InputError: naming the first species that differs.
    """
    if species.names == others.names:
        return
    pairs = enumerate(zip_longest(species, others), start=1)
    place, pair = next((place, pair) for place, pair in pairs if pair[0] != pair[1])
    first, second = ("missing" if name is None else repr(name) for name in pair)
    raise InputError(f"species {place} is {first} in {names[0]} and {second} in {names[1]}; {fix}")


def genus(species: str) -> str:
    """Return the genus, the first word: "Naja" of "naja-naja" and of "Naja sp."."""
    return re.split(r"[\s_-]+", species.strip(), maxsplit=1)[0].capitalize()


def species_key(species: str) -> str:
    """Normalise a name: "naja naja" of "Naja-naja", "Naja_naja" and " Naja  naja "."""
    words = re.split(r"[\s_-]+", plain_text(species).casefold())
    return " ".join(filter(None, words))
