"""A question: photos and what is said of them, read from a form that is not trusted."""

from __future__ import annotations

import asyncio
from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from starlette.datastructures import UploadFile
from starlette.formparsers import MultiPartException, MultiPartParser

from ophis.errors import InputError, Reason
from ophis.images.preprocessing import MOST_BYTES
from ophis.inference.photo import read
from ophis.serve.refusal import RefusalError

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Sequence

    from starlette.datastructures import FormData
    from starlette.requests import Request

    from ophis.inference.classifier import Classifier
    from ophis.inference.photo import Reader
    from ophis.serve.limits import Limits

FIELDS = ("photo", "country", "gps", "top", "language", "evidence")
FIELD_BYTES = 1024
TOO_LARGE = (
    f"the photos are larger than {MOST_BYTES // 2**20} MiB together; send smaller or fewer ones"
)
TOO_SLOW = "the photo did not arrive in time; try again where the network is better"
NO_PHOTO = "no photo was sent; choose one, or several of the same snake"
_YES, _NO = ("true", "1", "yes", "on"), ("false", "0", "no", "off", "")


@dataclass(frozen=True)
class Question:
    """What somebody wants to know of one snake: see `Classifier.identify`.

    Attributes:
        photos: the bytes of each. What the files were called is not kept.
        country: name or ISO code; None: nobody said.
        gps: whether a photo's own position tells the country when none is given.
        top: how many guesses.
        language: of the answer's sentences.
        evidence: whether maps of where the network saw the species are wanted.
    """

    photos: tuple[bytes, ...]
    country: str | None = None
    gps: bool = False
    top: int = 5
    language: str = "en"
    evidence: bool = False

    def answered_by(self, classifier: Classifier, reader: Reader = read) -> dict[str, Any]:
        """The answer as JSON has it, the same as that of the command line.

        Args:
            classifier: what answers.
            reader: what reads the photos.

        Raises:
            InputError: as `Classifier.identify`.
        """
        return classifier.identify(
            self.photos,
            country=self.country,
            gps=self.gps,
            top=self.top,
            language=self.language,
            evidence=self.evidence,
            reader=reader,
        ).as_dict()


def declared_bytes(request: Request, limits: Limits) -> int:
    """How large a request says that it is; it will not be read any further.

    Raises:
        RefusalError: when it does not say so (411), is too large (413), or no form (415).
    """
    length = request.headers.get("content-length", "")
    if not (length.isascii() and length.isdigit()):
        raise RefusalError(411, "say the length of the request (Content-Length)")
    if len(length) > 18 or int(length) > limits.request_bytes:
        raise RefusalError(413, TOO_LARGE, reason=Reason.TOO_LARGE)
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind != "multipart/form-data":
        raise RefusalError(415, "send the photo in a form (multipart/form-data), as field photo")
    return int(length)


async def read_question(request: Request, limits: Limits) -> Question:
    """Read the form, in memory, as long as it keeps to the limits.

    As soon as the language is known it is in `request.state.language`, for refusals.

    Raises:
        RefusalError: when it is too large (413), too slow (408) or no form (400).
        InputError: when a field has no meaning.
    """
    stream = _bounded(request, declared_bytes(request, limits), limits.stall_seconds)
    parser = _Parser(
        request.headers,
        stream,
        max_files=limits.photos,
        max_fields=len(FIELDS),
        max_part_size=FIELD_BYTES,
    )
    try:
        async with asyncio.timeout(limits.upload_seconds):
            return _question(await parser.parse(), request)
    except TimeoutError:
        raise RefusalError(
            408, TOO_SLOW, reason=Reason.TOO_SLOW, headers={"Connection": "close"}
        ) from None
    except MultiPartException as error:
        if error.message.startswith("Too many files"):
            raise RefusalError(
                413,
                f"more than {limits.photos} photos; send the best ones of this snake",
                reason=Reason.TOO_MANY_PHOTOS,
            ) from None
        raise RefusalError(400, "the form cannot be read; send it again") from None
    finally:
        parser.close()


class _Parser(MultiPartParser):
    """Starlette's, which would write photos to the disk, and take a form without its end."""

    spool_max_size = 2**40
    ended = False

    def on_end(self) -> None:
        self.ended = True

    async def parse(self) -> FormData:
        form = await super().parse()
        if not self.ended:
            raise MultiPartException("the form has no end")
        return form

    def close(self) -> None:
        """Let go of the photos, of those that never ended, too."""
        for file in self._files_to_close_on_error:
            file.close()


async def _bounded(
    request: Request, most_bytes: int, stall_seconds: float
) -> AsyncGenerator[bytes]:
    """The body, as far as it was declared, while it comes."""
    read, chunks = 0, request.stream()
    while True:
        try:
            async with asyncio.timeout(stall_seconds):
                chunk = await anext(chunks)
        except StopAsyncIteration:
            return
        read += len(chunk)
        if read > most_bytes:
            raise RefusalError(
                413, TOO_LARGE, reason=Reason.TOO_LARGE, headers={"Connection": "close"}
            )
        yield chunk


def _question(form: FormData, request: Request) -> Question:
    parts = form.multi_items()
    said = {name: value for name, value in parts if isinstance(value, str)}
    request.state.language = language = said.get("language") or "en"
    _require_known([name for name, _ in parts])
    if said.get("photo"):
        raise InputError("photo: a file is needed")
    for name, value in parts:
        if name != "photo" and not isinstance(value, str):
            raise InputError(f"{name}: text is needed")
    photos = tuple(_bytes(part) for _, part in parts if isinstance(part, UploadFile))
    photos = tuple(photo for photo in photos if photo is not None)
    if not photos:
        raise InputError(NO_PHOTO, reason=Reason.NO_PHOTO)
    return Question(
        photos=photos,
        country=said.get("country", "").strip() or None,
        gps=_flag("gps", said.get("gps", "")),
        top=_whole(said.get("top") or "5"),
        language=language,
        evidence=_flag("evidence", said.get("evidence", "")),
    )


def _require_known(names: Sequence[str]) -> None:
    for name, times in Counter(names).items():
        if name not in FIELDS:
            raise InputError(f"there is no field {name[:40]!r}; the fields are {', '.join(FIELDS)}")
        if times > 1 and name != "photo":
            raise InputError(f"{name} is given {times} times; say it once")


def _bytes(part: UploadFile) -> bytes | None:
    """What was sent; None where a browser sent a field in which no file was chosen."""
    data = part.file.read()
    if len(data) > MOST_BYTES:
        raise RefusalError(413, TOO_LARGE, reason=Reason.TOO_LARGE)
    return data if data or part.filename else None


def _flag(name: str, text: str) -> bool:
    if text.lower() not in (*_YES, *_NO):
        raise InputError(f"{name} = {text!r} should be true or false")
    return text.lower() in _YES


def _whole(text: str) -> int:
    try:
        return int(text)
    except ValueError:
        raise InputError(f"top = {text[:40]!r} should be a whole number") from None
