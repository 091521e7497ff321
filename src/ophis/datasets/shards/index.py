"""Index of a shard: a Parquet table with the byte range and labels of every photo.

An index may come from an untrusted source: every offset and length is checked against the shard.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import polars as pl

from ophis.datasets.shards.metadata import BLOCK
from ophis.errors import InputError, first_line
from ophis.files.names import path_or_content
from ophis.files.tables import read_rows

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

MAX_MEMBER_BYTES = 256 << 20
MAX_INDEX_BYTES = 256 << 20
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
    """Read the indices of all finished shards.

    Args:
        shards: number, tar file and rows of each shard; a shard without an index is skipped.
        length: bytes of every photo, where all have the same number; else None.

    Returns:
        The rows of all indices, and the size in bytes of each shard by its number.

    Raises:
        InputError: naming the index or shard and the wrong value.
    """
    tables, sizes = [pl.DataFrame(schema=SCHEMA)], {}
    for shard, path, rows in shards:
        if not (index := path.with_suffix(".parquet")).exists():
            continue
        if not path.is_file():
            raise InputError(f"{path}: is missing; delete {index.name} and pack again")
        sizes[shard] = path.stat().st_size
        table = _read(index, photos=len(rows))
        for wrong, reason in _wrong(shard, rows, sizes[shard], length):
            if table.select(wrong.any()).item():
                photo = table.filter(wrong)["photo_id"][0]
                raise InputError(
                    f"{index}: photo {photo!r}: {reason}; delete it and pack again, or get the pack"
                    " from a trusted source"
                )
        tables.append(table)
    return pl.concat(tables), sizes


def _read(path: Path, *, photos: int) -> pl.DataFrame:
    """Read one index; check its columns and number of rows."""
    if not path.is_file() or path.stat().st_size > MAX_INDEX_BYTES:
        raise InputError(f"{path}: is no index of a shard; delete it and pack again")
    try:
        found = pl.scan_parquet(path_or_content(path), glob=False).select(pl.len()).collect().item()
    except (OSError, pl.exceptions.PolarsError, pl.exceptions.PanicException) as error:
        reason = first_line(error)
        raise InputError(f"{path}: cannot be read: {reason}; delete it and pack again") from None
    if found != photos:
        raise InputError(f"{path}: has {found:,} rows, should have {photos:,}; pack again")
    table = read_rows(path)
    if table.columns != list(SCHEMA):
        raise InputError(f"{path}: should have the columns {', '.join(SCHEMA)}; pack again")
    return table.with_columns(pl.col(_NUMBERS).cast(pl.Int64, strict=False).fill_null(-1))


def _wrong(shard: int, rows: range, size: int, length: int | None) -> list[tuple[pl.Expr, str]]:
    """Return each check as an expression that is true for wrong rows, with its reason.

    No sum is formed that could overflow.
    """
    offset, own = pl.col("offset"), pl.col("length")
    packed = pl.col("failure") == ""
    digest = r"^[0-9a-f]{64}$"
    fitting = own.is_between(1, MAX_MEMBER_BYTES) & (own == (own if length is None else length))
    return [
        (pl.col("shard") != shard, "belongs to the index of another shard"),
        (pl.col("row") != pl.int_range(rows.start, rows.stop), "is not at its row"),
        (packed & ~pl.col("sha256").str.contains(digest), "has no sha256"),
        (packed & ~pl.col("source_sha256").str.contains(digest), "has no sha256 of its file"),
        (
            packed & ~(offset.is_between(BLOCK, size) & (offset % BLOCK == 0)),
            "begins at an offset where no photo can begin",
        ),
        (packed & ~fitting, "has a length that no photo of the pack has"),
        (packed & (own > size - offset), "reaches beyond the end of the shard"),
    ]
