"""The page's files over HTTP: those of `page_files`, from memory, and no others."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import TYPE_CHECKING

from starlette.responses import Response

from ophis.web.page import KINDS, Mode, Settings, page_files

if TYPE_CHECKING:
    from ophis.inference.bundles.bundle import Bundle

INDEX = "index.html"


@dataclass(frozen=True)
class SiteFile:
    """A file that is given out.

    Attributes:
        body: its bytes.
        kind: its content type.
        tag: changes with its bytes (ETag).
    """

    body: bytes
    kind: str
    tag: str

    def response(self, known_tags: str = "") -> Response:
        """The file, or that it is the one that the browser has.

        Args:
            known_tags: of what the browser has (If-None-Match).
        """
        # A browser asks each time whether its copy is the newest: a bundle may have been changed.
        headers = {"ETag": self.tag, "Cache-Control": "no-cache"}
        known = [tag.strip().removeprefix("W/") for tag in known_tags.split(",")]
        if self.tag in known or "*" in known:
            return Response(status_code=304, headers=headers)
        return Response(self.body, media_type=self.kind, headers=headers)


def site_of(bundle: Bundle) -> dict[str, SiteFile]:
    """Every file of the page that asks this service, by its path; the page itself also by ""."""
    settings = Settings(
        Mode.SERVICE,
        bundle=bundle.version,
        judged=bundle.rule is not None,
        species=len(bundle.species),
    )
    files = {
        name: SiteFile(body, _kind(name), f'"{hashlib.sha256(body).hexdigest()[:32]}"')
        for name, body in page_files(settings).items()
    }
    return {"": files[INDEX], **files}


def _kind(name: str) -> str:
    return KINDS[f".{name.rpartition('.')[2]}"]
