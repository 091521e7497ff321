"""Manifest: a row per photo. Counted, split and written; `sources` reads it."""

from __future__ import annotations

import hashlib
import os
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import polars as pl

from ophis.datasets.paths import Paths
from ophis.errors import InputError
from ophis.files.atomic import whole_file
from ophis.files.tables import as_text
from ophis.taxonomy.species_list import SpeciesList

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from ophis.datasets.shards.reader import Pack, PackedPhoto

COLUMNS = ("photo_id", "photo", "species", "country", "observation")
_ROWS_AT_A_TIME = 100_000
BOX = ("box_left", "box_top", "box_right", "box_bottom")


@dataclass(frozen=True, eq=False)
class Manifest:
    """Photos with what is known of them.

    Attributes:
        table: strings; `photo_id` (unique), `photo` (path within ``folder``), `species` (null
            where it is not known), `country` (as `places.country_key` writes it), `observation`
            (photos of one snake share it), and further columns as they came.
        folder: where the photos lie.
        pack: the pack that ``folder`` is, where it is one; photos are found there by `photo_id`.
    """

    table: pl.DataFrame
    folder: Path
    pack: Pack | None = None

    def __post_init__(self) -> None:
        for column in COLUMNS:
            if column not in self.table.columns:
                raise InputError(f"manifest: column {column!r} is missing")
        photo_ids = self.table["photo_id"]
        if is_repeated(photo_ids):
            photo = photo_ids.filter(photo_ids.is_duplicated())[0]
            raise InputError(f"manifest: photo_id {photo!r} stands twice; each photo has one row")

    def __len__(self) -> int:
        return len(self.table)

    def species_list(self) -> SpeciesList:
        """The species that occur, sorted by name."""
        return SpeciesList(tuple(self.table["species"].drop_nulls().unique().sort()))

    def photos(self) -> Sequence[Path] | Sequence[PackedPhoto]:
        """What `images` reads for each photo: its file, or its place in the pack."""
        return self.pack.photos(self.table["photo_id"]) if self.pack else self.paths()

    def paths(self) -> Sequence[Path]:
        """Where each photo lies; each path is made when it is asked for.

        Raises:
            InputError: when they lie in a pack and have no files; see `photos`.
        """
        if self.pack:
            raise InputError(f"{self.folder}: the photos of a pack are no files; name their folder")
        return Paths(self.folder, self.table["photo"])

    def boxes(self) -> NDArray[np.float64]:
        """Where the snake is in each upright photo, [photos, 4]; NaN where nobody said.

        Left, top, right, bottom as shares of width and height, from the columns `box_left`,
        `box_top`, `box_right`, `box_bottom`.

        Raises:
            InputError: naming the photo whose box is no box.
        """
        if not set(BOX) <= set(self.table.columns):
            return np.full((len(self), 4), np.nan)
        text = self.table.select(pl.col(BOX).str.strip_chars().replace("", None))
        boxes = text.select(pl.all().cast(pl.Float64, strict=False)).to_numpy()
        left, top, right, bottom = boxes.T
        none = text.select(pl.all_horizontal(pl.all().is_null())).to_series().to_numpy()
        good = (left >= 0) & (top >= 0) & (left < right) & (top < bottom)
        good &= (right <= 1) & (bottom <= 1)
        if (bad := ~(none | good)).any():
            raise InputError(
                f"photo {self.table['photo'][int(bad.argmax())]}: {', '.join(BOX)} should be shares"
                " of width and height, left below right, top below bottom"
            )
        return boxes

    def missing_photos(self) -> list[Path | PackedPhoto]:
        """Photos of the table for which there is no file, or which could not be packed."""
        return [photo for photo in self.photos() if not photo.is_file()]

    def truth(self, species: SpeciesList) -> NDArray[np.int64]:
        """Column of each photo's species, [photos]; -1 where it is not known.

        Raises:
            InputError: naming photo and species when the list does not hold it.
        """
        names = self.table["species"]
        known = pl.Series(species.names, dtype=pl.String)
        strange = names.is_not_null() & ~names.is_in(known.implode())
        if strange.any():
            photo, name = self.table.filter(strange).select("photo", "species").row(0)
            raise InputError(
                f"photo {photo} is of species {name!r}, which is not among the {len(species)} that"
                " the model learns; mend the name, or take the row out"
            )
        columns = pl.Series(np.arange(len(species)), dtype=pl.Int64)
        return names.replace_strict(known, columns, default=-1).to_numpy()

    def counts(self) -> pl.DataFrame:
        """Photos of each species in each country: `species, country, photos`, sorted."""
        labelled = self.table.filter(pl.col("species").is_not_null())
        pairs = labelled.group_by("species", "country").agg(photos=pl.len().cast(pl.Int64))
        return pairs.sort("species", "country")

    def take(self, rows: NDArray[Any]) -> Manifest:
        """The manifest of these rows (numbers or a mask), in that order."""
        return replace(self, table=self.table[np.arange(len(self))[rows]])

    def sha256(self) -> str:
        """Digest of the rows: two manifests with it describe the same photos in the same order.

        Packed photos are others than those they were made from.
        """
        digest = hashlib.sha256((",".join(COLUMNS) + "\n").encode())
        for rows in self.table.select(COLUMNS).iter_slices(_ROWS_AT_A_TIME):
            digest.update(rows.write_csv(include_header=False).encode())
        if self.pack:
            digest.update(self.pack.metadata.to_json().encode())
        return digest.hexdigest()

    def split(
        self, share: float, *, seed: int, groups: NDArray[np.int64] | None = None
    ) -> tuple[Manifest, Manifest]:
        """Split species by species, whole groups at a time.

        Photos of one observation or one path never stand on both sides, nor do those of one of
        ``groups`` (near duplicates, see `near_duplicates`); groups that share an observation are
        joined.

        Args:
            share: of the photos of each species to hold out, in (0, 1).
            seed: the same seed splits in the same way.
            groups: [photos], photos with the same number stay together.

        Returns:
            The rest and the held-out part, rows in their old order. A species of two groups or
            more has one on each side at least; one of a single group stays in the rest. Where
            groups mix species this cannot always be had: then every species is in the rest.

        Raises:
            InputError: when the share is not between 0 and 1, a photo has no species, or
                ``groups`` has not one number a photo.
        """
        if not 0 < share < 1:
            raise InputError(f"share = {share} should lie between 0 and 1")
        if groups is not None and len(groups) != len(self):
            raise InputError(
                f"groups has {len(groups)} numbers for {len(self)} photos; give each one"
            )
        if self.table["species"].has_nulls():
            raise InputError("a photo without a species cannot be split by species; label it")
        together = join_groups(self._first("observation"), self._first("photo"), groups)
        species = self._species_numbers()
        order = np.argsort(species, kind="stable")
        ends = np.cumsum(np.bincount(species))
        held = np.zeros(len(self), bool)
        for code, rows in enumerate(np.split(order, ends[:-1])):
            chance = np.random.default_rng([seed, code])
            held[_hold_out(rows, together, share, chance)] = True
        # A group of photos that were given different species goes where any of it went.
        held = np.isin(together, together[held])
        _return_species(held, species, together)
        return self.take(~held), self.take(held)

    def write(self, path: str | Path) -> Path:
        """Write .csv or .parquet, whole or not at all; photo paths relative to that file.

        Raises:
            InputError: when the name ends otherwise, or the place cannot be written.
        """
        path = Path(path)
        suffix = path.suffix.lower()
        if suffix not in (".csv", ".parquet"):
            raise InputError(f"{path}: a manifest is written as .csv or .parquet")
        table = self._relative_to(path.parent)
        with whole_file(path) as temporary:
            if suffix == ".csv":
                as_text(table).write_csv(temporary)
            else:
                table.write_parquet(temporary)
        return path

    def _relative_to(self, folder: Path) -> pl.DataFrame:
        """The table with photo paths as seen from another folder.

        Where the photos do not lie inside it, a column `folder` tells the way there: a path in
        `photo` never climbs out with '..'. So does it for a pack, whose photos are no files.
        """
        table = self.table.drop("folder", strict=False)
        here, there = folder.resolve(), self.folder.resolve()
        if here == there:
            return table
        if not self.pack and there.is_relative_to(here):
            prefix = there.relative_to(here).as_posix() + "/"
            return table.with_columns(photo=pl.lit(prefix) + pl.col("photo"))
        return table.with_columns(folder=pl.lit(os.path.relpath(there, here)))

    def _first(self, column: str) -> NDArray[np.int64]:
        """The first row that has the same text: [photos]."""
        if not is_repeated(self.table[column]):
            return np.arange(len(self))
        rows = self.table.select(column).with_row_index("row")
        first = rows.select(pl.col("row").first().over(column).cast(pl.Int64))
        return first.to_series().to_numpy()

    def _species_numbers(self) -> NDArray[np.int64]:
        """Which of the sorted species each photo is of, from 1: [photos]."""
        names = self.species_list().names
        numbers = self.table["species"].cast(pl.Enum(names)).to_physical()
        return numbers.cast(pl.Int64).to_numpy() + 1


def is_repeated(texts: pl.Series) -> bool:
    """Whether any text stands twice.

    By their hashes first, 8 bytes each; only where two of those are the same, by the texts.
    """
    hashes = np.sort(texts.hash().to_numpy())
    return bool((hashes[1:] == hashes[:-1]).any()) and texts.is_duplicated().any()


def join_groups(*numberings: NDArray[np.int64] | None) -> NDArray[np.int64]:
    """Number photos so that two share a number when any chain of the numberings connects them.

    Each group joins the sets that it touches to the least of them, until nothing changes: a few
    rounds, also for chains as long as the table. A set is numbered by its first photo.
    """
    given = [np.unique(n, return_inverse=True)[1] for n in numberings if n is not None]
    label = np.arange(len(given[0]))
    while True:
        before = label
        for groups in given:
            least = np.full(groups.max(initial=-1) + 1, len(label))
            np.minimum.at(least, groups, label)
            joins = np.arange(len(label))
            np.minimum.at(joins, label, least[groups])
            while (joins[joins] != joins).any():
                joins = joins[joins]
            label = joins[label]
        if np.array_equal(label, before):
            return label


def _hold_out(
    rows: NDArray[np.intp],
    together: NDArray[np.int64],
    share: float,
    chance: np.random.Generator,
) -> NDArray[np.intp]:
    """Rows of one species to hold out: whole groups in random order until the share is met."""
    groups, sizes = np.unique(together[rows], return_counts=True)
    if len(groups) < 2:
        return rows[:0]
    order = chance.permutation(len(groups))
    reached = np.cumsum(sizes[order])
    # As near to the share as whole groups allow, one group at least, never all.
    number = int(np.abs(reached - share * len(rows)).argmin()) + 1
    number = min(number, len(groups) - 1)
    return rows[np.isin(together[rows], groups[order[:number]])]


def _return_species(
    held: NDArray[np.bool_], species: NDArray[np.int64], together: NDArray[np.int64]
) -> None:
    """Give the smallest group back to the rest for each species that is held out wholly.

    In place. It comes to that only where groups mix species: what cannot be learnt need not be
    judged.
    """
    for code in np.setdiff1d(species, species[~held]):
        rows = species == code
        if held[rows].all():  # not given back meanwhile, with another species of its group
            groups, sizes = np.unique(together[rows], return_counts=True)
            held[together == groups[sizes.argmin()]] = False
