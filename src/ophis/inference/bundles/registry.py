"""Bundles by name: a folder, the built-in `imagenet17`, or a repository of the Hugging Face Hub."""

from __future__ import annotations

import logging
import os
import subprocess
import sys
from pathlib import Path

from ophis.errors import InputError
from ophis.inference.bundles.hub import SCHEME, fetch

IMAGENET17 = "imagenet17"
_FIX = "set OPHIS_CACHE to a folder that can be written"

log = logging.getLogger(__name__)


def bundle_folder(name: str | Path) -> Path:
    """Return the folder of a bundle; export or download the bundle when it is not cached yet.

    Args:
        name: a folder, "imagenet17", or "hf://owner/name".

    Raises:
        InputError: when the bundle cannot be exported or downloaded.
    """
    if str(name).startswith(SCHEME):
        return fetch(str(name))
    folder = Path(name)
    if str(name) == IMAGENET17 and not folder.exists():
        folder = cache_folder() / IMAGENET17
        if not os.access(folder, os.R_OK):  # `exists` fails below a folder that is not readable
            _export(folder)
    return folder


def cache_folder() -> Path:
    """Return the folder of exported bundles: $OPHIS_CACHE, else one in the user's cache folder.

    Raises:
        InputError: when the variable is not set and the user has no home folder.
    """
    if chosen := os.environ.get("OPHIS_CACHE"):
        return Path(chosen)
    try:
        return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "ophis"
    except RuntimeError:  # neither $HOME nor an entry in passwd
        raise InputError(f"there is no home folder; {_FIX}") from None


def _export(folder: Path) -> None:
    """Export in a separate process, so that inference never loads torch."""
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InputError(f"{error.filename}: {error.strerror}; {_FIX}") from None
    if not os.access(folder.parent, os.W_OK):
        raise InputError(f"{folder.parent}: cannot be written; {_FIX}")
    log.info("exporting the bundle imagenet17 once, to %s", folder)
    code = "import sys; from ophis.train.export import export_imagenet17 as e; e(sys.argv[1])"
    command = [sys.executable, "-c", code, str(folder)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)  # noqa: S603
    if done.returncode:
        reason = (done.stderr.strip().splitlines() or ["no reason given"])[-1]
        raise InputError(
            f"imagenet17 cannot be exported: {reason.removeprefix('ophis.errors.InputError: ')}"
            " (it needs pip install 'ophis[train,demo]' once; the bundle folder can be copied)"
        )
