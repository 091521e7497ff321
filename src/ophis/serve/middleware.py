"""ASGI middleware: language, security headers, request log, metrics, and the 500 for defects."""

from __future__ import annotations

import asyncio
import logging
import time
from typing import TYPE_CHECKING

from starlette.datastructures import Headers, MutableHeaders
from starlette.requests import ClientDisconnect

from ophis.errors import place_of_mistake
from ophis.serve.error_response import (
    STOPPING,
    HTTPReason,
    RequestError,
    error_response,
    unavailable,
)
from ophis.serve.request_head import preferred_language, require_head
from ophis.web.page import content_security_policy

if TYPE_CHECKING:
    from collections.abc import Callable

    from starlette.types import ASGIApp, Message, Receive, Scope, Send

    from ophis.serve.metrics import Metrics
    from ophis.serve.request_head import Hosts

log = logging.getLogger("ophis.serve")

CLIENT_CLOSED_REQUEST = 499  # as in nginx
METHODS = ("GET", "HEAD", "POST", "OPTIONS", "PUT", "DELETE", "PATCH")
BROKEN = "internal error of the program; the photo is not the cause"
HEADERS = {
    # Browsers accept frame-ancestors in a header only, not in the page's <meta>.
    "Content-Security-Policy": f"{content_security_policy()}; frame-ancestors 'none'",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Permissions-Policy": "camera=(self), geolocation=(self)",
}


class ServiceMiddleware:
    """Middleware around the application.

    A line of the log holds the method, the route template, the status and the seconds. It holds no
    address, query, file name, country or position; of a defect it holds the source line only.

    Args:
        app: the ASGI application.
        metrics: counts requests.
        route_of: returns the route template of a path, one of a few.
        hosts: hosts that a request may name; None: any.
    """

    def __init__(
        self,
        app: ASGIApp,
        metrics: Metrics,
        route_of: Callable[[str], str],
        hosts: Hosts | None = None,
    ) -> None:
        self._app, self._metrics, self._route_of = app, metrics, route_of
        self._hosts = hosts

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        started, status = time.perf_counter(), 0
        accepted = ", ".join(Headers(scope=scope).getlist("accept-language"))
        scope.setdefault("state", {})["language"] = preferred_language(accepted)

        async def send_with_headers(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                headers = MutableHeaders(scope=message)
                for name, value in HEADERS.items():
                    headers.setdefault(name, value)
            await send(message)

        try:
            await self._respond(scope, receive, send_with_headers, lambda: bool(status))
        except ClientDisconnect:
            status = CLIENT_CLOSED_REQUEST
        seconds = time.perf_counter() - started
        method = scope["method"] if scope["method"] in METHODS else "other"
        route, status = self._route_of(scope["path"]), status or CLIENT_CLOSED_REQUEST
        self._metrics.count(method, route, status=status, seconds=seconds)
        log.info("%s %s %d %.3f s", method, route, status, seconds)

    async def _respond(
        self, scope: Scope, receive: Receive, send: Send, response_started: Callable[[], bool]
    ) -> None:
        language = scope["state"]["language"]
        try:
            require_head(scope["method"], Headers(scope=scope), self._hosts)
            await self._app(scope, receive, send)
        except ClientDisconnect:
            raise
        except RequestError as error:
            response = error.response(language)
        except asyncio.CancelledError:  # the grace period of a shutdown is over
            response = unavailable(STOPPING, HTTPReason.STOPPING).response(language)
        except Exception as error:
            # A traceback or message could hold data of the client.
            log.error("defect: %s", place_of_mistake(error))
            response = error_response(500, BROKEN, reason=HTTPReason.BROKEN, language=language)
        else:
            return
        if not response_started():
            await response(scope, receive, send)
