"""Verbs about photos: gathered in a manifest, parted for training and judging."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from cyclopts import Parameter

from ophis.cli.options import Json
from ophis.cli.outcome import finish
from ophis.errors import InputError, PhotoFailure

if TYPE_CHECKING:
    from ophis.datasets.manifest import Manifest
    from ophis.datasets.renaming import Renaming


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
    json: Json = False,
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
        json: One JSON object: what is in the manifest, which names changed, which photos are not
            there.
    """
    from ophis import read_manifest
    from ophis.cli.terminal.progress import waiting
    from ophis.cli.terminal.tables import counts_of, print_counts, print_json
    from ophis.datasets.renaming import read_synonyms

    accepted = read_synonyms(synonyms) if synonyms else None
    unpacked = None
    if unpack:
        from ophis.datasets.archive import unpack_photos

        if photos:
            raise InputError("--unpack says where the photos lie; leave --photos out")
        with waiting(f"unpacking {source}"):
            unpacked = unpack_photos(source, unpack)
        if not json:
            print(f"{unpacked:,} photos of {source} in {unpack}")
        photos = unpack
    with waiting(f"reading {source}"):
        manifest = read_manifest(source, photos=photos)
    manifest, renamed = _named(
        manifest, accepted, normalise=normalise_names, merge=merge_names, json=json
    )
    with waiting("looking for the photos"):
        manifest.write(out)
        missing = manifest.missing_photos()
    if json:
        facts = {"manifest": out, **counts_of(manifest), "unpacked": unpacked, "names": renamed}
        print_json(facts | {"missing": list(map(str, missing))})
    else:
        print_counts(manifest)
    if missing:
        print(
            f"ophis: {len(missing):,} of {len(manifest):,} photos are not there, the first is"
            f" {missing[0]}",
            file=sys.stderr,
        )


def _named(
    manifest: Manifest,
    synonyms: dict[str, str] | None,
    *,
    normalise: bool,
    merge: bool,
    json: bool,
) -> tuple[Manifest, dict[str, Any]]:
    """The manifest with the names that were asked for, and what was done to them, also said."""
    from ophis.cli.terminal.tables import print_renaming
    from ophis.datasets.renaming import accepted_names, normalised_names

    changes: list[tuple[Renaming, bool]] = []
    if synonyms is not None:
        changes.append((accepted_names(manifest, synonyms), True))
        manifest = changes[-1][0].apply(manifest, merge=True)
    if normalise or merge:
        changes.append((normalised_names(manifest), merge))
        manifest = changes[-1][0].apply(manifest, merge=merge)
    elif several := len(normalised_names(manifest).merges):
        print(
            f"ophis: {several:,} species stand under several names; --normalise-names says which",
            file=sys.stderr,
        )
    renamed: dict[str, Any] = {"renamed": {}, "merged": {}, "kept_apart": {}}
    for renaming, merged in changes:
        renamed["renamed"] |= renaming.changes
        renamed["merged" if merged else "kept_apart"] |= renaming.merges
        if not json:
            print_renaming(renaming, merge=merged)
    return manifest, renamed


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
    json: Json = False,
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
        json: One JSON object: both files and how many photos they name.
    """
    from ophis import read_manifest
    from ophis.cli.terminal.progress import bar
    from ophis.datasets.near_duplicates import near_duplicate_groups

    whole = read_manifest(manifest, photos=photos)
    groups = None
    if near_duplicates:
        with bar(len(whole)) as advance:
            groups = near_duplicate_groups(whole, progress=advance)
    rest, held = whole.split(share, seed=seed, groups=groups)
    rest.write(train)
    held.write(held_out)
    finish(
        f"{len(rest):,} photos in {train}, {len(held):,} held out in {held_out}",
        {"train": train, "photos": len(rest), "held_out": held_out, "held_out_photos": len(held)},
        json=json,
    )


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
    json: Json = False,
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
        json: One JSON object: what was packed and how large it is.
    """
    from ophis import read_manifest
    from ophis.cli.terminal.progress import bar
    from ophis.datasets.shards.writer import pack as packed

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
    failures = [PhotoFailure(photo, f"{photo}: {reason}") for photo, reason in done.failures()]
    number, size = len(rows) - len(failures), done.shard_bytes()
    return finish(
        f"{number:,} photos packed, {len(failures):,} could not be read; {out}:"
        f" {done.metadata.shards:,} shards, {size / 1000 / max(number, 1):,.1f} kB a photo",
        {"pack": out, "photos": number, "shards": done.metadata.shards, "bytes": size},
        failures=failures,
        json=json,
    )
