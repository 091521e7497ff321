"""Where photos lie, for tables of any length."""

from __future__ import annotations

from collections.abc import Sequence
from operator import index
from pathlib import Path
from typing import TYPE_CHECKING, overload

if TYPE_CHECKING:
    from collections.abc import Iterator

    import polars as pl


class Paths(Sequence[Path]):
    """Paths within a folder: ten million texts take far less memory than ten million paths."""

    def __init__(self, folder: Path, photos: pl.Series) -> None:
        self._folder, self._photos = folder, photos

    def __len__(self) -> int:
        return len(self._photos)

    @overload
    def __getitem__(self, row: int) -> Path: ...
    @overload
    def __getitem__(self, row: slice) -> Sequence[Path]: ...
    def __getitem__(self, row: int | slice) -> Path | Sequence[Path]:
        """The path of a row, or the paths of some."""
        if isinstance(row, slice):
            return Paths(self._folder, self._photos[row])
        return self._folder / self._photos[index(row)]

    def __iter__(self) -> Iterator[Path]:
        """The paths, one after the other."""
        return (self._folder / photo for photo in self._photos)
