"""Prior overrides: values of p(species | country) that replace those of training photos."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from ophis.errors import InputError
from ophis.files.csv import read_columns, write_csv
from ophis.geography.countries import code_or_key, read_country
from ophis.taxonomy.species_list import species_key
from ophis.taxonomy.spelling import species_name

if TYPE_CHECKING:
    from collections.abc import Iterable

    from numpy.typing import NDArray

    from ophis.taxonomy.species_list import SpeciesList

_COLUMNS = ("country", "species", "probability")
_ROUNDING = 1e-9  # 0.7 + 0.2 + 0.1 is not quite 1


@dataclass(frozen=True)
class Override:
    """Override of p(species | country).

    Attributes:
        country: key of the country.
        species: name of the species; case, hyphens and spaces do not matter.
        probability: that p(s | c) is taken to be; 0 excludes the species there, None adds it: it
            counts as living there.
        source: file and row for messages.
    """

    country: str
    species: str
    probability: float | None
    source: str = field(default="", compare=False)

    @property
    def place(self) -> str:
        """ISO code of the country, or its key if it has none."""
        return code_or_key(self.country)

    def __str__(self) -> str:
        return self.source or f"override for {self.species!r} in {self.country!r}"


class CountryOverrides:
    """Overrides of one country, by columns.

    Args:
        overrides: of one country, checked by `require_consistent`.
        species: the columns.

    Raises:
        InputError: naming the override whose species is not there, or that leaves no probability to
            be shared.
    """

    def __init__(self, overrides: list[Override], species: SpeciesList) -> None:
        self._fixed: dict[int, float] = {}
        self._added: list[int] = []
        for override in overrides:
            try:
                column = species.like(override.species)
            except InputError as error:
                raise InputError(f"{override}: {error}") from None
            if override.probability is None:
                self._added.append(column)
            else:
                self._fixed[column] = override.probability
        pinned = sum(self._fixed.values())
        if len(self._fixed) == len(species) and abs(pinned - 1) > _ROUNDING:
            raise InputError(
                f"{overrides[-1]}: every species has an override in {overrides[-1].country!r}, and"
                f" their probabilities sum to {pinned:g}, not 1; leave one species out"
            )

    @property
    def columns(self) -> tuple[int, ...]:
        """Columns of the species with an override."""
        return (*self._fixed, *self._added)

    def applied(
        self, probability: NDArray[np.float64], above: NDArray[np.float64]
    ) -> NDArray[np.float64]:
        """Return p(s | c) with the overrides applied, [species]; it sums to 1.

        A species that is added is at least as common as ``above``, and as one among all species;
        then those without a number share, in proportion, what the numbers leave.

        Args:
            probability: p(s | c) without overrides, [species].
            above: p(s) on the continent, [species].
        """
        p = probability.copy()
        p[self._added] = np.maximum(p[self._added], np.maximum(above[self._added], 1 / len(p)))
        fixed = list(self._fixed)
        p[fixed] = 0
        left = max(0.0, 1 - sum(self._fixed.values()))
        if (sharing := p.sum()) > 0:
            p *= left / sharing
        p[fixed] = list(self._fixed.values())
        return p


def overrides_by_country(
    overrides: Iterable[Override], species: SpeciesList
) -> dict[str, CountryOverrides]:
    """Return the overrides of each country, by `countries.code_or_key`.

    Raises:
        InputError: as `require_consistent` and `CountryOverrides` do.
    """
    grouped: dict[str, list[Override]] = {}
    for override in require_consistent(overrides):
        grouped.setdefault(override.place, []).append(override)
    return {place: CountryOverrides(group, species) for place, group in grouped.items()}


def require_consistent(overrides: Iterable[Override]) -> tuple[Override, ...]:
    """Return the overrides, or raise an error if two contradict each other.

    Raises:
        InputError: a species has two overrides in one country, or the probabilities of a country
            sum to more than 1; the message names the override.
    """
    overrides = tuple(overrides)
    before: dict[tuple[str, str], Override] = {}
    sums: dict[str, float] = {}
    for override in overrides:
        first = before.setdefault((override.place, species_key(override.species)), override)
        if first is not override:
            raise InputError(
                f"{override}: {override.species!r} has another override in {override.country!r}"
                f" ({first}); keep one"
            )
        if override.probability is not None and not 0 <= override.probability <= 1:
            raise InputError(f"{override}: {override.probability} is not a probability from 0 to 1")
        sums[override.place] = sums.get(override.place, 0.0) + (override.probability or 0.0)
        if sums[override.place] > 1 + _ROUNDING:
            raise InputError(
                f"{override}: with it the probabilities in {override.country!r} sum to"
                f" {sums[override.place]:g}; lower them to at most 1 together"
            )
    return overrides


def read_overrides(path: str | Path) -> tuple[Override, ...]:
    """Read `country,species,probability`: a number from 0 (never there) to 1, or `add`.

    Raises:
        InputError: a row is invalid; the message names file and row.
    """
    path = Path(path)
    try:
        rows = [*read_columns(path, _COLUMNS)]
    except FileNotFoundError:
        raise InputError(f"{path}: there is no such table of overrides") from None
    except OSError as error:
        raise InputError(f"{path}: cannot be read: {error.strerror or error}") from None
    return require_consistent(_override(*cells, f"{path}, row {line}") for line, cells in rows)


def _override(country: str, species: str, probability_text: str, place: str) -> Override:
    try:
        key = read_country(country)
    except InputError as error:
        raise InputError(f"{place}: {error}") from None
    text = probability_text.strip()
    try:
        probability = None if text == "add" else float(text)
    except ValueError:
        probability = np.nan
    if probability is not None and not 0 <= probability <= 1:
        raise InputError(f"{place}: probability = {text!r} should be from 0 to 1, or the word add")
    return Override(key, species_name(species, f"{place}: "), probability, place)


def write_overrides(overrides: Iterable[Override], path: Path) -> Path:
    """Write a table of overrides for `read_overrides`."""
    rows = [
        (r.country, r.species, "add" if r.probability is None else r.probability) for r in overrides
    ]
    return write_csv(path, [_COLUMNS, *rows])
