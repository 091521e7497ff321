"""Options that several verbs have."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

Json = Annotated[bool, Parameter(negative="")]

# A word is tried first, so that no name is bent into a path; shells complete both as files.
Named = str | Path

# The parser takes a lone "-" for an option; `main` puts this in its place.
STANDARD_INPUT = "(standard input)"


def as_typed(name: Named) -> str:
    """A name as the person typed it."""
    return "-" if str(name) == STANDARD_INPUT else str(name)
