"""Limits of the service: concurrency, queue, bytes and timeouts."""

from __future__ import annotations

import os
from dataclasses import dataclass, fields

from ophis.errors import require_whole
from ophis.images.decode import MAX_BYTES


@dataclass(frozen=True)
class Limits:
    """Limits of the service.

    Attributes:
        workers: requests answered at once; each has a thread for the network and a process that
            decodes photos.
        waiting: further requests that may wait for a worker; above that the answer is 503. Under
            sustained overload no request waits, see `ophis.serve.admission.LoadShedding`.
        uploads: requests received at once; a further one takes the place of the slowest.
        photos: photos of one snake in a request.
        request_bytes: size of a request: all photos and the form around them.
        held_bytes: bytes received of all requests that are being received, wait, or are being
            answered; above that the largest upload is aborted.
        decoder_bytes: memory for decoding one photo. 80 million pixels need four bytes a pixel,
            twice if the photo has to be rotated.
        decoder_seconds: time for decoding all photos of a request; then the process is replaced,
            and the other photos are not decoded.
        upload_rate: least bytes per second of an upload, after `start_seconds`.
        start_seconds: time at the start of an upload in which nothing has to arrive.
        stall_seconds: time without a byte after which an upload is aborted.
        upload_seconds: time for a whole upload.
        grace_seconds: time for requests in progress after a signal to stop.
    """

    workers: int = 2
    waiting: int = 8
    uploads: int = 32
    photos: int = 8
    request_bytes: int = MAX_BYTES + 2**16
    held_bytes: int = 4 * MAX_BYTES
    decoder_bytes: int = 2**30
    decoder_seconds: float = 20
    upload_rate: int = 10_000
    start_seconds: float = 5
    stall_seconds: float = 20
    upload_seconds: float = 300
    grace_seconds: float = 20

    @property
    def engine_threads(self) -> int:
        """Threads of the inference engine with which all workers together use every core once.

        A worker runs in its own thread and in the engine's shared threads. With more threads than
        cores they wait for each other, and 503 responses wait for them.
        """
        return max(1, _cores() - self.workers + 1)

    @property
    def memory_bytes(self) -> int:
        """Upper bound of memory, in addition to the model and 64 MB for everything else.

        One photo per worker, all requests, and a second copy of the request being parsed.
        """
        return self.workers * self.decoder_bytes + self.held_bytes + self.request_bytes

    def __post_init__(self) -> None:
        for field in fields(self):
            if field.type == "int":
                least = 0 if field.name == "waiting" else 1
                require_whole(field.name, getattr(self, field.name), least=least)


def _cores() -> int:
    """Return the number of processor cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
