"""Files of the page over HTTP, from memory, with ETags."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import TYPE_CHECKING

from starlette.responses import Response

from ophis.priors.location import LocationPrior
from ophis.web.page import KINDS, Mode, Settings, page_files

if TYPE_CHECKING:
    from ophis.inference.bundles.bundle import Bundle

INDEX = "index.html"


@dataclass(frozen=True)
class SiteFile:
    """File of the page.

    Attributes:
        body: content.
        kind: content type.
        tag: ETag, a digest of the content.
    """

    body: bytes
    kind: str
    tag: str

    def response(self, known_tags: str = "") -> Response:
        """Return the file, or 304 when the browser has this version.

        Args:
            known_tags: the If-None-Match header.
        """
        # no-cache: the browser revalidates each time, because the bundle may have changed.
        headers = {"ETag": self.tag, "Cache-Control": "no-cache"}
        known = [tag.strip().removeprefix("W/") for tag in known_tags.split(",")]
        if self.tag in known or "*" in known:
            return Response(status_code=304, headers=headers)
        return Response(self.body, media_type=self.kind, headers=headers)


def site_of(bundle: Bundle) -> dict[str, SiteFile]:
    """Return every file of the page by path; the index page also under the empty path."""
    settings = Settings(
        Mode.SERVICE,
        bundle=bundle.version,
        evaluated=bundle.rule is not None,
        species=len(bundle.species),
        records=isinstance(bundle.prior, LocationPrior),
    )
    files = {
        name: SiteFile(body, _kind(name), f'"{hashlib.sha256(body).hexdigest()[:32]}"')
        for name, body in page_files(settings, bundle.species).items()
    }
    return {"": files[INDEX], **files}


def _kind(name: str) -> str:
    return KINDS[f".{name.rpartition('.')[2]}"]
