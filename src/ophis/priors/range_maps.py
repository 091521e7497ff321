"""Range maps: lists of the countries in which each species lives, and a prior from them."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from ophis.errors import InputError
from ophis.files.csv import table_rows, write_csv
from ophis.geography.countries import UNKNOWN, country_code, country_key, read_country, same_country
from ophis.priors.effect import PriorUse
from ophis.priors.prior import Prior, part_of, write_settings
from ophis.taxonomy.species_list import SpeciesList, species_key
from ophis.taxonomy.spelling import species_name

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from numpy.typing import NDArray

_PRESENT, _ABSENT = (
    frozenset({"1", "1.0", "true", "yes"}),
    frozenset({"", "0", "0.0", "false", "no"}),
)


@dataclass(frozen=True, eq=False)
class RangeMap:
    """Countries in which each species lives.

    Attributes:
        places: species, as `taxa.species_key` writes it, to the ISO 3166 codes of the countries
            where it lives.
        countries: codes of the countries that the map covers.
        columns: country as the map calls it to the species that it puts there: what the official
            score of 2021 averages over. Two of them may be one country: Cyprus and its north. By
            default one a code.
        spellings: the species as the map writes them.
        source: file for messages.
    """

    places: Mapping[str, frozenset[str]]
    countries: frozenset[str]
    columns: Mapping[str, frozenset[str]] = field(default_factory=dict)
    spellings: tuple[str, ...] = ()
    source: str = "the range map"

    def __post_init__(self) -> None:
        if not self.columns:
            columns = {
                code: frozenset(name for name, where in self.places.items() if code in where)
                for code in sorted(self.countries)
            }
            object.__setattr__(self, "columns", columns)

    def joined(self) -> list[tuple[str, ...]]:
        """Return columns that mean one country, and spellings that mean one species."""
        species: dict[str, list[str]] = {}
        for name in self.spellings:
            species.setdefault(species_key(name), []).append(name)
        twice = [tuple(names) for names in species.values() if len(names) > 1]
        return [*same_country(self.columns), *twice]

    def require_one_of(self, species: SpeciesList) -> None:
        """Raise an error for a map without any of the species.

        Raises:
            InputError: the message names the map.
        """
        if not any(species_key(name) in self.places for name in species):
            raise InputError(
                f"{self.source}: names none of the {len(species)} species, such as {species[0]!r};"
                " give a map of these species"
            )

    def lives(self, species: str, country: str) -> bool | None:
        """Return True if a species lives in a country; None if the map does not cover them."""
        code, where = country_code(country), self.places.get(species_key(species))
        return None if where is None or code not in self.countries else code in where

    def absent(self, species: SpeciesList, country: str) -> NDArray[np.bool_]:
        """Return the species that do not live in a country by the map, [species]."""
        return _absent(self, species, country)

    def write(self, path: str | Path) -> Path:
        """Write as CSV, a row a species, a column a country, atomically."""
        rows = [
            (name, *(int(name in there) for there in self.columns.values())) for name in self.places
        ]
        return write_csv(path, [("species", *self.columns), *rows])


@lru_cache(maxsize=1024)  # a fit evaluates it a hundred times
def _absent(range_map: RangeMap, species: SpeciesList, country: str) -> NDArray[np.bool_]:
    return np.array([range_map.lives(name, country) is False for name in species])


@dataclass(frozen=True, eq=False)
class RangeMapPrior(Prior):
    """Prior from a range map without counts: absent species have a small factor, none is zero.

    Attributes:
        species: the columns.
        range_map: countries of each species.
        absent: factor for species that do not live in the country.
        temperature: divides the logits of the image before the product.
    """

    range_map: RangeMap
    absent: float = 0.01
    temperature: float = 1.0

    def __post_init__(self) -> None:
        if not 0 < self.absent <= 1:
            raise InputError(f"absent = {self.absent} should be above 0 and at most 1")
        if not 0 < self.temperature < np.inf:
            raise InputError(f"temperature = {self.temperature} should be a number above 0")
        self.range_map.require_one_of(self.species)

    def log_factors(self, country: str) -> tuple[NDArray[np.float64], PriorUse]:
        """Return log ``absent`` for species that do not live in the country, else 0."""
        if country_code(country) not in self.range_map.countries:
            return np.zeros(len(self.species)), PriorUse.UNLISTED
        absent = self.range_map.absent(self.species, country)
        return np.where(absent, np.log(self.absent), 0.0), PriorUse.LISTED

    def ratios(self, country: str) -> NDArray[np.float64]:
        """Return 0 for species that do not live in the country, else 1.

        The likelihood of a photo is then its probability of the other species.
        """
        return np.where(self.range_map.absent(self.species, country), 0.0, 1.0)

    def describe(self) -> str:
        """Return a short description."""
        return (
            f"lists of who lives where; the absent count {self.absent:g} times (temperature"
            f" {self.temperature:g})"
        )

    def write(self, path: str | Path) -> Path:
        """Write `NAME.toml`, and beside it `NAME_range_map.csv` and `NAME_species.csv`."""
        path = Path(path)
        self.range_map.write(part_of(path, "range_map"))
        self.species.write(part_of(path, "species"))
        settings = {"absent": self.absent, "temperature": self.temperature}
        return write_settings(path, {"kind": "range_map", **settings})


def range_map_prior(path: Path, settings: dict[str, Any], species: SpeciesList | None) -> Prior:
    """Return the prior that `RangeMapPrior.write` wrote; see `prior_file.read_prior`."""
    return RangeMapPrior(
        species or SpeciesList.read(part_of(path, "species")),
        read_range_map(part_of(path, "range_map")),
        **settings,
    )


def read_range_map(path: str | Path) -> RangeMap:
    """Read a table with a row a species and a column a country, cells 1 and 0.

    The first column holds the species. The first line tells the separator: comma or semicolon.
    SnakeCLEF's `species_relevance.csv` has this form. Two names of one country are joined,
    and two spellings of one species, see `RangeMap.joined`: one 1 among them is enough.

    Raises:
        InputError: naming the file, and the row and column of what is no species, no country,
            stands twice, or is neither 1 nor 0.
    """
    path = Path(path)
    (_, header), *rows = _read_table(path)
    codes = _codes(header[1:], path)
    names: dict[str, None] = {}
    for line, (name, *_) in rows:
        wrong = "is empty; give its name" if not name.strip() else "stands twice; keep it once"
        if not name.strip() or name in names:
            raise InputError(f"{path}, row {line}: species {name!r} {wrong}")
        species_name(name, f"{path}, row {line}: ")
        names[name] = None
    columns = {
        name: frozenset(_living(rows, column, name, path))
        for column, name in enumerate(header[1:], start=1)
    }
    places: dict[str, set[str]] = {species_key(name): set() for name in names}
    for name, there in columns.items():
        for key in there:
            places[key].add(codes[name])
    return RangeMap(
        places={name: frozenset(where) for name, where in places.items()},
        countries=frozenset(codes.values()),
        columns={country_key(name): there for name, there in columns.items()},
        spellings=tuple(names),
        source=str(path),
    )


def _read_table(path: Path) -> list[tuple[int, list[str]]]:
    """Return line and cells of each row, the header first; missing cells at the end are ""."""
    try:
        rows = [*table_rows(path)]
    except FileNotFoundError:
        raise InputError(f"{path}: there is no such range map") from None
    except OSError as error:
        raise InputError(f"{path}: cannot be read: {error.strerror or error}") from None
    if not rows:
        raise InputError(f"{path}: cannot be read as CSV: it is empty")
    width = len(rows[0][1])
    if width < 2 or len(rows) < 2:
        raise InputError(
            f"{path}: needs a column of species and one a country, and a row a species"
        )
    return rows


def _codes(names: list[str], path: Path) -> dict[str, str]:
    """Return the ISO code of each column."""
    codes: dict[str, str] = {}
    before: set[str] = set()
    for name in names:
        try:
            key = read_country(name)
        except InputError as error:
            raise InputError(f"{path}, row 1: {error}, or take the column out") from None
        if key == UNKNOWN:
            raise InputError(f"{path}, row 1, column {name!r}: is no country; take the column out")
        if key in before:
            raise InputError(f"{path}, row 1: country {name!r} stands twice; keep one column")
        before.add(key)
        codes[name] = country_code(key) or key
    return codes


def _living(
    rows: list[tuple[int, list[str]]], column: int, country: str, path: Path
) -> Iterator[str]:
    """Return the keys of the species with a 1 in a column."""
    for line, cells in rows:
        cell = cells[column].strip().lower()
        if cell in _PRESENT:
            yield species_key(cells[0])
        elif cell not in _ABSENT:
            raise InputError(
                f"{path}, row {line}, column {country!r}: {cells[column]!r} should be 1 or 0"
            )
