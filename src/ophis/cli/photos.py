"""Commands of photos: collect them in a manifest, split it, pack them for training."""

from __future__ import annotations

import sys
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from cyclopts import Parameter

from ophis.cli.options import (
    FollowLinks,
    Json,
    Whole,
    naming_options,
    read_photos_option,
    tables_of,
)
from ophis.cli.outcome import MAX_LISTED, finish, print_failures
from ophis.cli.terminal.streams import print_json
from ophis.errors import InputError
from ophis.files.overlap import refuse_overlap

if TYPE_CHECKING:
    from ophis.datasets.collection import Collection


def collect(
    source: Path,
    /,
    *,
    out: Path,
    photos: Path | None = None,
    follow_links: FollowLinks = False,
    unpack: Path | None = None,
    synonyms: Path | None = None,
    normalise_names: Annotated[bool, Parameter(negative="")] = False,
    merge_names: Annotated[bool, Parameter(negative="")] = False,
    gps: Annotated[bool, Parameter(negative="")] = False,
    json: Json = False,
) -> int:
    """Read a table, a folder or an archive of photos, and write it as one manifest.

    A photo in a format that is not read keeps its row, is listed, and the exit status is 1.

    Args:
        source: A CSV (photo,species,country; SnakeCLEF 2020 to 2024; iNaturalist's export), a
            Parquet manifest, a folder (one subfolder per species, or Hugging Face's metadata.csv or
            metadata.jsonl), or a Darwin Core archive (.zip).
        out: The manifest to write, .csv or .parquet.
        photos: Folder of the photos of a table or an archive; default: beside the table, or the
            folder with the archive's name.
        follow_links: Read photos that links or a column `folder` put elsewhere; for your own files.
        unpack: Folder to unpack the photos of an archive to; they are then read there.
        synonyms: A table name,accepted: each name becomes its accepted name; changes are listed.
        normalise_names: Write scientific names in one spelling, without authors and subspecies;
            changes are listed. Names that become equal are kept apart and listed.
        merge_names: The same, and names that become equal are merged.
        gps: Write each photo's own position into the columns latitude, longitude and accuracy_m,
            where it has none; without this option no position is read from a photo.
        json: One JSON object: counts of the manifest, changed names, missing photos.
    """
    from ophis.cli.terminal.progress import waiting
    from ophis.datasets.collection import collect

    refuse_overlap((*tables_of(source), synonyms), files=[out])
    with waiting(f"reading {source}"), naming_options():
        collection = collect(
            source,
            out,
            photos=photos,
            follow_links=follow_links,
            unpack=unpack,
            synonyms=synonyms,
            normalise_names=normalise_names,
            merge_names=merge_names,
            gps=gps,
        )
    if json:
        print_json({"manifest": out} | _facts(collection))
    else:
        if collection.unpacked is not None:
            print(f"{collection.unpacked:,} photos of {source} in {unpack}")
        _print_collection(collection)
    _print_warnings(collection)
    return 1 if collection.failures else 0


def _facts(collection: Collection) -> dict[str, Any]:
    from ophis.cli.terminal.tables import counts_of

    facts = counts_of(collection.manifest)
    facts |= {"unpacked": collection.unpacked, "names": collection.names()}
    facts |= {"positions": collection.positions, "missing": list(map(str, collection.missing))}
    return facts | {"failures": list(map(asdict, collection.failures))}


def _print_collection(collection: Collection) -> None:
    from ophis.cli.terminal.tables import print_counts, print_renaming

    for renaming, merged in collection.renamings:
        print_renaming(renaming, merge=merged)
    print_counts(collection.manifest)
    if collection.positions is not None:
        print(f"photos with a position of their own: {collection.positions:,}")


def _print_warnings(collection: Collection) -> None:
    if collection.ambiguous:
        print(
            f"ophis: {collection.ambiguous:,} species are written in several ways;"
            " --normalise-names lists them",
            file=sys.stderr,
        )
    if missing := collection.missing:
        print(
            f"ophis: {len(missing):,} of {len(collection.manifest):,} photos are missing; the first"
            f" is {missing[0]}",
            file=sys.stderr,
        )
    print_failures(collection.failures[:MAX_LISTED])
    if more := len(collection.failures[MAX_LISTED:]):
        print(f"ophis: {more:,} more photos cannot be read", file=sys.stderr)


def split(
    manifest: Path,
    /,
    *,
    out: Path | None = None,
    train: Path | None = None,
    validation: Path | None = None,
    fraction: float = 0.2,
    seed: Whole = 0,
    photos: Path | None = None,
    follow_links: FollowLinks = False,
    near_duplicates: bool = True,
    json: Json = False,
) -> None:
    """Split a manifest into training and validation photos, species by species.

    Photos of one observation, and identical or nearly identical photos, stay in one part.

    Args:
        manifest: The manifest to split.
        out: Folder for train.csv and validation.csv.
        train: File for the training part; default: train.csv in the folder of --out.
        validation: File for the validation part; default: validation.csv in the folder of --out.
        fraction: Fraction of the photos for validation.
        seed: Equal seeds give equal splits.
        photos: Folder of the photos of a table; default: beside the table.
        follow_links: Read photos that links or a column `folder` put elsewhere; for your own files.
        near_duplicates: Read every photo to find near duplicates.
        json: One JSON object: both files and their numbers of photos.
    """
    from ophis.cli.terminal.progress import bar
    from ophis.datasets.split import split

    if out is None and (train is None or validation is None):
        raise InputError("name a folder by --out, or two files by --train and --validation")
    folder = out or Path()
    train, validation = train or folder / "train.csv", validation or folder / "validation.csv"
    refuse_overlap(tables_of(manifest), files=[train, validation])
    whole = read_photos_option(manifest, photos, follow_links=follow_links)
    with bar(len(whole) if near_duplicates else 0) as advance:
        parts = split(
            whole,
            fraction,
            seed=seed,
            near_duplicates=near_duplicates,
            train=train,
            validation=validation,
            progress=advance,
        )
    train_photos, validation_photos = map(len, parts)
    facts = {"train": train, "photos": train_photos, "validation": validation}
    finish(
        f"{train_photos:,} photos in {train}, {validation_photos:,} in {validation}",
        facts | {"validation_photos": validation_photos},
        json=json,
    )


def pack(
    manifest: Path,
    /,
    *,
    out: Path,
    pixels: Whole = 512,
    quality: Whole | None = None,
    raw: Annotated[bool, Parameter(negative="")] = False,
    shard_photos: Whole = 1000,
    photos: Path | None = None,
    follow_links: FollowLinks = False,
    workers: Whole | None = None,
    json: Json = False,
) -> int:
    """Decode every photo once, resize it, and write the resized photos into shards.

    Every command that takes a manifest also takes the pack. The same command resumes an interrupted
    pack; for a complete pack it compares the photos with those that were packed.

    Args:
        manifest: The photos.
        out: Folder of the pack.
        pixels: Side of the resized photos; the recipe's resize_pixels avoids a second resize.
        quality: Of the JPEG files, 1 to 100; default: 95.
        raw: Store raw pixels: no loss, no decoding, eight times the space.
        shard_photos: Rows of the manifest in one shard.
        photos: Folder of the photos of a table; default: beside the table.
        follow_links: Read photos that links or a column `folder` put elsewhere; for your own files.
        workers: Threads; default: one for each processor core. They do not change the bytes.
        json: One JSON object: number of photos, shards and bytes.
    """
    from ophis.cli.terminal.progress import bar
    from ophis.datasets.shards.writer import pack

    if raw and quality is not None:
        raise InputError("--raw stores pixels without JPEG; leave --quality out")
    refuse_overlap((manifest, photos), folders=[out])
    rows = read_photos_option(manifest, photos, follow_links=follow_links)
    with bar(len(rows)) as advance:
        packed = pack(
            rows,
            out,
            pixels=pixels,
            quality=None if raw else 95 if quality is None else quality,
            shard_photos=shard_photos,
            workers=workers,
            progress=advance,
        )
    failures, shards, size = packed.failures(), packed.metadata.shards, packed.shard_bytes()
    number = len(rows) - len(failures)
    return finish(
        f"{number:,} photos packed, {len(failures):,} could not be read; {out}:"
        f" {shards:,} shards, {size / 1000 / max(number, 1):,.1f} kB a photo",
        {"pack": out, "photos": number, "shards": shards, "bytes": size},
        failures=failures,
        json=json,
    )
