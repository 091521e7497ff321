"""Decoder process: decodes untrusted photos, so that a crash does not end the service.

`python decoder_process.py BYTES SECONDS` reads photos from standard input and writes
the pixels to standard output, one after the other, until the input ends. Replies hold numbers and
text, never pickled objects: an attacker in control of this process can only return wrong pixels.
`ophis.serve.decoders` starts it.
"""

from __future__ import annotations

import contextlib
import json
import math
import os
import signal
import struct
import sys
import time
from dataclasses import asdict
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

import numpy as np

from ophis.errors import PhotoError, Reason, place_of_mistake
from ophis.geography.location import Position
from ophis.images.decode import MAX_BYTES
from ophis.images.test_time_augmentation import Crop
from ophis.inference.answer import LeftOut
from ophis.inference.photo import Pixels, Wanted, read

try:
    import resource
except ImportError:  # Windows
    resource = None

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray

_SIZES = struct.Struct(">IQ")
HEADER_BYTES = 2**16
TOO_LARGE = "takes more memory than allowed for a photo; send a smaller photo"


class DecoderError(Exception):
    """Decoder that ended or sent an invalid message."""


class DefectError(Exception):
    """Defect of the program in a decoder that goes on; the message names the source line."""


def send(
    file: IO[bytes], header: Mapping[str, object], parts: Sequence[bytes | memoryview]
) -> None:
    """Write a message: a JSON header and bytes."""
    text = json.dumps(header).encode()
    file.write(_SIZES.pack(len(text), sum(map(len, parts))) + text)
    for part in parts:
        file.write(part)
    file.flush()


def receive(file: IO[bytes], most_bytes: int) -> tuple[dict[str, Any], bytes]:
    """Read a message.

    Raises:
        DecoderError: when the input ended, or the message is larger than `most_bytes`.
    """
    text_bytes, data_bytes = _SIZES.unpack(_exactly(file, _SIZES.size))
    if text_bytes > HEADER_BYTES or data_bytes > most_bytes:
        raise DecoderError("a message is larger than allowed")
    header = json.loads(_exactly(file, text_bytes))
    return header, _exactly(file, data_bytes)


def _exactly(file: IO[bytes], size: int) -> bytes:
    data = file.read(size)
    if len(data) < size:
        raise DecoderError("a message ended early")
    return data


def encode_request(name: str, wanted: Wanted) -> dict[str, Any]:
    """Return the header of a request for one photo's pixels."""
    tta = [asdict(crop) for crop in wanted.tta]
    return {"name": name, "sides": sorted(wanted.sides), "gps": wanted.gps, "tta": tta}


def parse_reply(reply: Mapping[str, Any], data: bytes, wanted: Wanted) -> Pixels:
    """Return the pixels in a decoder's reply.

    Raises:
        PhotoError: when the photo cannot be used.
        DefectError: when the decoder reports a defect of the program.
        Exception: of any type, when the reply is malformed.
    """
    if error := reply.get("error"):
        raise PhotoError(str(error), reason=Reason(reply["reason"]))
    if defect := reply.get("defect"):
        raise DefectError(str(defect))
    position, why, start = reply["position"], reply["why"], 0
    found: dict[int, NDArray[np.uint8]] = {}
    for side in sorted(wanted.sides):
        shape = (len(wanted.tta), side, side, 3)
        found[side] = np.frombuffer(data, np.uint8, math.prod(shape), start).reshape(shape)
        start += found[side].nbytes
    return Pixels(
        why=LeftOut(why) if why else None,
        position=Position(*map(float, position)) if position else None,
        resized=found,
    )


def main() -> None:
    """Decode photos until the input ends."""
    memory_bytes, seconds = map(int, sys.argv[1:])
    requests, replies = _channels()
    for number in (signal.SIGINT, signal.SIGTERM):  # the service stops decoders itself
        signal.signal(number, signal.SIG_IGN)
    _limit_process(memory_bytes)
    while True:
        try:
            request, data = receive(requests, MAX_BYTES)
        except DecoderError:
            return
        _limit_seconds(seconds)
        send(replies, *_reply(request, data))


def _channels() -> tuple[IO[bytes], IO[bytes]]:
    """Return input and output; discard what libraries print, which may hold data of a photo."""
    output = os.dup(1)
    with Path(os.devnull).open("wb") as nowhere:
        os.dup2(nowhere.fileno(), 1)
        os.dup2(nowhere.fileno(), 2)
    return sys.stdin.buffer, os.fdopen(output, "wb")


def _reply(request: Mapping[str, Any], data: bytes) -> tuple[dict[str, object], list[memoryview]]:
    name = request["name"]
    try:
        tta = tuple(Crop(**crop) for crop in request["tta"])
        pixels = read(data, name, Wanted(frozenset(request["sides"]), tta, request["gps"]))
    except (PhotoError, MemoryError) as error:
        # ophis.images reports a photo that exhausts the memory as damaged.
        exhausted = MemoryError in map(type, (error, error.__context__))
        if exhausted or not isinstance(error, PhotoError):
            return {"error": f"{name}: {TOO_LARGE}", "reason": Reason.TOO_LARGE}, []
        return {"error": str(error), "reason": error.reason}, []
    except Exception as error:
        return {"defect": place_of_mistake(error)}, []
    where = pixels.position
    position = (where.latitude, where.longitude, where.accuracy_km) if where else None
    facts = {"why": pixels.why, "position": position}
    return facts, [pixels.resized[side].data.cast("B") for side in sorted(pixels.resized)]


def _limit_process(memory_bytes: int) -> None:
    """Limit further memory to `memory_bytes`; forbid files and core dumps."""
    if resource is None:
        return
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))
    with contextlib.suppress(OSError):  # Linux only
        pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[0])
        most = pages * resource.getpagesize() + memory_bytes
        resource.setrlimit(resource.RLIMIT_AS, (most, most))


def _limit_seconds(seconds: int) -> None:
    """Limit the processor time for the next photo, also when the service is gone."""
    if resource is not None:
        most = math.ceil(time.process_time()) + seconds
        resource.setrlimit(resource.RLIMIT_CPU, (most, resource.RLIM_INFINITY))


if __name__ == "__main__":
    main()
