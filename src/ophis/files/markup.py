"""Text that Markdown takes as it stands: names come from files that anybody can write."""

from __future__ import annotations

import re

_SPECIAL = re.compile(r"([\\`*_\[\]<>|~]|^[#+=-])")


def as_it_stands(text: str) -> str:
    """The text, no letter of which marks, links or begins a tag."""
    return _SPECIAL.sub(r"\\\1", text)
