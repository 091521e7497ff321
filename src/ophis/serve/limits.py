"""What the service takes on at once, and how long it waits for anybody."""

from __future__ import annotations

import os
from dataclasses import dataclass, fields

from ophis.errors import InputError
from ophis.images.preprocessing import MOST_BYTES


@dataclass(frozen=True)
class Limits:
    """Bounds of the service.

    Attributes:
        workers: questions answered at once: each is a thread that runs the network, and a process
            that reads photos.
        waiting: further questions that wait for a worker; one more is told to come again. Where
            more come than can be answered, nobody waits: see `Crowd`.
        uploads: questions that are received at once.
        photos: of one snake.
        request_bytes: of a whole request: the photos together, and the form around them.
        held_bytes: of all requests that are received, wait or are answered.
        decoder_bytes: of memory for one photo while it is read. One of 80 million pixels needs
            four bytes a pixel, twice where it lies on its side.
        decoder_seconds: for reading one photo; then the process that reads it is replaced.
        stall_seconds: without a byte, after which an upload is given up.
        upload_seconds: for a whole upload.
        grace_seconds: that those in flight have after the service was asked to stop.
    """

    workers: int = 2
    waiting: int = 8
    uploads: int = 32
    photos: int = 8
    request_bytes: int = MOST_BYTES + 2**16
    held_bytes: int = 4 * MOST_BYTES
    decoder_bytes: int = 2**30
    decoder_seconds: float = 20
    stall_seconds: float = 20
    upload_seconds: float = 300
    grace_seconds: float = 20

    @property
    def engine_threads(self) -> int:
        """Threads of the engine with which all workers together use each processor core once.

        A worker counts itself, and calls on threads that all workers share: with one more than
        there are cores, they wait for each other, and those who are refused wait for them.
        """
        return max(1, _cores() - self.workers + 1)

    @property
    def memory_bytes(self) -> int:
        """What may come on top of the model, and of 64 MB for all else, at the very most.

        A photo a worker, all requests, and once more the one whose form is being read.
        """
        return self.workers * self.decoder_bytes + self.held_bytes + self.request_bytes

    def __post_init__(self) -> None:
        for field in fields(self):
            least = 0 if field.name == "waiting" else 1
            if field.type == "int" and (number := getattr(self, field.name)) < least:
                raise InputError(f"{field.name} = {number} should be {least} or more")


def _cores() -> int:
    """Processor cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
