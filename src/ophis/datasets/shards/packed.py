"""Packed photos, read from the shards that `pack` wrote: any photo by its offset, checked.

A pack is a folder: `pack.json` says what every photo in it is, `manifest.parquet` holds the rows of
the manifest, and each shard is a tar file in WebDataset's layout beside its index, a Parquet table.
The index is written last: a shard without one is not there yet.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from ophis.datasets.shards.maps import Maps
from ophis.errors import InputError, PhotoError

if TYPE_CHECKING:
    from collections.abc import Iterable

    from numpy.typing import NDArray

BLOCK = 512  # bytes; tar counts in them
FORMAT = 1
ABOUT = "pack.json"
TABLE = "manifest.parquet"
LEAST_PIXELS, MOST_PIXELS = 32, 8192  # a side, as of a photo and of the square a network sees
MOST_SHARD_PHOTOS = 100_000
MOST_PHOTOS = 100_000_000
_MOST_ABOUT_BYTES = 1 << 20


@dataclass(frozen=True, kw_only=True)
class Form:
    """What a pack is made of, as `pack.json` says it: two runs with one form give the same bytes.

    Attributes:
        pixels: side of the square that every photo was squeezed to.
        quality: of the JPEG files, 1 to 100; None: raw bytes, as NumPy's .npy.
        shard_photos: rows of the manifest a shard.
        photos: rows of the manifest.
        manifest_sha256: digest of its rows, all columns.
        pillow: version of the library that decoded, squeezed and encoded.
        jpeg: version of the JPEG library inside it.
    """

    pixels: int
    quality: int | None
    shard_photos: int
    photos: int
    manifest_sha256: str
    pillow: str
    jpeg: str

    @property
    def raw(self) -> bool:
        """Whether pixels are kept as they are."""
        return self.quality is None

    @property
    def suffix(self) -> str:
        """Of a photo's member in the tar file."""
        return ".npy" if self.raw else ".jpg"

    @property
    def shards(self) -> int:
        """How many shards there are once all are written."""
        return -(-self.photos // self.shard_photos)

    def rows(self, shard: int) -> range:
        """Rows of the manifest that a shard holds."""
        first = shard * self.shard_photos
        return range(first, min(first + self.shard_photos, self.photos))

    def to_json(self) -> str:
        """The text of `pack.json`."""
        return json.dumps({"format": FORMAT} | asdict(self), indent=2) + "\n"

    @classmethod
    def read(cls, folder: str | Path) -> Form:
        """Read `pack.json`.

        Raises:
            InputError: naming the file and the key that is missing or has no meaning here.
        """
        path = Path(folder) / ABOUT
        try:
            with path.open("rb") as file:
                values = json.loads(file.read(_MOST_ABOUT_BYTES))
        except (OSError, ValueError, RecursionError) as error:
            raise InputError(f"{path}: cannot be read as JSON: {error}; pack again") from None
        names = {field.name for field in fields(cls)}
        if not isinstance(values, dict) or values.pop("format", None) != FORMAT:
            raise InputError(f"{path}: is not of format {FORMAT}, the only one that is read")
        if values.keys() != names:
            odd = min(values.keys() ^ names)
            raise InputError(f"{path}: key {odd!r} is missing or not known; pack again")
        for key, good in _rules(values).items():
            if not good:
                raise InputError(f"{path}: {key} = {values[key]!r} has no meaning; pack again")
        return cls(**values)


def _rules(values: dict[str, Any]) -> dict[str, bool]:
    def whole(key: str, least: int, most: int) -> bool:
        value = values[key]
        return isinstance(value, int) and not isinstance(value, bool) and least <= value <= most

    return {
        "pixels": whole("pixels", LEAST_PIXELS, MOST_PIXELS),
        "quality": values["quality"] is None or whole("quality", 1, 100),
        "shard_photos": whole("shard_photos", 1, MOST_SHARD_PHOTOS),
        "photos": whole("photos", 1, MOST_PHOTOS),
        **{key: isinstance(values[key], str) for key in ("manifest_sha256", "pillow", "jpeg")},
    }


def is_pack(folder: str | Path) -> bool:
    """Whether a folder says that it is a pack."""
    return (Path(folder) / ABOUT).is_file()


def shard_path(folder: Path, shard: int) -> Path:
    """The tar file of a shard; its index has the same name and the suffix .parquet."""
    return folder / f"shard-{shard:05}.tar"


def npy_header(pixels: int) -> bytes:
    """What stands before the bytes of [pixels, pixels, 3], uint8, in NumPy's format 1.0."""
    about = f"{{'descr': '|u1', 'fortran_order': False, 'shape': ({pixels}, {pixels}, 3), }}"
    magic = b"\x93NUMPY\x01\x00"
    room = 128 - len(magic) - 2
    return magic + room.to_bytes(2, "little") + about.ljust(room - 1).encode() + b"\n"


class Pack:
    """The finished shards of a pack.

    Threads may share one. It travels to another process as its folder only, and opens there anew.

    Attributes:
        folder: where it lies.
        form: what every photo in it is.
        index: a row a row of the manifest in the finished shards: `row, photo_id, photo, shard,
            offset, length, sha256, source_sha256, species, country, observation, failure`.
    """

    def __init__(self, folder: str | Path) -> None:
        """Open a pack.

        Raises:
            InputError: naming the file when the pack is damaged or its index points elsewhere than
                into its shards.
        """
        from ophis.datasets.shards.index import read_index  # noqa: PLC0415 - needs polars; photos do not

        self.folder = Path(folder)
        self.form = Form.read(self.folder)
        length = len(npy_header(self.form.pixels)) + 3 * self.form.pixels**2
        self.index, self._sizes = read_index(
            [
                (shard, shard_path(self.folder, shard), self.form.rows(shard))
                for shard in range(self.form.shards)
            ],
            length=length if self.form.raw else None,
        )
        self._maps = Maps({shard_path(self.folder, n): size for n, size in self._sizes.items()})
        self._shard, self._offset, self._length, self._row = (
            self.index[name].to_numpy() for name in ("shard", "offset", "length", "row")
        )
        self._sha256 = self.index["sha256"].to_list()
        self._failure = self.index["failure"].to_list()
        self._photo_id = self.index["photo_id"].to_list()
        self._source_sha256 = self.index["source_sha256"].to_list()
        self._place = {photo: place for place, photo in enumerate(self._photo_id)}
        self._checked = bytearray(len(self.index))

    def __reduce__(self) -> tuple[type[Pack], tuple[Path]]:
        return Pack, (self.folder,)

    @property
    def complete(self) -> bool:
        """Whether every shard is written."""
        return len(self.index) == self.form.photos

    def photos(self, photo_ids: Iterable[str]) -> list[PackedPhoto]:
        """The photos of these ids.

        Raises:
            InputError: naming the id that no finished shard holds.
        """
        try:
            return [PackedPhoto(self, self._place[photo]) for photo in photo_ids]
        except KeyError as error:
            raise InputError(f"{self.folder}: no finished shard holds photo {error}") from None

    def member(self, place: int) -> memoryview:
        """The bytes of a photo inside the mapped shard, nothing copied.

        The sha256 of a JPEG is checked at each reading, that of raw pixels at the first of this
        process: they are cut from the map without being read as a whole.

        Raises:
            PhotoError: naming shard, photo and the mend.
        """
        shard, offset = int(self._shard[place]), int(self._offset[place])
        if self._failure[place]:
            reason = self._failure[place]
            raise PhotoError(f"{self.name(place)}: could not be packed: {reason}")
        path = shard_path(self.folder, shard)
        try:
            data = self._maps.read(path)
        except OSError as error:
            raise PhotoError(f"{path}: {error.strerror or error}; {_mend(path)}") from None
        header = data[offset - BLOCK : offset]
        data = data[offset : offset + int(self._length[place])]
        if not (self.form.raw and self._checked[place]):
            name = f"{int(self._row[place]):08}{self.form.suffix}".encode()
            same = bytes(header[:100]).rstrip(b"\0") == name
            if not same or hashlib.sha256(data).hexdigest() != self._sha256[place]:
                raise PhotoError(f"{self.name(place)}: is not as it was packed; {_mend(path)}")
            self._checked[place] = 1
        return data

    def square(self, place: int) -> NDArray[np.uint8]:
        """The pixels of a raw photo, a view of the mapped shard: [pixels, pixels, 3], read-only.

        Raises:
            PhotoError: as `member`, and where the member is no .npy of that shape.
        """
        pixels, data = self.form.pixels, self.member(place)
        header = npy_header(pixels)
        if data[: len(header)] != header:
            raise PhotoError(f"{self.name(place)}: is no array of {pixels} x {pixels} pixels")
        return np.frombuffer(data, np.uint8, offset=len(header)).reshape(pixels, pixels, 3)

    def failures(self) -> list[tuple[str, str]]:
        """Photos that could not be packed, each with the reason."""
        return [(row[0], row[1]) for row in self.index.select("photo", "failure").rows() if row[1]]

    def shard_bytes(self) -> int:
        """Size of the finished tar files together."""
        return sum(self._sizes.values())

    def name(self, place: int) -> str:
        """Shard and photo, for whoever has to look."""
        path = shard_path(self.folder, int(self._shard[place]))
        return f"{path}: photo {self._photo_id[place]!r}"

    def readable(self, place: int) -> bool:
        """Whether the photo could be packed."""
        return not self._failure[place]

    def identity(self, place: int) -> tuple[str, str]:
        """Id of a photo and digest of the file it was made from."""
        return self._photo_id[place], self._source_sha256[place]


class PackedPhoto:
    """One photo of a pack: stands where else a path stands, and `images` reads it.

    Two are equal when they have the same id and were made from the same bytes.
    """

    __slots__ = ("pack", "place")

    def __init__(self, pack: Pack, place: int) -> None:
        self.pack, self.place = pack, place

    def __eq__(self, other: object) -> bool:
        return isinstance(other, PackedPhoto) and self._identity == other._identity

    def __lt__(self, other: PackedPhoto) -> bool:
        return self._identity < other._identity

    def __hash__(self) -> int:
        return hash(self._identity)

    def __str__(self) -> str:
        return self.pack.name(self.place)

    __repr__ = __str__

    @property
    def _identity(self) -> tuple[str, str]:
        return self.pack.identity(self.place)

    @property
    def source_sha256(self) -> bytes:
        """The digest of the file that it was made from, 32 bytes."""
        return bytes.fromhex(self._identity[1])

    def is_file(self) -> bool:
        """Whether there is something to read."""
        return self.pack.readable(self.place)

    def read_bytes(self) -> bytes:
        """The checked bytes of the member; see `Pack.member`."""
        return bytes(self.pack.member(self.place))


def _mend(path: Path) -> str:
    index = path.with_suffix(".parquet")
    return f"delete {index.name} beside it and pack again, which makes this shard anew"
