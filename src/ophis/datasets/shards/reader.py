"""Reader of packs: any photo by its offset in a memory-mapped shard, verified by its digest.

A pack is a folder: `pack.json` holds its options, `manifest.parquet` the rows of the manifest, and
each shard is a tar file in WebDataset's layout beside its index, a Parquet table. The index is
written last: a shard without one is unfinished and is skipped.
"""

from __future__ import annotations

import hashlib
import mmap
import os
from collections import OrderedDict
from pathlib import Path
from threading import Lock
from typing import TYPE_CHECKING

import numpy as np

from ophis.datasets.shards.metadata import BLOCK, PackMetadata, npy_header, shard_path
from ophis.errors import InputError, PhotoError, PhotoFailure

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from numpy.typing import NDArray

_MAX_OPEN_SHARDS = 64  # each holds a file descriptor; many systems allow a process 256


class MappedShards:
    """Cache of memory-mapped files, shared by threads.

    A map that leaves the cache is closed when its last view is deleted.
    """

    def __init__(self, sizes: Mapping[Path, int], *, max_open: int = _MAX_OPEN_SHARDS) -> None:
        self._sizes = sizes
        self._max_open = max_open
        self._open: OrderedDict[Path, mmap.mmap] = OrderedDict()
        self._lock = Lock()

    def read(self, path: Path) -> memoryview:
        """Return all bytes of a file.

        Raises:
            OSError: when it cannot be opened or its size has changed. (Access behind the end of a
                truncated file would kill the process.)
        """
        with self._lock:
            mapped = self._open.pop(path, None) or self._map(path)
            self._open[path] = mapped
            if len(self._open) > self._max_open:
                self._open.popitem(last=False)
        if mapped.size() != self._sizes[path]:
            raise OSError("was changed since it was opened")
        return memoryview(mapped)

    @staticmethod
    def _map(path: Path) -> mmap.mmap:
        with path.open("rb") as file:
            if not os.fstat(file.fileno()).st_size:
                raise OSError("is empty")
            return mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)


class Pack:
    """Finished shards of a pack.

    Safe to share between threads. Pickled as its folder, and opened again by the other process.

    Attributes:
        folder: the folder of the pack.
        metadata: its options and versions.
        index: one row for each photo of the finished shards: `row, photo_id, photo, shard, offset,
            length, sha256, source_sha256, species, country, observation, failure`.
    """

    def __init__(self, folder: str | Path) -> None:
        """Open a pack.

        Raises:
            InputError: naming the file when the pack is damaged or its index points outside its
                shards.
        """
        from ophis.datasets.shards.index import read_index  # noqa: PLC0415 - loads polars

        self.folder = Path(folder)
        self.metadata = PackMetadata.read(self.folder)
        length = len(npy_header(self.metadata.pixels)) + 3 * self.metadata.pixels**2
        self.index, self._sizes = read_index(
            [
                (shard, shard_path(self.folder, shard), self.metadata.rows(shard))
                for shard in range(self.metadata.shards)
            ],
            length=length if self.metadata.raw else None,
        )
        self._shards = MappedShards(
            {shard_path(self.folder, n): size for n, size in self._sizes.items()}
        )
        self._shard, self._offset, self._length, self._row = (
            self.index[name].to_numpy() for name in ("shard", "offset", "length", "row")
        )
        self._sha256 = self.index["sha256"].to_list()
        self._failure = self.index["failure"].to_list()
        self._photo_id = self.index["photo_id"].to_list()
        self._source_sha256 = self.index["source_sha256"].to_list()
        self._positions = {photo: position for position, photo in enumerate(self._photo_id)}
        self._verified = np.zeros(len(self.index), np.int64)  # the shard's modification time

    def __reduce__(self) -> tuple[type[Pack], tuple[Path]]:
        return Pack, (self.folder,)

    @property
    def complete(self) -> bool:
        """True when every shard is written."""
        return len(self.index) == self.metadata.photos

    def photos(self, photo_ids: Iterable[str]) -> list[PackedPhoto]:
        """Return the photos with these ids.

        Raises:
            InputError: naming the id that no finished shard holds.
        """
        try:
            return [PackedPhoto(self, self._positions[photo]) for photo in photo_ids]
        except KeyError as error:
            raise InputError(f"{self.folder}: no finished shard holds photo {error}") from None

    def member(self, position: int) -> memoryview:
        """Return the bytes of a photo as a view of the mapped shard.

        The sha256 of a JPEG is verified at each call, that of raw pixels at the first call in this
        process and after each change of the shard's file: it takes half as long as reading them.

        Raises:
            PhotoError: naming the shard, the photo and the fix.
        """
        shard, offset = int(self._shard[position]), int(self._offset[position])
        if self._failure[position]:
            reason = self._failure[position]
            raise PhotoError(f"{self.name(position)}: could not be packed: {reason}")
        path = shard_path(self.folder, shard)
        try:
            modified = path.stat().st_mtime_ns
            data = self._shards.read(path)
        except OSError as error:
            raise PhotoError(f"{path}: {error.strerror or error}; {_fix(path)}") from None
        header = data[offset - BLOCK : offset]
        data = data[offset : offset + int(self._length[position])]
        if not (self.metadata.raw and self._verified[position] == modified):
            name = f"{int(self._row[position]):08}{self.metadata.suffix}".encode()
            valid = bytes(header[:100]).rstrip(b"\0") == name
            valid = valid and hashlib.sha256(data).hexdigest() == self._sha256[position]
            if not valid:
                raise PhotoError(
                    f"{self.name(position)}: differs from what was packed; {_fix(path)}"
                )
            self._verified[position] = modified
        return data

    def raw_pixels(self, position: int) -> NDArray[np.uint8]:
        """Return the pixels of a raw photo: [pixels, pixels, 3], uint8, a read-only view.

        Raises:
            PhotoError: as `member`, and where the member is no .npy of that shape.
        """
        pixels, data = self.metadata.pixels, self.member(position)
        header = npy_header(pixels)
        if data[: len(header)] != header:
            raise PhotoError(f"{self.name(position)}: is no array of {pixels} x {pixels} pixels")
        return np.frombuffer(data, np.uint8, offset=len(header)).reshape(pixels, pixels, 3)

    def failures(self) -> list[PhotoFailure]:
        """Return the photos that could not be packed, each with the reason."""
        failed = self.index.filter(self.index["failure"] != "").select("photo", "failure")
        return [PhotoFailure(photo, f"{photo}: {reason}") for photo, reason in failed.rows()]

    def shard_bytes(self) -> int:
        """Return the total size of the finished tar files."""
        return sum(self._sizes.values())

    def name(self, position: int) -> str:
        """Return shard and photo id, for error messages."""
        path = shard_path(self.folder, int(self._shard[position]))
        return f"{path}: photo {self._photo_id[position]!r}"

    def readable(self, position: int) -> bool:
        """Return True for a photo that could be packed."""
        return not self._failure[position]

    def identity(self, position: int) -> tuple[str, str]:
        """Return the photo id and the sha256 of the source file."""
        return self._photo_id[position], self._source_sha256[position]


class PackedPhoto:
    """Photo of a pack, used instead of a path.

    Equal photos have the same id and the same source file (by sha256).
    """

    __slots__ = ("pack", "position")

    def __init__(self, pack: Pack, position: int) -> None:
        self.pack, self.position = pack, position

    def __eq__(self, other: object) -> bool:
        return isinstance(other, PackedPhoto) and self._identity == other._identity

    def __lt__(self, other: PackedPhoto) -> bool:
        return self._identity < other._identity

    def __hash__(self) -> int:
        return hash(self._identity)

    def __str__(self) -> str:
        return self.pack.name(self.position)

    __repr__ = __str__

    @property
    def _identity(self) -> tuple[str, str]:
        return self.pack.identity(self.position)

    @property
    def source_sha256(self) -> bytes:
        """sha256 of the source file, 32 bytes."""
        return bytes.fromhex(self._identity[1])

    def is_file(self) -> bool:
        """Return True for a photo that could be packed."""
        return self.pack.readable(self.position)

    def read_bytes(self) -> bytes:
        """Return the verified bytes of the member; see `Pack.member`."""
        return bytes(self.pack.member(self.position))

    def read_pixels(self) -> NDArray[np.uint8] | None:
        """Return the pixels of a raw photo, a view of the shard; None where JPEGs are packed."""
        return self.pack.raw_pixels(self.position) if self.pack.metadata.raw else None


def _fix(path: Path) -> str:
    index = path.with_suffix(".parquet")
    return f"delete {index.name} beside it and pack again, which writes this shard again"
