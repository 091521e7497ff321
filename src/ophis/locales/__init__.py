"""What an answer says, a file a language."""

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
class Words:
    """The sentences of one language, by section and key."""

    language: str
    sections: Mapping[str, Mapping[str, str]]

    def say(self, section: str, key: str, **filled: str) -> str:
        """One sentence, with its places filled in; ``key`` as enums spell it."""
        return self.sections[section][key.replace(" ", "_")].format(**filled)


def languages() -> list[str]:
    """The languages there are words in, as ISO 639-1 codes."""
    return list(_languages())


@lru_cache(maxsize=1)
def _languages() -> tuple[str, ...]:
    """Looked for once: a service that is full asks for every refusal."""
    return tuple(sorted(path.stem for path in _FOLDER.glob("*.toml")))


@lru_cache
def read_words(language: str = "en") -> Words:
    """The words of a language.

    Raises:
        InputError: when there are none; names those there are.
    """
    if language not in languages():
        raise InputError(f"no words in language {language!r}; there are {', '.join(languages())}")
    path = _FOLDER / f"{language}.toml"
    return Words(language, tomllib.loads(path.read_text(encoding="utf-8")))
