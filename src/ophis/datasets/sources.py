"""Tables, folders and archives of photos, as they are found, to a Manifest."""

from __future__ import annotations

import os
import re
from pathlib import Path

import polars as pl

from ophis.datasets.archive import is_archive
from ophis.datasets.darwin_core import read_darwin_core
from ophis.datasets.image_folder import ABSOLUTE, labelled, read_image_folder, refuse_paths
from ophis.datasets.inaturalist import from_inaturalist, is_inaturalist
from ophis.datasets.manifest import COLUMNS, Manifest, is_repeated
from ophis.datasets.shards.metadata import MANIFEST_FILE, is_pack
from ophis.datasets.shards.reader import Pack
from ophis.datasets.snakeclef import from_snakeclef
from ophis.errors import InputError
from ophis.files.atomic import NO_PLAIN_FILE
from ophis.files.tables import Rows
from ophis.geography.countries import read_country

_ROWS_AT_A_TIME = 100_000
MOST_SPECIES_NAME = 200  # characters; longer is a broken table, not a name
# Read by us: trimmed, and each at most once. Other columns stay as they are.
_READ = frozenset({
    *COLUMNS, "group", "folder", "hashed_id", "scientific_name",
    "binomial", "UUID", "image_path", "observation_id", "binomial_name", "code",
    "endemic", "captive", "id", "image_url", "place_country_name", "file_name", "label",
})  # fmt: skip
_BELOW = pl.col("photo").str.extract("^(.*)/").fill_null("")  # the folder of a photo
_LINE_BREAK = r"[\x00-\x1f\x7f-\x9f\u2028\u2029]"  # `UNWRITABLE` without halves of pairs


def read_manifest(path: str | Path, *, photos: str | Path | None = None) -> Manifest:
    """Read a manifest from what it looks like.

    - a folder: one subfolder a species, or `metadata.csv` or `metadata.jsonl` with a column
      `file_name`, as Hugging Face has them; each also below `train`, `validation` and `test`;
    - a pack (see `pack`): the photos of its finished shards;
    - .parquet, .csv or .jsonl with `photo, species, country`: species and country may be empty, a
      column `observation` (or `group`) tells which photos show one snake;
    - .csv of SnakeCLEF 2020 to 2024, by its columns;
    - .csv of iNaturalist's export tool, the photos in a folder and named by observation;
    - .zip: a Darwin Core archive of occurrences with their multimedia.

    Where the folder of a table's photos is a pack, they are taken from there, by `photo_id`.

    Lines without any cell filled are passed over, and so are files of a folder that are hidden or
    no photos by their suffix.

    Args:
        path: the table, folder or archive.
        photos: where the photos of a table lie; by default beside the table. Those of an archive:
            by default in the folder beside it that has its name.

    Raises:
        InputError: naming the file, the row as a text editor counts it, and the mend.
    """
    path = Path(path)
    if is_pack(path):
        rows, folder = _read_table(path / MANIFEST_FILE), path
    elif path.is_dir():
        rows, folder = read_image_folder(path, _read_table), path
    elif is_archive(path):
        rows = read_darwin_core(path)
        folder = path.with_suffix("") if photos is None else _folder(path, rows.table, photos)
    else:
        rows = _read_table(path)
        folder = _folder(path, rows.table, photos)
        rows = _in_our_columns(rows, folder)
    rows = rows.with_table(rows.table.drop("folder", strict=False))
    rows = rows.with_table(_checked(rows))
    if is_pack(folder):
        pack = Pack(folder)
        if folder == path:
            return Manifest(_finished(rows, pack), folder, pack)
        _refuse_unpacked(rows, pack)
        return Manifest(rows.table, folder, pack)
    _refuse_links(rows, folder)
    return Manifest(rows.table, folder)


def _finished(rows: Rows, pack: Pack) -> pl.DataFrame:
    """Of the pack's own table the rows whose shards are written."""
    table = rows.table
    if len(table) == pack.metadata.photos:
        table = table[pack.index["row"].to_list()]
        if table["photo_id"].equals(pack.index["photo_id"]):
            return table
    raise InputError(f"{rows.path}: is not the table of the shards beside it; pack again")


def _refuse_unpacked(rows: Rows, pack: Pack) -> None:
    """Each photo of a table stands in the pack, and there under the same file name."""
    name = pl.col("photo").str.split("/").list.last()
    own = pack.index.select("photo_id", packed=name)
    rows = rows.with_table(
        rows.table.select("photo_id", name=name).join(
            own, on="photo_id", how="left", maintain_order="left"
        )
    )
    words = f"no finished shard of {pack.folder} holds photo {{photo_id!r}}; pack this table"
    rows.refuse_first(pl.col("packed").is_null(), words)
    words = f"{pack.folder} holds {{packed!r}} as photo {{photo_id!r}}, not {{name!r}}"
    rows.refuse_first(pl.col("packed") != pl.col("name"), words)


def _in_our_columns(rows: Rows, folder: Path) -> Rows:
    """The table with `photo` and `species`, from whichever form its columns show."""
    if is_inaturalist(rows.table):
        return from_inaturalist(rows, folder)
    if "photo" in rows.table.columns:
        return rows
    if "file_name" in rows.table.columns:
        return labelled(rows)
    return from_snakeclef(rows)


def _read_table(path: Path) -> Rows:
    """The rows, our columns trimmed and each there once."""
    rows = Rows.of_file(path)
    table = rows.table
    named = {name: name.strip() for name in table.columns}
    plain = [name.removesuffix("_duplicated_0") for name in named.values()]  # polars renames twins
    for name in _READ:
        if plain.count(name) > 1:
            raise InputError(f"{path}: column {name!r} stands twice; keep or rename one")
    if len(set(named.values())) == len(named):
        table = table.rename(named)
    if not len(table):
        raise InputError(f"{path}: there is no row below the header")
    loose = [name for name in table.columns if name in _READ and _has_blanks(table[name])]
    return rows.with_table(table.with_columns(pl.col(loose).str.strip_chars()))


def _has_blanks(texts: pl.Series) -> bool:
    """Whether any text begins or ends with blanks; trimming all of them makes a second copy."""
    parts = texts.to_frame().iter_slices(_ROWS_AT_A_TIME)
    return any((part.to_series().str.strip_chars() != part.to_series()).any() for part in parts)


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
    if re.search(ABSOLUTE, folders[0]):
        raise InputError(f"{path}: column 'folder' should be a relative path; use --photos FOLDER")
    return Path(os.path.normpath(path.parent / folders[0]))  # without '..' in the middle


def _checked(rows: Rows) -> pl.DataFrame:
    """The table with our columns first, every cell of them checked."""
    table = rows.table
    if "photo" not in table.columns:
        found = ", ".join(map(repr, table.columns[:8]))
        mend = "" if len(table.columns) > 1 else "; put commas between the cells"
        raise InputError(
            f"{rows.path}: column 'photo' is missing; needed are photo, species and country,"
            f" found {found}{mend}"
        )
    if "species" not in table.columns:
        raise InputError(
            f"{rows.path}: column 'species' is missing; leave its cells empty if unknown"
        )
    if "country" not in table.columns:
        table = table.with_columns(country=pl.lit(""))
    if "photo_id" not in table.columns:
        table = table.with_columns(photo_id=pl.col("photo"))
    if "observation" not in table.columns:
        source = "group" if "group" in table.columns else "photo_id"
        table = table.with_columns(observation=pl.col(source))
    rows = rows.with_table(table)
    _refuse_cells(rows)
    _refuse_repeated(rows)
    table = table.with_columns(country=_countries(rows))
    for name, instead in (("species", None), ("observation", "photo_id")):
        if (table[name] == "").any():  # else the column stays as it is, without a copy
            other = pl.lit(None, pl.String) if instead is None else pl.col(instead)
            filled = pl.when(pl.col(name) != "").then(pl.col(name)).otherwise(other)
            table = table.with_columns(filled.alias(name))
    return table.select(*COLUMNS, *(name for name in table.columns if name not in COLUMNS))


def _countries(rows: Rows) -> pl.Series:
    """Keys of the countries; each distinct name is looked up once."""
    countries = rows.table["country"]
    keys: dict[str, str] = {}
    for name in countries.unique():
        try:
            keys[name] = read_country(name)
        except InputError as error:
            row = int((countries == name).arg_max() or 0)
            raise InputError(f"{rows.where(row)}: {error}") from None
    return countries.replace_strict(list(keys), list(keys.values()), return_dtype=pl.String)


def _refuse_cells(rows: Rows) -> None:
    """A photo's path stays within the folder on any system; a name fits on a line."""
    refuse_paths(rows)
    rows.refuse_first(pl.col("photo_id") == "", "photo_id is empty; give every row one")
    for name in ("photo", "photo_id", "species", "observation"):
        broken = pl.col(name).str.contains(_LINE_BREAK)
        words = f"{name} {{{name}!r}} has a line break or the like; mend the row's quotes"
        rows.refuse_first(broken, words)
    long = pl.col("species").str.len_chars() > MOST_SPECIES_NAME
    rows.refuse_first(long, "species is longer than a name can be; mend the row's quotes")


def _refuse_repeated(rows: Rows) -> None:
    photo_ids = rows.table["photo_id"]
    if is_repeated(photo_ids):
        second = int((~photo_ids.is_first_distinct()).arg_max() or 0)
        photo_id = photo_ids[second]
        first = int((photo_ids == photo_id).arg_max() or 0)
        earlier = rows.where(first).removeprefix(f"{rows.path}, ")
        raise InputError(
            f"{rows.where(second)}: photo {photo_id!r} stands twice, before in {earlier}; keep one"
        )


def _refuse_links(rows: Rows, folder: Path) -> None:
    """Refuse a photo that a link leads out of the folder, and what is no plain file.

    Each folder is listed once: asking file by file would take longer than all else.
    """
    root = folder.resolve()
    for below in rows.table.select(_BELOW).to_series().unique():
        place = folder / below
        if not place.is_dir():
            continue
        if not place.resolve().is_relative_to(root):
            words = "photo {photo!r} lies behind a link that leaves the folder; copy it there"
            rows.refuse_first(below == _BELOW, words)
        away, strange = _not_to_be_read(place, root)
        for names, what in (
            (away, "a link that leaves the folder; copy the photo instead"),
            (strange, f"{NO_PLAIN_FILE}; take the row out"),
        ):
            if names:
                paths = [f"{below}/{name}" if below else name for name in names]
                rows.refuse_first(pl.col("photo").is_in(paths), f"photo {{photo!r}} is {what}")


def _not_to_be_read(place: Path, root: Path) -> tuple[list[str], list[str]]:
    """Links out of a folder, and what is neither file nor folder, in one of its folders."""
    away, strange = [], []
    with os.scandir(place) as files:
        for file in files:
            if file.is_symlink() and not Path(file.path).resolve().is_relative_to(root):
                away.append(file.name)
            elif not (file.is_file() or file.is_dir()) and Path(file.path).exists():
                strange.append(file.name)
    return away, strange
