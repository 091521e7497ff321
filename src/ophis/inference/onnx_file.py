"""An ONNX file looked through before an engine sees it: all its numbers are in it.

A tensor may name another file that holds its numbers (ONNX's external data). Engines read it,
wherever it lies, and no checksum of a bundle covers it.
"""

from __future__ import annotations

from mmap import ACCESS_READ, mmap
from typing import TYPE_CHECKING

from ophis.errors import InputError
from ophis.files.atomic import plain_file

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

# Which fields of which message of onnx.proto hold messages that may hold tensors.
_HOLDS = {
    "model": {7: "graph", 20: "training", 25: "function"},
    "training": {1: "graph", 2: "graph"},
    "function": {7: "node", 11: "attribute"},
    "graph": {1: "node", 5: "tensor", 15: "sparse"},
    "node": {5: "attribute"},
    "attribute": {5: "tensor", 6: "graph", 10: "tensor", 11: "graph", 22: "sparse", 23: "sparse"},
    "sparse": {1: "tensor", 2: "tensor"},
}
_EXTERNAL_DATA, _DATA_LOCATION = 13, 14  # of a tensor
_MOST_DEEP = 100  # messages inside of messages, as protobuf itself allows
_FIXED = {1: 8, 5: 4}  # bytes of a field by its wire type
_VARINT, _BYTES = 0, 2


def require_single_file(path: Path) -> None:
    """Refuse a model that keeps numbers in other files, or is no protobuf.

    Raises:
        InputError: naming the file.
    """
    try:
        with plain_file(path) as file:
            # Closed when nobody looks into it any more.
            data = mmap(file.fileno(), 0, access=ACCESS_READ)
        elsewhere = _is_elsewhere(memoryview(data), "model", 0)
    except (OSError, ValueError) as error:
        raise InputError(f"{path}: not a model that can be run: {error}") from None
    if elsewhere:
        raise InputError(f"{path}: keeps numbers in other files; export the model as a single one")


def _is_elsewhere(data: memoryview, kind: str, depth: int) -> bool:
    """Whether any tensor in a message says that its numbers are in another file."""
    if depth > _MOST_DEEP:
        raise ValueError("it is nested too deep")
    for field, value in _fields(data):
        if kind == "tensor":
            if field == _EXTERNAL_DATA or (field == _DATA_LOCATION and value != 0):
                return True
            continue
        inner = _HOLDS[kind].get(field)
        if inner and isinstance(value, memoryview) and _is_elsewhere(value, inner, depth + 1):
            return True
    return False


def _fields(data: memoryview) -> Iterator[tuple[int, int | memoryview]]:
    """Number and value of each field of a message; numbers of fixed length are passed over."""
    place = 0
    while place < len(data):
        key, place = _number(data, place)
        field, wire = key >> 3, key & 7
        if wire == _VARINT:
            value, place = _number(data, place)
            yield field, value
        elif wire == _BYTES:
            size, place = _number(data, place)
            if size > len(data) - place:
                raise ValueError("it is cut short")
            yield field, data[place : place + size]
            place += size
        elif wire in _FIXED:
            place += _FIXED[wire]
        else:
            raise ValueError("it is no ONNX")


def _number(data: memoryview, place: int) -> tuple[int, int]:
    """A number in as many bytes as it needs, ten at the most; and where it ends."""
    number = 0
    for byte in range(10):
        if place >= len(data):
            raise ValueError("it is cut short")
        number |= (data[place] & 0x7F) << 7 * byte
        place += 1
        if data[place - 1] < 0x80:
            return number, place
    raise ValueError("it is no ONNX")
