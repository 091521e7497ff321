"""Sentences of answers and of the page, one TOML file a language.

Contains texts and their placeholders; has no access to answers, species or photos.
"""

from __future__ import annotations

import tomllib
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING

from ophis.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Mapping

_FOLDER = Path(__file__).parent


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


@lru_cache
def read_sentences(language: str = "en") -> Sentences:
    """Read the sentences of a language.

    Raises:
        InputError: when the language has no file; lists the languages that have one.
    """
    if language not in languages():
        known = ", ".join(languages())
        raise InputError(f"no sentences in language {language!r}; choose one of {known}")
    path = _FOLDER / f"{language}.toml"
    return Sentences(language, tomllib.loads(path.read_text(encoding="utf-8")))
