"""Collection of photos from any source into one manifest file."""

from __future__ import annotations

import os
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import polars as pl

from ophis.datasets.archive import unpack_photos
from ophis.datasets.manifest import POSITION, require_manifest_path
from ophis.datasets.renaming import (
    Renaming,
    accepted_names,
    normalised_names,
    read_synonyms,
    species_in_several_ways,
)
from ophis.datasets.sources import read_manifest
from ophis.errors import InputError, PhotoFailure, Reason
from ophis.files.atomic import plain_file, require_writable
from ophis.geography.location import UNKNOWN_ACCURACY_KM, gps_of
from ophis.images.decode import MAX_BYTES
from ophis.images.formats import unsupported
from ophis.images.photo_files import first_bytes

if TYPE_CHECKING:
    from collections.abc import Mapping

    from ophis.datasets.manifest import Manifest
    from ophis.datasets.shards.reader import PackedPhoto
    from ophis.geography.location import Position


@dataclass(frozen=True)
class Collection:
    """Manifest of collected photos, and the changes of its species names.

    Attributes:
        manifest: the manifest that was written.
        missing: photos without a file.
        unpacked: photos that an archive holds; None where none was unpacked.
        renamings: changes of names in their order, each with True where equal names were merged.
        ambiguous: number of species that are still written in several ways.
        failures: photos whose first bytes are those of no supported format; they keep their rows.
        positions: photos with a position of their own; None where none was asked for.
    """

    manifest: Manifest
    missing: list[Path | PackedPhoto]
    unpacked: int | None = None
    renamings: tuple[tuple[Renaming, bool], ...] = ()
    ambiguous: int = 0
    failures: tuple[PhotoFailure, ...] = ()
    positions: int | None = None

    def names(self) -> dict[str, Any]:
        """Return the changes of names as JSON values: renamed, merged, kept_apart."""
        names: dict[str, Any] = {"renamed": {}, "merged": {}, "kept_apart": {}}
        for renaming, merged in self.renamings:
            names["renamed"] |= renaming.changes
            names["merged" if merged else "kept_apart"] |= renaming.merges
        return names


def collect(
    source: str | Path,
    out: str | Path,
    *,
    photos: str | Path | None = None,
    follow_links: bool = False,
    unpack: str | Path | None = None,
    synonyms: str | Path | None = None,
    normalise_names: bool = False,
    merge_names: bool = False,
    gps: bool = False,
) -> Collection:
    """Read a table, a folder or an archive of photos, and write it as one manifest.

    Args:
        source: the table, folder or archive; see `read_manifest`.
        out: the manifest to write, .csv or .parquet.
        photos: the folder of the photos; see `read_manifest`.
        follow_links: read photos that links or a column `folder` put elsewhere; see
            `read_manifest`.
        unpack: folder to unpack the photos of an archive to; they are then read there.
        synonyms: table `name,accepted`; each name becomes its accepted name.
        normalise_names: write scientific names in one spelling; names that become equal are kept
            apart.
        merge_names: the same, and names that become equal are merged.
        gps: write the GPS position in the EXIF of each photo to the columns `latitude`,
            `longitude` and `accuracy_m`, where it has none; by default no position of a photo is
            read.

    Raises:
        InputError: as `read_manifest`, `read_synonyms` and `unpack_photos`, when ``photos`` and
            ``unpack`` are both given, and when ``out`` cannot be written: before any photo is
            unpacked.
    """
    require_manifest_path(out)
    accepted = read_synonyms(synonyms) if synonyms else None
    unpacked = None
    if unpack:
        if photos:
            raise InputError("photos and unpack are two folders for the same photos; give one")
        photos = _made(Path(unpack))
    manifest = read_manifest(source, photos=photos, follow_links=follow_links)
    if unpack:  # only the photos of an archive whose tables are right
        unpacked = unpack_photos(source, unpack)
    normalise = normalise_names or merge_names
    manifest, renamings = _renamed(manifest, accepted, normalise=normalise, merge=merge_names)
    ambiguous = 0 if normalise else len(species_in_several_ways(manifest))
    positions = None
    if gps:
        manifest, positions = _with_positions(manifest)
    manifest.write(out)
    return Collection(
        manifest,
        manifest.missing_photos(),
        unpacked,
        renamings,
        ambiguous,
        _unsupported(manifest),
        positions,
    )


def _renamed(
    manifest: Manifest, accepted: Mapping[str, str] | None, *, normalise: bool, merge: bool
) -> tuple[Manifest, tuple[tuple[Renaming, bool], ...]]:
    """Return the manifest with new names, and each change with True where names were merged."""
    renamings = []
    if accepted is not None:
        renamings.append((accepted_names(manifest, accepted), True))
        manifest = renamings[-1][0].apply(manifest, merge=True)
    if normalise:
        renamings.append((normalised_names(manifest), merge))
        manifest = renamings[-1][0].apply(manifest, merge=merge)
    return manifest, tuple(renamings)


def _with_positions(manifest: Manifest) -> tuple[Manifest, int]:
    """Return the manifest with empty positions filled by EXIF, and the number of those filled."""
    empty = np.flatnonzero(np.isnan(manifest.positions()[:, 0])).tolist()
    paths = manifest.paths()
    with ThreadPoolExecutor(os.cpu_count() or 1) as pool:
        found = list(pool.map(_position, [paths[row] for row in empty]))
    table = manifest.table
    for name in (*POSITION, "accuracy_m"):
        cells = table[name].to_list() if name in table.columns else [""] * len(table)
        for row, position in zip(empty, found, strict=True):
            if position:
                cells[row] = _cell(position, name)
        table = table.with_columns(pl.Series(name, cells, dtype=pl.String))
    return replace(manifest, table=table), sum(map(bool, found))


def _cell(position: Position, column: str) -> str:
    """Return the degrees of a position, or its accuracy in metres, empty if it is not known."""
    if column != "accuracy_m":
        return f"{getattr(position, column):.6f}"
    known = position.accuracy_km != UNKNOWN_ACCURACY_KM
    return f"{1000 * position.accuracy_km:g}" if known else ""


def _position(path: Path) -> Position | None:
    """Read the position of a photo; None without a file or a position."""
    try:
        with plain_file(path) as file:
            return gps_of(file.read(MAX_BYTES))
    except OSError:
        return None


def _made(folder: Path) -> Path:
    require_writable(folder / "photo")
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def _unsupported(manifest: Manifest) -> tuple[PhotoFailure, ...]:
    """Return the photos that no decoder here reads, by their first bytes."""
    if manifest.pack:  # decoded before
        return ()
    photo_ids, paths = manifest.table["photo_id"], manifest.paths()
    with ThreadPoolExecutor(os.cpu_count() or 1) as pool:
        found = pool.map(_unsupported_reason, paths)
        return tuple(
            PhotoFailure(photo_id, f"{path}: {reason[1]}", reason[0])
            for photo_id, path, reason in zip(photo_ids, paths, found, strict=True)
            if reason
        )


def _unsupported_reason(path: Path) -> tuple[Reason, str] | None:
    return unsupported(first_bytes(path)) if path.is_file() else None
