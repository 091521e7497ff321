"""Head of a request: checks of its framing, Host and origin, and its preferences.

Preferences are those of Accept and Accept-Language (RFC 9110, section 12).
"""

from __future__ import annotations

import ipaddress
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from ophis.locales import known_language
from ophis.serve.error_response import CLOSE, RequestError

if TYPE_CHECKING:
    from collections.abc import Collection

    from starlette.datastructures import Headers

_HOST = re.compile(r"(\[[^\]]*\]|[^:\[\]]*)(?::[0-9]*)?")
_QUALITY = re.compile(r";\s*q=([01](?:\.\d{0,3})?)\s*(?:;|$)")
_DEFAULT_PORT = {"http": ":80", "https": ":443"}
_FOREIGN = "a page of another address sent this; open the page of this service and use it there"


@dataclass(frozen=True)
class Hosts:
    """Hosts under which a service is reached; others may belong to a page that reads answers.

    Attributes:
        names: host names and addresses, in lower case.
        any_address: accept every IP address: the service listens at all of them.
        hint: how a further name is allowed.
    """

    names: frozenset[str]
    any_address: bool
    hint: str

    @classmethod
    def of(cls, listening: Collection[str], names: Collection[str], hint: str = "") -> Hosts:
        """Return the hosts of a service that listens at names or addresses, and has more names."""
        names = {"localhost", *map(_plain, listening), *map(_plain, names)}
        everywhere = any(
            not name or (_is_address(name) and ipaddress.ip_address(name).is_unspecified)
            for name in names
        )
        return cls(frozenset(names), everywhere, hint)

    def require(self, header: str) -> None:
        """Refuse an unknown Host.

        Raises:
            RequestError: 421.
        """
        found = _HOST.fullmatch(header.strip())
        host = _plain(found[1]) if found else ""
        if not found or (host not in self.names and not (self.any_address and _is_address(host))):
            raise RequestError(
                421, f"this service is not called {host[:80]!r}; {self.hint}", headers=CLOSE
            )


def require_head(method: str, headers: Headers, hosts: Hosts | None) -> None:
    """Refuse a head that a proxy may read in another way, or that another page may have caused.

    Args:
        method: of the request.
        headers: of the request.
        hosts: hosts that are accepted; None: any.

    Raises:
        RequestError: 400 for a length beside chunks; 421 for an unknown Host; 403 for a request
            other than GET, HEAD and OPTIONS from a page of another origin.
    """
    if "content-length" in headers and "transfer-encoding" in headers:
        raise RequestError(400, "send Content-Length or Transfer-Encoding, not both", headers=CLOSE)
    host = headers.get("host", "")
    if hosts and host:  # HTTP/1.0 has none, and no browser sends it
        hosts.require(host)
    if method not in ("GET", "HEAD", "OPTIONS") and _foreign(headers, host):
        raise RequestError(403, _FOREIGN, headers=CLOSE)


def _foreign(headers: Headers, host: str) -> bool:
    """Return True for a request that a page of another origin caused."""
    if site := headers.get("sec-fetch-site", "").strip().lower():
        return site not in ("same-origin", "none")
    # Browsers send the other header over HTTPS and to this machine only.
    if not (origin := headers.get("origin", "").strip().lower()):
        return False
    scheme, _, address = origin.partition("://")
    port = _DEFAULT_PORT.get(scheme, "")
    return address.removesuffix(port) != host.strip().lower().removesuffix(port)


def _plain(host: str) -> str:
    """Return a host name or address in one form."""
    host = host.strip().lower().removeprefix("[").removesuffix("]").removesuffix(".")
    return str(ipaddress.ip_address(host)) if _is_address(host) else host


def _is_address(host: str) -> bool:
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True


def preferences(header: str) -> list[str]:
    """Return the values of an Accept header that the client accepts, the most wanted first."""
    qualities: dict[str, float] = {}
    for item in header.lower().split(","):
        quality = _QUALITY.search(item)
        qualities[item.partition(";")[0].strip()] = float(quality[1]) if quality else 1.0
    wanted = sorted(filter(None, qualities), key=lambda value: -qualities[value])
    return [value for value in wanted if qualities[value]]


def preferred_language(header: str) -> str:
    """Return the language of an Accept-Language header that has sentences; else English.

    A regional form such as es-MX is served by its language.
    """
    for tag in preferences(header):
        if language := known_language(tag):
            return language
    return "en"


def accepts_json(header: str) -> bool:
    """Return True if an Accept header accepts JSON; a client without the header does."""
    accepted = {"application/json", "application/*", "*/*"}
    return not header.strip() or not accepted.isdisjoint(preferences(header))
