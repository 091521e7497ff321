"""A process that reads photos from strangers, so that no photo can end the one that answers.

`python -m ophis.serve.decoder_process BYTES SECONDS` takes photos on its standard input and gives
what is wanted of each on its standard output, one after the other, until the input ends.
What it gives are numbers and texts, never objects of Python: whoever took this
process over could do no more than lie about a photo. See `serve.decoders` for who starts it.
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
from ophis.images.preprocessing import MOST_BYTES
from ophis.images.test_time_augmentation import Crop
from ophis.inference.answer import LeftOut
from ophis.inference.photo import Pixels, Wanted, read

try:
    import resource
except ImportError:  # Windows has no such limits
    resource = None

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray

_SIZES = struct.Struct(">IQ")
HEADER_BYTES = 2**16
TOO_MUCH = "takes more memory than a photo may; send a smaller photo"


class DecoderError(Exception):
    """A decoder that ended, or says what no decoder says."""


class MistakeError(Exception):
    """A decoder went on after a mistake of ours; the message says where it was made."""


def send(
    file: IO[bytes], header: Mapping[str, object], pieces: Sequence[bytes | memoryview]
) -> None:
    """Write a message: a few facts, and bytes."""
    text = json.dumps(header).encode()
    file.write(_SIZES.pack(len(text), sum(map(len, pieces))) + text)
    for piece in pieces:
        file.write(piece)
    file.flush()


def receive(file: IO[bytes], most_bytes: int) -> tuple[dict[str, Any], bytes]:
    """Read a message.

    Raises:
        DecoderError: when there is none, or none of that size.
    """
    text_bytes, data_bytes = _SIZES.unpack(_exactly(file, _SIZES.size))
    if text_bytes > HEADER_BYTES or data_bytes > most_bytes:
        raise DecoderError("a message is larger than it may be")
    header = json.loads(_exactly(file, text_bytes))
    return header, _exactly(file, data_bytes)


def _exactly(file: IO[bytes], size: int) -> bytes:
    data = file.read(size)
    if len(data) < size:
        raise DecoderError("a message ended early")
    return data


def question_of(name: str, wanted: Wanted) -> dict[str, Any]:
    """What a decoder is asked about a photo."""
    tta = [asdict(crop) for crop in wanted.tta]
    return {"name": name, "sides": sorted(wanted.sides), "gps": wanted.gps, "tta": tta}


def pixels_of(answer: Mapping[str, Any], data: bytes, wanted: Wanted) -> Pixels:
    """What a decoder's answer tells of a photo.

    Raises:
        PhotoError: when it says that the photo cannot be used.
        MistakeError: when it says that it made a mistake.
        Exception: of some kind, when it is no answer.
    """
    if refusal := answer.get("refused"):
        raise PhotoError(str(refusal), reason=Reason(answer["reason"]))
    if mistake := answer.get("mistake"):
        raise MistakeError(str(mistake))
    position, why, start = answer["position"], answer["why"], 0
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
    """Read photos until the input ends."""
    memory_bytes, seconds = map(int, sys.argv[1:])
    questions, answers = _channels()
    for number in (signal.SIGINT, signal.SIGTERM):  # who is asked to stop answers first
        signal.signal(number, signal.SIG_IGN)
    _keep_to(memory_bytes)
    while True:
        try:
            question, data = receive(questions, MOST_BYTES)
        except DecoderError:
            return
        _take_at_most(seconds)
        send(answers, *_answer(question, data))


def _channels() -> tuple[IO[bytes], IO[bytes]]:
    """Input and output; what a library prints goes nowhere: it may be of somebody's photo."""
    output = os.dup(1)
    with Path(os.devnull).open("wb") as nowhere:
        os.dup2(nowhere.fileno(), 1)
        os.dup2(nowhere.fileno(), 2)
    return sys.stdin.buffer, os.fdopen(output, "wb")


def _answer(question: Mapping[str, Any], data: bytes) -> tuple[dict[str, object], list[memoryview]]:
    name = question["name"]
    try:
        tta = tuple(Crop(**crop) for crop in question["tta"])
        pixels = read(data, name, Wanted(frozenset(question["sides"]), tta, question["gps"]))
    except (PhotoError, MemoryError) as error:
        # `images` says of a photo that is too much for the memory that it is damaged.
        whole = MemoryError in map(type, (error, error.__context__))
        if whole or not isinstance(error, PhotoError):
            return {"refused": f"{name}: {TOO_MUCH}", "reason": Reason.TOO_LARGE}, []
        return {"refused": str(error), "reason": error.reason}, []
    except Exception as error:  # ours: the one that asks says so, and goes on
        return {"mistake": place_of_mistake(error)}, []
    where = pixels.position
    facts = {"why": pixels.why, "position": (where.latitude, where.longitude) if where else None}
    return facts, [pixels.resized[side].data.cast("B") for side in sorted(pixels.resized)]


def _keep_to(memory_bytes: int) -> None:
    """No more memory than that on top of what this process has now, no file, no core dump."""
    if resource is None:
        return
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))
    with contextlib.suppress(OSError):  # only Linux tells, and keeps, what a process may have
        pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[0])
        most = pages * resource.getpagesize() + memory_bytes
        resource.setrlimit(resource.RLIMIT_AS, (most, most))


def _take_at_most(seconds: int) -> None:
    """A bound for the next photo that holds where nobody is left to keep the time."""
    if resource is not None:
        most = math.ceil(time.process_time()) + seconds
        resource.setrlimit(resource.RLIMIT_CPU, (most, resource.RLIM_INFINITY))


if __name__ == "__main__":
    main()
