"""File names that are not UTF-8, for libraries that cannot open them."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path


def path_or_content(path: Path) -> Path | bytes:
    """Return the path; the content of the file if the path is not UTF-8.

    polars and ONNX Runtime take both, and open a path by its UTF-8 form only.
    """
    try:
        str(path).encode()
    except UnicodeEncodeError:
        return path.read_bytes()
    return path
