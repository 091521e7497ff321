"""Folders of photos: one subfolder per species, or a metadata file (Hugging Face)."""

from __future__ import annotations

import logging
from itertools import pairwise
from typing import TYPE_CHECKING

import polars as pl

from ophis.datasets.folders.layout import is_part, read_layout
from ophis.datasets.folders.photo_tree import PhotoTree, read_tree, refuse_link
from ophis.errors import InputError
from ophis.files.tables import Rows
from ophis.geography.countries import country_key
from ophis.images.photo_files import describe_others

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

_LOGGER = logging.getLogger(__name__)
ABSOLUTE = r"^[/\\~]|^[A-Za-z]:"  # an absolute path, on any system
MAX_PATH = 4095  # characters
_LONG_NAME = "[^/]{256}"  # of a file or folder


def read_image_folder(
    folder: Path, read_table: Callable[[Path], Rows], *, follow_links: bool = False
) -> Rows:
    """Read the rows of a folder.

    The folder has a metadata file, or its photos lie in folders of species; or its subfolders are
    the parts of a dataset (`train`, `Val`, `test_set`), each with either. The column `subset` then
    holds the name of the part. `read_layout` finds the species; a log line names folders that are
    no species, and counts files that are no photos.

    Args:
        folder: of photos, or of the parts of a dataset.
        read_table: reads a metadata file, cells trimmed.
        follow_links: follow links that leave the folder.

    Raises:
        InputError: naming the file or folder, and the row of a metadata file.
    """
    tree = read_tree(folder, follow_links=follow_links)
    root = None if follow_links else folder.resolve()
    return _read(tree, read_table, root)


def _read(tree: PhotoTree, read_table: Callable[[Path], Rows], root: Path | None) -> Rows:
    for first, second in pairwise(tree.metadata):
        raise InputError(f"{tree.path}: has {first.name} and {second.name}; keep one")
    if tree.metadata:
        refuse_link(tree.metadata[0], root)
        return _with_metadata(tree.metadata[0], read_table)
    inner = _without_wrappers(tree)
    if inner is not tree and inner.metadata:
        name = inner.path.relative_to(tree.path).as_posix()
        return _below(tree.path, {name: _read(inner, read_table, root)})
    below = [folder for folder in inner.folders if folder.holds_data()]
    if any(part.metadata for part in below) and all(is_part(part.path.name) for part in below):
        parts = {
            part.path.relative_to(tree.path).as_posix(): _read(part, read_table, root)
            for part in below
        }
        return _below(tree.path, parts, subset=True)
    return _with_species(tree)


def _without_wrappers(tree: PhotoTree) -> PhotoTree:
    """Return the first folder that holds more than one other folder."""
    while not (tree.photos or tree.metadata) and len(tree.folders) == 1:
        tree = tree.folders[0]
    return tree


def labelled(rows: Rows) -> Rows:
    """Return a metadata file with the columns of a manifest: `file_name`, `species` or `label`.

    Raises:
        InputError: when the column of names is missing.
    """
    table = rows.table.rename({"file_name": "photo"})
    checked_paths(rows.with_table(table))
    if "species" in table.columns:
        return rows.with_table(table)
    name = next((n for n in ("label", "scientific_name") if n in table.columns), None)
    if name is None:
        raise InputError(
            f"{rows.path}: a column of species is missing; name it 'species' (or 'label')"
        )
    return rows.with_table(table.rename({name: "species"}))


def checked_paths(rows: Rows) -> Rows:
    """Check that no path leaves the folder on any system; see `Rows.checked`.

    Raises:
        InputError: naming the row.
    """
    photo = pl.col("photo")
    rows = rows.checked(photo == "", "photo is empty; give its path")
    leaves = photo.str.contains(rf"(^|[/\\])\.\.([/\\]|$)|{ABSOLUTE}")
    words = "photo {photo!r} leaves the folder; use a path within it, or give the folder of photos"
    rows = rows.checked(leaves, words)
    words = "photo {photo!r} has a backslash; write paths with '/'"
    rows = rows.checked(photo.str.contains("\\", literal=True), words)
    long = (photo.str.len_chars() > MAX_PATH) | photo.str.contains(_LONG_NAME)
    return rows.checked(long, "photo {photo!r} is too long for a file name; correct the row")


def _with_metadata(metadata: Path, read_table: Callable[[Path], Rows]) -> Rows:
    rows = read_table(metadata)
    if "file_name" not in rows.table.columns:
        raise InputError(f"{metadata}: column 'file_name' is missing; it should name each photo")
    rows = labelled(rows)
    if "subset" in rows.table.columns:
        return rows
    part = pl.col("photo").str.extract("^([^/]+)/").fill_null("")
    if not any(map(is_part, rows.table.select(part.unique()).to_series())):
        return rows
    return rows.with_table(rows.table.with_columns(subset=part))


def _below(folder: Path, parts: dict[str, Rows], *, subset: bool = False) -> Rows:
    """Concatenate the rows of folders below ``folder``; cells of missing columns are empty."""
    tables = [
        rows.table.with_columns(
            photo=pl.lit(f"{name}/") + pl.col("photo"),
            **({"subset": pl.lit(name.rpartition("/")[2])} if subset else {}),
        )
        for name, rows in parts.items()
    ]
    places = [(rows, row) for rows in parts.values() for row in range(len(rows.table))]

    def where(row: int) -> str:
        rows, row_of_part = places[row]
        return rows.where(row_of_part)

    table = pl.concat(tables, how="diagonal").with_columns(pl.all().fill_null(""))
    return Rows(folder, table, where)


def _with_species(tree: PhotoTree) -> Rows:
    """Read folders of species; see `read_layout`."""
    folder = tree.path
    for subfolder in tree.folders:
        if not subfolder.holds_data():
            raise InputError(
                f"{subfolder.path}: there is no photo of this species; add photos or remove the"
                " folder"
            )
    for below in tree.walk():
        if below.metadata:
            raise InputError(
                f"{below.metadata[0]}: a metadata file belongs in {folder} or in each of its parts;"
                " move it there, or rename it"
            )
    holders = {below.path.relative_to(folder).parts: below for below in tree.walk() if below.photos}
    if not holders and (folder / "meta.xml").is_file():
        raise InputError(f"{folder}: is an unpacked Darwin Core archive; name its .zip")
    if not holders:
        raise InputError(f"{folder}: has no metadata file and no subfolder of a species")
    layout = read_layout(folder, holders)
    if layout.understood:
        _LOGGER.warning("%s: %s", folder, layout.understood)
    if others := [path for below in tree.walk() for path in below.others]:
        _LOGGER.warning("%s: %s", folder, describe_others(others))
    rows = [
        (photo.relative_to(folder).as_posix(), layout.species[names], layout.parts.get(names, ""))
        for names, below in holders.items()
        for photo in below.photos
    ]
    if spaced := next((photo for photo, *_ in rows if photo != photo.strip()), None):
        raise InputError(f"{str(folder / spaced)!r}: begins or ends with a space; rename it")
    photo, species, subset = zip(*sorted(rows), strict=True)
    table = pl.DataFrame({"photo": photo, "species": species, "country": country_key(None)})
    if layout.parts:
        table = table.with_columns(pl.Series("subset", subset))
    return Rows(folder, table, lambda _: str(folder))
