"""Which species lives where, as others have mapped it: a floor under what training photos show."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import polars as pl

from ophis.errors import InputError
from ophis.files import whole_file
from ophis.places import country_code, country_key
from ophis.prior import Prior, PriorUse, part_of, write_settings
from ophis.taxa import SpeciesList, species_key

if TYPE_CHECKING:
    from numpy.typing import NDArray

_PRESENT, _ABSENT = (
    frozenset({"1", "1.0", "true", "yes"}),
    frozenset({"", "0", "0.0", "false", "no"}),
)


@dataclass(frozen=True, eq=False)
class PresenceMap:
    """Species by country.

    Attributes:
        places: species, as `taxa.species_key` writes it, to the ISO 3166 codes of the countries
            where it lives.
        countries: codes that the map speaks of; of others it says nothing.
        skipped: names of columns that are no country.
    """

    places: dict[str, frozenset[str]]
    countries: frozenset[str]
    skipped: tuple[str, ...] = ()

    def lives(self, species: str, country: str) -> bool | None:
        """Whether a species lives in a country; None where the map does not say."""
        code, where = country_code(country), self.places.get(species_key(species))
        return None if where is None or code not in self.countries else code in where

    def absent(self, species: SpeciesList, country: str) -> NDArray[np.bool_]:
        """Which species the map says do not live in a country, [species]."""
        return _absent(self, species, country)

    def write(self, path: str | Path) -> Path:
        """Write as CSV, a row a species, a column a country, whole or not at all."""
        codes = sorted(self.countries)
        rows = [
            {"species": name, **{code: int(code in where) for code in codes}}
            for name, where in self.places.items()
        ]
        path = Path(path)
        with whole_file(path) as temporary:
            pl.DataFrame(rows, schema=["species", *codes]).write_csv(temporary)
        return path


@lru_cache(maxsize=1024)  # fitting asks the same a hundred times
def _absent(presence: PresenceMap, species: SpeciesList, country: str) -> NDArray[np.bool_]:
    return np.array([presence.lives(name, country) is False for name in species])


@dataclass(frozen=True, eq=False)
class PresencePrior(Prior):
    """A list of who lives where, and no counts: absent species count less, none is impossible.

    Attributes:
        species: the columns.
        presence: the lists.
        absent: what the probability of a species is multiplied with where it is listed as absent.
    """

    presence: PresenceMap
    absent: float = 0.01

    def __post_init__(self) -> None:
        if not 0 < self.absent <= 1:
            raise InputError(f"absent = {self.absent} should be above 0 and at most 1")

    def log_factors(self, country: str) -> tuple[NDArray[np.float64], PriorUse]:
        """0 for a species that lives there or of which nothing is said, else log of ``absent``."""
        if country_code(country) not in self.presence.countries:
            return np.zeros(len(self.species)), PriorUse.UNLISTED
        absent = self.presence.absent(self.species, country)
        return np.where(absent, np.log(self.absent), 0.0), PriorUse.LISTED

    def what_it_is(self) -> str:
        """The prior in a few words."""
        return f"lists of who lives where; the absent count {self.absent:g} times"

    def write(self, path: str | Path) -> Path:
        """Write `NAME.toml`, and beside it `NAME_presence.csv` and `NAME_species.csv`."""
        path = Path(path)
        self.presence.write(part_of(path, "presence"))
        self.species.write(part_of(path, "species"))
        return write_settings(path, {"kind": "presence", "absent": self.absent})


def presence_prior(path: Path, settings: dict[str, Any], species: SpeciesList | None) -> Prior:
    """What `PresencePrior.write` wrote; see `prior.read_prior`."""
    return PresencePrior(
        species or SpeciesList.read(part_of(path, "species")),
        read_presence(part_of(path, "presence")),
        **settings,
    )


def read_presence(path: str | Path) -> PresenceMap:
    """Read a table with a row a species and a column a country, cells 1 and 0.

    The first column holds the species. Comma and semicolon are told apart by the first line.
    SnakeCLEF's `species_relevance.csv` has this form. Two names of one country are joined: the
    species lives there when one of them says so.

    Raises:
        InputError: naming the file, and the row and column of a cell that is neither.
    """
    path = Path(path)
    try:
        with path.open(encoding="utf-8-sig") as file:
            first = file.readline()
        separator = ";" if first.count(";") > first.count(",") else ","
        table = pl.read_csv(
            path, separator=separator, infer_schema=False, empty_string_is_null=False
        )
    except FileNotFoundError:
        raise InputError(f"{path}: there is no such presence map") from None
    except (OSError, UnicodeDecodeError, pl.exceptions.PolarsError) as error:
        raise InputError(f"{path}: cannot be read as CSV: {str(error).splitlines()[0]}") from None
    if table.width < 2 or not len(table):
        raise InputError(
            f"{path}: needs a column of species and one a country, and a row a species"
        )
    names = table.to_series(0)
    if names.is_duplicated().any():
        raise InputError(f"{path}: species {names.filter(names.is_duplicated())[0]!r} stands twice")
    codes = {column: country_code(country_key(column)) for column in table.columns[1:]}
    if not any(codes.values()):
        raise InputError(f"{path}: no column is named like a country; is the first row the header?")
    places: dict[str, set[str]] = {species_key(name): set() for name in names}
    for column, code in codes.items():
        if code:
            for name in _where(table, column, path):
                places[species_key(name)].add(code)
    return PresenceMap(
        places={name: frozenset(where) for name, where in places.items()},
        countries=frozenset(code for code in codes.values() if code),
        skipped=tuple(column for column, code in codes.items() if not code),
    )


def _where(table: pl.DataFrame, column: str, path: Path) -> pl.Series:
    """The species for which a column says 1."""
    cells = table[column].fill_null("").str.strip_chars().str.to_lowercase()
    odd = ~cells.is_in([*_PRESENT, *_ABSENT])
    if odd.any():
        row = int(odd.arg_true()[0])
        raise InputError(
            f"{path}, row {row + 2}, column {column!r}: {table[column][row]!r} should be 1 or 0"
        )
    return table.to_series(0).filter(cells.is_in(list(_PRESENT)))
