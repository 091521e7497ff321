"""Which photos were decoded before, and what came of it: noted by size and time of their files."""

from __future__ import annotations

import io
from contextlib import suppress
from importlib import metadata
from typing import TYPE_CHECKING

import numpy as np
import polars as pl

from ophis.errors import InputError
from ophis.files.atomic import whole_file

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from numpy.typing import NDArray

    from ophis.datasets.manifest import Manifest

_SCHEMA = {
    "photo": pl.String,
    "size": pl.Int64,
    "time": pl.Int64,
    "reason": pl.String,
    "by": pl.String,
}
_DECODERS = ("ophis", "pillow", "simplejpeg")


class CheckedPhotos:
    """The photos of a manifest, as files, beside what is noted of them.

    A note counts as long as size and time of the file are those of then, and what decoded it is
    what decodes now.

    Args:
        manifest: of files, not of a pack.
        file: with the notes; it may not be there yet.
    """

    def __init__(self, manifest: Manifest, file: Path) -> None:
        self._file = file
        self._by = " ".join(f"{name} {metadata.version(name)}" for name in _DECODERS)
        folder = manifest.folder.resolve().as_posix()
        self._noted = _read(file, self._by)
        state = np.array([_state(path) for path in manifest.paths()], np.int64).reshape(-1, 2)
        table = manifest.table.select(photo=pl.lit(f"{folder}/") + pl.col("photo"))
        table = table.with_columns(size=state[:, 0], time=state[:, 1])
        on = ("photo", "size", "time")
        self._table = table.join(self._noted, on=on, how="left", maintain_order="left")

    def unknown(self) -> NDArray[np.int64]:
        """Rows of the manifest that nobody has looked at as they are now."""
        return self._table["reason"].is_null().arg_true().to_numpy().astype(np.int64)

    def note(self, rows: NDArray[np.int64], reasons: Mapping[int, str]) -> None:
        """Write down what came of some rows; those without a reason are good.

        Where the notes cannot be written, the photos are looked at again the next time.
        """
        found = self._table["reason"].scatter(rows, [reasons.get(row, "") for row in rows.tolist()])
        self._table = self._table.with_columns(reason=found)
        known = self._table.filter(pl.col("reason").is_not_null()).unique("photo")
        others = self._noted.join(known, on="photo", how="anti")
        table = pl.concat([others, known.select(others.columns)])
        written = io.BytesIO()  # what polars raises of a full disk is no OSError
        table.with_columns(by=pl.lit(self._by)).select(_SCHEMA.keys()).write_parquet(written)
        with suppress(InputError), whole_file(self._file, synced=False) as temporary:
            temporary.write_bytes(written.getvalue())

    def bad(self) -> dict[int, str]:
        """Why each row that cannot be used cannot."""
        rows = (self._table["reason"].fill_null("") != "").arg_true()
        return dict(zip(rows.to_list(), self._table["reason"][rows].to_list(), strict=True))


def _state(path: Path) -> tuple[int, int]:
    """Bytes of a file and the nanoseconds of its last change; -1 where there is none."""
    try:
        about = path.stat()
    except OSError:
        return -1, -1
    return about.st_size, about.st_mtime_ns


def _read(file: Path, by: str) -> pl.DataFrame:
    """The notes that still count; none where the file is missing or damaged."""
    try:
        table = pl.read_parquet(file)
    except (OSError, pl.exceptions.PolarsError, pl.exceptions.PanicException):
        table = pl.DataFrame(schema=_SCHEMA)
    if dict(table.schema) != _SCHEMA:
        table = pl.DataFrame(schema=_SCHEMA)
    return table.filter(pl.col("by") == by).drop("by").unique("photo", maintain_order=True)
