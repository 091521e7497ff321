"""What a person knows better of p(species | country) than the training photos: rules."""

from __future__ import annotations

import csv
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from ophis.errors import InputError
from ophis.files.csv import as_meant, write_csv
from ophis.geography.countries import UNKNOWN, code_or_key, country_code, country_key
from ophis.taxonomy.species_list import species_key

if TYPE_CHECKING:
    from collections.abc import Iterable

    from numpy.typing import NDArray

    from ophis.taxonomy.species_list import SpeciesList

_COLUMNS = ("country", "species", "probability")
_ROUNDING = 1e-9  # 0.7 + 0.2 + 0.1 is not quite 1


@dataclass(frozen=True)
class Rule:
    """What a person knows better of a species in a country.

    Attributes:
        country: key of the country.
        species: name of the species; case, hyphens and spaces do not matter.
        probability: that p(s | c) is taken to be; 0 excludes the species there, None adds it: it
            counts as living there.
        source: what messages call the rule: its file and row.
    """

    country: str
    species: str
    probability: float | None
    source: str = field(default="", compare=False)

    @property
    def place(self) -> str:
        """The country under all its names: its ISO code, of none its key."""
        return code_or_key(self.country)

    def __str__(self) -> str:
        return self.source or f"rule for {self.species!r} in {self.country!r}"


class CountryRules:
    """The rules of one country, by columns.

    Args:
        rules: of one country, that `require_consistent` let through.
        species: the columns.

    Raises:
        InputError: naming the rule whose species is not there, or that leaves no probability to
            be shared.
    """

    def __init__(self, rules: list[Rule], species: SpeciesList) -> None:
        self._fixed: dict[int, float] = {}
        self._added: list[int] = []
        for rule in rules:
            try:
                column = species.like(rule.species)
            except InputError as error:
                raise InputError(f"{rule}: {error}") from None
            if rule.probability is None:
                self._added.append(column)
            else:
                self._fixed[column] = rule.probability
        pinned = sum(self._fixed.values())
        if len(self._fixed) == len(species) and abs(pinned - 1) > _ROUNDING:
            raise InputError(
                f"{rules[-1]}: now no species of {rules[-1].country!r} is left without a rule, and"
                f" their probabilities sum to {pinned:g}, not 1; leave one species out"
            )

    def applied(
        self, probability: NDArray[np.float64], above: NDArray[np.float64]
    ) -> NDArray[np.float64]:
        """p(s | c) by the rules, [species]; it sums to 1.

        A species that is added is at least as common as ``above``, and as one among all species;
        then those without a number share, in proportion, what the numbers leave.

        Args:
            probability: p(s | c) without rules, [species].
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


def rules_by_country(rules: Iterable[Rule], species: SpeciesList) -> dict[str, CountryRules]:
    """The rules of each country, by its `places.code_or_key`.

    Raises:
        InputError: as `require_consistent` and `CountryRules` do.
    """
    grouped: dict[str, list[Rule]] = {}
    for rule in require_consistent(rules):
        grouped.setdefault(rule.place, []).append(rule)
    return {place: CountryRules(group, species) for place, group in grouped.items()}


def require_consistent(rules: Iterable[Rule]) -> tuple[Rule, ...]:
    """The rules, when none says what another one denies.

    Raises:
        InputError: naming the second rule of one species in one country, under whatever names, and
            the rule with which the probabilities of a country sum to more than 1.
    """
    rules = tuple(rules)
    before: dict[tuple[str, str], Rule] = {}
    sums: dict[str, float] = {}
    for rule in rules:
        first = before.setdefault((rule.place, species_key(rule.species)), rule)
        if first is not rule:
            raise InputError(
                f"{rule}: there is a rule for {rule.species!r} in {rule.country!r} before"
                f" ({first}); keep one"
            )
        if rule.probability is not None and not 0 <= rule.probability <= 1:
            raise InputError(f"{rule}: probability {rule.probability} should be from 0 to 1")
        sums[rule.place] = sums.get(rule.place, 0.0) + (rule.probability or 0.0)
        if sums[rule.place] > 1 + _ROUNDING:
            raise InputError(
                f"{rule}: with it the probabilities in {rule.country!r} sum to"
                f" {sums[rule.place]:g}; lower them to at most 1 together"
            )
    return rules


def read_rules(path: str | Path) -> tuple[Rule, ...]:
    """Read `country,species,probability`: a number from 0 (never there) to 1, or `add`.

    Raises:
        InputError: naming file and row.
    """
    path = Path(path)
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            rows = [
                {
                    name: as_meant(cell) if isinstance(cell, str) else cell
                    for name, cell in row.items()
                }
                for row in csv.DictReader(file, strict=True)
            ]
    except FileNotFoundError:
        raise InputError(f"{path}: there is no such table of rules") from None
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise InputError(f"{path}: cannot be read as CSV: {error}") from None
    return require_consistent(
        _rule(row, f"{path}, row {number}") for number, row in enumerate(rows, start=2)
    )


def _rule(row: dict[str, str], place: str) -> Rule:
    if set(row) != set(_COLUMNS) or None in row.values():
        raise InputError(f"{place}: columns should be {','.join(_COLUMNS)}")
    country = country_key(row["country"])
    if country != UNKNOWN and country_code(country) is None:
        raise InputError(f"{place}: no country is called {row['country']!r}")
    text = row["probability"].strip()
    try:
        probability = None if text == "add" else float(text)
    except ValueError:
        probability = np.nan
    if probability is not None and not 0 <= probability <= 1:
        raise InputError(f"{place}: probability = {text!r} should be from 0 to 1, or the word add")
    return Rule(country, row["species"], probability, place)


def write_rules(rules: Iterable[Rule], path: Path) -> Path:
    """Write what `read_rules` reads."""
    rows = [
        (r.country, r.species, "add" if r.probability is None else r.probability) for r in rules
    ]
    return write_csv(path, [_COLUMNS, *rows])
