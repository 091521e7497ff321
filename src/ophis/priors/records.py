"""Records of species by position, in a compact form that is searched around a point."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np

from ophis.errors import InputError
from ophis.files.content import content_of
from ophis.files.npz import read_npz, write_npz
from ophis.geography.borders import EARTH_KM

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from numpy.typing import ArrayLike, NDArray

    from ophis.geography.location import Position
    from ophis.taxonomy.species_list import SpeciesList

NEAR_KM = 100.0
FAR_KM = 500.0
KERNEL_WIDTHS = 6.0  # beyond, a kernel is 0; its value there, 1.5e-8, is subtracted everywhere
# Degrees, parts of 180; the finest that keeps the records compact is taken.
STEPS = (0.01, 0.02, 0.03, 0.05, 0.08, 0.1, 0.12, 0.15, 0.2, 0.25, 0.3, 0.4, 0.5, 1.0, 2.0, 5.0)
MAX_ROWS, MAX_ROWS_OF_SPECIES = 120_000, 400  # 10 bytes a row in the page
RADIUS_95 = 2.45  # standard deviations: the disc that holds 95 % of a Gaussian on the plane
_DTYPES = {"count": np.uint32, "latitude": np.int16, "longitude": np.int16, "column": np.uint16}
_MAX_SPECIES = 1 << 16
_DEGREE_KM = np.radians(EARTH_KM)


@dataclass(frozen=True, eq=False, repr=False)
class Nearby:
    """Records around a position; its representation omits the distances, which reveal it.

    Attributes:
        records: number of records of each species within 100 km, [species].
        nearest_km: distance of the nearest record, [species]; infinite without one within 500 km.
        known: True for a species with a record anywhere, [species].
        total: number of records of all species within 100 km.
    """

    records: NDArray[np.int64]
    nearest_km: NDArray[np.float64]
    known: NDArray[np.bool_]
    total: int


@dataclass(frozen=True, eq=False)
class Records:
    """Numbers of records by species and rounded position, sorted by latitude.

    Attributes:
        species: the species of the columns.
        latitude: in steps, [rows], int16.
        longitude: in steps, [rows], int16.
        column: column of the species, [rows], uint16.
        count: number of records, [rows], uint32.
        step: degrees.

    Raises:
        InputError: rows are missing, out of range or not sorted.
    """

    species: SpeciesList
    latitude: NDArray[np.int16]
    longitude: NDArray[np.int16]
    column: NDArray[np.uint16]
    count: NDArray[np.uint32]
    step: float = STEPS[0]

    def __post_init__(self) -> None:
        rows = len(self.latitude)
        for name, dtype in _DTYPES.items():
            if (array := getattr(self, name)).shape != (rows,) or array.dtype != dtype:
                raise InputError(
                    f"records: {name} is {array.dtype} of shape {array.shape}, not"
                    f" {np.dtype(dtype)} of {rows:,} rows"
                )
        if not rows:
            raise InputError("there is no record of any of the species; give records of them")
        if self.step not in STEPS:
            raise InputError(f"records: step = {self.step} should be one of {STEPS}")
        if rows > max_rows(self.species):
            raise InputError(
                f"records: {rows:,} rows are more than the {max_rows(self.species):,} of"
                f" {len(self.species):,} species"
            )
        valid = {
            "latitude": np.abs(self.latitude * self.step) <= 90 + self.step,
            "longitude": np.abs(self.longitude * self.step) <= 180 + self.step,
            "column": self.column < len(self.species),
            "count": self.count > 0,
        }
        for name, right in valid.items():
            if not right.all():
                row = int(np.argmin(right))
                raise InputError(
                    f"records: row {row}: {name} = {getattr(self, name)[row]} is out of range"
                )
        if (np.diff(self.latitude.astype(np.int32)) < 0).any():
            raise InputError("records: the rows are not sorted by latitude")

    @classmethod
    def of(
        cls,
        species: SpeciesList,
        *,
        latitude: NDArray[np.float64],
        longitude: NDArray[np.float64],
        column: NDArray[np.integer],
    ) -> Records:
        """Return the records of positions in degrees, rounded to the finest step that is compact.

        Raises:
            InputError: there are none, or species or records beyond the bounds.
        """
        if len(species) > _MAX_SPECIES:
            raise InputError(f"{len(species):,} species are more than {_MAX_SPECIES:,}")
        step, keys, count = STEPS[-1], *_keys(latitude, longitude, column, step=STEPS[-1])
        for finer in reversed(STEPS[:-1]):
            found = _keys(latitude, longitude, column, step=finer)
            if len(found[0]) > max_rows(species):
                break
            step, (keys, count) = finer, found
        place, column = np.divmod(keys, _MAX_SPECIES)
        north, east = np.divmod(place, round(360 / step))
        return cls(
            species,
            latitude=(north - round(90 / step)).astype(np.int16),
            longitude=(east - round(180 / step)).astype(np.int16),
            column=column.astype(np.uint16),
            count=count.astype(np.uint32),
            step=step,
        )

    def near(self, position: Position) -> Nearby:
        """Return the records around a position."""
        rows, square = self.around(position, FAR_KM)
        column, kilometres = self.column[rows], np.sqrt(square)
        inside, reached = kilometres <= NEAR_KM, kilometres <= FAR_KM
        number = len(self.species)
        records = np.bincount(column[inside], self.count[rows][inside], number).astype(np.int64)
        nearest = np.full(number, np.inf)
        np.minimum.at(nearest, column[reached], kilometres[reached])
        return Nearby(records, nearest, self.known, int(records.sum()))

    def kernel_sums(
        self, position: Position, bandwidths_km: Sequence[float]
    ) -> NDArray[np.float64]:
        """Return the sums of Gaussian kernels over the records, [bandwidths, species].

        The kernel is 1 at distance 0, and 0 from six bandwidths on. For an uncertain position it
        is the expected kernel: variances add, and the peak falls by their ratio.

        Args:
            position: the centre.
            bandwidths_km: standard deviations, the widest first.
        """
        uncertain, number = (position.accuracy_km / RADIUS_95) ** 2, len(self.species)
        reach = KERNEL_WIDTHS * (bandwidths_km[0] ** 2 + uncertain) ** 0.5
        rows, away = self.around(position, reach)
        column, count = self.column[rows], self.count[rows]
        sums = np.empty((len(bandwidths_km), number))
        for scale, bandwidth in enumerate(bandwidths_km):
            variance = bandwidth**2 + uncertain
            inside = np.flatnonzero(away < KERNEL_WIDTHS**2 * variance)
            away, column, count = away[inside], column[inside], count[inside]
            kernel = np.exp(away / (-2 * variance)) - np.exp(KERNEL_WIDTHS**2 / -2)
            kernel = np.maximum(kernel, 0)  # rounding; a power of a negative sum is NaN
            sums[scale] = np.bincount(column, count * kernel, number) * (bandwidth**2 / variance)
        return sums

    def around(self, position: Position, reach_km: float) -> tuple[slice, NDArray[np.float64]]:
        """Return the rows at most so far north or south, and their squared distances in km2.

        Distances are straight, through the earth: 0.03 % shorter at 500 km.
        """
        here = _points(position.latitude, position.longitude)
        degrees = reach_km / _DEGREE_KM + self.step
        low, high = np.searchsorted(
            self._degrees, [position.latitude - degrees, position.latitude + degrees]
        )
        rows = slice(int(low), int(high))
        square = np.zeros(rows.stop - rows.start)
        for axis, value in zip(self._points, here, strict=True):
            square += (axis[rows] - value) ** 2
        square *= EARTH_KM**2
        return rows, square

    @cached_property
    def known(self) -> NDArray[np.bool_]:
        """True for a species with a record, [species]."""
        return np.bincount(self.column, minlength=len(self.species)) > 0

    @cached_property
    def _degrees(self) -> NDArray[np.float64]:
        return self.latitude.astype(np.float64) * self.step

    @cached_property
    def _points(self) -> NDArray[np.float64]:
        return _points(self._degrees, self.longitude * self.step)

    def to_bytes(self) -> bytes:
        """Return the arrays of the page, little-endian: count, latitude, longitude, column."""
        dtypes = ((name, np.dtype(dtype).newbyteorder("<")) for name, dtype in _DTYPES.items())
        return b"".join(getattr(self, name).astype(dtype).tobytes() for name, dtype in dtypes)

    def write(self, path: Path) -> Path:
        """Write an .npz file, atomically."""
        arrays = {name: getattr(self, name) for name in _DTYPES}
        return write_npz(path, {**arrays, "step": np.array(self.step)}, stored=())


def records_file(prior: Path) -> Path:
    """Return the path of the records beside prior.toml: prior_records.npz."""
    return prior.with_name(f"{prior.stem}_records.npz")


def read_records(path: Path, listed: SpeciesList, species: SpeciesList) -> Records:
    """Read the file that `Records.write` wrote.

    Args:
        path: the file.
        listed: the species that its columns are numbers of.
        species: the species of the result.

    Raises:
        InputError: the file is missing or damaged, or has records of species that are not wanted;
            the message names it.
    """
    arrays = read_npz(path, what="file of records")
    wanted = {*_DTYPES, "step"}
    if odd := sorted(wanted ^ arrays.keys()):
        raise InputError(f"{path}: {odd[0]!r} is missing or not known; it holds {sorted(wanted)}")
    with content_of(path, "not records of ophis"):
        columns = {name: arrays[name] for name in _DTYPES}
        records = Records(listed, **columns, step=float(arrays["step"]))
        if listed == species:
            return records
        recorded = [place for place, known in enumerate(records.known) if known]
        column = np.zeros(len(listed), np.uint16)
        column[recorded] = [species.index(listed[place]) for place in recorded]
        return replace(records, species=species, column=column[records.column])


def max_rows(species: SpeciesList) -> int:
    """Return the most rows of records of a list of species: at most 2 MB for 300 species."""
    return max(MAX_ROWS, MAX_ROWS_OF_SPECIES * len(species))


def _keys(
    latitude: NDArray[np.float64],
    longitude: NDArray[np.float64],
    column: NDArray[np.integer],
    *,
    step: float,
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return the distinct rounded positions and species as sorted numbers, and their counts."""
    turn = round(360 / step)
    north = np.rint(latitude / step).astype(np.int64) + round(90 / step)
    east = (np.rint(longitude / step).astype(np.int64) + round(180 / step)) % turn
    return np.unique((north * turn + east) * _MAX_SPECIES + column, return_counts=True)


def _points(latitude: ArrayLike, longitude: ArrayLike) -> NDArray[np.float64]:
    """Return points on the unit sphere, [3, ...]."""
    north, east = np.radians(latitude), np.radians(longitude)
    return np.stack([np.cos(north) * np.cos(east), np.cos(north) * np.sin(east), np.sin(north)])
