"""FastAPI application: routes, error handlers and state of the service."""

from __future__ import annotations

import asyncio
import logging
from contextlib import asynccontextmanager
from functools import partial
from typing import TYPE_CHECKING

from fastapi import APIRouter, Depends, FastAPI
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, PlainTextResponse, Response

from ophis.errors import InputError, place_of_mistake
from ophis.inference.engine import EngineTimeoutError
from ophis.serve import openapi
from ophis.serve.admission import AdmissionControl
from ophis.serve.decoders import Decoders, RequestDecoder
from ophis.serve.error_response import HTTPReason, RequestError, error_response, unavailable
from ophis.serve.limits import Limits
from ophis.serve.metrics import CONTENT_TYPE, Metrics
from ophis.serve.middleware import ServiceMiddleware
from ophis.serve.readiness import Readiness, require_answers
from ophis.serve.request import content_length, read_request, require_no_query
from ophis.serve.site import site_of

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator

    from ophis.inference.classifier import Classifier
    from ophis.serve.request_head import Hosts

log = logging.getLogger("ophis.serve")

WATCH_SECONDS = 0.5
ROUTES = {  # with their methods
    "/identify": "POST",
    "/species": "GET",
    "/health": "GET, HEAD",
    "/ready": "GET, HEAD",
    "/metrics": "GET",
    "/openapi.json": "GET",
}
_PATH_ERRORS = {
    404: "not found; the page is at /, and photos are sent to /identify",
    405: "this path does not accept this method; see /openapi.json",
}
_DESCRIPTION = (
    "Identifies the snake in photos, as far as it can be sure. No answer is an all-clear: treat"
    " every bite as an emergency."
)


class Service:
    """State of an application: classifier, readiness, admission control, decoders and metrics.

    Attributes:
        classifier: identifies snakes.
        limits: limits of the service.
        readiness: set it to `STOPPING` to reject further requests.
        admission: counts and bounds concurrent requests.
        decoders: processes that decode photos.
    """

    def __init__(self, classifier: Classifier, limits: Limits) -> None:
        self.classifier, self.limits = classifier, limits
        self.readiness = Readiness.STARTING
        self.admission, self.decoders = AdmissionControl(limits), Decoders(limits)
        self.metrics = Metrics(self.admission, self.decoders)
        self.site = site_of(classifier.bundle)
        self._tested = asyncio.Event()

    @asynccontextmanager
    async def open(self, _: FastAPI) -> AsyncGenerator[None]:
        """Run the self-test while the service already listens; stop threads at the end."""
        test = asyncio.create_task(self._test())
        try:
            yield
        finally:
            test.cancel()
            self.decoders.close()
            self.admission.close()

    async def _test(self) -> None:
        result = Readiness.FAILED
        try:
            await self.admission.run(self.decoders.start)
            await self.admission.run(partial(require_answers, self.classifier, self.decoders.read))
            result = Readiness.READY
        except InputError as error:
            log.error("the self-test failed: %s", error)
        except Exception as error:
            log.error("defect: %s", place_of_mistake(error))
        if self.readiness is Readiness.STARTING:
            self.readiness = result
        self._tested.set()

    async def identify(self, request: Request) -> Response:
        """Identify the snake in one photo, or in several of the same snake."""
        if self.readiness in (Readiness.FAILED, Readiness.STOPPING):
            raise unavailable(self.readiness, self.readiness.reason)
        # Admission precedes reading: a client that is rejected uploads nothing in vain.
        length = content_length(request, self.limits)
        with self.admission.admit(request.client.host if request.client else "") as upload:
            parsed = await read_request(request, self.limits, upload, length)
            await self._require_ready()
            async with self.admission.worker():
                if await request.is_disconnected():
                    raise ClientDisconnect
                decoder = RequestDecoder(self.decoders, self.limits.decoder_seconds)
                watch = asyncio.create_task(_watch(request, decoder))
                work = partial(parsed.run, self.classifier, decoder.read)
                try:
                    return JSONResponse(await self.admission.run(work))
                except EngineTimeoutError as error:
                    raise self._failed(error) from None
                finally:
                    watch.cancel()

    def _failed(self, error: EngineTimeoutError) -> RequestError:
        """Reject requests from now on; return the error of this one."""
        log.error("not ready any more: %s", error)
        if self.readiness is Readiness.READY:
            self.readiness = Readiness.FAILED
        return unavailable(Readiness.FAILED, Readiness.FAILED.reason)

    async def _require_ready(self) -> None:
        """Wait for the self-test, so that no untested answer is sent."""
        if self.readiness is Readiness.STARTING:
            await self._tested.wait()
            if self.readiness is not Readiness.READY:
                raise unavailable(self.readiness, self.readiness.reason)

    async def species(self) -> list[dict[str, str]]:
        """List the species of the model, with their danger."""
        bundle = self.classifier.bundle
        return [{"species": name, "danger": bundle.danger(name)} for name in bundle.species]

    async def health(self) -> dict[str, str]:
        """Report that the process is alive, and the bundle's version."""
        return {"status": "ok", "bundle": self.classifier.bundle.version}

    async def ready(self) -> dict[str, str]:
        """Report that the bundle was verified and the self-test passed."""
        if self.readiness is not Readiness.READY:
            raise unavailable(self.readiness, self.readiness.reason)
        return {"status": "ready", "bundle": self.classifier.bundle.version}

    async def prometheus(self) -> Response:
        """Return counts and times in Prometheus' text format, without data of clients."""
        return Response(self.metrics.text(), media_type=CONTENT_TYPE)

    async def page(self, request: Request, path: str) -> Response:
        """Return a file of the page."""
        if methods := ROUTES.get(f"/{path}"):  # only other methods reach this route
            raise HTTPException(405, headers={"Allow": methods})
        if (file := self.site.get(path)) is None:
            raise HTTPException(404)
        return file.response(request.headers.get("if-none-match", ""))

    def route_of(self, path: str) -> str:
        """Return the route template of a path: one of a few, for any path."""
        if path in ROUTES:
            return path
        return "page" if path.removeprefix("/") in self.site else "other"


def create_app(
    classifier: Classifier, *, limits: Limits | None = None, hosts: Hosts | None = None
) -> FastAPI:
    """Create the FastAPI application of a classifier; its state is `app.state.service`.

    POST /identify answers like `Classifier.identify`. GET /species lists the species; /health,
    /ready and /metrics are for operators; /openapi.json describes the interface; every other path
    is a file of the page. Errors are JSON: `error`, one sentence; `reason`, a code; `emergency`,
    the advice after a bite.

    Args:
        classifier: identifies snakes.
        limits: limits of concurrency, size and time.
        hosts: hosts that a request may name; None: any.
    """
    service = Service(classifier, limits or Limits())
    # Without /docs: FastAPI's page would load its scripts from another host.
    app = FastAPI(
        title="ophis",
        description=_DESCRIPTION,
        docs_url=None,
        redoc_url=None,
        lifespan=service.open,
    )
    app.state.service = service
    app.add_middleware(
        ServiceMiddleware, metrics=service.metrics, route_of=service.route_of, hosts=hosts
    )
    _handle_errors(app)
    _add_routes(app, service)
    app.openapi = partial(openapi.describe, app)
    return app


async def _watch(request: Request, decoder: RequestDecoder) -> None:
    """Stop the decoding of further photos when the client of a request is gone."""
    while not await request.is_disconnected():  # noqa: ASYNC110 - no event tells it
        await asyncio.sleep(WATCH_SECONDS)
    decoder.client_gone = True


def _add_routes(app: FastAPI, service: Service) -> None:
    errors = openapi.error_responses
    api = APIRouter(dependencies=[Depends(require_no_query)], responses=errors(422))
    api.post(
        "/identify",
        response_model=None,
        openapi_extra=openapi.request_body(service.limits),
        responses={
            200: openapi.answer_response(),
            **errors(400, 403, 406, 408, 411, 413, 415, 417, 421, 500, 503),
        },
    )(service.identify)
    ready = {**openapi.example(openapi.READY), **errors(503)}
    api.get("/species", responses=openapi.example(openapi.SPECIES))(service.species)
    api.get("/health", responses=openapi.example(openapi.HEALTH))(service.health)
    api.get("/ready", responses=ready)(service.ready)
    api.get("/metrics", response_class=PlainTextResponse)(service.prometheus)
    for path, endpoint in (("/health", service.health), ("/ready", service.ready)):
        api.add_api_route(path, endpoint, methods=["HEAD"], include_in_schema=False)
    app.include_router(api)
    app.api_route(
        "/{path:path}", methods=["GET", "HEAD"], include_in_schema=False, response_model=None
    )(service.page)


def _handle_errors(app: FastAPI) -> None:
    @app.exception_handler(RequestError)
    async def respond_to_request_error(request: Request, error: RequestError) -> Response:
        return error.response(request.state.language)

    @app.exception_handler(InputError)
    async def respond_to_input_error(request: Request, error: InputError) -> Response:
        language = request.state.language
        return error_response(422, str(error), reason=error.reason, language=language)

    @app.exception_handler(HTTPException)
    async def respond_to_path_error(request: Request, error: HTTPException) -> Response:
        return error_response(
            error.status_code,
            _PATH_ERRORS.get(error.status_code, str(error.detail)),
            reason=HTTPReason.NOT_FOUND,
            language=request.state.language,
            headers=error.headers,
        )
