"""Photo files in a folder, apart from subfolders and files of other kinds.

A file is a photo by its suffix, or else by its first bytes: cameras, browsers and messengers write
`.jfif`, `.jpe`, `.mpo`, double suffixes and names without one.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING

from ophis.errors import InputError
from ophis.files.atomic import plain_file
from ophis.images.formats import SIGNATURE_BYTES, is_picture

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

# Files of these names are photos without a look at their bytes; what cannot be read fails with the
# reason.
SUFFIXES = frozenset({
    ".jpg", ".jpeg", ".jpe", ".jfif", ".jfi", ".jif", ".mpo", ".png", ".webp", ".heic", ".heif",
    ".hif", ".avif", ".gif", ".bmp", ".tif", ".tiff",
})  # fmt: skip
# Folders of operating systems and of picture viewers: their pictures are copies.
_SYSTEM_FOLDERS = frozenset({
    "__macosx", "@eadir", "$recycle.bin", "system volume information", "lost+found", "thumbs",
    "thumbnail", "thumbnails",
})  # fmt: skip
_SHOWN = 3


@dataclass(frozen=True)
class FolderContent:
    """Entries of a folder, each sorted by name.

    Attributes:
        photos: files to read as photos; unreadable ones among them.
        folders: subfolders to search.
        others: hidden files, files that are no picture, and folders of systems and viewers.
    """

    photos: tuple[Path, ...]
    folders: tuple[Path, ...]
    others: tuple[Path, ...]


def folder_content(folder: Path) -> FolderContent:
    """Return the photos, subfolders and other entries of a folder.

    Raises:
        InputError: naming a folder that cannot be read.
    """
    try:
        paths = sorted(folder.iterdir())
    except OSError as error:
        raise InputError(
            f"{folder}: cannot be read: {error.strerror}; correct its permissions"
        ) from None
    photos, folders, others = [], [], []
    for path in paths:
        if path.name.startswith("."):
            others.append(path)
        elif path.is_dir():
            system = path.name.casefold() in _SYSTEM_FOLDERS
            (others if system else folders).append(path)
        else:
            (photos if is_photo(path) else others).append(path)
    return FolderContent(tuple(photos), tuple(folders), tuple(others))


def is_photo(path: Path) -> bool:
    """Return True for the suffix of a photo, or for the first bytes of a picture."""
    return path.suffix.lower() in SUFFIXES or is_picture(first_bytes(path))


def first_bytes(path: Path) -> bytes:
    """Return the first bytes of a regular file, enough for `is_picture`; none of another file."""
    try:
        with plain_file(path) as file:
            return file.read(SIGNATURE_BYTES)
    except OSError:
        return b""


def describe_others(others: Sequence[Path]) -> str:
    """Return words that count passed over entries by kind, and name the first."""
    kinds = Counter(_kind(path) for path in others).most_common()
    shown = [f"{number:,} {kind}" for kind, number in kinds[:_SHOWN]]
    if rest := sum(number for _, number in kinds[_SHOWN:]):
        shown.append(f"{rest:,} of other kinds")
    return f"{len(others):,} passed over, no photos: {', '.join(shown)}; the first is {others[0]}"


def _kind(path: Path) -> str:
    if path.is_dir():
        return "folders not searched"
    if path.name.startswith("."):
        return "hidden"
    return path.suffix.lower() or "without a suffix"
