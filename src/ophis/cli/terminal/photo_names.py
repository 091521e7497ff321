"""Photos of a command line: paths, folders, patterns, or standard input."""

from __future__ import annotations

import codecs
import glob
import os
import sys
from pathlib import Path
from typing import IO

from ophis.errors import InputError
from ophis.images.decode import MAX_BYTES
from ophis.images.formats import SIGNATURE_BYTES, is_picture
from ophis.images.photo_files import describe_others, folder_content, is_photo

STANDARD_INPUT = "-"
_PATTERN = frozenset("*?[")


def find_photos(
    names: list[str], *, listed: str | None = None, stdin: IO[bytes] | None = None
) -> tuple[list[Path | bytes], list[str]]:
    """Return the photos named on the command line, in their order.

    Args:
        names: each a photo, a folder (its photos, sorted; not those of folders in it), a pattern
            such as `photos/**/*.jpg`, or "-": the bytes of one photo from standard input.
        listed: a file with a path a line, or "-" for standard input.
        stdin: what to read as standard input.

    Returns:
        Paths, or the bytes of one photo; and notes about folders and files that were passed over.

    Raises:
        InputError: when a folder or a pattern holds no photo, nothing is named, or standard input
            is named twice or is empty.
    """
    if STANDARD_INPUT in names and (listed == STANDARD_INPUT or names.count(STANDARD_INPUT) > 1):
        raise InputError("standard input can be read once; name '-' once, or --files-from -")
    stdin = stdin or sys.stdin.buffer
    names = names + (_listed(listed, stdin) if listed is not None else [])
    if not names:
        raise InputError("no photo was named; give a path, a folder, a pattern, or '-'")
    photos: list[Path | bytes] = []
    notes: list[str] = []
    for name in names:
        if name == STANDARD_INPUT:
            photos.append(_one_photo(stdin))
        elif Path(name).is_dir():
            photos += _in_folder(Path(name), notes)
        elif _PATTERN & set(name) and not Path(name).exists():
            photos += _matching(name, notes)
        else:
            photos.append(Path(name))
    return photos, notes


def _listed(name: str, stdin: IO[bytes]) -> list[str]:
    """Return the paths of a list, one a line or each with a NUL; empty lines are skipped."""
    try:
        data = stdin.read() if name == STANDARD_INPUT else Path(name).read_bytes()
    except OSError as error:
        raise InputError(f"--files-from {name}: cannot be read: {error.strerror}") from None
    if is_picture(data[:SIGNATURE_BYTES]):
        raise InputError(
            f"--files-from {name}: should hold a path a line; for one photo name '-' alone"
        )
    if data.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        data = data.decode("utf-16", errors="replace").encode()
    # Names are bytes, which need not be UTF-8; `str.splitlines` would break some of them. NUL is
    # between the names of `find -print0`.
    lines = data.split(b"\0") if b"\0" in data else data.splitlines()
    names = [line.removeprefix(codecs.BOM_UTF8).strip() for line in lines]
    paths = [os.fsdecode(line) for line in names if line]
    if not paths:
        raise InputError(f"--files-from {name}: holds no path; write one a line")
    return paths


def _one_photo(stdin: IO[bytes]) -> bytes:
    if data := stdin.read(MAX_BYTES + 1):
        return data
    raise InputError("standard input is empty; send a photo: ophis identify BUNDLE - < photo.jpg")


def _in_folder(folder: Path, notes: list[str]) -> list[Path]:
    content = folder_content(folder)
    deeper = len(content.folders)
    fix = f"name '{folder}/**/*' to have those in it too"
    if not content.photos:
        raise InputError(f"{folder}: holds no photo; {fix if deeper else 'name another folder'}")
    if deeper:
        several = "folders in it are" if deeper > 1 else "folder in it is"
        notes.append(f"{folder}: {deeper:,} {several} not searched; {fix}")
    if content.others:
        notes.append(f"{folder}: {describe_others(content.others)}")
    return list(content.photos)


def _matching(pattern: str, notes: list[str]) -> list[Path]:
    """Return the files that match a pattern as a shell expands it, with `**` for any folders."""
    try:
        names = sorted(glob.glob(pattern, recursive=True))  # noqa: PTH207 - Path's knows no absolute ones
    except RecursionError:
        raise InputError(f"{pattern}: its folders are too deep; name the inner ones") from None
    found = [path for path in map(Path, names) if not path.is_dir()]
    photos = [path for path in found if is_photo(path)]
    if not photos:
        what = f"fits {len(found):,} files, none of them a photo" if found else "fits no file"
        raise InputError(f"{pattern}: {what}; check the pattern, and quote it: '{pattern}'")
    if others := sorted(set(found) - set(photos)):
        notes.append(f"{pattern}: {describe_others(others)}")
    return photos
