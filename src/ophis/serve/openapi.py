"""OpenAPI description of the service: schemas from the library's types, and examples."""

from __future__ import annotations

# Imported at run time: pydantic resolves the annotations of Answer in this module.
from collections.abc import Mapping, Sequence  # noqa: TC003
from typing import TYPE_CHECKING, Any

from fastapi.openapi.utils import get_openapi
from pydantic import TypeAdapter

from ophis.decision.decision import State
from ophis.decision.verdict import Verdict
from ophis.errors import (
    PhotoFailure,
    Reason,
)
from ophis.geography.location import Source
from ophis.inference.answer import Answer, Guess, SeenPhoto
from ophis.inference.evidence import Evidence  # noqa: TC001 - as above
from ophis.locales import languages, read_sentences
from ophis.priors.effect import PriorUse
from ophis.serve.error_response import HTTPReason
from ophis.taxonomy.danger import Danger

if TYPE_CHECKING:
    from fastapi import FastAPI

    from ophis.serve.limits import Limits

_REFERENCE = "#/components/schemas/{model}"
_JSON = "application/json"
_ANSWER = TypeAdapter(Answer)
_ANSWER.rebuild()  # with the names that are imported here
_WRONG = Reason.WRONG_INPUT
_ERRORS = {
    400: ("The form cannot be read.", "the form cannot be read; send it again", _WRONG),
    403: (
        "A page of another origin sent the request.",
        "a page of another address sent this; open the page of this service and use it there",
        _WRONG,
    ),
    406: ("Accept excludes JSON.", "answers are JSON; accept application/json", _WRONG),
    408: ("The upload was too slow.", "the photo did not arrive in time", HTTPReason.TOO_SLOW),
    411: ("No Content-Length.", "send the length of the request (Content-Length)", _WRONG),
    413: (
        "Too large, or too many photos.",
        "the photos are larger than 64 MiB together",
        Reason.TOO_LARGE,
    ),
    415: (
        "No form, or compressed.",
        "send the photo in a form (multipart/form-data), as field photo",
        _WRONG,
    ),
    417: (
        "An Expect header other than 100-continue.",
        "Expect: only 100-continue is served; leave it out",
        _WRONG,
    ),
    421: ("An unknown Host.", "this service is not called 'example.org'", _WRONG),
    422: (
        "A photo, a field, or a parameter of the address that cannot be used.",
        "photo: this is a PDF; send a JPEG photo",
        Reason.NOT_A_PHOTO,
    ),
    500: (
        "Internal error.",
        "internal error of the program; the photo is not the cause",
        HTTPReason.BROKEN,
    ),
    503: (
        "Busy, starting or stopping; Retry-After holds the seconds to wait.",
        "the service is busy at this moment; try again in a few seconds",
        HTTPReason.BUSY,
    ),
}
SPECIES = [{"species": "Naja nigricollis", "danger": str(Danger.VENOMOUS)}]
HEALTH = {"status": "ok", "bundle": "0123456789ab"}
READY = {"status": "ready", "bundle": "0123456789ab"}
_OPTIONS: dict[str, dict[str, Any]] = {
    "country": {
        "type": "string",
        "description": "Where the photo was taken: a name, or ISO 3166 alpha-2 or alpha-3.",
    },
    "at": {
        "type": "string",
        "examples": ["6.9,79.9", "6.9,79.9,50"],
        "description": "Position where the photo was taken: latitude,longitude in decimal degrees,"
        " and if known its accuracy in metres. It is in no answer and no log. With `country`,"
        " that country is used near a border.",
    },
    "gps": {
        "type": "boolean",
        "default": False,
        "description": "Use the photo's own position when neither `country` nor `at` is given."
        " `source` in the answer is `position`; let a person confirm it.",
    },
    "top": {"type": "integer", "minimum": 1, "default": 5, "description": "Number of guesses."},
    "language": {
        "type": "string",
        "examples": languages(),
        "description": f"Language of the answer's sentences: {', '.join(languages())}, or a"
        " regional form such as es-MX; by default the one that Accept-Language prefers, else en.",
    },
    "evidence": {
        "type": "boolean",
        "default": False,
        "description": "Return evidence maps: the regions of each photo that support the species.",
    },
}
REASONS = [*Reason, *HTTPReason]
ERROR = {
    "title": "Error",
    "type": "object",
    "required": ["error", "reason", "emergency"],
    "additionalProperties": False,
    "properties": {
        "error": {"type": "string", "description": "The cause and the fix."},
        "reason": {"type": "string", "enum": REASONS, "description": "Code for programs."},
        "emergency": {"type": "string", "description": "Advice after a bite."},
    },
}


def describe(app: FastAPI) -> dict[str, Any]:
    """Return the description, with the schemas that the responses refer to."""
    description = get_openapi(
        title=app.title, version=app.version, description=app.description, routes=app.routes
    )
    schema = _ANSWER.json_schema(mode="serialization", ref_template=_REFERENCE)
    schemas: dict[str, dict[str, Any]] = schema["$defs"]  # Answer too, which contains answers
    for one in schemas.values():
        one.pop("description", None)  # docstrings, meant for readers of the code
        if "properties" in one:  # every answer has all of them, and no others
            one |= {"required": list(one["properties"]), "additionalProperties": False}
    schemas["Error"] = ERROR
    schemas["PhotoFailure"]["properties"]["code"]["enum"] = list(Reason)
    description.setdefault("components", {}).setdefault("schemas", {}).update(schemas)
    # Not at its route, where FastAPI drops null values.
    answer = description["paths"]["/identify"]["post"]["responses"]["200"]
    answer["content"][_JSON]["example"] = example_answer()
    return description


def request_body(limits: Limits) -> dict[str, Any]:
    """Return the description of the form of POST /identify, and of the header that it reads."""
    photos = {
        "type": "array",
        "items": {"type": "string", "format": "binary"},
        "minItems": 1,
        "maxItems": limits.photos,
        "description": "Photos of one snake: JPEG, PNG, WebP; HEIC if its decoder is installed.",
    }
    schema = {
        "type": "object",
        "required": ["photo"],
        "additionalProperties": False,
        "properties": {"photo": photos, **_OPTIONS},
    }
    example = {"photo": ["(bytes of a photo)"], "country": "KE", "top": 3, "language": "en"}
    content = {"multipart/form-data": {"schema": schema, "example": example}}
    accepted = {
        "name": "Accept-Language",
        "in": "header",
        "schema": {"type": "string"},
        "description": "Preferred languages, where `language` is not given.",
    }
    return {"parameters": [accepted], "requestBody": {"required": True, "content": content}}


def example(value: object) -> dict[int | str, dict[str, Any]]:
    """Return an example of a response of status 200, whose schema comes from its route's types."""
    return {200: {"content": {_JSON: {"example": value}}}}


def _response(description: str, schema: dict[str, Any], example: object) -> dict[str, Any]:
    return {"description": description, "content": {_JSON: {"schema": schema, "example": example}}}


def error_responses(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """Return the error responses of these statuses, each with an example."""
    emergency = read_sentences().text("advice", "emergency")
    schema = {"$ref": _REFERENCE.format(model="Error")}
    return {
        status: _response(
            description, schema, {"error": error, "reason": reason, "emergency": emergency}
        )
        for status, (description, error, reason) in _ERRORS.items()
        if status in statuses
    }


def answer_response() -> dict[str, Any]:
    """Return the description of the answer of POST /identify."""
    schema = {"$ref": _REFERENCE.format(model="Answer")}
    return {"description": "The answer.", "content": {_JSON: {"schema": schema}}}


def example_answer() -> dict[str, Any]:
    """Return an invented answer about a cobra in Kenya."""
    words, name, other = read_sentences(), "Naja nigricollis", "Naja ashei"
    lines: Sequence[str] = (
        words.text("verdict", Verdict.MAY_BE_VENOMOUS),
        words.text("state", State.SPECIES, name=name),
        words.text("place", Source.GIVEN_POSITION, countries="Kenya"),
        words.text("prior", PriorUse.PLACE),
        words.text("records", "total", number="1,204"),
        words.text("country", "joined"),
        words.text("advice", "emergency"),
    )
    failures: tuple[PhotoFailure, ...] = ()
    evidence: tuple[Evidence | None, ...] = ()
    countries: Mapping[str, float] = {"kenya": 1.0}
    return Answer(
        photos=(SeenPhoto("photo", "0" * 64),),
        failures=failures,
        state=State.SPECIES,
        name=name,
        verdict=Verdict.MAY_BE_VENOMOUS,
        evaluated=True,
        possible=(name, other),
        guesses=(
            Guess(name, 0.91, Danger.VENOMOUS, records=41, nearest_km=3),
            Guess(other, 0.08, Danger.VENOMOUS, records=0, nearest_km=230),
        ),
        country="kenya",
        countries=countries,
        source=Source.GIVEN_POSITION,
        prior=PriorUse.PLACE,
        contradicts=False,
        overridden=False,
        place_records=1204,
        joined=True,
        danger_guaranteed=True,
        bundle="0123456789ab",
        language=words.language,
        lines=tuple(lines),
        evidence=evidence,
    ).as_dict()
