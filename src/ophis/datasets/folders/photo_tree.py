"""Folders of photos in folders, with checked links and names."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from ophis.errors import InputError
from ophis.files.atomic import NO_PLAIN_FILE
from ophis.images.photo_files import folder_content
from ophis.taxonomy.species_list import UNWRITABLE

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

_MAX_DEPTH = 100
METADATA = ("metadata.csv", "metadata.jsonl", "metadata.parquet")


@dataclass(frozen=True)
class PhotoTree:
    """Folder with its photos and subfolders.

    Attributes:
        path: of the folder.
        photos: in the folder itself.
        folders: its subfolders, except hidden ones and those of a system or a viewer.
        others: its entries that are passed over.
        metadata: metadata files in it; with one, the other entries are not read.
    """

    path: Path
    photos: tuple[Path, ...]
    folders: tuple[PhotoTree, ...]
    others: tuple[Path, ...]
    metadata: tuple[Path, ...] = ()

    def walk(self) -> Iterator[PhotoTree]:
        """Iterate over this folder and all folders in it."""
        yield self
        for folder in self.folders:
            yield from folder.walk()

    def holds_data(self) -> bool:
        """Return True where a photo or a metadata file is in it at any depth."""
        return any(folder.photos or folder.metadata for folder in self.walk())


def read_tree(folder: Path, *, follow_links: bool = False) -> PhotoTree:
    """Read a folder and all folders in it.

    Args:
        folder: the folder; it may itself be a link.
        follow_links: follow links that leave the folder. A link to a folder around it is passed
            over: it would never end.

    Raises:
        InputError: naming a link that leaves the folder, a name that a table cannot hold, a
            special file, or a folder that cannot be read.
    """
    return _read(folder, (folder.resolve(),), None if follow_links else folder.resolve())


def _read(folder: Path, around: tuple[Path, ...], root: Path | None) -> PhotoTree:
    if len(around) > _MAX_DEPTH:
        raise InputError(f"{folder}: is more than {_MAX_DEPTH} folders deep; move it further up")
    content = folder_content(folder)
    if metadata := tuple(path for path in content.others if path.name in METADATA):
        return PhotoTree(folder, (), (), (), metadata)  # names its photos itself
    folders, others = [], list(content.others)
    for path in content.folders:
        refuse_link(path, root)
        target = path.resolve()
        if any(outer.is_relative_to(target) for outer in around):
            others.append(path)
        else:
            folders.append(_read(path, (*around, target), root))
    for photo in content.photos:
        refuse_link(photo, root)
        if UNWRITABLE.search(str(photo)):
            raise InputError(f"{str(photo)!r}: this name cannot be written to a table; rename it")
        if not photo.is_file() and photo.exists():  # a dangling link is a missing photo
            raise InputError(f"{photo}: is {NO_PLAIN_FILE}; remove it from the folder")
    return PhotoTree(folder, content.photos, tuple(folders), tuple(others))


def refuse_link(path: Path, root: Path | None) -> None:
    """Refuse a link that leaves the folder ``root``; None allows every link.

    Raises:
        InputError: naming the link.
    """
    if root and path.is_symlink() and not path.resolve().is_relative_to(root):
        raise InputError(
            f"{path}: this link leaves {root}; copy the file instead, or allow it by follow_links"
        )
