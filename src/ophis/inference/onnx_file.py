"""Check of an ONNX file before an engine opens it: no tensor is in another file.

A tensor may name another file with its numbers (ONNX external data). Engines read that file from
any folder, and no checksum of a bundle covers it.
"""

from __future__ import annotations

from mmap import ACCESS_READ, mmap
from typing import TYPE_CHECKING

from ophis.errors import InputError
from ophis.files.atomic import plain_file

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

# Fields of messages of onnx.proto that hold messages that may hold tensors.
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
_MAX_DEPTH = 100  # messages inside of messages, as protobuf itself allows
_FIXED = {1: 8, 5: 4}  # bytes of a field by its wire type
_VARINT, _BYTES = 0, 2


def require_single_file(path: Path) -> None:
    """Refuse a model that keeps numbers in other files, or is no protobuf.

    Raises:
        InputError: naming the file.
    """
    try:
        with plain_file(path) as file:
            data = mmap(file.fileno(), 0, access=ACCESS_READ)
        elsewhere = _is_elsewhere(memoryview(data), "model", 0)
    except (OSError, ValueError) as error:
        raise InputError(f"{path}: not a model that can be run: {error}") from None
    if elsewhere:
        raise InputError(f"{path}: keeps numbers in other files; export the model as a single one")


def _is_elsewhere(data: memoryview, kind: str, depth: int) -> bool:
    """Return whether a tensor in a message has its numbers in another file."""
    if depth > _MAX_DEPTH:
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
    """Yield number and value of each field of a message, except numbers of fixed length."""
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
    """Return a varint of up to ten bytes, and the position after it."""
    number = 0
    for byte in range(10):
        if place >= len(data):
            raise ValueError("it is cut short")
        number |= (data[place] & 0x7F) << 7 * byte
        place += 1
        if data[place - 1] < 0x80:
            return number, place
    raise ValueError("it is no ONNX")
