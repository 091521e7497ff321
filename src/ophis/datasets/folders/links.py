"""Files of a table's photos: their folder, links, special files, photos that two rows share."""

from __future__ import annotations

import logging
import os
import re
from pathlib import Path
from typing import TYPE_CHECKING

import polars as pl

from ophis.datasets.folders.image_folder import ABSOLUTE
from ophis.errors import InputError
from ophis.files.atomic import NO_PLAIN_FILE

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from ophis.datasets.manifest import Manifest
    from ophis.files.tables import Rows

_LOGGER = logging.getLogger(__name__)
_BELOW = pl.col("photo").str.extract("^(.*)/").fill_null("")  # folder of a photo
_FIX = "copy the photo there, or allow it by follow_links"


def folder_of_photos(photos: str | Path) -> Path:
    """Return the folder of photos that the caller gives.

    Raises:
        InputError: when there is no such folder.
    """
    if not Path(photos).is_dir():
        raise InputError(f"{photos}: there is no such folder of photos")
    return Path(photos)


def table_folder(rows: Rows, *, follow_links: bool) -> Path:
    """Return the folder of a table's photos: of the column `folder`, else beside the table.

    The column leads out of the table's folder only to a place in the current folder, where a
    person works; a table of others could name any place. The root directory, where daemons and
    containers work, is no such place.

    Raises:
        InputError: for several values, an absolute path, or a place elsewhere.
    """
    path, table = rows.path, rows.table
    if "folder" not in table.columns:
        return path.parent
    folders = table["folder"].unique()
    if len(folders) > 1:
        raise InputError(f"{path}: column 'folder' should have one value in all rows; rename it")
    value = folders[0]
    if re.search(f"{ABSOLUTE}|\0", value):
        raise InputError(
            f"{path}: column 'folder' is {value!r} and should be a relative path; correct it"
        )
    folder = Path(os.path.normpath(path.parent / value))  # collapses '..'
    place, current = Path(os.path.realpath(folder)), Path.cwd()
    is_root = current == current.parent
    if (
        follow_links
        or place.is_relative_to(path.parent.resolve())
        or (not is_root and place.is_relative_to(current))
    ):
        return folder
    raise InputError(
        f"{path}: column 'folder' leads to {value!r}, out of the table's folder"
        f"{'' if is_root else ' and of the current one'}; give the folder by photos, or for a"
        " table of your own allow it by follow_links"
    )


def check_files(rows: Rows, folder: Path, *, follow_links: bool) -> None:
    """Refuse files that are not regular, and links out of the folder; report shared photos.

    Two rows share a photo when they name one file, by its path or by a link. A log line names the
    first two rows that give one photo two species.

    Lists each folder once, because a call for each file would dominate the run time.

    Args:
        rows: table with `photo` and `species`.
        folder: the folder of the photos.
        follow_links: allow links that leave the folder.

    Raises:
        InputError: naming the row.
    """
    root = folder.resolve()
    targets: dict[str, str] = {}  # of linked photos
    places: dict[str, str] = {}  # of linked folders
    for below in rows.table.select(_BELOW).to_series().unique():
        place = folder / below
        if not place.is_dir():
            continue
        resolved = place.resolve()
        if not follow_links and not resolved.is_relative_to(root):
            rows.refuse_first(
                below == _BELOW,
                f"photo {{photo!r}} is behind a link that leaves the folder; {_FIX}",
            )
        if resolved != root / below:
            places[below] = str(resolved)
        links, special = _links_and_special_files(place)
        paths = {f"{below}/{name}" if below else name: target for name, target in links.items()}
        targets |= {path: str(target) for path, target in paths.items()}
        if not follow_links:
            out = [path for path, target in paths.items() if not target.is_relative_to(root)]
            _refuse(rows, out, f"a link that leaves the folder; {_FIX}")
        _refuse(
            rows,
            [f"{below}/{name}" if below else name for name in special],
            f"{NO_PLAIN_FILE}; remove the row",
        )
    _report_shared(rows, _files(rows, root, places, targets))


def _refuse(rows: Rows, paths: list[str], reason: str) -> None:
    if paths:
        rows.refuse_first(pl.col("photo").is_in(paths), f"photo {{photo!r}} is {reason}")


def _links_and_special_files(place: Path) -> tuple[dict[str, Path], list[str]]:
    """Return the targets of links by name, and entries that are neither file nor folder."""
    links, special = {}, []
    with os.scandir(place) as files:
        for file in files:
            if file.is_symlink():
                links[file.name] = Path(file.path).resolve()
            if not (file.is_file() or file.is_dir()) and Path(file.path).exists():
                special.append(file.name)
    return links, special


def _files(rows: Rows, root: Path, places: dict[str, str], targets: dict[str, str]) -> pl.Series:
    """Return a text per row that is equal for rows of one file."""
    photo = rows.table["photo"]
    if photo.str.contains(r"(^|/)(\.?/|\.$)").any():  # a//b.jpg, ./b.jpg
        photo = photo.str.replace_all(r"/(?:\.?/)+", "/").str.strip_prefix("./")
    if not places and not targets:
        return photo
    inside = pl.lit(f"{root}/") + photo
    moved = (
        _BELOW.replace_strict(places, default=None, return_dtype=pl.String)
        + "/"
        + pl.col("photo").str.extract("([^/]*)$")
    )
    linked = pl.col("photo").replace_strict(targets, default=None, return_dtype=pl.String)
    return rows.table.select(pl.coalesce(linked, moved, inside)).to_series()


def _report_shared(rows: Rows, files: pl.Series) -> None:
    if not (found := _two_species(rows.table, files)):
        return
    first, other, more = found
    photos, species = rows.table["photo"], rows.table["species"]
    _LOGGER.warning(
        "%s: photo %r is of %r, but %s has %s as %r; keep one row, unless it shows both%s",
        rows.where(other), photos[other], species[other],
        rows.where(first).removeprefix(f"{rows.path}, "),
        "it" if photos[first] == photos[other] else repr(photos[first]), species[first], more,
    )  # fmt: skip


def report_same_content(manifest: Manifest, digests: NDArray[np.uint64], *, unread: int) -> None:
    """Log the first two photos of equal content that have different species.

    Args:
        manifest: the photos.
        digests: of the content of each photo, [photos].
        unread: digest of a photo that could not be read.
    """
    files = pl.Series(digests)
    if found := _two_species(manifest.table, files.set(files == unread, None)):
        first, other, more = found
        ids, species = manifest.table["photo_id"], manifest.table["species"]
        _LOGGER.warning(
            "photos %r of %r and %r of %r have the same content; keep one, unless it shows both%s",
            ids[first], species[first], ids[other], species[other], more,
        )  # fmt: skip


def _two_species(table: pl.DataFrame, files: pl.Series) -> tuple[int, int, str] | None:
    """Return the first two rows of one file with different species, and words on further files.

    Args:
        table: with `species`.
        files: a value per row, equal for rows of one file; null for no file.
    """
    if not files.is_duplicated().any():
        return None
    rows = table.select("species", file=files, row=pl.int_range(pl.len())).drop_nulls()
    shared = rows.filter(pl.col("species").n_unique().over("file") > 1)
    if not len(shared):
        return None
    first = shared.row(0, named=True)
    same = (pl.col("file") == first["file"]) & (pl.col("species") != first["species"])
    more = shared["file"].n_unique() - 1
    words = f" ({more:,} more photos have two species)" if more else ""
    return first["row"], shared.filter(same)["row"][0], words
