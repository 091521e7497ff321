"""Local server that answers as the Hugging Face Hub does.

Run as a thread. `repositories` maps "owner/name" to a folder; the one commit is COMMIT.
"""

import hashlib
import threading
from collections.abc import Generator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import unquote

COMMIT = "0123456789abcdef0123456789abcdef01234567"


class Stub(BaseHTTPRequestHandler):
    """GET and HEAD of /owner/name/resolve/revision/file."""

    server_version = "ophis-stub-of-the-hub"
    repositories: dict[str, Path]
    requested: list[str]
    revisions: set[str]

    def do_HEAD(self) -> None:
        self._answer(body=False)

    def do_GET(self) -> None:
        self._answer(body=True)

    def log_message(self, format: str, *arguments: object) -> None:  # noqa: A002 - the base's name
        pass

    def _answer(self, *, body: bool) -> None:
        owner, name, kind, revision, *rest = unquote(self.path).strip("/").split("/")
        assert kind == "resolve", self.path
        folder = self.repositories.get(f"{owner}/{name}")
        if folder is None:
            self._send_error(401, "RepoNotFound")
        elif revision not in ("main", "v1", COMMIT):
            self._send_error(404, "RevisionNotFound")
        elif not (path := folder.joinpath(*rest)).is_file():
            self._send_error(404, "EntryNotFound")
        else:
            self._send(path.read_bytes(), body=body)
            if body:
                self.requested.append("/".join(rest))
                self.revisions.add(revision)

    def _send(self, data: bytes, *, body: bool) -> None:
        self.send_response(200)
        self.send_header("X-Repo-Commit", COMMIT)
        self.send_header("ETag", f'"{hashlib.sha256(data).hexdigest()}"')
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        if body:
            self.wfile.write(data)

    def _send_error(self, status: int, code: str) -> None:
        self.send_response(status)
        self.send_header("X-Error-Code", code)
        self.send_header("X-Error-Message", "from a stub of the Hub")
        self.send_header("Content-Length", "0")
        self.end_headers()


@contextmanager
def stub_of_the_hub(
    repositories: dict[str, Path], revisions: set[str] | None = None
) -> Generator[tuple[str, list[str]]]:
    """Yield the address and the list of requested files; their revisions go to ``revisions``."""
    requested: list[str] = []
    noted = set() if revisions is None else revisions
    attributes = {"repositories": repositories, "requested": requested, "revisions": noted}
    kind = type("Stub", (Stub,), attributes)
    with ThreadingHTTPServer(("127.0.0.1", 0), kind) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_address[1]}", requested
        finally:
            server.shutdown()
            thread.join()
