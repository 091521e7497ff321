"""Pool of decoder processes; one that dies or exceeds its time limit is replaced."""

from __future__ import annotations

import logging
import math
import os
import queue
import subprocess
import sys
import threading
import time
import weakref
from contextlib import suppress
from typing import TYPE_CHECKING

from starlette.requests import ClientDisconnect

from ophis.errors import PhotoError
from ophis.serve import decoder_process
from ophis.serve.decoder_process import DefectError, encode_request, parse_reply, receive, send

if TYPE_CHECKING:
    from collections.abc import Callable

    from ophis.inference.photo import Pixels, Wanted
    from ophis.serve.limits import Limits

log = logging.getLogger("ophis.serve")

UNREADABLE = "could not be read; send the photo again, or another one"
NO_TIME = "not read, because the photos before it took too long; send it without them"


class Decoders:
    """Pool with one decoder process per worker, started on demand.

    `ophis.serve.decoder_process` is the program of a decoder.

    Attributes:
        replaced: number of decoders that died or exceeded their time limit.
    """

    def __init__(self, limits: Limits) -> None:
        self.replaced = 0
        self._limits = limits
        self._lock = threading.Lock()
        self._all: set[_Decoder] = set()
        self._free: queue.LifoQueue[_Decoder | None] = queue.LifoQueue()
        for _ in range(limits.workers):
            self._free.put(None)
        self.close = weakref.finalize(self, _end, self._all)

    def start(self) -> None:
        """Start all decoders, so that no request waits for one."""
        free = [self._free.get() for _ in range(self._limits.workers)]
        for decoder in free:
            self._free.put(decoder or self._start_one())

    def read(
        self, data: bytes, name: str, wanted: Wanted, *, seconds: float | None = None
    ) -> Pixels:
        """Decode a photo like `ophis.inference.photo.read`, in a decoder.

        Args:
            data: bytes of the file.
            name: name of the photo in errors.
            wanted: settings for the decoding.
            seconds: time limit; by default that of the limits.

        Raises:
            PhotoError: when the photo cannot be used, or its decoder died.
        """
        decoder = self._free.get()
        try:
            if decoder is None or not decoder.alive():
                decoder = self._replace(decoder) if decoder else self._start_one()
            try:
                most = self._limits.decoder_seconds
                return decoder.read(data, name, wanted, most if seconds is None else seconds)
            except PhotoError:
                raise
            except DefectError as error:
                log.error("defect in a decoder: %s", error)
                raise
            except Exception as error:
                log.error("a decoder was replaced: %s", decoder.failure(error))
                decoder = self._replace(decoder)
                raise PhotoError(f"{name}: {UNREADABLE}") from None
        finally:
            self._free.put(decoder)

    def _replace(self, decoder: _Decoder) -> _Decoder:
        with self._lock:
            self.replaced += 1
            self._all.discard(decoder)
        decoder.end()
        return self._start_one()

    def _start_one(self) -> _Decoder:
        decoder = _Decoder(self._limits.decoder_bytes, math.ceil(self._limits.decoder_seconds))
        with self._lock:
            self._all.add(decoder)
        if not self.close.alive:  # the pool was closed while this decoder started
            decoder.end()
        return decoder


class RequestDecoder:
    """Decoding of the photos of one request, within one time limit and while its client waits.

    Attributes:
        client_gone: set it to True to decode no further photo.

    Args:
        decoders: the pool.
        seconds: time for all photos; those that are left after it are not decoded.
        clock: monotonic seconds.
    """

    def __init__(
        self, decoders: Decoders, seconds: float, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self.client_gone = False
        self._decoders, self._left, self._clock = decoders, seconds, clock

    def read(self, data: bytes, name: str, wanted: Wanted) -> Pixels:
        """Decode the next photo like `ophis.inference.photo.read`.

        Raises:
            ClientDisconnect: when nobody waits for the answer.
            PhotoError: when the photo cannot be used, its decoder died, or the time is over.
        """
        if self.client_gone:
            raise ClientDisconnect
        if self._left <= 0:
            raise PhotoError(f"{name}: {NO_TIME}")
        started = self._clock()
        try:
            return self._decoders.read(data, name, wanted, seconds=self._left)
        finally:
            self._left -= self._clock() - started


class _Decoder:
    """Decoder process, for one photo at a time."""

    def __init__(self, memory_bytes: int, seconds: int) -> None:
        # The child must find the modules that this process found; one thread is enough.
        path = {"PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
        threads = {"OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1"}
        self._process = subprocess.Popen(  # noqa: S603 - this Python, and numbers
            # By file, because `-m ophis.serve.decoder_process` would load FastAPI too.
            [sys.executable, "-P", decoder_process.__file__, str(memory_bytes), str(seconds)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env=os.environ | path | threads,
        )
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._requests, self._replies = self._process.stdin, self._process.stdout

    def alive(self) -> bool:
        return self._process.poll() is None

    def read(self, data: bytes, name: str, wanted: Wanted, seconds: float) -> Pixels:
        most = sum(len(wanted.tta) * side * side * 3 for side in wanted.sides)
        timeout = threading.Timer(seconds, self._process.kill)
        timeout.daemon = True
        timeout.start()
        try:
            send(self._requests, encode_request(name, wanted), [data])
            return parse_reply(*receive(self._replies, most), wanted)
        finally:
            timeout.cancel()

    def failure(self, error: Exception) -> str:
        """Describe a failure for the log, without data of clients."""
        with suppress(subprocess.TimeoutExpired):
            self._process.wait(1)
        code = self._process.returncode
        return type(error).__name__ if code is None else f"it ended with status {code}"

    def end(self) -> None:
        self._process.kill()
        self._process.wait()
        for file in (self._requests, self._replies):
            with suppress(OSError):  # unsent data is discarded
                file.close()


def _end(decoders: set[_Decoder]) -> None:
    for decoder in list(decoders):
        decoder.end()
