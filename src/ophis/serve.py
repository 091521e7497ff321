"""The service: one bundle behind HTTP, the same answers as the command line."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

from fastapi import FastAPI, File, Form, HTTPException, Request, UploadFile
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse

from ophis.errors import InputError, PhotoError
from ophis.images import MOST_BYTES
from ophis.words import read_words

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from starlette.responses import Response

    from ophis.classifier import Classifier

FORM_BYTES = 2**16  # room for the form around the photo
TOO_LARGE = f"the photo is larger than {MOST_BYTES // 2**20} MiB; send a smaller one"


def create_app(classifier: Classifier) -> FastAPI:
    """A FastAPI application that answers with this classifier.

    `POST /identify` (form: `photo`, optional `country` and `top`) answers as
    `Classifier.identify`; `GET /species` lists the classes, `GET /health` says which bundle
    answers. A photo or country that cannot be used is status 422 with one line in `error`, a
    request over 64 MiB is 413; each refusal holds what is to be done about a bite, in `emergency`.
    """
    # Without /docs: FastAPI's page would load its scripts from another host.
    app = FastAPI(title="ophis", docs_url=None, redoc_url=None)

    @app.middleware("http")
    async def refuse_large(
        request: Request, answer: Callable[[Request], Awaitable[Response]]
    ) -> Response:
        length = request.headers.get("content-length")
        if request.method == "POST" and not (length or "").isdigit():
            return _refusal(411, "say the length of the request")
        if int(length or 0) > MOST_BYTES + FORM_BYTES:
            return _refusal(413, TOO_LARGE)
        return await answer(request)

    @app.exception_handler(InputError)
    def refuse(_: Request, error: InputError) -> JSONResponse:
        return _refusal(422, str(error))

    @app.exception_handler(RequestValidationError)
    def refuse_form(_: Request, error: RequestValidationError) -> JSONResponse:
        fields = [f"{wrong['loc'][-1]}: {wrong['msg']}" for wrong in error.errors()]
        return _refusal(422, "; ".join(fields))

    @app.exception_handler(HTTPException)
    def refuse_status(_: Request, error: HTTPException) -> JSONResponse:
        return _refusal(error.status_code, error.detail)

    # Plain functions: FastAPI runs them in threads, so one photo does not hold up the others.
    @app.post("/identify")
    def identify(
        photo: Annotated[UploadFile, File()],
        country: Annotated[str | None, Form()] = None,
        top: Annotated[int, Form(ge=1)] = 5,
    ) -> dict[str, Any]:
        data = photo.file.read(MOST_BYTES + 1)
        if len(data) > MOST_BYTES:
            raise HTTPException(413, TOO_LARGE)
        if not data:
            raise PhotoError("photo: the file is empty; choose it again")
        return classifier.identify(data, country=country, top=top).as_dict()

    @app.get("/species")
    def species() -> list[str]:
        return list(classifier.bundle.species)

    @app.get("/health")
    def health() -> dict[str, str]:
        return {"status": "ok", "bundle": classifier.bundle.version}

    return app


def _refusal(status: int, error: str) -> JSONResponse:
    """What is wrong in one line, and what holds whatever is wrong."""
    emergency = read_words().say("advice", "emergency")
    return JSONResponse({"error": error, "emergency": emergency}, status_code=status)
