"""Verbs about photos: gathered in a manifest, parted for training and judging."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from ophis.errors import InputError


def collect(
    source: Path,
    /,
    *,
    out: Path,
    photos: Path | None = None,
    unpack: Path | None = None,
    synonyms: Path | None = None,
    normalise_names: Annotated[bool, Parameter(negative="")] = False,
    merge_names: Annotated[bool, Parameter(negative="")] = False,
) -> None:
    """Read a table, a folder or an archive of photos and write it as one manifest.

    Args:
        source: A CSV (photo,species,country; SnakeCLEF 2020 to 2024; iNaturalist's export), a
            Parquet manifest, a folder (one subfolder a species, or Hugging Face's metadata.csv or
            metadata.jsonl), or a Darwin Core archive (.zip).
        out: The manifest to write, .csv or .parquet.
        photos: Where the photos of a table or an archive lie; by default beside the table, in the
            folder with the archive's name.
        unpack: Unpack the photos of an archive to this folder first; they then lie there.
        synonyms: A table name,accepted: each name becomes the accepted one; every change is said.
        normalise_names: Write scientific names in one way, without authors and subspecies; every
            change is said. Names that would become the same stay apart, and are said too.
        merge_names: The same, and names that become the same are one species.
    """
    from ophis import read_manifest
    from ophis.names import normalised, read_synonyms, with_synonyms
    from ophis.tables import print_counts, print_naming

    accepted = read_synonyms(synonyms) if synonyms else {}
    if unpack:
        from ophis.archive import unpack_photos

        if photos:
            raise InputError("--unpack says where the photos lie; leave --photos out")
        print(f"{unpack_photos(source, unpack):,} photos of {source} in {unpack}")
        photos = unpack
    manifest = read_manifest(source, photos=photos)
    if synonyms:
        naming = with_synonyms(manifest, accepted)
        print_naming(naming, merge=True)
        manifest = naming.apply(manifest, merge=True)
    if normalise_names or merge_names:
        naming = normalised(manifest)
        print_naming(naming, merge=merge_names)
        manifest = naming.apply(manifest, merge=merge_names)
    elif several := len(normalised(manifest).meetings):
        print(
            f"ophis: {several:,} species stand under several names; --normalise-names says which",
            file=sys.stderr,
        )
    manifest.write(out)
    print_counts(manifest)
    if missing := manifest.missing_photos():
        print(
            f"ophis: {len(missing):,} of {len(manifest):,} photos are not there, the first is"
            f" {missing[0]}",
            file=sys.stderr,
        )


def split(
    manifest: Path,
    /,
    *,
    train: Path,
    held_out: Path,
    share: float = 0.2,
    seed: int = 0,
    photos: Path | None = None,
    near_duplicates: bool = True,
) -> None:
    """Split a manifest in two, species by species, and keep together what belongs together.

    Photos of one observation, and identical or nearly identical photos, stay on one side.

    Args:
        manifest: The manifest to split.
        train: Where to write the larger part.
        held_out: Where to write the part that is held out.
        share: Share of the photos to hold out.
        seed: The same seed splits in the same way.
        photos: Where the photos of a SnakeCLEF table lie; by default beside the table.
        near_duplicates: Look at the photos themselves for duplicates (reads every photo).
    """
    from ophis import read_manifest
    from ophis.near_duplicates import near_duplicate_groups

    whole = read_manifest(manifest, photos=photos)
    groups = near_duplicate_groups(whole) if near_duplicates else None
    rest, held = whole.split(share, seed=seed, groups=groups)
    rest.write(train)
    held.write(held_out)
    print(f"{len(rest):,} photos in {train}, {len(held):,} held out in {held_out}")


def pack(
    manifest: Path,
    /,
    *,
    out: Path,
    pixels: int = 512,
    quality: int | None = None,
    raw: Annotated[bool, Parameter(negative="")] = False,
    shard_photos: int = 1000,
    photos: Path | None = None,
    workers: int | None = None,
) -> int:
    """Decode every photo once, squeeze it to a square, and write the squares into shards.

    Every verb that takes a manifest takes the pack too. A pack that was stopped goes on at the same
    command; asked for again when it is whole, the photos are compared with those it was made from.

    Args:
        manifest: The photos.
        out: The folder of the pack.
        pixels: Side of the square; the recipe's resize_pixels, so that nothing is resized again.
        quality: Of the JPEG files, 1 to 100; 95 by default.
        raw: Keep the pixels as they are, nothing lost, nothing to decode, eight times the space.
        shard_photos: Rows of the manifest a shard.
        photos: Where the photos of a table lie; by default beside the table.
        workers: Threads; by default one a processor core. They change no byte.
    """
    from ophis import read_manifest
    from ophis.pack import pack as packed
    from ophis.tables import bar

    if raw and quality is not None:
        raise InputError("--raw keeps the pixels as they are; leave --quality out")
    rows = read_manifest(manifest, photos=photos)
    with bar(len(rows)) as advance:
        done = packed(
            rows,
            out,
            pixels=pixels,
            quality=None if raw else 95 if quality is None else quality,
            shard_photos=shard_photos,
            workers=workers,
            progress=advance,
        )
    failures = done.failures()
    for photo, reason in failures:
        print(f"ophis: {photo}: {reason}", file=sys.stderr)
    number, size = len(rows) - len(failures), done.shard_bytes()
    print(f"{number:,} photos packed, {len(failures):,} could not be read; {out}:", end=" ")
    print(f"{done.form.shards:,} shards, {size / 1000 / max(number, 1):,.1f} kB a photo")
    return 1 if failures else 0
