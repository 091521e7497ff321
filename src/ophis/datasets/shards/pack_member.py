"""One photo on its way into a shard: decoded, squeezed, encoded, as members of a tar file."""

from __future__ import annotations

import hashlib
import io
import json
import tarfile
from dataclasses import dataclass
from typing import TYPE_CHECKING

from PIL import Image

from ophis.datasets.shards.packed import BLOCK, npy_header
from ophis.errors import PhotoError
from ophis.images.preprocessing import decode, read_bytes, resize

if TYPE_CHECKING:
    from pathlib import Path

    import numpy as np
    from numpy.typing import NDArray

    from ophis.datasets.manifest import Manifest
    from ophis.datasets.shards.packed import Form, PackedPhoto


@dataclass(frozen=True)
class Member:
    """One photo on its way into a shard.

    Attributes:
        data: the member's bytes; None where the photo could not be read.
        source_sha256: of the photo file; "" where there was none.
        failure: why the photo could not be read; "" where it could.
    """

    data: bytes | None
    source_sha256: str
    failure: str


class PhotoRows:
    """The manifest's rows as the shards need them."""

    def __init__(self, manifest: Manifest) -> None:
        self.table = manifest.table.select("photo_id", "photo", "species", "country", "observation")
        self.photos = manifest.photos()
        self.truth = manifest.truth(manifest.species_list())

    def label(self, row: int) -> dict[str, str | None]:
        """What stands in the .json beside a photo."""
        return self.table.row(row, named=True)


def member(rows: PhotoRows, row: int, form: Form) -> Member:
    """A photo, decoded, squeezed and encoded; or why not."""
    path, name = rows.photos[row], rows.table["photo"][row]
    source = ""
    try:
        data = read_bytes(path)
        source = hashlib.sha256(data).hexdigest()
        square = resize(decode(data, name), form.pixels)
    except PhotoError as error:
        reason = str(error)
        for prefix in (f"{path}: ", f"{name}: "):
            reason = reason.removeprefix(prefix)
        return Member(None, source, reason)
    return Member(_encoded(square, form), source, "")


def _encoded(square: NDArray[np.uint8], form: Form) -> bytes:
    if form.quality is None:
        return npy_header(form.pixels) + square.tobytes()
    buffer = io.BytesIO()
    Image.fromarray(square).save(buffer, "JPEG", quality=form.quality, subsampling="4:2:0")
    return buffer.getvalue()


def tar_members(rows: PhotoRows, row: int, form: Form, data: bytes) -> bytes:
    """The three members of a photo; the first header is `BLOCK` bytes long."""
    label = json.dumps(rows.label(row), ensure_ascii=False).encode()
    return b"".join(
        _tar_member(f"{row:08}{suffix}", content)
        for suffix, content in (
            (form.suffix, data),
            (".cls", str(rows.truth[row]).encode()),
            (".json", label),
        )
    )


def _tar_member(name: str, data: bytes) -> bytes:
    about = tarfile.TarInfo(name)  # of nobody, from 1970: the same wherever it is made
    about.size = len(data)
    return about.tobuf(tarfile.USTAR_FORMAT) + data + bytes(-len(data) % BLOCK)


def described(member: Member) -> dict[str, str | int | None]:
    """The cells of the index that say what became of a photo."""
    found: dict[str, str | int | None] = {
        "source_sha256": member.source_sha256,
        "failure": member.failure,
        "length": 0,
        "sha256": "",
    }
    if member.data is None:
        return found | {"offset": 0}
    return found | {
        "length": len(member.data),
        "sha256": hashlib.sha256(member.data).hexdigest(),
    }


def source_sha256(path: Path | PackedPhoto) -> str:
    """Digest of a photo's file; "" where it cannot be read."""
    try:
        return hashlib.sha256(read_bytes(path)).hexdigest()
    except PhotoError:
        return ""
