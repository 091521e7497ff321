"""Content negotiation (RFC 9110, section 12): the preferences in Accept and Accept-Language."""

from __future__ import annotations

import re

from ophis.locales import known_language

_QUALITY = re.compile(r";\s*q=([01](?:\.\d{0,3})?)\s*(?:;|$)")


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
