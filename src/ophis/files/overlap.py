"""Refusal of outputs that would replace an input, or one another."""

from __future__ import annotations

import os
import unicodedata
from itertools import combinations
from pathlib import Path
from typing import TYPE_CHECKING

from ophis.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Iterable


def refuse_overlap(
    inputs: Iterable[str | Path | None],
    *,
    files: Iterable[str | Path] = (),
    folders: Iterable[str | Path] = (),
) -> None:
    """Refuse outputs that are inputs or written twice, however their paths are spelled.

    Links, hard links and names on a disk that ignores case are followed.

    Args:
        inputs: files and folders that are read; None and names without a file are passed over.
        files: files to write. They may not be one another, nor lie directly in a folder of inputs.
        folders: folders to write.

    Raises:
        InputError: naming both paths.
    """
    read = [Path(path) for path in inputs if path is not None]
    files, folders = ([Path(path) for path in paths] for paths in (files, folders))
    for output in (*files, *folders):
        for path in read:
            if _same(output, path):
                alias = "" if output == path else f"{path}, "
                raise InputError(f"{output}: is {alias}an input of this command; write elsewhere")
    for output in files:
        for path in read:
            if path.is_dir() and _same(output.parent, path):
                raise InputError(f"{output}: lies in an input of this command; write elsewhere")
    for output, other in combinations((*files, *folders), 2):
        if _same(output, other):
            raise InputError(f"{output} and {other} are one file to write; give two")


def _same(one: Path, other: Path) -> bool:
    there = one.exists(), other.exists()
    if all(there):
        return one.samefile(other)
    return not any(there) and _spelling(one) == _spelling(other)


def _spelling(path: Path) -> str:
    """Return the path as a disk may store it that ignores case and normal forms."""
    return unicodedata.normalize("NFC", os.path.realpath(path)).casefold()
