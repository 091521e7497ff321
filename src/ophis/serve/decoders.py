"""The processes that read photos; one that dies, or takes too long, is replaced."""

from __future__ import annotations

import math
import os
import queue
import subprocess
import sys
import threading
import weakref
from contextlib import suppress
from typing import TYPE_CHECKING

from ophis.errors import PhotoError
from ophis.serve.decoder_process import MistakeError, pixels_of, question_of, receive, send
from ophis.serve.door import log

if TYPE_CHECKING:
    from ophis.inference.photo import Pixels, Wanted
    from ophis.serve.limits import Limits

UNREADABLE = "could not be read; send the photo again, or another one"


class Decoders:
    """As many as there are questions answered at once, each of which has one for itself.

    A decoder is started when there is need of one. See `decoder_process` for what it is, and why.

    Attributes:
        replaced: that died or took too long.
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
        """Start all of them, so that nobody waits for one later."""
        free = [self._free.get() for _ in range(self._limits.workers)]
        for decoder in free:
            self._free.put(decoder or self._started())

    def read(self, data: bytes, name: str, wanted: Wanted) -> Pixels:
        """As `photo.read`, by one of them.

        Raises:
            PhotoError: when the photo cannot be used; also where it ended the decoder.
        """
        decoder = self._free.get()
        try:
            if decoder is None or not decoder.alive():
                decoder = self._replaced(decoder) if decoder else self._started()
            try:
                return decoder.read(data, name, wanted, self._limits.decoder_seconds)
            except PhotoError:
                raise
            except MistakeError as error:
                log.error("mistake in a decoder: %s", error)
                raise
            except Exception as error:
                log.error("a decoder was replaced: %s", decoder.ended(error))
                decoder = self._replaced(decoder)
                raise PhotoError(f"{name}: {UNREADABLE}") from None
        finally:
            self._free.put(decoder)

    def _replaced(self, decoder: _Decoder) -> _Decoder:
        with self._lock:
            self.replaced += 1
            self._all.discard(decoder)
        decoder.end()
        return self._started()

    def _started(self) -> _Decoder:
        decoder = _Decoder(self._limits.decoder_bytes, math.ceil(self._limits.decoder_seconds))
        with self._lock:
            self._all.add(decoder)
        if not self.close.alive:  # while it was started, all were ended
            decoder.end()
        return decoder


class _Decoder:
    """One process, for one photo at a time."""

    def __init__(self, memory_bytes: int, seconds: int) -> None:
        # As this process finds its modules; and one thread is enough.
        found = {"PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
        threads = {"OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1"}
        self._process = subprocess.Popen(  # noqa: S603 - this Python, and numbers
            [
                sys.executable,
                "-P",
                "-m",
                "ophis.serve.decoder_process",
                str(memory_bytes),
                str(seconds),
            ],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env=os.environ | found | threads,
        )
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._questions, self._answers = self._process.stdin, self._process.stdout

    def alive(self) -> bool:
        return self._process.poll() is None

    def read(self, data: bytes, name: str, wanted: Wanted, seconds: float) -> Pixels:
        most = sum(len(wanted.tta) * side * side * 3 for side in wanted.sides)
        late = threading.Timer(seconds, self._process.kill)
        late.daemon = True
        late.start()
        try:
            send(self._questions, question_of(name, wanted), [data])
            return pixels_of(*receive(self._answers, most), wanted)
        finally:
            late.cancel()

    def ended(self, error: Exception) -> str:
        """How, as the log may have it."""
        with suppress(subprocess.TimeoutExpired):
            self._process.wait(1)
        code = self._process.returncode
        return type(error).__name__ if code is None else f"it ended with status {code}"

    def end(self) -> None:
        self._process.kill()
        self._process.wait()
        for file in (self._questions, self._answers):
            with suppress(OSError):  # what was not sent is of no use
                file.close()


def _end(decoders: set[_Decoder]) -> None:
    for decoder in list(decoders):
        decoder.end()
