"""Local server of the page, with a function that answers the requests."""

from __future__ import annotations

import threading
import time
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import uvicorn
from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from ophis.serve.middleware import HEADERS
from ophis.taxonomy.species_list import SpeciesList
from ophis.web.page import KINDS, page_files

if TYPE_CHECKING:
    from collections.abc import Callable, Generator

    from starlette.requests import Request

    from ophis.web.page import Settings


@dataclass(frozen=True)
class PageRequest:
    """Request of the page.

    Attributes:
        photos: their bytes.
        fields: the rest of the form.
    """

    photos: tuple[bytes, ...]
    fields: dict[str, str]


@contextmanager
def page_server(
    settings: Settings, answer: Callable[[PageRequest], tuple[int, dict[str, Any]]]
) -> Generator[str]:
    """Serve the page; yields its address.

    Args:
        settings: of the page.
        answer: returns the status and the JSON for a request.
    """
    files = page_files(settings, SpeciesList(()))

    def file(request: Request) -> Response:
        path = request.path_params["path"] or "index.html"
        if path not in files:
            return Response(status_code=404)
        kind = KINDS[f".{path.rpartition('.')[2]}"]
        return Response(
            files[path],
            media_type=kind,
            headers=HEADERS,
        )

    async def identify(request: Request) -> Response:
        async with request.form() as form:
            photos = [
                await part.read() for part in form.getlist("photo") if not isinstance(part, str)
            ]
            fields = {key: part for key, part in form.items() if isinstance(part, str)}
        status, body = await run_in_threadpool(answer, PageRequest(tuple(photos), fields))
        return JSONResponse(body, status_code=status)

    routes = [Route("/identify", identify, methods=["POST"]), Route("/{path:path}", file)]
    server = uvicorn.Server(uvicorn.Config(Starlette(routes=routes), port=0, log_level="error"))
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    while not server.started:
        time.sleep(0.01)
    port = server.servers[0].sockets[0].getsockname()[1]
    yield f"http://127.0.0.1:{port}/"
    server.should_exit = True
    thread.join()
