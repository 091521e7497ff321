"""Readers of manifests: tables, folders and archives of photos in every supported format."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import TYPE_CHECKING

import polars as pl

from ophis.datasets.archive import is_archive
from ophis.datasets.darwin_core import read_darwin_core
from ophis.datasets.darwin_core_meta import NO_MEDIA
from ophis.datasets.folders.image_folder import (
    MAX_PATH,
    checked_paths,
    labelled,
    read_image_folder,
)
from ophis.datasets.folders.links import check_files, folder_of_photos, table_folder
from ophis.datasets.inaturalist import TYPICAL as INATURALIST
from ophis.datasets.inaturalist import from_inaturalist, is_inaturalist
from ophis.datasets.manifest import BOX, COLUMNS, POSITION, Manifest, is_repeated
from ophis.datasets.shards.metadata import MANIFEST_FILE, is_pack
from ophis.datasets.shards.reader import Pack
from ophis.datasets.snakeclef import from_snakeclef
from ophis.errors import InputError
from ophis.files.tables import Rows
from ophis.geography.countries import UNKNOWN, read_country
from ophis.taxonomy.spelling import plain_text, species_name

if TYPE_CHECKING:
    from collections.abc import Callable

_LOGGER = logging.getLogger(__name__)
_ROWS_AT_A_TIME = 100_000
# Columns with a meaning: trimmed and unique. Other columns are kept unchanged.
_READ = frozenset({
    *COLUMNS, "group", "folder", "hashed_id", "scientific_name",
    "binomial", "UUID", "image_path", "observation_id", "binomial_name", "code",
    "endemic", "captive", "id", "image_url", "place_country_name", "file_name", "label", "subset",
    *BOX, *POSITION, "accuracy_m", *INATURALIST,
})  # fmt: skip
MISSING = frozenset({"na", "n/a", "#n/a", "nan", "<na>", "null"})  # of R, Excel, pandas and SQL
_NOT_PLAIN = "[^ -~]|  |^ | $"  # texts that `plain_text` may change
_LINE_BREAK = r"[\x00-\x1f\x7f-\x9f\u2028\u2029]"  # `UNWRITABLE` without surrogates


def read_manifest(
    path: str | Path, *, photos: str | Path | None = None, follow_links: bool = False
) -> Manifest:
    """Read a manifest; the format is detected.

    - a folder: one subfolder per species, or `metadata.csv` or `metadata.jsonl` with a column
      `file_name` (Hugging Face); each also below parts such as `train`, `Val` and `test_set`;
    - a pack (see `pack`): the photos of its finished shards;
    - .parquet, .csv or .jsonl with `photo, species, country`: species and country may be empty;
      photos of one snake share a value of the column `observation` (or `group`);
    - .csv of SnakeCLEF 2020 to 2024, by its columns;
    - .csv of iNaturalist's export tool, with photos in a folder, named by observation;
    - .zip: a Darwin Core archive of occurrences with their multimedia.

    Where the folder of a table's photos is a pack, the photos are read from the pack, by
    `photo_id`. Empty lines are skipped. In folders, files that are no photos by suffix or first
    bytes are skipped and counted in a log line, as are folders without a meaning.

    Args:
        path: the table, folder or archive.
        photos: folder of the photos of a table or an archive; default: beside the table, or the
            folder beside the archive that has its name.
        follow_links: read photos behind links that leave their folder, and of a column `folder`
            that leads out of the table's folder and of the current one, which is no root directory;
            for files of one's own, because those of others may lead to any file.

    Raises:
        InputError: naming the file, the row as a text editor counts it, and the fix.
    """
    path = Path(path)
    if is_pack(path):
        rows, folder = _read_table(path / MANIFEST_FILE), path
    elif path.is_dir():
        rows, folder = read_image_folder(path, _read_table, follow_links=follow_links), path
    elif is_archive(path):
        rows = read_darwin_core(path)
        folder = path.with_suffix("") if photos is None else folder_of_photos(photos)
    else:
        rows = _read_table(path)
        if photos is None:
            folder = table_folder(rows, follow_links=follow_links)
        else:
            folder = folder_of_photos(photos)
        rows = _standard_columns(rows, folder)
    rows = rows.with_table(rows.table.drop("folder", strict=False))
    rows = _checked(rows)
    if is_pack(folder):
        pack = Pack(folder)
        if folder == path:
            return Manifest(_finished_rows(rows, pack), folder, pack)
        _require_packed(rows, pack)
        return Manifest(rows.table, folder, pack)
    check_files(rows, folder, follow_links=follow_links)
    return Manifest(rows.table, folder)


def _finished_rows(rows: Rows, pack: Pack) -> pl.DataFrame:
    """Return the rows of the pack's manifest whose shards are written."""
    table = rows.table
    if len(table) == pack.metadata.photos:
        table = table[pack.index["row"].to_list()]
        if table["photo_id"].equals(pack.index["photo_id"]):
            return table
    raise InputError(f"{rows.path}: is not the table of the shards beside it; pack again")


def _require_packed(rows: Rows, pack: Pack) -> None:
    """Refuse a photo that the pack does not hold under the same file name."""
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


def _standard_columns(rows: Rows, folder: Path) -> Rows:
    """Return the table with `photo` and `species`, from the format that its columns show."""
    if is_inaturalist(rows.table):
        return from_inaturalist(rows, folder)
    if "photo" in rows.table.columns:
        return rows
    if "file_name" in rows.table.columns:
        return labelled(rows)
    return from_snakeclef(rows)


def _read_table(path: Path) -> Rows:
    """Read the rows; columns with a meaning are trimmed and must be unique."""
    rows = Rows.of_file(path, _READ)
    table = rows.table
    if not len(table):
        raise InputError(f"{path}: there is no row below the header")
    loose = [name for name in table.columns if name in _READ and _has_blanks(table[name])]
    return rows.with_table(table.with_columns(pl.col(loose).str.strip_chars()))


def _has_blanks(texts: pl.Series) -> bool:
    """Return True when any text begins or ends with blanks; saves a copy where none does."""
    parts = texts.to_frame().iter_slices(_ROWS_AT_A_TIME)
    return any((part.to_series().str.strip_chars() != part.to_series()).any() for part in parts)


def _checked(rows: Rows) -> Rows:
    """Return the table with the columns of a manifest first, every cell checked."""
    table = rows.table
    if "photo" not in table.columns:
        found = ", ".join(map(repr, table.columns[:8]))
        hint = "" if len(table.columns) > 1 else "; put commas between the cells"
        hint = f"; {NO_MEDIA}" if "gbifID" in table.columns else hint
        raise InputError(
            f"{rows.path}: column 'photo' is missing; needed are photo, species and country,"
            f" found {found}{hint}"
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
    rows = _checked_cells(_with_plain_ids(checked_paths(rows.with_table(table))))
    rows = _without_missing(rows)
    species = by_text(rows, "species", species_name, unknown="")
    rows = _without_repeated(rows.with_table(rows.table.with_columns(species=species)))
    if not len(rows.table):
        raise InputError(f"{rows.path}: no row can be used; get another export")
    countries = by_text(rows, "country", read_country, unknown=UNKNOWN)
    table = rows.table.with_columns(country=countries)
    for name, instead in (("species", None), ("observation", "photo_id")):
        if (table[name] == "").any():  # else the column is not copied
            other = pl.lit(None, pl.String) if instead is None else pl.col(instead)
            filled = pl.when(pl.col(name) != "").then(pl.col(name)).otherwise(other)
            table = table.with_columns(filled.alias(name))
    others = (name for name in table.columns if name not in COLUMNS)
    return rows.with_table(table.select(*COLUMNS, *others))


def _without_missing(rows: Rows) -> Rows:
    """Return the rows with an empty species where a program wrote that it has no value.

    A country NA is kept, as Namibia; a log line says so where other countries of one's own table
    are no codes.
    """
    species, country = rows.table["species"], rows.table["country"]
    missing = species.str.to_lowercase().is_in(MISSING)
    if missing.any():
        first = int(missing.arg_max() or 0)
        _LOGGER.warning(
            "%s: species %r, of %s, is no name and read as unknown",
            rows.where(first), species[first], _counted(missing),
        )  # fmt: skip
    namibia = country == "NA"
    if not rows.published and namibia.any() and (country.str.len_chars() > len("KEN")).any():
        _LOGGER.warning(
            "%s: country 'NA', of %s, is read as Namibia; leave the cell empty if not known",
            rows.where(int(namibia.arg_max() or 0)), _counted(namibia),
        )  # fmt: skip
    text = pl.when(missing).then(pl.lit("")).otherwise(pl.col("species"))
    return rows.with_table(rows.table.with_columns(species=text))


def _counted(which: pl.Series) -> str:
    return "1 row" if which.sum() == 1 else f"{which.sum():,} rows"


def _with_plain_ids(rows: Rows) -> Rows:
    for name in ("photo_id", "observation"):
        long = pl.col(name).str.len_chars() > MAX_PATH
        rows = rows.checked(long, f"{name} {{{name}!r}} is too long for an id; shorten it")
        rows = rows.with_table(rows.table.with_columns(_plain_texts(rows.table[name])))
    return rows


def _plain_texts(texts: pl.Series) -> pl.Series:
    """Return the `plain_text` of each text; most are plain already."""
    odd = texts.filter(texts.str.contains(_NOT_PLAIN)).unique()
    return texts.replace(odd, list(map(plain_text, odd))) if len(odd) else texts


def by_text(rows: Rows, column: str, read: Callable[[str], str], *, unknown: str) -> pl.Series:
    """Return the texts of a column as ``read`` gives them; each distinct text is read once.

    A text of published rows that ``read`` refuses becomes ``unknown`` and is logged.
    """
    texts = rows.table[column]
    found: dict[str, str] = {}
    for text in texts.unique(maintain_order=True):
        try:
            found[text] = read(text)
        except InputError as error:
            named = texts == text
            place = rows.where(int(named.arg_max() or 0))
            if not rows.published:
                raise InputError(f"{place}: {error}") from None
            found[text] = unknown
            _LOGGER.warning(
                "%s: %s %r of %s is not known (first: %s): %s",
                rows.path, column, text, _counted(named),
                place.removeprefix(f"{rows.path}, "), error,
            )  # fmt: skip
    return texts.replace_strict(list(found), list(found.values()), return_dtype=pl.String)


def _checked_cells(rows: Rows) -> Rows:
    """Check for empty ids, and texts that do not fit on one line."""
    rows = rows.checked(pl.col("photo_id") == "", "photo_id is empty; give every row one")
    for name in ("photo", "photo_id", "species", "observation"):
        broken = pl.col(name).str.contains(_LINE_BREAK)
        words = (
            f"{name} {{{name}!r}} has a line break or control character; correct the row's quotes"
        )
        rows = rows.checked(broken, words)
    return rows


def _without_repeated(rows: Rows) -> Rows:
    photo_ids = rows.table["photo_id"]
    if not is_repeated(photo_ids):
        return rows
    if not rows.published:
        second = int((~photo_ids.is_first_distinct()).arg_max() or 0)
        photo_id = photo_ids[second]
        first = int((photo_ids == photo_id).arg_max() or 0)
        earlier = rows.where(first).removeprefix(f"{rows.path}, ")
        raise InputError(
            f"{rows.where(second)}: photo {photo_id!r} is there twice, first in {earlier}; keep one"
        )
    return rows.checked(
        ~pl.col("photo_id").is_first_distinct(), "photo {photo_id!r} is there twice"
    )
