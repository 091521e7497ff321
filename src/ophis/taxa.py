"""What is in the pictures: the species list, and which genera are known to be venomous."""

from __future__ import annotations

import csv
import difflib
import re
from dataclasses import dataclass
from enum import StrEnum
from functools import cached_property, lru_cache
from pathlib import Path
from typing import TYPE_CHECKING

from ophis.errors import InputError
from ophis.files import whole_file

if TYPE_CHECKING:
    from collections.abc import Iterator

_HEADER = "species"
_GENERA = Path(__file__).with_name("venomous_genera.csv")

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

    def write(self, path: str | Path) -> Path:
        """Write a CSV with the one column `species`, whole or not at all."""
        path = Path(path)
        rows = [(_HEADER,), *((name,) for name in self)]
        with (
            whole_file(path) as temporary,
            temporary.open("w", encoding="utf-8", newline="") as file,
        ):
            csv.writer(file, lineterminator="\n").writerows(rows)
        return path

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
                header, *rows = [(row, reader.line_num) for row in reader if row] or [([], 1)]
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


class Danger(StrEnum):
    """What is said of a species. There is no word for "safe", on purpose."""

    VENOMOUS = "venomous"
    UNKNOWN = "treat as venomous"


def danger(species: str) -> Danger:
    """VENOMOUS where the genus holds snakes dangerous to people; else UNKNOWN.

    The table names the genera of the front-fanged families (Elapidae, Viperidae, and the
    burrowing asps) and the rear-fanged genera with recorded severe bites, as taxonomy has them in
    the Reptile Database, with older names that photo collections still use. A genus that is not
    there is no proof of anything.
    """
    return Danger.VENOMOUS if genus(species) in _venomous_genera() else Danger.UNKNOWN


def genus(species: str) -> str:
    """The genus of a species: its first word, "Naja" of "naja-naja" and of "Naja sp."."""
    return re.split(r"[\s_-]+", species.strip(), maxsplit=1)[0].capitalize()


def species_key(species: str) -> str:
    """One spelling of a name: "naja naja" of "Naja-naja", "Naja_naja" and " Naja  naja "."""
    return " ".join(word for word in re.split(r"[\s_-]+", species.casefold()) if word)


@lru_cache(maxsize=1)
def _venomous_genera() -> frozenset[str]:
    with _GENERA.open(encoding="utf-8", newline="") as file:
        return frozenset(row["genus"] for row in csv.DictReader(file))
