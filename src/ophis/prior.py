"""What the country says of the species: p(species | country), and its product with the image."""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import StrEnum
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import polars as pl

from ophis.errors import InputError
from ophis.files import whole_file
from ophis.places import country_code, country_key
from ophis.scores import log_probabilities
from ophis.taxa import SpeciesList

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from ophis.manifest import Manifest
    from ophis.scores import Scores

_COLUMNS = ["species", "country", "photos"]


class PriorUse(StrEnum):
    """What the country did to an answer."""

    APPLIED = "multiplied by p(species | country) of the training photos"
    UNSEEN = "no training photo from this country, so the image alone decides"
    EXCLUDED = (
        "no species that the image allows has a training photo from this country,"
        " so the image alone decides"
    )


@dataclass(frozen=True, eq=False)
class CountryPrior:
    """The paper's prior: counts of training photos by country and species (its Eq. 1).

    Attributes:
        countries: the rows, as `places.country_key` writes them; UNKNOWN is one of them
            (paper, section 6).
        species: the columns.
        counts: [countries, species], int64, t_sc: training photos of the species there.
    """

    countries: tuple[str, ...]
    species: SpeciesList
    counts: NDArray[np.int64]

    def __post_init__(self) -> None:
        if self.counts.shape != (len(self.countries), len(self.species)):
            raise InputError(
                f"prior: counts have shape {self.counts.shape}, but there are"
                f" {len(self.countries)} countries and {len(self.species)} species"
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
            InputError: when the manifest holds a species that the list does not.
        """
        return cls.from_counts(manifest.counts(), species or manifest.species_list())

    @classmethod
    def from_counts(cls, counts: pl.DataFrame, species: SpeciesList) -> CountryPrior:
        """From a table `species, country, photos`; a pair that stands twice is summed."""
        counts = counts.filter(pl.col("photos") > 0)
        names = counts["species"].unique(maintain_order=True)
        column = pl.Series([species.index(name) for name in names], dtype=pl.Int64)
        countries = sorted(counts["country"].unique())
        matrix = np.zeros((len(countries), len(species)), np.int64)
        rows = counts["country"].replace_strict(countries, np.arange(len(countries)))
        columns = counts["species"].replace_strict(names, column)
        np.add.at(matrix, (rows.to_numpy(), columns.to_numpy()), counts["photos"].to_numpy())
        return cls(tuple(countries), species, matrix)

    @cached_property
    def probability(self) -> NDArray[np.float64]:
        """Eq. 1: p(s | c) = t_sc / t_c, [countries, species]; each row sums to 1."""
        return self.counts / self.counts.sum(axis=1, keepdims=True)

    def species_photos(self) -> dict[str, int]:
        """Training photos of each species."""
        return dict(zip(self.species, self.counts.sum(axis=0).tolist(), strict=True))

    def row(self, country: str) -> int | None:
        """Row of a country, by its key or by its ISO code; None when training never saw it."""
        key = country_key(country)
        if key in self._rows:
            return self._rows[key]
        return self._codes.get(country_code(key))

    @cached_property
    def _rows(self) -> dict[str, int]:
        return {country: row for row, country in enumerate(self.countries)}

    @cached_property
    def _codes(self) -> dict[str | None, int]:
        """ISO code to row; of two names of one country, the one with more photos speaks."""
        rows = np.argsort(self.counts.sum(axis=1), kind="stable")
        codes = {country_code(self.countries[row]): int(row) for row in rows}
        codes.pop(None, None)  # UNKNOWN has no code
        return codes

    def adjust(self, scores: Scores) -> Scores:
        """Eq. 2: p(s | x) p(s | c), normalised over the species; see `adjust_with_use`."""
        return self.adjust_with_use(scores)[0]

    def adjust_with_use(self, scores: Scores) -> tuple[Scores, tuple[PriorUse, ...]]:
        """Multiply, normalise, and say for each photo what the country did.

        Where the country was never seen in training, or the product is zero for every species,
        the image's own probabilities stand: never NaN, never an empty answer.

        Returns:
            Scores whose logits are log-probabilities (float64, -inf where Eq. 1 is zero), and
            the use of the prior for each photo.

        Raises:
            InputError: when the species of the scores are not those of the prior, in order.
        """
        _require_same_species(scores.species, self.species)
        names = sorted(set(scores.countries))
        row_of = {name: self.row(name) for name in names}
        rows = np.array([-1 if (r := row_of[c]) is None else r for c in scores.countries], int)
        image = log_probabilities(scores.logits)
        with np.errstate(divide="ignore"):  # log 0 is -inf, and that is what is meant
            log_prior = np.log(self.probability)
        joint = image + np.where(rows[:, None] >= 0, log_prior[rows], 0.0)
        excluded = np.isneginf(joint).all(axis=1)
        joint[excluded] = image[excluded]
        joint = log_probabilities(joint)
        use = np.where(rows < 0, PriorUse.UNSEEN, PriorUse.APPLIED)
        use = np.where(excluded, PriorUse.EXCLUDED, use)
        return replace(scores, logits=joint), tuple(PriorUse(text) for text in use)

    def write(self, path: str | Path) -> Path:
        """Write the counts above zero as CSV `species,country,photos`, whole or not at all."""
        path = Path(path)
        rows, columns = np.nonzero(self.counts)
        table = pl.DataFrame(
            {
                "species": [self.species[c] for c in columns],
                "country": [self.countries[r] for r in rows],
                "photos": self.counts[rows, columns],
            }
        )
        with whole_file(path) as temporary:
            table.write_csv(temporary)
        return path


def read_prior(path: str | Path, species: SpeciesList | None = None) -> CountryPrior:
    """Read what `CountryPrior.write` wrote; ``species`` gives the columns and their order.

    Raises:
        InputError: naming the file and what is wrong in it.
    """
    try:
        table = pl.read_csv(path, infer_schema=False, empty_string_is_null=False)
    except FileNotFoundError:
        raise InputError(f"{path}: there is no such prior") from None
    except (OSError, pl.exceptions.PolarsError) as error:
        raise InputError(f"{path}: cannot be read as CSV: {str(error).splitlines()[0]}") from None
    if table.columns != _COLUMNS:
        raise InputError(f"{path}: columns should be {','.join(_COLUMNS)}, not {table.columns}")
    photos = table["photos"].cast(pl.Int64, strict=False)
    if photos.is_null().any() or (photos < 0).any():
        row = int((photos.is_null() | (photos < 0).fill_null(value=True)).arg_true()[0])
        raise InputError(f"{path}, row {row + 2}: photos should be a whole number, not below 0")
    table = table.with_columns(photos)
    try:
        return CountryPrior.from_counts(
            table, species or SpeciesList(tuple(sorted(table["species"].unique())))
        )
    except InputError as error:
        raise InputError(f"{path}: {error}") from None


def _require_same_species(scores: SpeciesList, prior: SpeciesList) -> None:
    if scores.names == prior.names:
        return
    if len(scores) != len(prior):
        raise InputError(
            f"the scores have {len(scores)} species and the prior {len(prior)}; fit the prior with"
            " the species of the scores"
        )
    at = next(i for i, pair in enumerate(zip(scores, prior, strict=True)) if pair[0] != pair[1])
    raise InputError(
        f"species {at + 1} is {scores[at]!r} in the scores and {prior[at]!r} in the prior; fit the"
        " prior with the species of the scores"
    )
