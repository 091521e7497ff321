"""Metadata of a pack, `pack.json`: the options and versions that determine its bytes."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

from ophis.errors import InputError
from ophis.files.content import read_json

FORMAT = 1
BLOCK = 512  # bytes of a tar block
METADATA_FILE = "pack.json"
MANIFEST_FILE = "manifest.parquet"
MIN_PIXELS, MAX_PIXELS = 32, 8192  # side of a resized photo
MAX_SHARD_PHOTOS = 100_000
MAX_PHOTOS = 100_000_000


@dataclass(frozen=True, kw_only=True)
class PackMetadata:
    """Options and versions of a pack. Two runs with equal metadata write equal bytes.

    Attributes:
        pixels: side of the resized photos.
        quality: of the JPEG files, 1 to 100; None for raw pixels in NumPy's .npy format.
        shard_photos: rows of the manifest in one shard.
        photos: rows of the manifest.
        manifest_sha256: digest of the manifest's rows, all columns.
        pillow: version of Pillow, which decodes, resizes and encodes.
        jpeg: version of Pillow's JPEG library.
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
        """True for raw pixels, False for JPEG files."""
        return self.quality is None

    @property
    def suffix(self) -> str:
        """File suffix of a photo's member in the tar file."""
        return ".npy" if self.raw else ".jpg"

    @property
    def shards(self) -> int:
        """Number of shards of the complete pack."""
        return -(-self.photos // self.shard_photos)

    def rows(self, shard: int) -> range:
        """Return the rows of the manifest that a shard holds."""
        first = shard * self.shard_photos
        return range(first, min(first + self.shard_photos, self.photos))

    def to_json(self) -> str:
        """Return the text of `pack.json`."""
        return json.dumps({"format": FORMAT} | asdict(self), indent=2) + "\n"

    @classmethod
    def read(cls, folder: str | Path) -> PackMetadata:
        """Read `pack.json`.

        Raises:
            InputError: naming the file and the key that is missing, unknown or out of range.
        """
        path = Path(folder) / METADATA_FILE
        values = read_json(path, "description of a pack", fix="pack again")
        names = {field.name for field in fields(cls)}
        if not isinstance(values, dict) or values.pop("format", None) != FORMAT:
            raise InputError(f"{path}: is not of format {FORMAT}, the only supported one")
        if values.keys() != names:
            odd = min(values.keys() ^ names)
            raise InputError(f"{path}: key {odd!r} is missing or unknown; pack again")
        for key, valid in _valid(values).items():
            if not valid:
                raise InputError(f"{path}: {key} = {values[key]!r} is out of range; pack again")
        return cls(**values)


def _valid(values: dict[str, Any]) -> dict[str, bool]:
    def whole(key: str, least: int, most: int) -> bool:
        value = values[key]
        return isinstance(value, int) and not isinstance(value, bool) and least <= value <= most

    return {
        "pixels": whole("pixels", MIN_PIXELS, MAX_PIXELS),
        "quality": values["quality"] is None or whole("quality", 1, 100),
        "shard_photos": whole("shard_photos", 1, MAX_SHARD_PHOTOS),
        "photos": whole("photos", 1, MAX_PHOTOS),
        **{key: isinstance(values[key], str) for key in ("manifest_sha256", "pillow", "jpeg")},
    }


def is_pack(folder: str | Path) -> bool:
    """Return True for a folder that holds a `pack.json`."""
    return (Path(folder) / METADATA_FILE).is_file()


def shard_path(folder: Path, shard: int) -> Path:
    """Return the tar file of a shard; its index has the suffix .parquet instead."""
    return folder / f"shard-{shard:05}.tar"


def npy_header(pixels: int) -> bytes:
    """Return the header of an .npy file (format 1.0) of [pixels, pixels, 3], uint8."""
    text = f"{{'descr': '|u1', 'fortran_order': False, 'shape': ({pixels}, {pixels}, 3), }}"
    magic = b"\x93NUMPY\x01\x00"
    length = 128 - len(magic) - 2
    return magic + length.to_bytes(2, "little") + text.ljust(length - 1).encode() + b"\n"
