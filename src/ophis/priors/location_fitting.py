"""Fit of the kernels of `LocationPrior` by spatial cross-validation inside the given records."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np
import polars as pl

from ophis.geography.countries import UNKNOWN, country_key
from ophis.geography.location import Position
from ophis.priors.bayes import BayesPrior
from ophis.priors.country_counts import CountryPrior
from ophis.priors.location import LocationSettings, smoothed_over_scales
from ophis.priors.records import Records
from ophis.scores.cross_validation import FOLDS, folds
from ophis.taxonomy.species_list import SpeciesList

if TYPE_CHECKING:
    from numpy.typing import NDArray

CELL_DEGREES = (
    1.0  # whole cells are held out, so that no neighbour of a test record is learned from
)
MAX_TESTED = 2000
MIN_CELLS = 20
COUNTRY, PLACE = "country", "place"
BANDWIDTHS_KM = LocationSettings().bandwidths_km
CANDIDATES = tuple(
    LocationSettings(
        bandwidths_km=BANDWIDTHS_KM[:scales], record_exponent=exponent, place_records=records
    )
    for scales in range(3, len(BANDWIDTHS_KM) + 1)
    for exponent in (0.5, 0.7, 1.0)
    for records in (1.0, 3.0, 10.0)
)


@dataclass(frozen=True, eq=False)
class LocationFit:
    """Kernels chosen on records of cells that they were not learned from.

    Attributes:
        records: all records of the species.
        settings: those with the smallest loss; the defaults with too few cells.
        losses: mean of -log p(species of the record) of the country alone ("country") and of the
            chosen kernels ("place"); empty with too few cells.
        tested: number of held-out records that the losses are means over.
    """

    records: Records
    settings: LocationSettings
    losses: dict[str, float] = field(default_factory=dict)
    tested: int = 0


def records_by_country(table: pl.DataFrame, species: SpeciesList | None = None) -> CountryPrior:
    """Count records by country in place of training photos.

    Records at sea are left out; if all are at sea they count as of an unknown country.

    Args:
        table: columns `species`, `country` (alpha-2; "" at sea).
        species: the columns; by default the species of the table, sorted.
    """
    land = table.filter(pl.col("country") != "")
    counted = table if land.is_empty() else land
    keys = {code: country_key(code) if code else UNKNOWN for code in counted["country"].unique()}
    counts = counted.group_by("species", "country").len("photos").sort("species", "country")
    counts = counts.with_columns(pl.col("country").replace_strict(keys))
    return CountryPrior.from_counts(
        counts, species or SpeciesList(tuple(table["species"].unique().sort()))
    )


def fit_location(table: pl.DataFrame, species: SpeciesList) -> LocationFit:
    """Choose the kernels by cross-validation over cells of one degree.

    Of the records of each fifth of the cells, up to 400 are tested with the records of the other
    four fifths, and with p(s | country) of those. The species of a test record counts by its log
    loss. With records in fewer than 20 cells the settings are the defaults.

    Args:
        table: columns `species`, `latitude`, `longitude`, `country`.
        species: the columns; all species of the table are among them.
    """
    data = _Located(table, species)
    cells, cell = np.unique(data.cells(), return_inverse=True)
    if len(cells) < MIN_CELLS:
        return LocationFit(data.records(), LocationSettings())
    fold = folds(list(map(str, cells)))[cell]
    tests = [_FoldTest(data, fold == number) for number in range(FOLDS)]
    losses = [np.concatenate([test.losses(one) for test in tests]).mean() for one in CANDIDATES]
    best = int(np.argmin(losses))
    country = np.concatenate([test.losses(None) for test in tests])
    return LocationFit(
        data.records(),
        CANDIDATES[best],
        {COUNTRY: float(country.mean()), PLACE: float(losses[best])},
        len(country),
    )


class _Located:
    """Arrays of a table of records."""

    def __init__(self, table: pl.DataFrame, species: SpeciesList) -> None:
        columns = {name: species.index(name) for name in table["species"].unique()}
        self.table, self.species = table, species
        self.latitude = table["latitude"].to_numpy()
        self.longitude = table["longitude"].to_numpy()
        self.column = table["species"].replace_strict(columns, return_dtype=pl.Int64).to_numpy()

    def cells(self) -> NDArray[np.int64]:
        """Return the number of the cell of each record, [records]."""
        north, east = (
            np.floor(degrees / CELL_DEGREES).astype(np.int64)
            for degrees in (self.latitude, self.longitude)
        )
        return north * 1000 + east

    def records(self, rows: NDArray[np.bool_] | slice = slice(None)) -> Records:
        """Return some or all records."""
        return Records.of(
            self.species,
            latitude=self.latitude[rows],
            longitude=self.longitude[rows],
            column=self.column[rows],
        )


class _FoldTest:
    """Records of held-out cells, with kernel sums and p(s | country) of all other records."""

    def __init__(self, data: _Located, held_out: NDArray[np.bool_]) -> None:
        rows = np.random.default_rng(0).permutation(np.flatnonzero(held_out))
        rows = rows[: MAX_TESTED // FOLDS]
        learned = data.records(~held_out)
        base = BayesPrior(records_by_country(data.table.filter(~held_out), data.species))
        codes = data.table["country"].gather(rows).to_list()
        keys = {code: country_key(code) if code else UNKNOWN for code in codes}
        countries = {code: base.probability(key) for code, key in keys.items()}
        self._p = np.array([countries[code] for code in codes])
        self._known, self._truth = learned.known, data.column[rows]
        self._sums = np.array(
            [
                learned.kernel_sums(
                    Position(data.latitude[row], data.longitude[row]), BANDWIDTHS_KM
                )
                for row in rows
            ]
        ).swapaxes(0, 1)

    def losses(self, settings: LocationSettings | None) -> NDArray[np.float64]:
        """Return -log p of the species of each held-out record; None: of the country alone."""
        p = self._p
        if settings:
            scales = [BANDWIDTHS_KM.index(width) for width in settings.bandwidths_km]
            mass = p[:, self._known].sum(axis=1, keepdims=True)
            p = p.copy()
            p[:, self._known] = mass * smoothed_over_scales(
                p[:, self._known] / mass,
                self._sums[scales][:, :, self._known],
                settings,
                wrong=settings.wrong_place_fraction,
            )
        return -np.log(p[np.arange(len(p)), self._truth])
