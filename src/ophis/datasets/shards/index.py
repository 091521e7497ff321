"""The indices of a pack's shards: believed only as far as they point into their own shard."""

from __future__ import annotations

from typing import TYPE_CHECKING

import polars as pl

from ophis.datasets.shards.packed import BLOCK
from ophis.errors import InputError
from ophis.files.tables import read_rows

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

MOST_MEMBER_BYTES = 256 << 20
MOST_INDEX_BYTES = 256 << 20
_NUMBERS = ("row", "shard", "offset", "length")
SCHEMA = {
    "row": pl.Int64,
    "photo_id": pl.String,
    "photo": pl.String,
    "shard": pl.Int64,
    "offset": pl.Int64,
    "length": pl.Int64,
    "sha256": pl.String,
    "source_sha256": pl.String,
    "species": pl.String,
    "country": pl.String,
    "observation": pl.String,
    "failure": pl.String,
}


def read_index(
    shards: Sequence[tuple[int, Path, range]], *, length: int | None
) -> tuple[pl.DataFrame, dict[int, int]]:
    """The rows of all finished shards, and the bytes of each shard.

    Args:
        shards: number, tar file and rows of each; those without an index are passed over.
        length: of every photo, where all are of one.

    Raises:
        InputError: naming the index or shard and what does not fit.
    """
    tables, sizes = [pl.DataFrame(schema=SCHEMA)], {}
    for shard, path, rows in shards:
        if not (index := path.with_suffix(".parquet")).exists():
            continue
        if not path.is_file():
            raise InputError(f"{path}: is missing; delete {index.name} and pack again")
        sizes[shard] = path.stat().st_size
        table = _read(index, photos=len(rows))
        for wrong, what in _wrong(shard, rows, sizes[shard], length):
            if table.select(wrong.any()).item():
                photo = table.filter(wrong)["photo_id"][0]
                raise InputError(
                    f"{index}: photo {photo!r}: {what}; delete it and pack again, or get the pack"
                    " from somebody you trust"
                )
        tables.append(table)
    return pl.concat(tables), sizes


def _read(path: Path, *, photos: int) -> pl.DataFrame:
    """The table of an index, of the columns and the length it should have."""
    if not path.is_file() or path.stat().st_size > MOST_INDEX_BYTES:
        raise InputError(f"{path}: is no index of a shard; delete it and pack again")
    try:
        found = pl.scan_parquet(path, glob=False).select(pl.len()).collect().item()
    except (OSError, pl.exceptions.PolarsError, pl.exceptions.PanicException) as error:
        reason = (str(error).splitlines() or ["unreadable"])[0]
        raise InputError(f"{path}: cannot be read: {reason}; delete it and pack again") from None
    if found != photos:
        raise InputError(f"{path}: has {found:,} rows, should have {photos:,}; pack again")
    table = read_rows(path)
    if table.columns != list(SCHEMA):
        raise InputError(f"{path}: should have the columns {', '.join(SCHEMA)}; pack again")
    return table.with_columns(pl.col(_NUMBERS).cast(pl.Int64, strict=False).fill_null(-1))


def _wrong(shard: int, rows: range, size: int, length: int | None) -> list[tuple[pl.Expr, str]]:
    """What may not be, each with its words. No sum is formed that could overflow."""
    offset, own = pl.col("offset"), pl.col("length")
    packed = pl.col("failure") == ""
    digest = r"^[0-9a-f]{64}$"
    fitting = own.is_between(1, MOST_MEMBER_BYTES) & (own == (own if length is None else length))
    return [
        (pl.col("shard") != shard, "stands in the index of another shard"),
        (pl.col("row") != pl.int_range(rows.start, rows.stop), "is not at its row"),
        (packed & ~pl.col("sha256").str.contains(digest), "has no sha256"),
        (packed & ~pl.col("source_sha256").str.contains(digest), "has no sha256 of its file"),
        (
            packed & ~(offset.is_between(BLOCK, size) & (offset % BLOCK == 0)),
            "is said to begin where no photo of the shard can",
        ),
        (packed & ~fitting, "is said to have a length that no photo of the pack has"),
        (packed & (own > size - offset), "is said to reach beyond the end of the shard"),
    ]
