"""Prior of the paper: p(species | country) from counts of training photos (Eq. 1, Eq. 2)."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from ophis.errors import InputError
from ophis.files.csv import read_columns, write_csv
from ophis.geography.countries import UNKNOWN, country_code, country_key, same_country
from ophis.priors.effect import PriorUse
from ophis.priors.prior import Prior, write_settings
from ophis.taxonomy.species_list import SpeciesList
from ophis.taxonomy.spelling import species_name

if TYPE_CHECKING:
    from collections.abc import Iterable
    from typing import Any

    import polars as pl
    from numpy.typing import NDArray

    from ophis.datasets.manifest import Manifest

_COLUMNS = ["species", "country", "photos"]
_MOST_PHOTOS = 2**53  # up to here float64 counts them exactly
_MAX_CELLS = 10_000_000  # countries x species: 80 MB; all reptiles in all countries are 3 million
_MOST_DIGITS = len(str(_MOST_PHOTOS))


@dataclass(frozen=True, eq=False)
class CountryPrior(Prior):
    """Prior of the paper: counts of training photos by country and species (Eq. 1).

    Attributes:
        species: the columns.
        countries: the rows, as `places.country_key` writes them; UNKNOWN is one of them
            (paper, section 6).
        counts: [countries, species], int64, t_sc: training photos of the species there.
        merge_names: count two names of one country together. False repeats the paper, whose table
            keeps "republic-of-congo" and "republic-of-the-congo" apart.

    Raises:
        InputError: a count is below 0, a country is repeated or has no photo, or there is no
            country.
    """

    countries: tuple[str, ...]
    counts: NDArray[np.int64]
    merge_names: bool = True

    def __post_init__(self) -> None:
        if self.counts.shape != (len(self.countries), len(self.species)):
            raise InputError(
                f"prior: counts have shape {self.counts.shape}, but there are"
                f" {len(self.countries)} countries and {len(self.species)} species"
            )
        if not self.countries:
            raise InputError(
                "there is no photo of any species; a prior counts those whose species is known"
            )
        if len(self._rows) < len(self.countries):
            twice = next(name for name in self.countries if self.countries.count(name) > 1)
            raise InputError(f"prior: country {twice!r} is repeated; add its counts up")
        if not (self.counts >= 0).all():
            row, column = np.argwhere(~(self.counts >= 0))[0]
            raise InputError(
                f"prior: {self.countries[row]!r} has {self.counts[row, column]} photos of"
                f" {self.species[int(column)]!r}; a count should not be below 0"
            )
        if (self.counts.sum(axis=1) <= 0).any():
            raise InputError("prior: a country without a training photo has no probabilities")

    @classmethod
    def fit(cls, manifest: Manifest, *, species: SpeciesList | None = None) -> CountryPrior:
        """Count the photos of each species in each country.

        Args:
            manifest: the training photos; unlabelled ones do not count.
            species: the columns wanted; by default those of the manifest.

        Raises:
            InputError: a species of the manifest is not in the list, or the manifest has none.
        """
        return cls.from_counts(manifest.counts(), species or manifest.species_list())

    @classmethod
    def from_counts(cls, counts: pl.DataFrame, species: SpeciesList) -> CountryPrior:
        """Return the prior of a table `species, country, photos`; repeated pairs are summed.

        Raises:
            InputError: a species is not in the list, or there are no photos or too many.
        """
        return cls._counted(counts.select(_COLUMNS).iter_rows(), species)

    @classmethod
    def _counted(cls, rows: Iterable[tuple[str, str, int]], species: SpeciesList) -> CountryPrior:
        """Return the prior of rows of the table."""
        counted = [row for row in rows if row[2] > 0]
        if not counted:
            raise InputError(
                "there is no photo of any species; a prior counts those whose species is known"
            )
        if (photos := sum(number for *_, number in counted)) > _MOST_PHOTOS:
            raise InputError(f"{photos:.3g} photos are more than can be counted; fix `photos`")
        column = {name: species.index(name) for name in dict.fromkeys(name for name, *_ in counted)}
        countries = sorted({country for _, country, _ in counted})
        if len(countries) * len(species) > _MAX_CELLS:
            raise InputError(
                f"{len(countries):,} countries of {len(species):,} species are more than the"
                f" {_MAX_CELLS:,} cells of a prior; correct `country`"
            )
        place = {country: row for row, country in enumerate(countries)}
        matrix = np.zeros((len(countries), len(species)), np.int64)
        for name, country, number in counted:
            matrix[place[country], column[name]] += number
        return cls(species, tuple(countries), matrix)

    @cached_property
    def probability(self) -> NDArray[np.float64]:
        """Eq. 1: p(s | c) = t_sc / t_c, [countries, species]; each row sums to 1."""
        return self.counts / self.counts.sum(axis=1, keepdims=True)

    def species_photos(self) -> dict[str, int]:
        """Return the number of training photos of each species."""
        return dict(zip(self.species, self.counts.sum(axis=0).tolist(), strict=True))

    def row(self, country: str) -> int | None:
        """Return the row of a country, by key or ISO code; None if it has no training photo."""
        key = country_key(country)
        if key in self._rows:
            return self._rows[key]
        return self._codes.get(country_code(key))

    @cached_property
    def _rows(self) -> dict[str, int]:
        return {country: row for row, country in enumerate(self.countries)}

    @cached_property
    def _codes(self) -> dict[str | None, int]:
        """Row by ISO code; of two names of one country that with more photos."""
        rows = np.argsort(self.counts.sum(axis=1), kind="stable")
        codes = {country_code(self.countries[row]): int(row) for row in rows}
        codes.pop(None, None)  # UNKNOWN has no code
        return codes

    def merged(self) -> list[tuple[str, ...]]:
        """Return groups of names that mean one country and are counted as one."""
        return same_country(self.countries) if self.merge_names else []

    @cached_property
    def _together(self) -> NDArray[np.float64]:
        """`probability` with the photos of one country under all its names in each of its rows."""
        counts = self.counts.copy()
        for names in self.merged():
            rows = [self._rows[name] for name in names]
            counts[rows] = self.counts[rows].sum(axis=0)
        return counts / counts.sum(axis=1, keepdims=True)

    def describe(self) -> str:
        """Return a short description."""
        return f"{PriorUse.APPLIED} (the paper's Eq. 2), {len(self.countries)} countries"

    def spelling(self, country: str) -> str:
        """Return the name of a country in the training table: "australia" for "au"."""
        row = self.row(country)
        return country if row is None else self.countries[row]

    def log_factors(self, country: str) -> tuple[NDArray[np.float64], PriorUse]:
        """Return log p(s | c) of Eq. 2, under all names of c; 0 for a country without photos."""
        row, known = self.row(country), country_key(country) != UNKNOWN
        if row is None:
            return np.zeros(len(self.species)), PriorUse.UNSEEN if known else PriorUse.NO_COUNTRY
        with np.errstate(divide="ignore"):  # log 0 is -inf on purpose
            return np.log(self._together[row]), PriorUse.APPLIED if known else PriorUse.UNKNOWN

    def ratios(self, country: str) -> NDArray[np.float64]:
        """Return p(s | c) / p(s) of the training photos; 1 for a species without photos."""
        row, anywhere = self.row(country), self.counts.sum(axis=0) / self.counts.sum()
        ones = np.ones(len(self.species))
        if row is None or country_key(country) == UNKNOWN:
            return ones
        return np.divide(self._together[row], anywhere, out=ones, where=anywhere > 0)

    @property
    def suffix(self) -> str:
        """Suffix of the file: counts alone, or settings beside them."""
        return ".csv" if self.merge_names else ".toml"

    def write(self, path: str | Path) -> Path:
        """Write the counts above zero as CSV `species,country,photos`, atomically.

        With ``merge_names`` False, `NAME.toml` is written too and is the prior.

        Raises:
            InputError: ``merge_names`` is False and the name does not end in .toml.
        """
        path = Path(path)
        if not self.merge_names:
            write_settings(path, {"kind": "country_counts", "merge_names": False})
            self._write_counts(path.with_suffix(".csv"))
            return path
        return self._write_counts(path)

    def _write_counts(self, path: Path) -> Path:
        rows, columns = np.nonzero(self.counts)
        cells = (
            (self.species[c], self.countries[r], int(self.counts[r, c]))
            for r, c in zip(rows, columns, strict=True)
        )
        return write_csv(path, [_COLUMNS, *cells])


def read_counts(path: str | Path, species: SpeciesList | None = None) -> CountryPrior:
    """Read a CSV file of counts; ``species`` gives the columns and their order.

    Raises:
        InputError: the file is missing or damaged; the message names it.
    """
    try:
        rows = [*read_columns(Path(path), _COLUMNS)]
    except FileNotFoundError:
        raise InputError(f"{path}: there is no such prior") from None
    except OSError as error:
        raise InputError(f"{path}: cannot be read: {error.strerror or error}") from None
    counts = [_count(cells, f"{path}, row {line}") for line, cells in rows]
    try:
        return CountryPrior._counted(  # noqa: SLF001 - as `from_counts`, of a file
            counts, species or SpeciesList(tuple(sorted({name for name, *_ in counts})))
        )
    except InputError as error:
        raise InputError(f"{path}: {error}") from None


def counts_prior(path: Path, settings: dict[str, Any], species: SpeciesList | None) -> Prior:
    """Return the prior of a .toml file of `CountryPrior.write`; see `prior_file.read_prior`."""
    return replace(read_counts(path.with_suffix(".csv"), species), **settings)


def _count(cells: list[str], place: str) -> tuple[str, str, int]:
    """Return the values of one row of the file."""
    species, country, photos = cells
    whole = photos.isascii() and photos.isdigit() and len(photos) <= _MOST_DIGITS
    if not whole or int(photos) > _MOST_PHOTOS:
        raise InputError(
            f"{place}: photos = {photos!r} should be a whole number from 0 to {_MOST_PHOTOS:,}"
        )
    return species_name(species, f"{place}: "), country, int(photos)
