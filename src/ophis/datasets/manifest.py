"""Manifest: a table with one row per photo and its labels."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Sequence
from dataclasses import dataclass, replace
from operator import index
from pathlib import Path
from typing import TYPE_CHECKING, Any, overload

import numpy as np
import polars as pl

from ophis.datasets.occurrences.coordinates import degrees, refuse_wrong
from ophis.errors import InputError
from ophis.files.atomic import require_writable, whole_file
from ophis.files.tables import Rows, escape_formulas
from ophis.taxonomy.species_list import SpeciesList

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

    from ophis.datasets.shards.reader import Pack, PackedPhoto

COLUMNS = ("photo_id", "photo", "species", "country", "observation")
_ROWS_AT_A_TIME = 100_000
POSITION = ("latitude", "longitude")
BOX = ("box_left", "box_top", "box_right", "box_bottom")


@dataclass(frozen=True, eq=False)
class Manifest:
    """Photos with species, country and observation.

    Attributes:
        table: strings; `photo_id` (unique), `photo` (path within ``folder``), `species` (null
            where unknown), `country` (a key of `read_country`), `observation` (shared by the
            photos of one snake), and the further columns of the source.
        folder: the folder of the photos.
        pack: the pack in ``folder``, if it is one; its photos are found by `photo_id`.
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
            raise InputError(
                f"manifest: photo_id {photo!r} is listed twice; each photo has one row"
            )

    def __len__(self) -> int:
        return len(self.table)

    def species_list(self) -> SpeciesList:
        """Return the species that occur, sorted by name."""
        return SpeciesList(tuple(self.table["species"].drop_nulls().unique().sort()))

    def photos(self) -> Sequence[Path] | Sequence[PackedPhoto]:
        """Return the photos to read: their paths, or their members of the pack."""
        return self.pack.photos(self.table["photo_id"]) if self.pack else self.paths()

    def paths(self) -> Sequence[Path]:
        """Return the path of each photo, made on access.

        Raises:
            InputError: when the photos are in a pack and have no files; see `photos`.
        """
        if self.pack:
            raise InputError(f"{self.folder}: the photos of a pack are no files; give their folder")
        return PhotoPaths(self.folder, self.table["photo"])

    def boxes(self) -> NDArray[np.float64]:
        """Return the bounding box of the snake in each upright photo, [photos, 4].

        Left, top, right, bottom as fractions of width and height, from the columns `box_left`,
        `box_top`, `box_right`, `box_bottom`; NaN where they are empty.

        Raises:
            InputError: naming the photo with an invalid box.
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
            photo = self.table["photo"][int(bad.argmax())]
            raise InputError(
                f"photo {photo!r}: {', '.join(BOX)} should be fractions"
                " of width and height, left below right, top below bottom"
            )
        return boxes

    def positions(self) -> NDArray[np.float64]:
        """Return the place of each photo, [photos, 2].

        Latitude and longitude in degrees, from the columns of these names; NaN where empty.

        Raises:
            InputError: naming the photo with an invalid or half a position.
        """
        if not set(POSITION) <= set(self.table.columns):
            return np.full((len(self), 2), np.nan)
        text = self.table.select(pl.col(POSITION).str.strip_chars().fill_null(""))
        photos = self.table["photo"]
        rows = Rows(self.folder, text, lambda row: f"photo {photos[row]}")
        refuse_wrong(rows)
        half = text["latitude"].eq("") != text["longitude"].eq("")
        rows.refuse_first(pl.lit(half), "has a latitude or a longitude only; give both or none")
        return text.select(map(degrees, POSITION)).fill_null(np.nan).to_numpy()

    def missing_photos(self) -> list[Path | PackedPhoto]:
        """Return the photos without a file, or that could not be packed."""
        return [photo for photo in self.photos() if not photo.is_file()]

    def truth(self, species: SpeciesList) -> NDArray[np.int64]:
        """Return the index of each photo's species in the list, [photos]; -1 where unknown.

        Raises:
            InputError: naming a photo whose species is not in the list.
        """
        names = self.table["species"]
        known = pl.Series(species.names, dtype=pl.String)
        missing = names.is_not_null() & ~names.is_in(known.implode())
        if missing.any():
            photo, name = self.table.filter(missing).select("photo", "species").row(0)
            raise InputError(
                f"photo {photo!r} is of species {name!r}, which is not among the {len(species)} of"
                " the model; correct the name, or remove the row"
            )
        columns = pl.Series(np.arange(len(species)), dtype=pl.Int64)
        return names.replace_strict(known, columns, default=-1).to_numpy()

    def counts(self) -> pl.DataFrame:
        """Count the photos of each species in each country: `species, country, photos`, sorted."""
        labelled = self.table.filter(pl.col("species").is_not_null())
        pairs = labelled.group_by("species", "country").agg(photos=pl.len().cast(pl.Int64))
        return pairs.sort("species", "country")

    def take(self, rows: NDArray[Any]) -> Manifest:
        """Return the manifest of these rows (numbers or a mask), in their order."""
        return replace(self, table=self.table[np.arange(len(self))[rows]])

    def sha256(self) -> str:
        """Return a digest of the rows: equal for the same photos in the same order.

        The digest of packed photos differs from that of their sources.
        """
        digest = hashlib.sha256((",".join(COLUMNS) + "\n").encode())
        for rows in self.table.select(COLUMNS).iter_slices(_ROWS_AT_A_TIME):
            digest.update(rows.write_csv(include_header=False).encode())
        if self.pack:
            digest.update(self.pack.metadata.to_json().encode())
        return digest.hexdigest()

    def write(self, path: str | Path) -> Path:
        """Write .csv or .parquet atomically; photo paths are relative to that file.

        Raises:
            InputError: for another suffix, or when the file cannot be written.
        """
        path = Path(path)
        require_manifest_path(path)
        table = self._relative_to(path.parent)
        with whole_file(path) as temporary, temporary.open("wb") as file:
            if path.suffix.lower() == ".csv":
                escape_formulas(table).write_csv(file)
            else:
                table.write_parquet(file)
        return path

    def _relative_to(self, folder: Path) -> pl.DataFrame:
        """Return the table with photo paths relative to another folder.

        A column `folder` holds the way to photos outside that folder, because a path in `photo`
        never contains '..', and to a pack, whose photos are no files.
        """
        table = self.table.drop("folder", strict=False)
        here, there = folder.resolve(), self.folder.resolve()
        if here == there:
            return table
        if not self.pack and there.is_relative_to(here):
            prefix = there.relative_to(here).as_posix() + "/"
            return table.with_columns(photo=pl.lit(prefix) + pl.col("photo"))
        return table.with_columns(folder=pl.lit(os.path.relpath(there, here)))


def require_manifest_path(path: str | Path) -> None:
    """Refuse a path at which no manifest can be written.

    Raises:
        InputError: for another suffix than .csv and .parquet, or see `require_writable`.
    """
    if Path(path).suffix.lower() not in (".csv", ".parquet"):
        raise InputError(f"{path}: a manifest is written as .csv or .parquet; name such a file")
    require_writable(path)


def is_repeated(texts: pl.Series) -> bool:
    """Return True when a text occurs twice.

    Compares hashes of 8 bytes first, and the texts only where two hashes are equal.
    """
    hashes = np.sort(texts.hash().to_numpy())
    return bool((hashes[1:] == hashes[:-1]).any()) and texts.is_duplicated().any()


class PhotoPaths(Sequence[Path]):
    """Paths of photos in a folder, made on access to save memory in long tables."""

    def __init__(self, folder: Path, photos: pl.Series) -> None:
        self._folder, self._photos = folder, photos

    def __len__(self) -> int:
        return len(self._photos)

    @overload
    def __getitem__(self, row: int) -> Path: ...
    @overload
    def __getitem__(self, row: slice) -> Sequence[Path]: ...
    def __getitem__(self, row: int | slice) -> Path | Sequence[Path]:
        """Return the path of a row, or the paths of a slice."""
        if isinstance(row, slice):
            return PhotoPaths(self._folder, self._photos[row])
        return self._folder / self._photos[index(row)]

    def __iter__(self) -> Iterator[Path]:
        """Iterate over the paths."""
        return (self._folder / photo for photo in self._photos)
