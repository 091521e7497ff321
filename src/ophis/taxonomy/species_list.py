"""What is in the pictures: the species list, and what is known of their danger to people."""

from __future__ import annotations

import csv
import difflib
import re
from dataclasses import dataclass
from enum import StrEnum
from functools import cached_property, lru_cache
from itertools import zip_longest
from pathlib import Path
from typing import TYPE_CHECKING

from ophis.errors import InputError
from ophis.files.csv import as_meant, write_csv

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping

_HEADER = "species"
_GENERA = Path(__file__).with_name("venomous_genera.csv")
_IMPORTANCE = Path(__file__).with_name("medical_importance.csv")
# How Latin names of subspecies end. Of "guttatus group", "guttatus hybrid" nothing is known; an
# epithet that ends otherwise is not recognised, which errs to the safe side.
_SUBSPECIES = re.compile(r"[a-z]{2,}(a|ae|ens|i|is|or|um|us)")

# Control characters, line breaks and halves of surrogate pairs: no table keeps them, and no
# one-line message can show them.
UNWRITABLE = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff]")


@dataclass(frozen=True)
class SpeciesList:
    """Species in a fixed order: the columns of scores, the classes of a model.

    Attributes:
        names: not empty, without line breaks, each once.

    Raises:
        InputError: naming the species that stands twice, is empty or cannot be written.
    """

    names: tuple[str, ...]

    def __post_init__(self) -> None:
        for place, name in enumerate(self.names, start=1):
            if not name.strip():
                raise InputError(f"species {place} has no name; give it one")
            if UNWRITABLE.search(name):
                raise InputError(f"species {name!r} has a line break or the like; take it out")
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
        """Of each species, which it would be by name, from 0."""
        order = sorted(range(len(self)), key=self.names.__getitem__)
        return tuple(sorted(range(len(self)), key=order.__getitem__))

    def index(self, name: str) -> int:
        """Place of a species, from 0.

        Raises:
            InputError: when it is not in the list; names up to three that look alike.
        """
        if name in self._places:
            return self._places[name]
        close = difflib.get_close_matches(name, self.names, n=3)
        mend = f"did you mean {' or '.join(map(repr, close))}?" if close else "check its spelling"
        raise InputError(f"species {name!r} is not among the {len(self)} of the list; {mend}")

    def like(self, name: str) -> int:
        """Place of a species, case, hyphens and spaces aside; the very name comes first.

        Raises:
            InputError: when it is not in the list, or more than one is so like it.
        """
        found = self._keys.get(species_key(name), [])
        if name in self._places or not found:
            return self.index(name)
        if len(found) > 1:
            names = " and ".join(repr(self.names[place]) for place in found)
            raise InputError(f"species {name!r} may be {names}; write it as the list does")
        return found[0]

    @cached_property
    def _keys(self) -> dict[str, list[int]]:
        keys: dict[str, list[int]] = {}
        for place, name in enumerate(self.names):
            keys.setdefault(species_key(name), []).append(place)
        return keys

    def write(self, path: str | Path) -> Path:
        """Write a CSV with the one column `species`, whole or not at all."""
        return write_csv(path, [(_HEADER,), *((name,) for name in self)])

    @classmethod
    def read(cls, path: str | Path) -> SpeciesList:
        """Read what `write` wrote.

        Raises:
            InputError: naming the file and what is wrong in it.
        """
        try:
            # -sig: spreadsheets put a byte order mark in front.
            with Path(path).open(encoding="utf-8-sig", newline="") as file:
                reader = csv.reader(file, strict=True)
                cells = [([*map(as_meant, row)], reader.line_num) for row in reader if row]
                header, *rows = cells or [([], 1)]
        except FileNotFoundError:
            raise InputError(f"{path}: there is no such species list") from None
        except (OSError, UnicodeDecodeError, csv.Error) as error:
            raise InputError(f"{path}: cannot be read as CSV in UTF-8: {error}") from None
        if header[0] != [_HEADER]:
            raise InputError(f"{path}, row {header[1]}: should be the one word {_HEADER}")
        for row, line in rows:
            if len(row) != 1:
                raise InputError(
                    f"{path}, row {line}: has {len(row)} cells, not one; put a name with a comma"
                    " in double quotes"
                )
        try:
            return cls(tuple(row[0] for row, _ in rows))
        except InputError as error:
            raise InputError(f"{path}: {error}") from None


def require_same_species(
    species: SpeciesList, others: SpeciesList, *, names: tuple[str, str], mend: str
) -> None:
    """Refuse two lists that differ, by the first difference in name or order.

    Columns of numbers belong to species in an order; as many of others give an answer, too, and
    nobody sees that it is wrong.

    Args:
        species: a list.
        others: another one, which should be the same.
        names: what a refusal calls each, as in "the scores".
        mend: what to do about it.

    Raises:
        InputError: naming the first species that differs.
    """
    if species.names == others.names:
        return
    pairs = enumerate(zip_longest(species, others), start=1)
    place, pair = next((place, pair) for place, pair in pairs if pair[0] != pair[1])
    first, second = ("missing" if name is None else repr(name) for name in pair)
    raise InputError(f"species {place} is {first} in {names[0]} and {second} in {names[1]}; {mend}")


class Danger(StrEnum):
    """What is said of a species. There is no word for "safe", on purpose."""

    VENOMOUS = "venomous"
    UNKNOWN = "treat as venomous"
    NOT_KNOWN_DANGEROUS = "not known to be dangerous"


@dataclass(frozen=True)
class MedicalImportance:
    """Which species are medically important, as one table says.

    Attributes:
        rows: of species, as `species_key` writes them: whether it is important.
    """

    rows: Mapping[str, bool]

    def of(self, species: str) -> bool | None:
        """What the table says of a species, or of the species whose subspecies it is.

        Returns:
            None where it says nothing.
        """
        words = species_key(species).split(" ")
        said = self.rows.get(" ".join(words))
        if said is not None or len(words) < 3:
            return said
        parent = self.rows.get(" ".join(words[:2]))
        return parent if parent or _is_subspecies(words[2:]) else None

    def danger(self, species: str) -> Danger:
        """VENOMOUS by its row or by its genus, NOT_KNOWN_DANGEROUS by its row; else UNKNOWN.

        No row takes the danger from a genus that is known to be venomous: not to be medically
        important is not to be without danger, and the organisers' table, for one, calls no sea
        snake important.
        """
        said = self.of(species)
        if said or genus(species) in _venomous_genera():
            return Danger.VENOMOUS
        return Danger.UNKNOWN if said is None else Danger.NOT_KNOWN_DANGEROUS


def read_medical_importance(path: str | Path) -> MedicalImportance:
    """Read a table `species,mivs` (1 or 0); further columns, such as `source`, are passed over.

    Raises:
        InputError: naming the file, the row and what is wrong in it.
    """
    # Here and not above: rows.py needs polars, and our own table is read without.
    from ophis.files.tables import place, read_rows  # noqa: PLC0415

    path = Path(path)
    table = read_rows(path)
    if not {"species", "mivs"} <= set(table.columns):
        raise InputError(f"{path}: columns `species` and `mivs` are needed, not {table.columns}")
    pairs = table.select("species", "mivs").rows()
    return _importance(pairs, lambda number: place(path, number))


def _importance(pairs: Iterable[tuple[str, str]], where: Callable[[int], str]) -> MedicalImportance:
    """From the cells of both columns; ``where`` says where a row stands, counted from 0."""
    rows: dict[str, bool] = {}
    for number, (name, mivs) in enumerate(pairs):
        key = species_key(name)
        if not key:
            raise InputError(f"{where(number)}: species is empty; fill it in")
        if mivs not in ("0", "1"):
            raise InputError(f"{where(number)}: mivs = {mivs!r} should be 1 or 0")
        if rows.setdefault(key, mivs == "1") != (mivs == "1"):
            raise InputError(
                f"{where(number)}: {name!r} has mivs = {mivs} and another one before; keep one"
            )
    return MedicalImportance(rows)


def danger(species: str) -> Danger:
    """What our own tables say of a species; see `MedicalImportance.danger`.

    medical_importance.csv names single species, and those not known to be dangerous only where
    references class them so. venomous_genera.csv names the genera of the front-fanged families
    (Elapidae, Viperidae, and the burrowing asps) and the rear-fanged genera with recorded severe
    bites, as taxonomy has them in the Reptile Database, with older names that photo collections
    still use. Each row has its source. What stands in neither is no proof of anything.
    """
    return own_medical_importance().danger(species)


@lru_cache(maxsize=1)
def own_medical_importance() -> MedicalImportance:
    """The table that ships with ophis."""
    with _IMPORTANCE.open(encoding="utf-8", newline="") as file:
        pairs = [(row["species"], row["mivs"]) for row in csv.DictReader(file, strict=True)]
    return _importance(pairs, lambda number: f"{_IMPORTANCE}, row {number + 2}")


def genus(species: str) -> str:
    """The genus of a species: its first word, "Naja" of "naja-naja" and of "Naja sp."."""
    return re.split(r"[\s_-]+", species.strip(), maxsplit=1)[0].capitalize()


def species_key(species: str) -> str:
    """One spelling of a name: "naja naja" of "Naja-naja", "Naja_naja" and " Naja  naja "."""
    return " ".join(word for word in re.split(r"[\s_-]+", species.casefold()) if word)


def _is_subspecies(words: list[str]) -> bool:
    """Whether what follows a species' name is one Latin epithet, and no snake of its own."""
    return (
        len(words) == 1
        and _SUBSPECIES.fullmatch(words[0]) is not None
        and words[0].capitalize() not in _venomous_genera()
    )


@lru_cache(maxsize=1)
def _venomous_genera() -> frozenset[str]:
    with _GENERA.open(encoding="utf-8", newline="") as file:
        return frozenset(row["genus"] for row in csv.DictReader(file))
