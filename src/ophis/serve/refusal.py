"""A refusal: a status for programs, a sentence for people, and what holds whatever is wrong."""

from __future__ import annotations

from typing import TYPE_CHECKING

from starlette.responses import JSONResponse

from ophis.errors import Reason
from ophis.locales import languages, read_words

if TYPE_CHECKING:
    from collections.abc import Mapping

RETRY_SECONDS = 5


class RefusalError(Exception):
    """A question that is not answered.

    Attributes:
        status: of HTTP.
        error: one sentence.
        reason: the same for programs.
        headers: of the response, beside its body.
    """

    def __init__(
        self,
        status: int,
        error: str,
        *,
        reason: Reason = Reason.WRONG_INPUT,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(error)
        self.status, self.error, self.reason, self.headers = status, error, reason, headers


def later(error: str, reason: Reason) -> RefusalError:
    """A refusal of what may be asked again soon."""
    return RefusalError(503, error, reason=reason, headers={"Retry-After": str(RETRY_SECONDS)})


def refused(
    status: int,
    error: str,
    *,
    reason: Reason,
    language: str = "en",
    headers: Mapping[str, str] | None = None,
) -> JSONResponse:
    """The response to it; what is to be done about a bite is in the language of the question."""
    words = read_words(language if language in languages() else "en")
    body = {"error": error, "reason": reason, "emergency": words.say("advice", "emergency")}
    return JSONResponse(body, status_code=status, headers=headers)
