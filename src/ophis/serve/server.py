"""Server process: listening socket, timeouts of connections, graceful shutdown."""

from __future__ import annotations

import asyncio
import errno
import logging
import os
import socket
import sys
import threading
import time
from typing import TYPE_CHECKING, Any

import h11
import uvicorn
from uvicorn.protocols.http.h11_impl import H11Protocol

from ophis.errors import InputError, OneLineFormatter, Reason, place_of_mistake
from ophis.serve.admission import THREADS, network_of, of_largest_holder
from ophis.serve.app import create_app
from ophis.serve.error_response import CLOSE, error_response
from ophis.serve.readiness import Readiness
from ophis.serve.request_head import Hosts

try:
    import resource
except ImportError:  # Windows
    resource = None

if TYPE_CHECKING:
    from collections.abc import Sequence
    from types import FrameType

    from fastapi import FastAPI

    from ophis.inference.classifier import Classifier
    from ophis.serve.limits import Limits

log = logging.getLogger("ophis.serve")

NO_HTTP = "this is no HTTP request that can be read; send it again"
MOST_CONNECTIONS = 512
ACCEPTED_AT_ONCE = 16  # connections that exceed the limit until they are closed
QUEUED_CONNECTIONS = 128  # by the operating system
OTHER_DESCRIPTORS = 96  # of decoders, files, and connections that are being closed
THREAD_SECONDS = 1.0  # for the end of a thread whose response is no longer awaited
SHUTDOWN_SECONDS = 5  # for responses that are left after the grace period
IDLE_SECONDS = 10.0  # a request head, or the fetching of a response, must make progress in it


def serve(
    classifier: Classifier,
    *,
    host: str,
    port: int,
    limits: Limits | None = None,
    host_names: Sequence[str] = (),
    host_hint: str = "the operator can allow the name",
) -> None:
    """Answer over HTTP until SIGTERM or Ctrl-C; requests in flight are answered first.

    Args:
        classifier: identifies snakes.
        host: name or address to listen at.
        port: 0 selects a free port. The address is logged to stderr.
        limits: limits of concurrency, size and time.
        host_names: names under which clients reach the service, in addition to `host`, its address
            and localhost. A service that listens at every address is reached by each of them.
        host_hint: end of the error for another name: how the operator allows it.

    Raises:
        InputError: when the address cannot be listened at.
    """
    listener = _listener(host, port)
    hosts = Hosts.of((host, listener.getsockname()[0]), host_names, host_hint)
    app = create_app(classifier, limits=limits, hosts=hosts)
    _log_to_stderr()
    config = uvicorn.Config(
        app,
        http=_Connection,
        ws="none",
        log_config=None,
        log_level=logging.ERROR,  # its warnings are about requests
        access_log=False,  # uvicorn's would hold addresses and queries
        server_header=False,
        backlog=ACCEPTED_AT_ONCE,
        timeout_graceful_shutdown=SHUTDOWN_SECONDS,
    )
    _Server(config, app).run(sockets=[listener])
    app.state.service.admission.close()  # after a second signal it is still open
    _end_threads()


def _end_threads() -> None:
    """End the process at once if a network has not returned; Python would wait for its thread."""
    threads = [each for each in threading.enumerate() if each.name.startswith(THREADS)]
    for thread in threads:
        thread.join(THREAD_SECONDS)
    if any(thread.is_alive() for thread in threads):
        log.error("a network has not returned; the process ends without waiting for it")
        logging.shutdown()
        os._exit(1)


class _Connection(H11Protocol):
    """Connection that is closed when the client makes no progress.

    uvicorn waits without limit for a request's head, and for a client to fetch its response.
    Between two checks here, one of both must advance. When there are too many connections, the one
    without a request for the longest time is closed, first of the client that has the most.
    """

    _timer: asyncio.TimerHandle | None = None
    _progress: object = None
    _idle_since = 0.0
    network = ""

    def connection_made(self, transport: asyncio.Transport) -> None:
        super().connection_made(transport)
        self.network = network_of(self.client[0] if self.client else "")
        self._idle_since = self.loop.time()
        self._make_room()
        if not transport.is_closing():
            self._check()

    def connection_lost(self, exc: Exception | None) -> None:
        if self._timer:
            self._timer.cancel()
        super().connection_lost(exc)

    def on_response_complete(self) -> None:
        self._idle_since = self.loop.time()
        super().on_response_complete()

    def send_400_response(self, msg: str) -> None:
        """Answer a request that is no HTTP with the advice, as all errors."""
        del msg
        if self.conn.our_state not in (h11.IDLE, h11.SEND_RESPONSE):  # a response has begun
            self.transport.close()
            return
        response = error_response(400, NO_HTTP, reason=Reason.WRONG_INPUT, headers=CLOSE)
        event = h11.Response(status_code=400, headers=response.raw_headers, reason=b"Bad Request")
        body: list[h11.Event] = [event, h11.Data(data=bytes(response.body)), h11.EndOfMessage()]
        for part in body:
            self.transport.write(self.conn.send(part) or b"")
        self.transport.close()

    def _make_room(self) -> None:
        connections: list[_Connection] = [
            each
            for each in self.connections
            if isinstance(each, _Connection) and not each.transport.is_closing()
        ]
        if len(connections) > most_connections():
            idle = [each for each in connections if each.idle() and each is not self]
            idle = of_largest_holder(idle, lambda each: each.network)
            # A client that fetches a response comes last.
            longest = min(idle, key=_Connection.rank, default=self)
            longest.transport.abort()

    def idle(self) -> bool:
        """Return True while there is no request, or its response waits for the client."""
        return self.cycle is None or self.cycle.response_complete

    def rank(self) -> tuple[bool, float]:
        """Return the order in which connections are closed."""
        return self.transport.get_write_buffer_size() > 0, self._idle_since

    def _check(self) -> None:
        # While a response is computed, the application's own time limits apply.
        waiting = self.idle()
        progress = (self.cycle, self.transport.get_write_buffer_size()) if waiting else None
        if waiting and progress == self._progress:
            self.transport.abort()
            return
        self._progress = progress
        self._timer = self.loop.call_later(IDLE_SECONDS, self._check)


def most_connections() -> int:
    """Return the number of connections for which this process has descriptors."""
    if resource is None:
        return MOST_CONNECTIONS
    descriptors, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    if descriptors == resource.RLIM_INFINITY:
        return MOST_CONNECTIONS
    return min(MOST_CONNECTIONS, max(ACCEPTED_AT_ONCE, descriptors - OTHER_DESCRIPTORS))


def _log_loop_error(_: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
    """Log an error of the event loop in one line, except the lack of descriptors.

    Then the loop accepts connections again after a second; those that are open are served.
    """
    error = context.get("exception")
    lacking = (errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM)
    if not (isinstance(error, OSError) and error.errno in lacking):
        # A traceback or message could hold data of the client.
        log.error("defect: %s", place_of_mistake(error) if error else "in the event loop")


class _Server(uvicorn.Server):
    """Server that exits with status 0 after requests in flight are answered.

    From the first signal on, requests are rejected with Retry-After and /ready gives 503, so that
    a load balancer sends them elsewhere.
    """

    def __init__(self, config: uvicorn.Config, app: FastAPI) -> None:
        super().__init__(config)
        self._service = app.state.service
        self._stop_at = float("inf")

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Listen, and log the address."""
        asyncio.get_running_loop().set_exception_handler(_log_loop_error)
        await super().startup(sockets)
        for listener in sockets or []:
            listener.listen(QUEUED_CONNECTIONS)  # the loop has set its own number, which is small
            log.info("listening at http://%s", _address(listener))

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """Stop accepting requests at the first signal, and exit at the second."""
        del sig, frame
        if self._service.readiness is Readiness.STOPPING:
            self.should_exit = self.force_exit = True
        self._service.readiness = Readiness.STOPPING
        self._stop_at = time.monotonic() + self._service.limits.grace_seconds

    async def on_tick(self, counter: int) -> bool:
        """Decide ten times a second if the server exits."""
        stopping = self._service.readiness is Readiness.STOPPING
        idle = not self._service.admission.admitted
        if stopping and (idle or time.monotonic() > self._stop_at):
            self.should_exit = True
        return await super().on_tick(counter)


def _listener(host: str, port: int) -> socket.socket:
    if not 0 <= port <= 65535:  # socket would wrap it to another port
        raise InputError(f"port {port}: give a number from 0 to 65535")
    try:
        family, *_, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        return socket.create_server(address[:2], family=family, backlog=QUEUED_CONNECTIONS)
    except OSError as error:
        raise InputError(
            f"nothing can listen at {host}, port {port}: {error.strerror}; choose another host or"
            " port"
        ) from None


def _address(listener: socket.socket) -> str:
    host, port = listener.getsockname()[:2]
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def _log_to_stderr() -> None:
    handler: logging.StreamHandler[Any] = logging.StreamHandler(sys.stderr)
    handler.setFormatter(OneLineFormatter("%(asctime)s %(message)s"))
    log.addHandler(handler)
    log.setLevel(logging.INFO)
    log.propagate = False
