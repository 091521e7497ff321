"""What OpenAPI says of the service: schemas from the library's own types, and examples."""

from __future__ import annotations

# Not only for type checkers: pydantic looks the names in Answer's annotations up here.
from collections.abc import Mapping, Sequence  # noqa: TC003
from typing import TYPE_CHECKING, Any

from fastapi.openapi.utils import get_openapi
from pydantic import TypeAdapter

from ophis.decision.rule import State, Verdict
from ophis.errors import (
    PhotoFailure,
    Reason,
)
from ophis.geography.location import Source
from ophis.inference.answer import Answer, Guess, SeenPhoto
from ophis.inference.evidence import Evidence  # noqa: TC001 - as above
from ophis.locales import languages, read_words
from ophis.priors.prior import PriorUse
from ophis.taxonomy.danger import Danger

if TYPE_CHECKING:
    from fastapi import FastAPI

    from ophis.serve.limits import Limits

_REFERENCE = "#/components/schemas/{model}"
_JSON = "application/json"
_ANSWER = TypeAdapter(Answer)
_ANSWER.rebuild()  # with the names that are imported here
_WRONG = Reason.WRONG_INPUT
_SENTENCES = {
    400: ("The form cannot be read.", "the form cannot be read; send it again", _WRONG),
    408: ("The upload was too slow.", "the photo did not arrive in time", Reason.TOO_SLOW),
    411: ("No Content-Length.", "say the length of the request (Content-Length)", _WRONG),
    413: (
        "Too large, or too many photos.",
        "the photos are larger than 64 MiB together",
        Reason.TOO_LARGE,
    ),
    415: ("No form.", "send the photo in a form (multipart/form-data), as field photo", _WRONG),
    422: (
        "A photo or a field that cannot be used.",
        "photo: this is a PDF; send a JPEG photo",
        Reason.NOT_A_PHOTO,
    ),
    500: (
        "A mistake of the program.",
        "the program made a mistake with this question",
        Reason.BROKEN,
    ),
    503: (
        "Full, starting or stopping; Retry-After says when.",
        "too many people are asking",
        Reason.BUSY,
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
    "gps": {
        "type": "boolean",
        "default": False,
        "description": "Without `country`: take it from the photo's own position. `source` in the"
        " answer says so; let a person confirm it.",
    },
    "top": {"type": "integer", "minimum": 1, "default": 5, "description": "How many guesses."},
    "language": {
        "type": "string",
        "enum": languages(),
        "default": "en",
        "description": "Of the answer's sentences.",
    },
    "evidence": {
        "type": "boolean",
        "default": False,
        "description": "Say where in each photo the network saw the species.",
    },
}
REFUSAL = {
    "title": "Refusal",
    "type": "object",
    "required": ["error", "reason", "emergency"],
    "additionalProperties": False,
    "properties": {
        "error": {"type": "string", "description": "What is wrong, and what to do about it."},
        "reason": {"type": "string", "enum": list(Reason), "description": "The same for programs."},
        "emergency": {"type": "string", "description": "What holds whatever is wrong."},
    },
}


def describe(app: FastAPI) -> dict[str, Any]:
    """The whole description, with the schemas that `answered` and `refusals` point to."""
    description = get_openapi(
        title=app.title, version=app.version, description=app.description, routes=app.routes
    )
    schema = _ANSWER.json_schema(mode="serialization", ref_template=_REFERENCE)
    schemas: dict[str, dict[str, Any]] = {**schema.pop("$defs"), "Answer": schema}
    for one in schemas.values():
        one.pop("description", None)  # docstrings, which are for readers of the code
        if "properties" in one:  # an answer always has all of them, and no others
            one |= {"required": list(one["properties"]), "additionalProperties": False}
    schemas["Refusal"] = REFUSAL
    schemas["PhotoFailure"]["properties"]["code"]["enum"] = list(Reason)
    description.setdefault("components", {}).setdefault("schemas", {}).update(schemas)
    # Here and not at its route, because there FastAPI drops what is null.
    answer = description["paths"]["/identify"]["post"]["responses"]["200"]
    answer["content"][_JSON]["example"] = example_answer()
    return description


def question_body(limits: Limits) -> dict[str, Any]:
    """The form of POST /identify."""
    photos = {
        "type": "array",
        "items": {"type": "string", "format": "binary"},
        "minItems": 1,
        "maxItems": limits.photos,
        "description": "Photos of one snake: JPEG, PNG, WebP, or HEIC where it can be read.",
    }
    schema = {
        "type": "object",
        "required": ["photo"],
        "additionalProperties": False,
        "properties": {"photo": photos, **_OPTIONS},
    }
    example = {"photo": ["(bytes of a photo)"], "country": "KE", "top": 3, "language": "en"}
    content = {"multipart/form-data": {"schema": schema, "example": example}}
    return {"requestBody": {"required": True, "content": content}}


def example(value: object) -> dict[int | str, dict[str, Any]]:
    """An example of a response of status 200, whose schema its route's types give."""
    return {200: {"content": {_JSON: {"example": value}}}}


def answered(what: str, schema: dict[str, Any], example: object) -> dict[str, Any]:
    """A response of status 200."""
    return {"description": what, "content": {_JSON: {"schema": schema, "example": example}}}


def refusals(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """The responses to what is refused, each with an example."""
    emergency = read_words().say("advice", "emergency")
    schema = {"$ref": _REFERENCE.format(model="Refusal")}
    return {
        status: answered(what, schema, {"error": error, "reason": reason, "emergency": emergency})
        for status, (what, error, reason) in _SENTENCES.items()
        if status in statuses
    }


def answer_response() -> dict[str, Any]:
    """That of POST /identify."""
    schema = {"$ref": _REFERENCE.format(model="Answer")}
    return {"description": "What is said of the snake.", "content": {_JSON: {"schema": schema}}}


def example_answer() -> dict[str, Any]:
    """An answer about a cobra in Kenya; made up, as no bundle is asked."""
    words, name, other = read_words(), "Naja nigricollis", "Naja ashei"
    lines: Sequence[str] = (
        words.say("verdict", Verdict.MAY_BE_VENOMOUS),
        words.say("state", State.SPECIES, name=name),
        words.say("place", Source.GIVEN, countries="Kenya"),
        words.say("prior", PriorUse.WEIGHED),
        words.say("advice", "emergency"),
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
        judged=True,
        possible=(name, other),
        guesses=(Guess(name, 0.91, Danger.VENOMOUS), Guess(other, 0.08, Danger.VENOMOUS)),
        country="kenya",
        countries=countries,
        source=Source.GIVEN,
        prior=PriorUse.WEIGHED,
        contradicts=False,
        ruled=False,
        bundle="0123456789ab",
        language=words.language,
        lines=tuple(lines),
        evidence=evidence,
    ).as_dict()
