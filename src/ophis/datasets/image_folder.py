"""Folders of photos: one subfolder a species, or a metadata file as Hugging Face has it."""

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

# As Hugging Face's image folders call the parts of a dataset.
PARTS = frozenset({"train", "training", "validation", "valid", "val", "dev", "test", "testing"})
ABSOLUTE = r"^[/\\~]|^[A-Za-z]:"  # a path, on any system
_METADATA = ("metadata.csv", "metadata.jsonl", "metadata.parquet")


def read_image_folder(folder: Path, read_table: Callable[[Path], Rows]) -> Rows:
    """Rows of a folder, in our columns.

    Where every subfolder is called `train`, `validation`, `test` or the like, each is read by
    itself, and a column `subset` tells which.

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
    """A metadata file in our columns: `file_name` is the photo, `species` or `label` its name.

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
            f"{rows.path}: a column of names is missing; call it 'species' (or 'label')"
        )
    rows = rows.with_table(table.rename({name: "species"}))
    number = pl.col("species").str.contains(r"^[0-9]+$")
    rows.refuse_first(number, f"{name} is the number {{species}}; write the species' name")
    return rows


def refuse_paths(rows: Rows) -> None:
    """A photo's path stays within the folder on any system.

    Raises:
        InputError: naming the row.
    """
    photo = pl.col("photo")
    rows.refuse_first(photo == "", "photo is empty; give its path")
    leaves = photo.str.contains(rf"(^|[/\\])\.\.([/\\]|$)|{ABSOLUTE}")
    words = "photo {photo!r} leaves the folder; use a path within it, or --photos FOLDER"
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
    """The parts one below the other; a cell that one of them lacks is empty."""
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


def _with_species(folder: Path, kinds: list[Path]) -> Rows:
    """One subfolder a species; hidden files and files that are no photos are passed over."""
    pairs: list[tuple[str, str]] = []
    if not kinds:
        raise InputError(f"{folder}: needs a manifest file, or one subfolder a species")
    for kind in kinds:
        if kind.name != kind.name.strip():
            raise InputError(f"{str(kind)!r}: begins or ends with a space; rename it")
        photos = sorted(_photos_below(kind, folder.resolve()))
        if not photos:
            raise InputError(f"{kind}: there is no photo of this species; add some or remove it")
        pairs += [(photo.relative_to(folder).as_posix(), kind.name) for photo in photos]
    photo, species = zip(*pairs, strict=True)
    table = pl.DataFrame({"photo": photo, "species": species, "country": country_key(None)})
    return Rows(folder, table, lambda _: str(folder))


def _photos_below(kind: Path, root: Path) -> Iterator[Path]:
    """Photos at any depth. Links are followed to files only, and refused where they leave."""
    _refuse_link(kind, root)
    for below, folders, files in os.walk(kind, onerror=_refuse_folder):
        folders[:] = [name for name in folders if not name.startswith(".")]
        for name in folders:
            _refuse_link(Path(below, name), root)
        for name in files:
            photo = Path(below, name)
            if name.startswith(".") or photo.suffix.lower() not in SUFFIXES:
                continue
            _refuse_link(photo, root)
            if UNWRITABLE.search(str(photo)):
                raise InputError(f"{str(photo)!r}: no table can hold this name; rename it")
            if not photo.is_file() and photo.exists():
                raise InputError(f"{photo}: is {NO_PLAIN_FILE}; take it out of the folder")
            yield photo  # a dead link is a missing photo, no less


def _refuse_link(path: Path, root: Path) -> None:
    if path.is_symlink() and not path.resolve().is_relative_to(root):
        raise InputError(f"{path}: this link leaves {root}; copy the file instead")


def _refuse_folder(error: OSError) -> None:
    raise InputError(f"{error.filename}: cannot be read: {error.strerror}; mend its permissions")
