"""A local server that answers as the Hugging Face Hub does; it says itself that it is none.

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
    asked: list[str]
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
            self._refuse(401, "RepoNotFound")
        elif revision not in ("main", "v1", COMMIT):
            self._refuse(404, "RevisionNotFound")
        elif not (path := folder.joinpath(*rest)).is_file():
            self._refuse(404, "EntryNotFound")
        else:
            self._give(path.read_bytes(), body=body)
            if body:
                self.asked.append("/".join(rest))
                self.revisions.add(revision)

    def _give(self, data: bytes, *, body: bool) -> None:
        self.send_response(200)
        self.send_header("X-Repo-Commit", COMMIT)
        self.send_header("ETag", f'"{hashlib.sha256(data).hexdigest()}"')
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        if body:
            self.wfile.write(data)

    def _refuse(self, status: int, code: str) -> None:
        self.send_response(status)
        self.send_header("X-Error-Code", code)
        self.send_header("X-Error-Message", "said by a stub of the Hub")
        self.send_header("Content-Length", "0")
        self.end_headers()


@contextmanager
def stub_of_the_hub(
    repositories: dict[str, Path], revisions: set[str] | None = None
) -> Generator[tuple[str, list[str]]]:
    """Its address, and the files that are asked for; ``revisions`` gets theirs."""
    asked: list[str] = []
    noted = set() if revisions is None else revisions
    told = {"repositories": repositories, "asked": asked, "revisions": noted}
    kind = type("Stub", (Stub,), told)
    with ThreadingHTTPServer(("127.0.0.1", 0), kind) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_address[1]}", asked
        finally:
            server.shutdown()
            thread.join()
