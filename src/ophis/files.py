"""Files written whole or not at all; and what damage to a zip shows itself by."""

from __future__ import annotations

import lzma
import os
import struct
import zipfile
import zlib
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from ophis.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Generator

# What zipfile raises on damage, from its own structures to those of the compressions.
ZIP_DAMAGE = (
    zipfile.BadZipFile, zlib.error, lzma.LZMAError, struct.error, EOFError, NotImplementedError,
    UnicodeDecodeError,
)  # fmt: skip


@contextmanager
def whole_file(path: str | Path) -> Generator[Path]:
    """Yield a temporary file beside ``path``; on leaving without an error it takes its name.

    Folders on the way are made. What stood at ``path`` stays until the new file is complete.

    Raises:
        InputError: naming the path when it cannot be written.
    """
    path = Path(path)
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            yield temporary
            temporary.replace(path)
        finally:
            temporary.unlink(missing_ok=True)
    except OSError as error:
        reason = error.strerror or error
        raise InputError(f"{path}: cannot be written: {reason}; write elsewhere") from None
