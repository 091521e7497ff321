"""The door of the service: every request is counted and logged here, and no mistake gets out."""

from __future__ import annotations

import asyncio
import logging
import time
from typing import TYPE_CHECKING

from starlette.datastructures import MutableHeaders
from starlette.requests import ClientDisconnect

from ophis.errors import Reason, place_of_mistake
from ophis.serve.refusal import later, refused
from ophis.web.page import content_security_policy

if TYPE_CHECKING:
    from collections.abc import Callable

    from starlette.types import ASGIApp, Message, Receive, Scope, Send

    from ophis.serve.metrics import Metrics

log = logging.getLogger("ophis.serve")

GONE = 499  # as nginx calls it: whoever asked went away
METHODS = ("GET", "HEAD", "POST", "OPTIONS", "PUT", "DELETE", "PATCH")
BROKEN = "the program made a mistake with this question; it is not the photo's fault"
STOPPING = "the service is being stopped; ask again in a few seconds"
HEADERS = {
    # Browsers take the last one from a header only.
    "Content-Security-Policy": f"{content_security_policy()}; frame-ancestors 'none'",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Permissions-Policy": "camera=(self), geolocation=(self)",
}


class Door:
    """What is around the application.

    A line of the log holds the method, the route as we wrote it, the status and the seconds: no
    address, query, file name, country or position, and of a mistake only where it happened.

    Args:
        app: what answers.
        metrics: where requests are counted.
        route_of: the route of a path, one of a few.
    """

    def __init__(self, app: ASGIApp, metrics: Metrics, route_of: Callable[[str], str]) -> None:
        self._app, self._metrics, self._route_of = app, metrics, route_of

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        started, status = time.perf_counter(), 0

        async def sent(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                headers = MutableHeaders(scope=message)
                for name, value in HEADERS.items():
                    headers.setdefault(name, value)
            await send(message)

        try:
            await self._answered(scope, receive, sent, lambda: bool(status))
        except ClientDisconnect:
            status = GONE
        seconds = time.perf_counter() - started
        method = scope["method"] if scope["method"] in METHODS else "other"
        route = self._route_of(scope["path"])
        self._metrics.count(method, route, status=status or GONE, seconds=seconds)
        log.info("%s %s %d %.3f s", method, route, status or GONE, seconds)

    async def _answered(
        self, scope: Scope, receive: Receive, send: Send, begun: Callable[[], bool]
    ) -> None:
        try:
            await self._app(scope, receive, send)
        except ClientDisconnect:
            raise
        except asyncio.CancelledError:  # the last ones, when the time to stop is over
            refusal = later(STOPPING, Reason.STOPPING)
            response = refused(
                refusal.status, refusal.error, reason=refusal.reason, headers=refusal.headers
            )
        except Exception as error:
            log.error("mistake: %s", place_of_mistake(error))  # noqa: TRY400 - a traceback tells too much
            response = refused(500, BROKEN, reason=Reason.BROKEN)
        else:
            return
        if not begun():
            await response(scope, receive, send)
