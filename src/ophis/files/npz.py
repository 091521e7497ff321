"""NumPy .npz archives, with large arrays memory-mapped."""

from __future__ import annotations

import math
import struct
import zipfile
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

import numpy as np

from ophis.errors import InputError
from ophis.files.atomic import plain_file, whole_file
from ophis.files.blocks import mapped, row_blocks
from ophis.files.content import content_of

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

    from numpy.typing import NDArray

MAPPED_BYTES = 64 << 20  # stored arrays of this size and more stay in the file
_ALIGNMENT = 64  # bytes, as NumPy's own files
_HEADER, _ZIP64 = 30, 20  # bytes of a member's header, and of the sizes after its name
_READ_BYTES = 1 << 20
MAX_UNPACKED_BYTES = 8 << 30  # of all arrays that are compressed
_HEADERS = {
    (1, 0): np.lib.format.read_array_header_1_0,
    (2, 0): np.lib.format.read_array_header_2_0,
}


def write_npz(
    path: str | Path, arrays: Mapping[str, NDArray[Any]], *, stored: Collection[str]
) -> Path:
    """Write arrays for `numpy.load`, atomically and reproducibly.

    Args:
        path: the file.
        arrays: by name.
        stored: names of the arrays to write without compression, so that `read_npz` can map
            them; they are written in blocks of rows.
    """
    with (
        whole_file(path) as temporary,
        temporary.open("wb") as file,
        zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive,
    ):
        for name, array in arrays.items():
            info = zipfile.ZipInfo(f"{name}.npy")
            info.compress_type = zipfile.ZIP_STORED if name in stored else zipfile.ZIP_DEFLATED
            info.extra = _padding(file.tell() + _HEADER + len(info.filename) + _ZIP64)
            with archive.open(info, "w", force_zip64=True) as member:
                _write(member, array)
    return Path(path)


def _padding(place: int) -> bytes:
    """Return a zip extra field that pads an offset to the next multiple of 64."""
    length = -place % _ALIGNMENT
    if not length:
        return b""
    length += 0 if length >= 4 else _ALIGNMENT  # the field has a header of 4
    return struct.pack("<HH", 0xD935, length - 4) + bytes(length - 4)


def _write(member: IO[bytes], array: NDArray[Any]) -> None:
    header = {
        "descr": np.lib.format.dtype_to_descr(array.dtype),
        "fortran_order": False,
        "shape": array.shape,
    }
    np.lib.format.write_array_header_1_0(member, header)
    if not array.ndim:
        member.write(array.tobytes())
        return
    for rows in row_blocks(array):
        member.write(np.ascontiguousarray(array[rows]).tobytes())


def read_npz(path: str | Path, *, what: str) -> dict[str, NDArray[Any]]:
    """Read arrays written by `write_npz` or NumPy; pickles are refused.

    Stored arrays of 64 MiB and more are mapped after one pass over the file to verify the
    checksum. All others are in memory.

    Args:
        path: the file.
        what: the expected content, for error messages.

    Raises:
        InputError: naming the file when it is missing, damaged, cut short or something else.
    """
    path = Path(path)
    with content_of(path, f"not a {what} of ophis, or cut short"):
        if not path.exists():
            raise InputError(f"{path}: there is no such {what}")
        # Opened here: zipfile leaves a file open that turns out to be no archive.
        with plain_file(path) as file, zipfile.ZipFile(file) as archive:
            require_sizes(archive)
            return {
                info.filename.removesuffix(".npy"): _read(path, archive, info)
                for info in archive.infolist()
            }


def require_sizes(archive: zipfile.ZipFile) -> None:
    """Check the size of each array against its header before memory is allocated.

    Raises:
        ValueError: naming the array with another size, or with pickles, which are never read.
    """
    unpacked = 0
    for info in archive.infolist():
        unpacked += info.file_size if info.compress_type != zipfile.ZIP_STORED else 0
        if unpacked > MAX_UNPACKED_BYTES:
            raise ValueError(f"{info.filename} goes beyond {MAX_UNPACKED_BYTES >> 30} GiB unpacked")
        with archive.open(info) as member:
            version = np.lib.format.read_magic(member)
            if version not in _HEADERS:
                raise ValueError(f"{info.filename} is of a format that is not known: {version}")
            shape, _, dtype = _HEADERS[version](member)
            size = member.tell() + dtype.itemsize * math.prod(shape)
        if dtype.hasobject:
            raise ValueError(f"{info.filename} holds pickles, which may hold code")
        if size != info.file_size:
            raise ValueError(f"{info.filename} has not the size that it should")


def _read(path: Path, archive: zipfile.ZipFile, info: zipfile.ZipInfo) -> NDArray[Any]:
    large = info.file_size >= MAPPED_BYTES and info.compress_type == zipfile.ZIP_STORED
    if large and (array := _mapped(path, archive, info)) is not None:
        return array
    with archive.open(info) as member:
        array = np.lib.format.read_array(member, allow_pickle=False)
        while member.read(_READ_BYTES):  # zipfile verifies the checksum at the end
            pass
    return array


def _mapped(path: Path, archive: zipfile.ZipFile, info: zipfile.ZipInfo) -> NDArray[Any] | None:
    """Map an array in its file; None where it is not in row order or not aligned."""
    with archive.open(info) as member:
        if np.lib.format.read_magic(member) != (1, 0):
            return None
        shape, by_columns, dtype = np.lib.format.read_array_header_1_0(member)
        header = member.tell()
        offset = _start(path, info) + header
        if by_columns or dtype.hasobject or not shape or offset % max(1, dtype.alignment):
            return None
        while member.read(_READ_BYTES):  # zipfile verifies the checksum at the end
            pass
    return mapped(path, dtype, shape=shape, offset=offset)


def _start(path: Path, info: zipfile.ZipInfo) -> int:
    """Return the offset of a member's bytes, after its local header."""
    with path.open("rb") as file:
        file.seek(info.header_offset)
        name, extra = struct.unpack("<26x2H", file.read(_HEADER))
    return info.header_offset + _HEADER + name + extra
