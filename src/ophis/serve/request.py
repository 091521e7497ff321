"""Parsing of requests, which are untrusted: head and multipart form of POST /identify."""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from starlette.datastructures import UploadFile
from starlette.formparsers import MultiPartException, MultiPartParser
from starlette.requests import Request  # noqa: TC002 - FastAPI reads the annotation

from ophis.errors import InputError, Reason
from ophis.geography.location import read_position
from ophis.images.decode import MAX_BYTES
from ophis.inference.photo import read
from ophis.serve.error_response import CLOSE, HTTPReason, RequestError
from ophis.serve.request_head import accepts_json

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Sequence

    from starlette.datastructures import FormData

    from ophis.geography.location import Position
    from ophis.inference.classifier import Classifier
    from ophis.inference.photo import Reader
    from ophis.serve.admission import Upload
    from ophis.serve.limits import Limits

FIELDS = ("photo", "country", "at", "gps", "top", "language", "evidence")
FIELD_BYTES = 1024
TOO_LARGE = (
    f"the photos are larger than {MAX_BYTES // 2**20} MiB together; send smaller or fewer ones"
)
NO_PHOTO = "no photo was sent; choose one, or several of the same snake"
_TRUE, _FALSE = ("true", "1", "yes", "on"), ("false", "0", "no", "off", "")


@dataclass(frozen=True)
class IdentifyRequest:
    """Fields of a request to identify one snake; see `Classifier.identify`.

    Attributes:
        photos: content of each file. File names are discarded.
        country: name or ISO code; None: not given.
        at: position; None: not given. No log contains it.
        gps: use a photo's own position when neither country nor position is given.
        top: number of guesses.
        language: language of the answer's sentences.
        evidence: return evidence maps.
    """

    photos: tuple[bytes, ...]
    country: str | None = None
    at: Position | None = None
    gps: bool = False
    top: int = 5
    language: str = "en"
    evidence: bool = False

    def run(self, classifier: Classifier, reader: Reader = read) -> dict[str, Any]:
        """Return the answer as JSON, in the form that the command line prints.

        Args:
            classifier: identifies the snake.
            reader: decodes the photos.

        Raises:
            InputError: as `Classifier.identify`.
        """
        return classifier.identify(
            self.photos,
            country=self.country,
            at=self.at,
            gps=self.gps,
            top=self.top,
            language=self.language,
            evidence=self.evidence,
            reader=reader,
        ).as_dict()


async def require_no_query(request: Request) -> None:
    """Refuse parameters in the address: no route of the interface reads any.

    Those of the form do not belong there: proxies log addresses, and a place is private.

    Raises:
        InputError: when there is one; names the first.
    """
    for name in request.query_params:
        if request.url.path == "/identify" and name in FIELDS:
            raise InputError(f"{name} is in the address; send it as a field of the form")
        raise InputError(
            f"{request.url.path} has no parameter {name[:40]!r} in its address; leave it out"
        )


def content_length(request: Request, limits: Limits) -> int:
    """Return the declared size of a form; no more than this is read of it.

    Raises:
        RequestError: when it is missing (411), too large (413), the body is no form or compressed
            (415), or another header has a value that is not served (406, 417).
    """
    _require_served_headers(request)
    length = request.headers.get("content-length", "")
    if not (length.isascii() and length.isdigit()):
        raise RequestError(411, "send the length of the request (Content-Length)")
    if len(length) > 18 or int(length) > limits.request_bytes:
        raise RequestError(413, TOO_LARGE, reason=Reason.TOO_LARGE)
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind != "multipart/form-data":
        raise RequestError(415, "send the photo in a form (multipart/form-data), as field photo")
    return int(length)


def _require_served_headers(request: Request) -> None:
    """Refuse headers whose values would change the meaning of the request or the response."""

    def header(name: str) -> str:
        return ", ".join(request.headers.getlist(name)).strip().lower()

    if header("content-encoding") not in ("", "identity"):
        raise RequestError(
            415,
            "send the form without compression (Content-Encoding)",
            headers={"Accept-Encoding": "identity"},
        )
    if header("expect") not in ("", "100-continue"):
        raise RequestError(417, "Expect: only 100-continue is served; leave it out")
    if not accepts_json(header("accept")):
        raise RequestError(406, "answers are JSON; accept application/json")


async def read_request(
    request: Request, limits: Limits, upload: Upload, length: int
) -> IdentifyRequest:
    """Read the form of a declared length into memory, within the limits.

    `request.state.language` becomes the form's as soon as it is known, for error responses.

    Raises:
        RequestError: when it is too large (413), too slow (408) or no form (400).
        InputError: when a field is invalid.
    """
    stream = _bounded(request, length, upload)
    parser = _Parser(
        request.headers,
        stream,
        max_files=limits.photos,
        max_fields=len(FIELDS),
        max_part_size=FIELD_BYTES,
    )
    try:
        async with upload.receive():
            return _parse(await parser.parse(), request)
    except MultiPartException as error:
        if error.message.startswith("Too many files"):
            raise RequestError(
                413,
                f"more than {limits.photos} photos; send the best ones of this snake",
                reason=HTTPReason.TOO_MANY_PHOTOS,
            ) from None
        raise RequestError(400, "the form cannot be read; send it again") from None
    finally:
        parser.close()


class _Parser(MultiPartParser):
    """Parser that keeps photos in memory and refuses a truncated form.

    Starlette's parser spools large files to disk and accepts a form without its end.
    """

    spool_max_size = 2**40
    ended = False

    def on_headers_finished(self) -> None:
        self._charset = "utf-8"  # of every form that a browser sends; a client may name any codec
        super().on_headers_finished()

    def on_end(self) -> None:
        self.ended = True

    async def parse(self) -> FormData:
        try:
            form = await super().parse()
        except ValueError:
            raise MultiPartException("the form names no codec") from None
        if not self.ended:
            raise MultiPartException("the form has no end")
        return form

    def close(self) -> None:
        """Release all photos, including incomplete ones."""
        for file in self._files_to_close_on_error:
            file.close()


async def _bounded(request: Request, most_bytes: int, upload: Upload) -> AsyncGenerator[bytes]:
    """Yield the body's chunks and count them; stop at the declared size."""
    async for chunk in request.stream():
        upload.count(len(chunk))
        if upload.received > most_bytes:
            raise RequestError(413, TOO_LARGE, reason=Reason.TOO_LARGE, headers=CLOSE)
        yield chunk


def _parse(form: FormData, request: Request) -> IdentifyRequest:
    parts = form.multi_items()
    values = {name: value for name, value in parts if isinstance(value, str)}
    request.state.language = language = values.get("language") or request.state.language
    _require_known([name for name, _ in parts])
    for name, value in parts:
        if name == "photo" and value and isinstance(value, str):
            raise InputError("photo: a file is needed")
        if name != "photo" and not isinstance(value, str):
            raise InputError(f"{name}: text is needed")
    photos = tuple(_content(part) for _, part in parts if isinstance(part, UploadFile))
    photos = tuple(photo for photo in photos if photo is not None)
    if not photos:
        raise InputError(NO_PHOTO, reason=Reason.NO_PHOTO)
    return IdentifyRequest(
        photos=photos,
        country=values.get("country", "").strip() or None,
        at=_position("at", values.get("at", "").strip()),
        gps=_boolean("gps", values.get("gps", "")),
        top=_integer("top", values.get("top") or "5"),
        language=language,
        evidence=_boolean("evidence", values.get("evidence", "")),
    )


def _require_known(names: Sequence[str]) -> None:
    for name, times in Counter(names).items():
        if name not in FIELDS:
            raise InputError(f"there is no field {name[:40]!r}; the fields are {', '.join(FIELDS)}")
        if times > 1 and name != "photo":
            raise InputError(f"{name} is given {times} times; give it once")


def _content(part: UploadFile) -> bytes | None:
    """Return a file's content; None for a file field that a browser sent without a file."""
    data = part.file.read()
    if len(data) > MAX_BYTES:
        raise RequestError(413, TOO_LARGE, reason=Reason.TOO_LARGE)
    return data if data or part.filename else None


def _position(name: str, text: str) -> Position | None:
    try:
        return read_position(text) if text else None
    except InputError as error:
        raise InputError(f"{name}: {error}") from None


def _boolean(name: str, text: str) -> bool:
    if text.lower() not in (*_TRUE, *_FALSE):
        raise InputError(f"{name} = {text!r} should be true or false")
    return text.lower() in _TRUE


def _integer(name: str, text: str) -> int:
    if not re.fullmatch(r"\s*[+-]?[0-9]+\s*", text):  # int() takes 1_0 as well
        raise InputError(f"{name} = {text[:40]!r} should be a whole number")
    return int(text)
