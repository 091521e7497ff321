"""Error responses: HTTP status, reason code, message, and first-aid advice."""

from __future__ import annotations

from enum import StrEnum
from typing import TYPE_CHECKING

from starlette.responses import JSONResponse

from ophis.errors import Reason
from ophis.locales import known_language, read_sentences

if TYPE_CHECKING:
    from collections.abc import Mapping

RETRY_SECONDS = 5
CLOSE = {"Connection": "close"}
STOPPING = "the service is stopping; try again in a few seconds"


class HTTPReason(StrEnum):
    """Reason codes of the service, in addition to `ophis.errors.Reason`."""

    TOO_MANY_PHOTOS = "too_many_photos"
    TOO_SLOW = "too_slow"
    BUSY = "busy"
    STARTING = "starting"
    STOPPING = "stopping"
    NOT_FOUND = "not_found"
    BROKEN = "broken"  # a defect of the program


class RequestError(Exception):
    """Request that is not answered.

    Attributes:
        status: HTTP status.
        error: message in one sentence.
        reason: code for programs.
        headers: additional response headers.
    """

    def __init__(
        self,
        status: int,
        error: str,
        *,
        reason: Reason | HTTPReason = Reason.WRONG_INPUT,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(error)
        self.status, self.error, self.reason, self.headers = status, error, reason, headers

    def response(self, language: str) -> JSONResponse:
        """Return the response in a language."""
        return error_response(
            self.status, self.error, reason=self.reason, language=language, headers=self.headers
        )


def unavailable(
    error: str, reason: Reason | HTTPReason, headers: Mapping[str, str] | None = None
) -> RequestError:
    """Return a 503 error with Retry-After."""
    headers = {"Retry-After": str(RETRY_SECONDS), **(headers or {})}
    return RequestError(503, error, reason=reason, headers=headers)


def error_response(
    status: int,
    error: str,
    *,
    reason: Reason | HTTPReason,
    language: str = "en",
    headers: Mapping[str, str] | None = None,
) -> JSONResponse:
    """Return the JSON response of an error; the advice is in the client's language."""
    words = read_sentences(known_language(language) or "en")
    body = {"error": error, "reason": reason, "emergency": words.text("advice", "emergency")}
    return JSONResponse(body, status_code=status, headers=headers)
