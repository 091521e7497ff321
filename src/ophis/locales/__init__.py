"""Sentences of answers and of the page, one TOML file a language.

Contains texts and their placeholders; has no access to answers, species or photos.
"""

from __future__ import annotations

import re
import tomllib
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING

from ophis.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Mapping

_FOLDER = Path(__file__).parent
_TAG = re.compile(
    r"([A-Za-z]{2,3})(?:[-_][A-Za-z0-9]{1,8})*(?:\.[A-Za-z0-9-]+)?"
)  # BCP 47, or $LANG


@dataclass(frozen=True)
class Sentences:
    """Sentences of one language, by section and key.

    Attributes:
        language: ISO 639-1 code.
        sections: the tables of the TOML file.
    """

    language: str
    sections: Mapping[str, Mapping[str, str]]

    def text(self, section: str, key: str, **values: str) -> str:
        """Return one sentence with its placeholders filled in.

        Args:
            section: name of the section.
            key: name of the sentence; spaces, as in values of enums, stand for underscores.
            values: of the placeholders.
        """
        return self.sections[section][key.replace(" ", "_")].format(**values)


def languages() -> list[str]:
    """List the languages that have a file, as ISO 639-1 codes."""
    return list(_languages())


@lru_cache(maxsize=1)
def _languages() -> tuple[str, ...]:
    # Cached: the service lists them for every error response.
    return tuple(sorted(path.stem for path in _FOLDER.glob("*.toml")))


def known_language(tag: str) -> str | None:
    """Return the language of a tag (es of es-MX, pt of pt_BR, en of EN); None without sentences."""
    found = _TAG.fullmatch(str(tag))
    language = found[1].lower() if found else None
    return language if language in languages() else None


def read_sentences(language: str = "en") -> Sentences:
    """Read the sentences of a language; a regional form such as es-MX has those of its language.

    Raises:
        InputError: when the language has no file; lists the languages that have one.
    """
    if known := known_language(language):
        return _read(known)
    choices = ", ".join(languages())
    raise InputError(f"no sentences in language {language!r}; choose one of {choices}")


@lru_cache
def _read(language: str) -> Sentences:
    path = _FOLDER / f"{language}.toml"
    return Sentences(language, tomllib.loads(path.read_text(encoding="utf-8")))
