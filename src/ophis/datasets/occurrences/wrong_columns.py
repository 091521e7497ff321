"""Signs of exchanged columns of coordinates, and of lost signs: many points are at sea."""

from __future__ import annotations

from collections import Counter
from functools import partial
from typing import TYPE_CHECKING

import numpy as np

from ophis.datasets.occurrences.positions import NORTH, SOUTH
from ophis.errors import InputError
from ophis.geography.country_raster import countries_of

if TYPE_CHECKING:
    from collections.abc import Callable

    import polars as pl
    from numpy.typing import NDArray

    from ophis.datasets.occurrences.positions import Checked
    from ophis.files.tables import Rows

    Floats = NDArray[np.float64]

_FIXES = {
    "exchange the columns latitude and longitude": lambda lat, lon: (lon, lat),
    "latitudes south of the equator should be negative": lambda lat, lon: (-lat, lon),
    "longitudes west of Greenwich should be negative": lambda lat, lon: (lat, -lon),
    "southern latitudes and western longitudes should be negative": lambda lat, lon: (-lat, -lon),
}
# Of clean records 1 in 70,000 is at sea.
_LEAST, _FRACTION, _FITTING = 5, 0.05, 0.9
_FAULTS = {  # by the reasons that show it
    ("at_sea", "polar"): "are at sea or near a pole",
    ("other_country",): "are outside of their stated country",
}


class WrongColumns:
    """Counts of points that are not where they should be, and of the corrections that fit them."""

    def __init__(self) -> None:
        self._rows = 0
        self._points = Counter[tuple[str, ...]]()
        self._wrong = Counter[tuple[str, ...]]()
        self._fits = {fault: Counter[str]() for fault in _FAULTS}
        self._first: dict[tuple[str, ...], Callable[[], str]] = {}

    def add(self, rows: Rows, numbers: pl.Series, table: pl.DataFrame, checked: Checked) -> None:
        """Count a batch.

        Args:
            rows: the batch, for the place of a row.
            numbers: of the rows of ``table`` in the batch.
            table: with `latitude, longitude, country`.
            checked: its positions.
        """
        latitude, longitude = (table[name].to_numpy() for name in ("latitude", "longitude"))
        stated = table["country"].to_numpy().astype(str)
        self._rows += len(table)
        for fault in _FAULTS:
            self._points[fault] += int(
                (stated != "").sum() if "other_country" in fault else len(table)
            )
            wrong = np.flatnonzero(np.isin(checked.reason, fault))
            if not len(wrong):
                continue
            self._wrong[fault] += len(wrong)
            self._first.setdefault(fault, partial(rows.where, int(numbers[int(wrong[0])])))
            for fix, transform in _FIXES.items():
                found = _countries(*transform(latitude[wrong], longitude[wrong]))
                good = (
                    (found != "")
                    & (found != "AQ")
                    & ((found == stated[wrong]) | (stated[wrong] == ""))
                )
                self._fits[fault][fix] += int(good.sum())

    def check(self) -> None:
        """Raise an error when most points are wrong, or many that one correction puts right.

        Raises:
            InputError: naming the first wrong row, and the correction that fits most points.
        """
        for fault, words in _FAULTS.items():
            wrong, points = self._wrong[fault], self._points[fault]
            if not wrong:
                continue
            fix, fits = self._fits[fault].most_common(1)[0]
            many = wrong >= max(_LEAST, _FRACTION * points) and fits >= _FITTING * wrong
            # A few stated countries say nothing about the columns of all the other rows.
            most = 2 * wrong > self._rows or wrong >= max(_LEAST, _FRACTION * self._rows)
            if not (many or (most and 2 * wrong > points)):
                continue
            if 2 * fits <= wrong:
                fix = "check the columns latitude and longitude, and their signs"
            raise InputError(
                f"{self._first[fault]()}: {wrong:,} of {points:,} points {words}; {fix}"
            )


def _countries(latitude: Floats, longitude: Floats) -> NDArray[np.str_]:
    """Return the countries; "" where no snake lives."""
    inside = (latitude < NORTH) & (latitude > SOUTH)
    return np.where(inside, countries_of(np.where(inside, latitude, np.nan), longitude), "")
