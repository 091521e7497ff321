"""Tables and folders of photos, as they are found, to a Manifest."""

from __future__ import annotations

import os
from pathlib import Path

import polars as pl

from ophis.errors import InputError
from ophis.manifest import COLUMNS, Manifest
from ophis.places import country_key, read_country

SUFFIXES = frozenset({".jpg", ".jpeg", ".png", ".webp", ".gif", ".bmp", ".tif", ".tiff"})
MOST_SPECIES_NAME = 200  # characters; longer is a broken table, not a name


def read_manifest(path: str | Path, *, photos: str | Path | None = None) -> Manifest:
    """Read a manifest from what it looks like.

    - a folder: one subfolder a species;
    - .parquet or .csv with `photo, species, country`: species and country may be empty, a
      column `observation` (or `group`) tells which photos show one snake;
    - .csv of SnakeCLEF 2020: `hashed_id, scientific_name, country, continent`.

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
    if not len(table):
        raise InputError(f"{path}: there is no row below the header")
    if "hashed_id" in table.columns and "photo" not in table.columns:
        table = _from_snakeclef_2020(path, table)
    folder = _folder(path, table, photos)
    return Manifest(_checked(path, table.drop("folder", strict=False)), folder)


def _read_table(path: Path) -> pl.DataFrame:
    """Every cell as text, nothing taken for missing: "NA" is Namibia."""
    try:
        if path.suffix == ".parquet":
            table = pl.read_parquet(path)
        else:
            table = pl.read_csv(
                path, infer_schema=False, empty_string_is_null=False, raise_if_empty=False
            )
    except FileNotFoundError:
        raise InputError(f"{path}: there is no such file or folder") from None
    except (OSError, pl.exceptions.PolarsError) as error:
        reason = (str(error).splitlines() or ["unreadable"])[0]
        kind = "Parquet" if path.suffix == ".parquet" else "CSV in UTF-8"
        raise InputError(f"{path}: cannot be read as {kind}: {reason}") from None
    table = table.rename({name: name.strip().lstrip("\ufeff") for name in table.columns})
    return table.with_columns(pl.all().cast(pl.String).fill_null("").str.strip_chars())


def _from_snakeclef_2020(path: Path, table: pl.DataFrame) -> pl.DataFrame:
    """Columns of SnakeCLEF 2020 to ours; a second id column of validation tables stays as it is."""
    for column in ("scientific_name", "country"):
        if column not in table.columns:
            raise InputError(
                f"{path}: column {column!r} is missing; a SnakeCLEF 2020 table has"
                " hashed_id, scientific_name, country, continent"
            )
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
        raise InputError(f"{path}: column 'folder' should say the same in every row")
    return Path(os.path.normpath(path.parent / folders[0]))  # without '..' in the middle


def _checked(path: Path, table: pl.DataFrame) -> pl.DataFrame:
    """The table with our columns first, every cell of them checked."""
    if "photo" not in table.columns:
        raise InputError(
            f"{path}: column 'photo' is missing; needed are photo, species and country,"
            f" found are {', '.join(table.columns[:8])}"
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
    _refuse_paths(path, table)
    _refuse_first(path, table, pl.col("photo_id") == "", "photo_id is empty; give every row one")
    repeated = pl.col("photo_id").is_duplicated()
    _refuse_first(path, table, repeated, "photo {photo_id!r} stands twice; keep one row of it")
    long = pl.col("species").str.len_chars() > MOST_SPECIES_NAME
    _refuse_first(path, table, long, "species is longer than a name can be; mend the row's quotes")
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
            raise InputError(f"{path}, row {row + 2}: {error}") from None
    return table["country"].replace_strict(list(keys), list(keys.values()), return_dtype=pl.String)


def _refuse_paths(path: Path, table: pl.DataFrame) -> None:
    """A photo's path stays within the folder: nothing absolute, no '..', on any system."""
    photo = pl.col("photo")
    _refuse_first(path, table, photo == "", "photo is empty; give its path")
    suspicious = photo.str.contains(r"(^|[/\\])\.\.([/\\]|$)|^[/\\~]|^[A-Za-z]:|\x00")
    _refuse_first(
        path,
        table,
        suspicious,
        "photo {photo!r} leaves the folder; use a path within it, or --photos FOLDER",
    )


def _refuse_first(path: Path, table: pl.DataFrame, wrong: pl.Expr, words: str) -> None:
    """Refuse the table at the first row for which ``wrong`` holds; line 1 is the header."""
    rows = table.select(wrong.arg_true()).to_series()
    if len(rows):
        row = int(rows[0])
        what = words.format(**table.row(row, named=True))
        raise InputError(f"{path}, row {row + 2}: {what}")


def _read_folder(folder: Path) -> Manifest:
    """One subfolder a species; hidden files and files that are no photos are passed over."""
    rows: list[tuple[str, str]] = []
    kinds = sorted(p for p in folder.iterdir() if p.is_dir() and not p.name.startswith("."))
    if not kinds:
        raise InputError(f"{folder}: needs a manifest file, or one subfolder a species")
    root = folder.resolve()
    for kind in kinds:
        photos = sorted(p for p in kind.rglob("*") if p.suffix.lower() in SUFFIXES)
        photos = [p for p in photos if p.is_file() and not p.name.startswith(".")]
        if not photos:
            raise InputError(f"{kind}: there is no photo of this species; add some or remove it")
        for photo in photos:
            if not photo.resolve().is_relative_to(root):
                raise InputError(f"{photo}: this link leaves {folder}; copy the photo instead")
            rows.append((photo.relative_to(folder).as_posix(), kind.name))
    photo, species = zip(*rows, strict=True)
    table = pl.DataFrame({"photo": photo, "species": species, "country": country_key(None)})
    return Manifest(_checked(folder, table), folder)
