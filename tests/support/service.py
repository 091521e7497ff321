"""Service of a synthetic bundle, and requests to it without a socket."""

import asyncio
import json
import selectors
import threading
from collections.abc import AsyncIterable, Callable, Coroutine, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from fastapi import FastAPI

from ophis.serve import Limits, create_app
from ophis.serve.readiness import Readiness
from tests.support.classifiers import PRIOR, RULE, SPECIES
from tests.support.made_bundle import write_made_bundle

BOUNDARY = b"a-boundary"
FORM = {"content-type": f"multipart/form-data; boundary={BOUNDARY.decode()}"}


def evaluated_bundle(folder: Path) -> Path:
    """Write a bundle of a random network with a prior and a decision rule."""
    return write_made_bundle(folder, SPECIES, prior=PRIOR, rule=RULE, selftest=True)


def form(*photos: bytes, **fields: str) -> bytes:
    """Return a form as a browser sends it."""
    parts = [
        b'Content-Disposition: form-data; name="photo"; filename="a"\r\n\r\n' + data
        for data in photos
    ]
    parts += [
        f'Content-Disposition: form-data; name="{name}"\r\n\r\n{value}'.encode()
        for name, value in fields.items()
    ]
    lines = b"".join(b"--" + BOUNDARY + b"\r\n" + part + b"\r\n" for part in parts)
    return lines + b"--" + BOUNDARY + b"--\r\n"


def ready_app(classifier: Any, *, limits: Limits | None = None) -> FastAPI:
    """Return the application in the state after its self-test."""
    app = create_app(classifier, limits=limits)
    app.state.service.readiness = Readiness.READY
    return app


@dataclass
class Reply:
    """Response, and the bytes of the body that the service read."""

    status: int
    headers: dict[str, str]
    body: bytes
    taken: int


async def post(
    app: FastAPI,
    chunks: Iterable[bytes] | AsyncIterable[bytes],
    *,
    headers: dict[str, str] | None = None,
    length: int = 0,
    method: str = "POST",
    path: str = "/identify",
    query: str = "",
    client: str = "192.0.2.1",
) -> Reply:
    """Send a request whose body arrives in chunks, possibly late or of another length."""
    reply = Reply(0, {}, b"", 0)
    given = {"content-length": str(length), **FORM, **(headers or {})}
    scope = {
        "type": "http", "method": method, "path": path, "query_string": query.encode(),
        "raw_path": path.encode(), "root_path": "", "http_version": "1.1", "scheme": "http",
        "client": (client, 5000),
        "headers": [(name.encode(), value.encode("latin-1")) for name, value in given.items()],
    }  # fmt: skip
    body = chunks if isinstance(chunks, AsyncIterable) else _one_by_one(chunks)
    parts = aiter(body)

    async def receive() -> dict[str, Any]:
        try:
            part = await anext(parts)
        except StopAsyncIteration:
            return {"type": "http.request", "body": b"", "more_body": False}
        reply.taken += len(part)
        return {"type": "http.request", "body": part, "more_body": True}

    async def send(message: Any) -> None:
        if message["type"] == "http.response.start":
            reply.status = message["status"]
            reply.headers = {k.decode(): v.decode() for k, v in message["headers"]}
        else:
            reply.body += message.get("body", b"")

    await app(scope, receive, send)
    return reply


async def _one_by_one(chunks: Iterable[bytes]) -> AsyncIterable[bytes]:
    for chunk in chunks:
        yield chunk


async def get(app: Any, path: str) -> Any:
    return await post(app, [], method="GET", path=path)


async def until(condition: Callable[[], bool]) -> None:
    for _ in range(30_000):
        if condition():
            return
        await asyncio.sleep(0.01)
    raise AssertionError("the condition was never met")


def body_of(reply: Any) -> dict[str, Any]:
    return json.loads(reply.body)


class _InstantSelector(selectors.DefaultSelector):
    """Selector that adds the time which it would wait to a clock."""

    seconds = 0.0

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        found = super().select(None if timeout is None else 0)
        if timeout and not found:
            self.seconds += timeout
        return found


def run_instantly(main: Coroutine[Any, Any, None]) -> None:
    """Run a coroutine in an event loop whose clock jumps to the next timer, without waiting."""
    selector = _InstantSelector()
    loop = asyncio.SelectorEventLoop(selector)
    loop.time = lambda: selector.seconds
    with asyncio.Runner(loop_factory=lambda: loop) as runner:
        runner.run(main)


class Clock:
    """Clock that a test sets."""

    seconds = 0.0

    def __call__(self) -> float:
        return self.seconds


class Slow:
    """Classifier that waits for `go` before it answers."""

    def __init__(self, classifier: Any) -> None:
        self.bundle, self.networks = classifier.bundle, classifier.networks
        self.engine = classifier.engine
        self.go, self.at_once, self.most, self.requests = threading.Event(), 0, 0, 0
        self.lock = threading.Lock()

    def identify(self, photos, **_: object):
        with self.lock:
            self.requests += 1
            self.at_once += 1
            self.most = max(self.most, self.at_once)
        assert self.go.wait(300)
        with self.lock:
            self.at_once -= 1
        return self

    def as_dict(self) -> dict[str, int]:
        return {"photos": self.requests}
