"""Cleaning of occurrence records: each dropped row is counted by its reason.

The tests are those of CoordinateCleaner (Zizka et al. 2019, doi:10.1111/2041-210X.13152) and of
GBIF's users (https://data-blog.gbif.org/post/gbif-filtering-guide/) that matter for a map of a
species.
"""

from __future__ import annotations

from collections import Counter
from functools import partial
from typing import TYPE_CHECKING

import polars as pl

from ophis.datasets.occurrences.positions import BORDER_KM, Limits, check_positions
from ophis.datasets.occurrences.wrong_columns import WrongColumns

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from ophis.files.tables import Rows

# In the order of the tests: a row has the first reason that applies.
REASONS = {
    "absent": "a search that did not find the species",
    "not_wild": "a fossil, or an animal in captivity",
    "unconfirmed": "a name that iNaturalist's community has not confirmed",
    "flagged": "a position that GBIF flags as wrong",
    "unnamed": "no name of one species: a genus, 'cf.', a hybrid",
    "not_listed": "a species that is not in the list",
    "no_position": "no latitude or longitude",
    "no_number": "a latitude or longitude that is no number of degrees in its range",
    "zero": "at 0, 0, or with equal latitude and longitude, as written for an unknown position",
    "whole_degrees": "whole degrees of latitude and longitude, which are rounded to about 100 km",
    "uncertain": "a position less accurate than the limit",
    "centroid": "the centre of a country, as written for an unknown position",
    "polar": "north of 72 or south of -57 degrees, where no snake lives",
    "at_sea": "at sea, farther from land than the limit and the accuracy",
    "other_country": f"outside of its stated country by more than {BORDER_KM:g} km and accuracy",
    "duplicate": "another record of the species in the same small cell",
}
SCHEMA = {
    "species": pl.String,
    "latitude": pl.Float64,
    "longitude": pl.Float64,
    "accuracy_km": pl.Float64,
    "country": pl.String,
}


class Cleaning:
    """Records kept so far, and the number of dropped rows by reason.

    Attributes:
        dropped: rows by key of `REASONS`.
        unlisted: rows by name that is not in the list.
        first_unlisted: place of the first such row, made on call.
    """

    def __init__(self, limits: Limits, species: Mapping[str, str] | None) -> None:
        self.dropped = Counter[str]()
        self.unlisted = Counter[str]()
        self.first_unlisted: Callable[[], str] | None = None
        self._limits = limits
        self._species = species
        self._kept: list[pl.DataFrame] = []
        self._wrong_columns = WrongColumns()

    def add(self, rows: Rows) -> None:
        """Clean a batch of rows in the form of `standard_columns`."""
        table = rows.table if self._species is None else self._listed(rows)
        missing = pl.col("latitude").is_null() | pl.col("longitude").is_null()
        reason = pl.coalesce("dropped", pl.when(missing).then(pl.lit("no_position")))
        table = table.with_columns(dropped=reason)
        self._count(table["dropped"])
        left = table["dropped"].is_null()
        table = table.filter(left).drop("dropped")
        if not len(table):
            return
        checked = check_positions(table, self._limits)
        self._wrong_columns.add(rows, left.arg_true(), table, checked)
        reasons = pl.Series(checked.reason)
        self._count(reasons.filter(reasons != ""))
        self._keep(table.with_columns(country=pl.Series(checked.country)).filter(reasons == ""))

    def table(self) -> pl.DataFrame:
        """Return the kept records without duplicates, sorted, and count the duplicates.

        Of the records of a species in one cell the most accurate is kept.

        Raises:
            InputError: when the columns are wrong, see `WrongColumns`.
        """
        self._wrong_columns.check()
        if not self._kept:
            return pl.DataFrame(schema=SCHEMA)
        table = pl.concat(self._kept)
        self._kept = []
        names = pl.Enum(table["species"].unique().cast(pl.String).sort())
        size = self._limits.duplicate_degrees
        cell = [
            (pl.col(name) / size).floor().cast(pl.Int32).alias(f"cell_{name}")
            for name in ("latitude", "longitude")
        ]
        own = ["species", "cell_latitude", "cell_longitude"]
        table = table.with_columns(pl.col("species").cast(pl.String).cast(names), *cell).sort(
            *own, "accuracy_km", "latitude", "longitude", nulls_last=True
        )
        first = pl.any_horizontal(pl.col(name).ne_missing(pl.col(name).shift(1)) for name in own)
        rows = len(table)
        table = table.filter(first)
        self.dropped["duplicate"] = rows - len(table)
        return table.select(pl.col(name).cast(kind) for name, kind in SCHEMA.items())

    def _listed(self, rows: Rows) -> pl.DataFrame:
        """Return the rows with species as in the list; others are dropped."""
        listed = self._species or {}
        table = rows.table.with_columns(
            listed=pl.col("species").replace_strict(listed, default=None, return_dtype=pl.String)
        )
        dropped = pl.col("dropped")
        other = pl.col("listed").is_null() & (dropped.is_null() | dropped.eq("unnamed"))
        named = table.select(other & (pl.col("species") != "")).to_series()
        if named.any() and self.first_unlisted is None:
            self.first_unlisted = partial(rows.where, int(named.arg_max() or 0))
        self.unlisted.update(dict(table["species"].filter(named).value_counts().iter_rows()))
        return table.with_columns(
            species="listed",
            dropped=pl.when(other & dropped.is_null())
            .then(pl.lit("not_listed"))
            .when(pl.col("listed").is_not_null() & dropped.eq("unnamed"))
            .then(None)
            .otherwise(dropped),
        ).drop("listed")

    def _keep(self, table: pl.DataFrame) -> None:
        repeated = pl.col("species", "country").cast(pl.Categorical)
        self._kept.append(table.select(list(SCHEMA)).with_columns(repeated))

    def _count(self, reasons: pl.Series) -> None:
        for reason, rows in reasons.drop_nulls().value_counts().iter_rows():
            self.dropped[reason] += rows
