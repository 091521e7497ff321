"""Folders of photos: one subfolder per species, or a metadata file (Hugging Face)."""

from __future__ import annotations

import os
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING

import polars as pl

from ophis.errors import InputError
from ophis.files.atomic import NO_PLAIN_FILE
from ophis.files.tables import Rows
from ophis.geography.countries import country_key
from ophis.images.formats import SUFFIXES
from ophis.taxonomy.species_list import UNWRITABLE

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

# Names of the parts of a dataset in Hugging Face's image folders.
PARTS = frozenset({"train", "training", "validation", "valid", "val", "dev", "test", "testing"})
ABSOLUTE = r"^[/\\~]|^[A-Za-z]:"  # an absolute path, on any system
_METADATA = ("metadata.csv", "metadata.jsonl", "metadata.parquet")


def read_image_folder(folder: Path, read_table: Callable[[Path], Rows]) -> Rows:
    """Read the rows of a folder.

    Where every subfolder has a name of `PARTS` (`train`, `validation`, `test`), each is read by
    itself, and the column `subset` holds its name.

    Args:
        folder: of photos, or of the parts of a dataset.
        read_table: reads a metadata file, cells trimmed.

    Raises:
        InputError: naming the file or folder, and the row of a metadata file.
    """
    if metadata := _metadata(folder):
        _refuse_link(metadata, folder.resolve())
        return _with_metadata(metadata, read_table)
    below = sorted(p for p in folder.iterdir() if p.is_dir() and not p.name.startswith("."))
    if below and all(part.name in PARTS for part in below):
        for part in below:
            _refuse_link(part, folder.resolve())
        return _joined(folder, {part.name: read_image_folder(part, read_table) for part in below})
    return _with_species(folder, below)


def labelled(rows: Rows) -> Rows:
    """Return a metadata file with the columns of a manifest: `file_name`, `species` or `label`.

    Raises:
        InputError: when the column of names is missing or holds numbers.
    """
    table = rows.table.rename({"file_name": "photo"})
    refuse_paths(rows.with_table(table))
    if "species" in table.columns:
        return rows.with_table(table)
    name = next((n for n in ("label", "scientific_name") if n in table.columns), None)
    if name is None:
        raise InputError(
            f"{rows.path}: a column of species is missing; name it 'species' (or 'label')"
        )
    rows = rows.with_table(table.rename({name: "species"}))
    number = pl.col("species").str.contains(r"^[0-9]+$")
    rows.refuse_first(number, f"{name} is the number {{species}}; write the species' name instead")
    return rows


def refuse_paths(rows: Rows) -> None:
    """Refuse paths that leave the folder on any system.

    Raises:
        InputError: naming the row.
    """
    photo = pl.col("photo")
    rows.refuse_first(photo == "", "photo is empty; give its path")
    leaves = photo.str.contains(rf"(^|[/\\])\.\.([/\\]|$)|{ABSOLUTE}")
    words = "photo {photo!r} leaves the folder; use a path within it, or give the folder of photos"
    rows.refuse_first(leaves, words)
    words = "photo {photo!r} has a backslash; write paths with '/'"
    rows.refuse_first(photo.str.contains("\\", literal=True), words)


def _metadata(folder: Path) -> Path | None:
    found = [folder / name for name in _METADATA if (folder / name).is_file()]
    for first, second in pairwise(found):
        raise InputError(f"{folder}: has {first.name} and {second.name}; keep one")
    return found[0] if found else None


def _with_metadata(metadata: Path, read_table: Callable[[Path], Rows]) -> Rows:
    rows = read_table(metadata)
    if "file_name" not in rows.table.columns:
        raise InputError(f"{metadata}: column 'file_name' is missing; it should name each photo")
    rows = labelled(rows)
    if "subset" in rows.table.columns:
        return rows
    part = pl.col("photo").str.extract("^([^/]+)/").fill_null("")
    if not rows.table.select(part.is_in(PARTS).any()).item():
        return rows
    return rows.with_table(rows.table.with_columns(subset=part))


def _joined(folder: Path, parts: dict[str, Rows]) -> Rows:
    """Concatenate the parts; cells of missing columns are empty."""
    tables = [
        rows.table.with_columns(photo=pl.lit(f"{name}/") + pl.col("photo"), subset=pl.lit(name))
        for name, rows in parts.items()
    ]
    places = [(rows, row) for rows in parts.values() for row in range(len(rows.table))]

    def where(row: int) -> str:
        rows, row_of_part = places[row]
        return rows.where(row_of_part)

    table = pl.concat(tables, how="diagonal").with_columns(pl.all().fill_null(""))
    return Rows(folder, table, where)


def _with_species(folder: Path, folders: list[Path]) -> Rows:
    """Read one subfolder per species; hidden files and other files are skipped."""
    pairs: list[tuple[str, str]] = []
    if not folders:
        raise InputError(f"{folder}: has no metadata file and no subfolder of a species")
    for subfolder in folders:
        if subfolder.name != subfolder.name.strip():
            raise InputError(f"{str(subfolder)!r}: begins or ends with a space; rename it")
        photos = sorted(_photos_below(subfolder, folder.resolve()))
        if not photos:
            raise InputError(
                f"{subfolder}: there is no photo of this species; add photos or remove the folder"
            )
        pairs += [(photo.relative_to(folder).as_posix(), subfolder.name) for photo in photos]
    photo, species = zip(*pairs, strict=True)
    table = pl.DataFrame({"photo": photo, "species": species, "country": country_key(None)})
    return Rows(folder, table, lambda _: str(folder))


def _photos_below(folder: Path, root: Path) -> Iterator[Path]:
    """Yield photos at any depth. Links to files are followed unless they leave the folder."""
    _refuse_link(folder, root)
    for below, folders, files in os.walk(folder, onerror=_refuse_folder):
        folders[:] = [name for name in folders if not name.startswith(".")]
        for name in folders:
            _refuse_link(Path(below, name), root)
        for name in files:
            photo = Path(below, name)
            if name.startswith(".") or photo.suffix.lower() not in SUFFIXES:
                continue
            _refuse_link(photo, root)
            if UNWRITABLE.search(str(photo)):
                raise InputError(
                    f"{str(photo)!r}: this name cannot be written to a table; rename it"
                )
            if not photo.is_file() and photo.exists():
                raise InputError(f"{photo}: is {NO_PLAIN_FILE}; remove it from the folder")
            yield photo  # a dangling link is a missing photo


def _refuse_link(path: Path, root: Path) -> None:
    if path.is_symlink() and not path.resolve().is_relative_to(root):
        raise InputError(f"{path}: this link leaves {root}; copy the file instead")


def _refuse_folder(error: OSError) -> None:
    raise InputError(f"{error.filename}: cannot be read: {error.strerror}; correct its permissions")
