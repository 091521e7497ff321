"""The application: the routes of the service, each a few lines."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from functools import partial
from typing import TYPE_CHECKING

from fastapi import FastAPI
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, PlainTextResponse, Response

from ophis.errors import InputError, Reason, place_of_mistake
from ophis.serve import openapi
from ophis.serve.decoders import Decoders
from ophis.serve.desk import Desk
from ophis.serve.door import Door, log
from ophis.serve.limits import Limits
from ophis.serve.metrics import CONTENT_TYPE, Metrics
from ophis.serve.question import declared_bytes, read_question
from ophis.serve.readiness import Readiness, require_answers
from ophis.serve.refusal import RefusalError, later, refused
from ophis.serve.site import site_of
from ophis.taxonomy.danger import danger

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator

    from ophis.inference.classifier import Classifier

ROUTES = {  # and by which methods they are asked
    "/identify": "POST",
    "/species": "GET",
    "/health": "GET, HEAD",
    "/ready": "GET, HEAD",
    "/metrics": "GET",
    "/openapi.json": "GET",
}
_ELSEWHERE = {
    404: "there is nothing here; the page is at /, and photos are sent to /identify",
    405: "this is not how it is asked; see /openapi.json",
}
_ABOUT = (
    "Names the snake in photos, as far as it can be sure. No answer is an all-clear: treat every"
    " bite as an emergency."
)


class Service:
    """A classifier with all that answering over HTTP needs.

    Attributes:
        classifier: what answers.
        readiness: how far it is; set `STOPPING` to take no more questions.
        desk: where questions are.
        decoders: what reads their photos.
    """

    def __init__(self, classifier: Classifier, limits: Limits) -> None:
        self.classifier, self.limits = classifier, limits
        self.readiness = Readiness.STARTING
        self.desk, self.metrics = Desk(limits), Metrics()
        self.decoders, self._tested = Decoders(limits), asyncio.Event()
        self.site = site_of(classifier.bundle)

    @asynccontextmanager
    async def open(self, _: FastAPI) -> AsyncGenerator[None]:
        """Test itself while it already listens; at the end, let the threads go."""
        test = asyncio.create_task(self._test())
        try:
            yield
        finally:
            test.cancel()
            self.decoders.close()
            self.desk.close()

    async def _test(self) -> None:
        found = Readiness.FAILED
        try:
            await self.desk.run(self.decoders.start)
            await self.desk.run(partial(require_answers, self.classifier, self.decoders.read))
            found = Readiness.READY
        except InputError as error:
            log.error("the model does not answer as it should: %s", error)
        except Exception as error:
            log.error("mistake: %s", place_of_mistake(error))
        if self.readiness is Readiness.STARTING:
            self.readiness = found
        self._tested.set()

    async def identify(self, request: Request) -> Response:
        """Name the snake in one photo, or in several of the same snake."""
        if self.readiness in (Readiness.FAILED, Readiness.STOPPING):
            raise later(self.readiness, self.readiness.reason)
        # A place before the first byte of the body is read: who finds none sends nothing in vain.
        with self.desk.place(declared_bytes(request, self.limits)):
            question = await read_question(request, self.limits)
            await self._require_ready()
            async with self.desk.turn():
                if await request.is_disconnected():
                    raise ClientDisconnect
                work = partial(question.answered_by, self.classifier, self.decoders.read)
                return JSONResponse(await self.desk.run(work))

    async def _require_ready(self) -> None:
        """Wait for the self-test; who asked before it was over is not answered untested."""
        if self.readiness is Readiness.STARTING:
            await self._tested.wait()
            if self.readiness is not Readiness.READY:
                raise later(self.readiness, self.readiness.reason)

    async def species(self) -> list[dict[str, str]]:
        """Every species that can be named, with what is said of its danger."""
        names = self.classifier.bundle.species
        return [{"species": name, "danger": danger(name)} for name in names]

    async def health(self) -> dict[str, str]:
        """The process is alive; which bundle answers."""
        return {"status": "ok", "bundle": self.classifier.bundle.version}

    async def ready(self) -> dict[str, str]:
        """Questions are answered: the bundle's files were verified, and the self-test passed."""
        if self.readiness is not Readiness.READY:
            raise later(self.readiness, self.readiness.reason)
        return {"status": "ready", "bundle": self.classifier.bundle.version}

    async def figures(self) -> Response:
        """Counts and times in Prometheus' text format; none says who asked, or about what."""
        desk = self.desk
        others = {
            "ophis_queue_length": ("Questions that wait for a thread.", desk.waiting),
            "ophis_in_progress": ("Questions that a thread works on.", desk.in_progress),
            "ophis_places_taken": ("Questions received, waiting or in work.", desk.places),
            "ophis_decoders_replaced_total": (
                "Processes that read photos and died, or took too long.",
                self.decoders.replaced,
            ),
        }
        return PlainTextResponse(self.metrics.text(others), media_type=CONTENT_TYPE)

    async def page(self, request: Request, path: str) -> Response:
        """A file of the page."""
        if methods := ROUTES.get(f"/{path}"):  # of which this is none
            raise HTTPException(405, headers={"Allow": methods})
        if (file := self.site.get(path)) is None:
            raise HTTPException(404)
        return file.response(request.headers.get("if-none-match", ""))

    def route_of(self, path: str) -> str:
        """The route of a path: one of a few, whatever is asked for."""
        if path in ROUTES:
            return path
        return "page" if path.removeprefix("/") in self.site else "other"


def create_app(classifier: Classifier, *, limits: Limits | None = None) -> FastAPI:
    """A FastAPI application that answers with this classifier; `app.state.service` is its state.

    POST /identify answers as `Classifier.identify`, GET /species lists what it knows, /health,
    /ready and /metrics are for those who run it, /openapi.json describes all that; the page and its
    files are everything else. Whatever is refused is JSON: `error`, one sentence, and `emergency`,
    what is to be done about a bite.

    Args:
        classifier: what answers.
        limits: of what is taken on at once.
    """
    service = Service(classifier, limits or Limits())
    # Without /docs: FastAPI's page would load its scripts from another host.
    app = FastAPI(
        title="ophis", description=_ABOUT, docs_url=None, redoc_url=None, lifespan=service.open
    )
    app.state.service = service
    app.add_middleware(Door, metrics=service.metrics, route_of=service.route_of)
    _handle_refusals(app)
    _add_routes(app, service)
    app.openapi = partial(openapi.describe, app)
    return app


def _add_routes(app: FastAPI, service: Service) -> None:
    refusals = openapi.refusals
    app.post(
        "/identify",
        response_model=None,
        openapi_extra=openapi.question_body(service.limits),
        responses={
            200: openapi.answer_response(),
            **refusals(400, 408, 411, 413, 415, 422, 500, 503),
        },
    )(service.identify)
    ready = {**openapi.example(openapi.READY), **refusals(503)}
    app.get("/species", responses=openapi.example(openapi.SPECIES))(service.species)
    app.get("/health", responses=openapi.example(openapi.HEALTH))(service.health)
    app.get("/ready", responses=ready)(service.ready)
    app.get("/metrics", response_class=PlainTextResponse)(service.figures)
    for path, answer in (("/health", service.health), ("/ready", service.ready)):
        app.add_api_route(path, answer, methods=["HEAD"], include_in_schema=False)
    app.api_route(
        "/{path:path}", methods=["GET", "HEAD"], include_in_schema=False, response_model=None
    )(service.page)


def _handle_refusals(app: FastAPI) -> None:
    def language(request: Request) -> str:
        return getattr(request.state, "language", "en")

    @app.exception_handler(RefusalError)
    async def refuse(request: Request, error: RefusalError) -> Response:
        return refused(
            error.status,
            error.error,
            reason=error.reason,
            language=language(request),
            headers=error.headers,
        )

    @app.exception_handler(InputError)
    async def refuse_input(request: Request, error: InputError) -> Response:
        return refused(422, str(error), reason=error.reason, language=language(request))

    @app.exception_handler(HTTPException)
    async def refuse_path(_: Request, error: HTTPException) -> Response:
        sentence = _ELSEWHERE.get(error.status_code, str(error.detail))
        return refused(error.status_code, sentence, reason=Reason.NOT_FOUND, headers=error.headers)
