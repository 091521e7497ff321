"""Tables and folders of photos, as they are found, to a Manifest."""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import TYPE_CHECKING

import polars as pl

from ophis.errors import InputError
from ophis.manifest import COLUMNS, Manifest
from ophis.places import country_key, read_country
from ophis.rows import place, read_rows
from ophis.taxa import UNWRITABLE

if TYPE_CHECKING:
    from collections.abc import Iterator

SUFFIXES = frozenset({".jpg", ".jpeg", ".png", ".webp", ".gif", ".bmp", ".tif", ".tiff"})
MOST_SPECIES_NAME = 200  # characters; longer is a broken table, not a name
# Read by us: trimmed, and each at most once. Other columns stay as they are.
_READ = frozenset({*COLUMNS, "group", "folder", "hashed_id", "scientific_name"})
_ABSOLUTE = r"^[/\\~]|^[A-Za-z]:"  # on any system
_LINE_BREAK = r"[\x00-\x1f\x7f-\x9f\u2028\u2029]"  # `UNWRITABLE` without halves of pairs


def read_manifest(path: str | Path, *, photos: str | Path | None = None) -> Manifest:
    """Read a manifest from what it looks like.

    - a folder: one subfolder a species;
    - .parquet or .csv with `photo, species, country`: species and country may be empty, a
      column `observation` (or `group`) tells which photos show one snake;
    - .csv of SnakeCLEF 2020: `hashed_id, scientific_name, country, continent`; every photo has a
      species there.

    Lines without any cell filled are passed over, and so are files of a folder that are hidden or
    no photos by their suffix.

    Args:
        path: the table or folder.
        photos: where the photos of a table lie; by default beside the table.

    Raises:
        InputError: naming the file, the row as a text editor counts it, and the mend.
    """
    path = Path(path)
    if path.is_dir():
        return _read_folder(path)
    table = _read_table(path)
    if "hashed_id" in table.columns and "photo" not in table.columns:
        table = _from_snakeclef_2020(path, table)
    folder = _folder(path, table, photos)
    return Manifest(_checked(path, table.drop("folder", strict=False)), folder)


def _read_table(path: Path) -> pl.DataFrame:
    """The rows, our columns trimmed and each there once."""
    table = read_rows(path)
    named = {name: name.strip() for name in table.columns}
    plain = [name.removesuffix("_duplicated_0") for name in named.values()]  # polars renames twins
    for name in _READ:
        if plain.count(name) > 1:
            raise InputError(f"{path}: column {name!r} stands twice; keep or rename one")
    if len(set(named.values())) == len(named):
        table = table.rename(named)
    if not len(table):
        raise InputError(f"{path}: there is no row below the header")
    trimmed = (pl.col(name).str.strip_chars() for name in table.columns if name in _READ)
    return table.with_columns(*trimmed)


def _from_snakeclef_2020(path: Path, table: pl.DataFrame) -> pl.DataFrame:
    """Columns of SnakeCLEF 2020 to ours; a second id column of validation tables stays as it is."""
    for column in ("scientific_name", "country"):
        if column not in table.columns:
            raise InputError(
                f"{path}: column {column!r} is missing; a SnakeCLEF 2020 table has"
                " hashed_id, scientific_name, country, continent"
            )
    if "species" in table.columns:
        raise InputError(f"{path}: has columns 'species' and 'scientific_name'; take one out")
    for column in ("hashed_id", "scientific_name"):
        _refuse_first(path, table, pl.col(column) == "", f"{column} is empty; fill it in")
    return table.rename({"scientific_name": "species"}).with_columns(
        photo=pl.col("hashed_id") + ".jpg", photo_id=pl.col("hashed_id")
    )


def _folder(path: Path, table: pl.DataFrame, photos: str | Path | None) -> Path:
    """Where the photos lie: as asked, as the table's column `folder` says, beside the table."""
    if photos is not None:
        if not Path(photos).is_dir():
            raise InputError(f"{photos}: there is no such folder of photos")
        return Path(photos)
    if "folder" not in table.columns:
        return path.parent
    folders = table["folder"].unique()
    if len(folders) > 1:
        raise InputError(f"{path}: column 'folder' should say the same in every row; rename it")
    if re.search(_ABSOLUTE, folders[0]):
        raise InputError(f"{path}: column 'folder' should be a relative path; use --photos FOLDER")
    return Path(os.path.normpath(path.parent / folders[0]))  # without '..' in the middle


def _checked(path: Path, table: pl.DataFrame) -> pl.DataFrame:
    """The table with our columns first, every cell of them checked."""
    if "photo" not in table.columns:
        found = ", ".join(map(repr, table.columns[:8]))
        mend = "" if len(table.columns) > 1 else "; put commas between the cells"
        raise InputError(
            f"{path}: column 'photo' is missing; needed are photo, species and country,"
            f" found {found}{mend}"
        )
    if "species" not in table.columns:
        raise InputError(f"{path}: column 'species' is missing; leave its cells empty if unknown")
    if "country" not in table.columns:
        table = table.with_columns(country=pl.lit(""))
    if "photo_id" not in table.columns:
        table = table.with_columns(photo_id=pl.col("photo"))
    if "observation" not in table.columns:
        source = "group" if "group" in table.columns else "photo_id"
        table = table.with_columns(observation=pl.col(source))
    _refuse_cells(path, table)
    _refuse_repeated(path, table)
    table = table.with_columns(
        species=pl.when(pl.col("species") != "").then(pl.col("species")),
        country=_countries(path, table),
        observation=pl.when(pl.col("observation") != "")
        .then(pl.col("observation"))
        .otherwise(pl.col("photo_id")),
    )
    return table.select(*COLUMNS, *(name for name in table.columns if name not in COLUMNS))


def _countries(path: Path, table: pl.DataFrame) -> pl.Series:
    """Keys of the countries; each distinct name is looked up once."""
    keys: dict[str, str] = {}
    for name in table["country"].unique():
        try:
            keys[name] = read_country(name)
        except InputError as error:
            row = int((table["country"] == name).arg_max() or 0)
            raise InputError(f"{place(path, row)}: {error}") from None
    return table["country"].replace_strict(list(keys), list(keys.values()), return_dtype=pl.String)


def _refuse_cells(path: Path, table: pl.DataFrame) -> None:
    """A photo's path stays within the folder on any system; a name fits on a line."""
    photo = pl.col("photo")
    _refuse_first(path, table, photo == "", "photo is empty; give its path")
    leaves = photo.str.contains(rf"(^|[/\\])\.\.([/\\]|$)|{_ABSOLUTE}")
    words = "photo {photo!r} leaves the folder; use a path within it, or --photos FOLDER"
    _refuse_first(path, table, leaves, words)
    words = "photo {photo!r} has a backslash; write paths with '/'"
    _refuse_first(path, table, photo.str.contains("\\", literal=True), words)
    _refuse_first(path, table, pl.col("photo_id") == "", "photo_id is empty; give every row one")
    for name in ("photo", "photo_id", "species", "observation"):
        broken = pl.col(name).str.contains(_LINE_BREAK)
        words = f"{name} {{{name}!r}} has a line break or the like; mend the row's quotes"
        _refuse_first(path, table, broken, words)
    long = pl.col("species").str.len_chars() > MOST_SPECIES_NAME
    _refuse_first(path, table, long, "species is longer than a name can be; mend the row's quotes")


def _refuse_repeated(path: Path, table: pl.DataFrame) -> None:
    photo_ids = table["photo_id"]
    if photo_ids.is_duplicated().any():
        second = int((~photo_ids.is_first_distinct()).arg_max() or 0)
        photo_id = photo_ids[second]
        first = int((photo_ids == photo_id).arg_max() or 0)
        earlier = place(path, first).removeprefix(f"{path}, ")
        raise InputError(
            f"{place(path, second)}: photo {photo_id!r} stands twice, before in {earlier}; keep one"
        )


def _refuse_first(path: Path, table: pl.DataFrame, wrong: pl.Expr, words: str) -> None:
    """Refuse the table at the first row for which ``wrong`` holds."""
    rows = table.select(wrong.arg_true()).to_series()
    if len(rows):
        row = int(rows[0])
        what = words.format(**table.row(row, named=True))
        raise InputError(f"{place(path, row)}: {what}")


def _read_folder(folder: Path) -> Manifest:
    """One subfolder a species; hidden files and files that are no photos are passed over."""
    rows: list[tuple[str, str]] = []
    kinds = sorted(p for p in folder.iterdir() if p.is_dir() and not p.name.startswith("."))
    if not kinds:
        raise InputError(f"{folder}: needs a manifest file, or one subfolder a species")
    for kind in kinds:
        if kind.name != kind.name.strip():
            raise InputError(f"{str(kind)!r}: begins or ends with a space; rename it")
        photos = sorted(_photos_below(kind, folder.resolve()))
        if not photos:
            raise InputError(f"{kind}: there is no photo of this species; add some or remove it")
        rows += [(photo.relative_to(folder).as_posix(), kind.name) for photo in photos]
    photo, species = zip(*rows, strict=True)
    table = pl.DataFrame({"photo": photo, "species": species, "country": country_key(None)})
    return Manifest(_checked(folder, table), folder)


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
            if photo.is_file() or photo.is_symlink():  # a dead link is a missing photo, no less
                yield photo


def _refuse_link(path: Path, root: Path) -> None:
    if path.is_symlink() and not path.resolve().is_relative_to(root):
        raise InputError(f"{path}: this link leaves {root}; copy the photo instead")


def _refuse_folder(error: OSError) -> None:
    raise InputError(f"{error.filename}: cannot be read: {error.strerror}; mend its permissions")
