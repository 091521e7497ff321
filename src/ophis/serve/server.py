"""The process: it listens, cuts off who is too slow, and ends when those in flight are answered."""

from __future__ import annotations

import logging
import socket
import sys
import time
from typing import TYPE_CHECKING, Any

import uvicorn
from uvicorn.protocols.http.h11_impl import H11Protocol

from ophis.errors import InputError
from ophis.serve.app import create_app
from ophis.serve.door import log
from ophis.serve.readiness import Readiness

if TYPE_CHECKING:
    import asyncio
    from types import FrameType

    from fastapi import FastAPI

    from ophis.inference.classifier import Classifier
    from ophis.serve.limits import Limits

MOST_CONNECTIONS = 512
LAST_SECONDS = 5  # for what is left, after those in flight had theirs
SLOW_SECONDS = 10.0  # in which a request's head has to come, and an answer to be fetched


def serve(classifier: Classifier, *, host: str, port: int, limits: Limits | None = None) -> None:
    """Answer over HTTP until a signal (SIGTERM, Ctrl-C) ends it; those in flight are answered.

    Args:
        classifier: what answers.
        host: name or address to listen at.
        port: 0 takes one that is free. Where it listens is said on stderr.
        limits: of what is taken on at once.

    Raises:
        InputError: when nothing can listen there.
    """
    app = create_app(classifier, limits=limits)
    listener = _listener(host, port)
    _log_to_stderr()
    config = uvicorn.Config(
        app,
        http=_Connection,
        ws="none",
        log_config=None,
        access_log=False,  # uvicorn's would hold addresses and queries
        server_header=False,
        timeout_graceful_shutdown=LAST_SECONDS,
    )
    _Server(config, app).run(sockets=[listener])


class _Connection(H11Protocol):
    """A connection on which something has to happen.

    uvicorn waits for ever for a request's head, and for a client to fetch its answer. Between two
    looks here, one of both has to get on.
    """

    _looks: asyncio.TimerHandle | None = None
    _seen: object = None

    def connection_made(self, transport: asyncio.Transport) -> None:
        super().connection_made(transport)
        if len(self.connections) > MOST_CONNECTIONS:
            transport.abort()
        else:
            self._look()

    def connection_lost(self, exc: Exception | None) -> None:
        if self._looks:
            self._looks.cancel()
        super().connection_lost(exc)

    def _look(self) -> None:
        # While an answer is made, the application keeps the time.
        theirs = self.cycle is None or self.cycle.response_complete
        seen = (self.cycle, self.transport.get_write_buffer_size()) if theirs else None
        if theirs and seen == self._seen:
            self.transport.abort()
            return
        self._seen = seen
        self._looks = self.loop.call_later(SLOW_SECONDS, self._look)


class _Server(uvicorn.Server):
    """Ends with status 0, and not before those in flight are answered.

    From the first signal on, questions are refused, with the time to come again, and /ready says
    so; who listens in front of several services sends them elsewhere.
    """

    def __init__(self, config: uvicorn.Config, app: FastAPI) -> None:
        super().__init__(config)
        self._service = app.state.service
        self._stop_at = float("inf")

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Listen, and say where."""
        await super().startup(sockets)
        for listener in sockets or []:
            log.info("listening at http://%s", _address(listener))

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """First signal: no more questions. Second: no more answers."""
        del sig, frame
        if self._service.readiness is Readiness.STOPPING:
            self.should_exit = self.force_exit = True
        self._service.readiness = Readiness.STOPPING
        self._stop_at = time.monotonic() + self._service.limits.grace_seconds

    async def on_tick(self, counter: int) -> bool:
        """Ten times a second: whether to end."""
        stopping = self._service.readiness is Readiness.STOPPING
        if stopping and (not self._service.desk.places or time.monotonic() > self._stop_at):
            self.should_exit = True
        return await super().on_tick(counter)


def _listener(host: str, port: int) -> socket.socket:
    if not 0 <= port <= 65535:  # or it would be taken for another one
        raise InputError(f"--port {port} should be a number from 0 to 65535")
    try:
        family, *_, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        return socket.create_server(address[:2], family=family, backlog=128)
    except OSError as error:
        raise InputError(
            f"nothing can listen at {host}, port {port}: {error.strerror}; choose another --host or"
            " --port"
        ) from None


def _address(listener: socket.socket) -> str:
    host, port = listener.getsockname()[:2]
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def _log_to_stderr() -> None:
    handler: logging.StreamHandler[Any] = logging.StreamHandler(sys.stderr)
    handler.setFormatter(logging.Formatter("%(asctime)s %(message)s"))
    log.addHandler(handler)
    log.setLevel(logging.INFO)
    log.propagate = False
