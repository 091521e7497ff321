"""Fit of the kernels of `LocationPrior` by spatial cross-validation inside the given records."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np
import polars as pl

from ophis.geography.countries import country_key
from ophis.geography.location import Position
from ophis.priors.bayes import BayesPrior
from ophis.priors.country_counts import CountryPrior
from ophis.priors.location import LocationSettings, smoothed_over_scales
from ophis.priors.records import Records
from ophis.scores.cross_validation import CLEAR_GAIN, FOLDS, folds, mean_gain
from ophis.taxonomy.species_list import SpeciesList

if TYPE_CHECKING:
    from numpy.typing import NDArray

CELL_DEGREES = (
    1.0  # whole cells are held out, so that no neighbour of a test record is learned from
)
MIN_CELLS = 20
MIN_SPECIES_RECORDS = 20  # of a species, to count in the mean over species
MAX_TESTED = 10_000
MAX_SPECIES_TESTED = 200
EXPONENTS = (0.4, 0.5, 0.6, 0.8, 1.0)
PLACE_RECORDS = (1.0, 2.0, 3.0, 4.0, 6.0, 8.0, 12.0)
COUNTRY, PLACE = "country", "place"


@dataclass(frozen=True, eq=False)
class LocationFit:
    """Kernels chosen on records of cells that they were not learned from.

    Attributes:
        records: all records of the species.
        settings: the fitted ones, or the defaults; see `fit_location`.
        losses: log loss of the species of the records by country alone ("country") and by place
            ("place"); empty with too few cells.
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
    keys = {code: country_key(code) for code in counted["country"].unique()}
    counts = counted.group_by("species", "country").len("photos").sort("species", "country")
    counts = counts.with_columns(pl.col("country").replace_strict(keys))
    return CountryPrior.from_counts(
        counts, species or SpeciesList(tuple(table["species"].unique().sort()))
    )


def fit_location(table: pl.DataFrame, species: SpeciesList) -> LocationFit:
    """Choose exponent and pseudo-records by cross-validation over cells of one degree.

    The records of each fifth of the cells are tested with those of the other four fifths, and with
    p(s | country) of these. Two thirds of the loss are the mean over records, one third is that
    over species with 20 records or more. At most 10,000 records are tested, of each species about
    as many, and at most 200. The best settings replace the defaults where they gain more than two
    standard errors over cells; with records in fewer than 20 cells the defaults stay. The
    bandwidths are not fitted.

    Args:
        table: columns `species`, `latitude`, `longitude`, `country`.
        species: the columns; all species of the table are among them.
    """
    data = _Located(table, species)
    cells, cell = np.unique(data.cells(), return_inverse=True)
    if len(cells) < MIN_CELLS:
        return LocationFit(data.records(), LocationSettings())
    fold, tested = folds(list(map(str, cells)))[cell], data.tested()
    tests = [_FoldTest(data, fold == number, tested) for number in range(FOLDS)]
    rows = np.concatenate([test.rows for test in tests])
    weights = data.weights(rows)
    losses = {
        settings: weights * np.concatenate([test.losses(settings) for test in tests])
        for settings in [LocationSettings(), *_candidates()]
    }
    default = losses[LocationSettings()]
    best = min(losses, key=lambda settings: losses[settings].mean())
    gain, error = mean_gain(default - losses[best], list(map(str, cell[rows])))
    chosen = best if gain > CLEAR_GAIN * error else LocationSettings()
    country = weights * np.concatenate([test.country_losses() for test in tests])
    means = {COUNTRY: float(country.mean()), PLACE: float(losses[chosen].mean())}
    return LocationFit(data.records(), chosen, means, len(rows))


def _candidates() -> list[LocationSettings]:
    return [
        LocationSettings(record_exponent=exponent, place_records=records)
        for exponent in EXPONENTS
        for records in PLACE_RECORDS
    ]


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

    def tested(self) -> NDArray[np.bool_]:
        """Choose the records to test at random, about equally many of each species, [records]."""
        most = max(1, min(MAX_SPECIES_TESTED, MAX_TESTED // max(1, len(np.unique(self.column)))))
        order = np.random.default_rng(0).permutation(len(self.column))
        order = order[np.argsort(self.column[order], kind="stable")]
        starts = np.searchsorted(self.column[order], self.column[order])
        tested = np.zeros(len(order), np.bool_)
        tested[order] = np.arange(len(order)) - starts < most
        return tested

    def weights(self, rows: NDArray[np.int64]) -> NDArray[np.float64]:
        """Return the weight of each tested record, [rows]; their mean is 1.

        Two thirds of it are that of the records it stands for, one third is the same for each
        species with enough records.
        """
        records = np.bincount(self.column, minlength=len(self.species))
        tested = np.bincount(self.column[rows], minlength=len(self.species))
        enough = records >= min(MIN_SPECIES_RECORDS, records.max())
        both = (2 * records / records.sum() + enough / enough.sum()) / 3
        return len(rows) * (both / np.maximum(tested, 1))[self.column[rows]]

    def records(self, rows: NDArray[np.bool_] | slice = slice(None)) -> Records:
        """Return some or all records."""
        return Records.of(
            self.species,
            latitude=self.latitude[rows],
            longitude=self.longitude[rows],
            column=self.column[rows],
        )


class _FoldTest:
    """Tested records of held-out cells, against all records of other cells.

    Only the evidence for the true species and that for all species are kept, because the loss
    depends on nothing else.
    """

    def __init__(
        self, data: _Located, held_out: NDArray[np.bool_], tested: NDArray[np.bool_]
    ) -> None:
        self.rows = np.flatnonzero(held_out & tested)
        learned = data.records(~held_out)
        base = BayesPrior(records_by_country(data.table.filter(~held_out), data.species))
        codes = data.table["country"].gather(self.rows).to_list()
        countries = {code: base.probability(country_key(code)) for code in set(codes)}
        mass = {code: p[learned.known].sum() for code, p in countries.items()}
        truth = data.column[self.rows]
        self._known = learned.known[truth]
        self._p = np.array([countries[code][s] for code, s in zip(codes, truth, strict=True)])
        self._mass = np.array([mass[code] for code in codes])
        bandwidths = LocationSettings().bandwidths_km
        self._own = np.empty((len(EXPONENTS), len(bandwidths), len(self.rows)))
        self._all = np.empty_like(self._own)
        for place, (row, column) in enumerate(zip(self.rows, truth, strict=True)):
            position = Position(float(data.latitude[row]), float(data.longitude[row]))
            sums = learned.kernel_sums(position, bandwidths)
            for number, exponent in enumerate(EXPONENTS):
                evidence = sums**exponent
                self._own[number, :, place] = evidence[:, column]
                self._all[number, :, place] = evidence.sum(axis=1)

    def losses(self, settings: LocationSettings) -> NDArray[np.float64]:
        """Return -log p of the species of each record, [rows]."""
        number = EXPONENTS.index(settings.record_exponent)
        own, above = self._own[number], self._p / self._mass
        # Two classes, the true species and all others, have the same smoothing as all species.
        evidence = np.stack([own, self._all[number] - own], axis=-1)
        two = np.stack([above, 1 - above], axis=-1)
        here = smoothed_over_scales(two, evidence, settings.place_records)[:, 0]
        return -np.log(np.where(self._known, self._mass * here, self._p))

    def country_losses(self) -> NDArray[np.float64]:
        """Return -log p(species | country) of each record, [rows]."""
        return -np.log(self._p)
