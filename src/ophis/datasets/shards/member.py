"""Members of a shard: one photo decoded, resized and encoded, with its label."""

from __future__ import annotations

import hashlib
import io
import json
import tarfile
from dataclasses import dataclass
from typing import TYPE_CHECKING

from PIL import Image

from ophis.datasets.shards.metadata import BLOCK, npy_header
from ophis.errors import PhotoError
from ophis.images.decode import read_bytes
from ophis.images.preprocessing import decode_resized

if TYPE_CHECKING:
    from pathlib import Path

    import numpy as np
    from numpy.typing import NDArray

    from ophis.datasets.manifest import Manifest
    from ophis.datasets.shards.metadata import PackMetadata
    from ophis.datasets.shards.reader import PackedPhoto


@dataclass(frozen=True)
class Member:
    """Encoded photo of a shard.

    Attributes:
        data: the member's bytes; None where the photo could not be read.
        source_sha256: digest of the photo file; "" where there was none.
        failure: the reason why the photo could not be read; "" where it could.
    """

    data: bytes | None
    source_sha256: str
    failure: str

    def index_cells(self) -> dict[str, str | int | None]:
        """Return the cells of the index that describe the member."""
        cells: dict[str, str | int | None] = {
            "source_sha256": self.source_sha256,
            "failure": self.failure,
            "length": 0,
            "sha256": "",
        }
        if self.data is None:
            return cells | {"offset": 0}
        return cells | {"length": len(self.data), "sha256": hashlib.sha256(self.data).hexdigest()}


class PhotoRows:
    """Rows of a manifest with the photos and labels that the shards need."""

    def __init__(self, manifest: Manifest) -> None:
        self.table = manifest.table.select("photo_id", "photo", "species", "country", "observation")
        self.photos = manifest.photos()
        self.truth = manifest.truth(manifest.species_list())

    def label(self, row: int) -> dict[str, str | None]:
        """Return the content of the .json member of a photo."""
        return self.table.row(row, named=True)


def encode(rows: PhotoRows, row: int, metadata: PackMetadata) -> Member:
    """Decode, resize and encode a photo; a photo that cannot be read gives a failure."""
    path, name = rows.photos[row], rows.table["photo"][row]
    source = ""
    try:
        data = read_bytes(path)
        source = hashlib.sha256(data).hexdigest()
        resized = decode_resized(data, metadata.pixels, name)
    except PhotoError as error:
        reason = str(error)
        for prefix in (f"{path}: ", f"{name}: "):
            reason = reason.removeprefix(prefix)
        return Member(None, source, reason)
    return Member(_encoded(resized, metadata), source, "")


def _encoded(resized: NDArray[np.uint8], metadata: PackMetadata) -> bytes:
    if metadata.quality is None:
        return npy_header(metadata.pixels) + resized.tobytes()
    buffer = io.BytesIO()
    Image.fromarray(resized).save(buffer, "JPEG", quality=metadata.quality, subsampling="4:2:0")
    return buffer.getvalue()


def tar_members(rows: PhotoRows, row: int, metadata: PackMetadata, data: bytes) -> bytes:
    """Return the three tar members of a photo; the first header is `BLOCK` bytes long."""
    label = json.dumps(rows.label(row), ensure_ascii=False).encode()
    return b"".join(
        _tar_member(f"{row:08}{suffix}", content)
        for suffix, content in (
            (metadata.suffix, data),
            (".cls", str(rows.truth[row]).encode()),
            (".json", label),
        )
    )


def _tar_member(name: str, data: bytes) -> bytes:
    header = tarfile.TarInfo(name)  # no owner, time 0: the bytes depend on the content only
    header.size = len(data)
    return header.tobuf(tarfile.USTAR_FORMAT) + data + bytes(-len(data) % BLOCK)


def source_sha256(path: Path | PackedPhoto) -> str:
    """Return the sha256 of a photo's file; "" where it cannot be read."""
    try:
        return hashlib.sha256(read_bytes(path)).hexdigest()
    except PhotoError:
        return ""
