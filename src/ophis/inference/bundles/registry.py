"""Ready bundles: answers by name, with no training at all."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from ophis.errors import InputError
from ophis.inference.bundles.bundle import read_bundle
from ophis.inference.bundles.hub import SCHEME, fetch
from ophis.inference.classifier import Classifier
from ophis.inference.engine import EngineKind

IMAGENET17 = "imagenet17"


def load_by_name(
    bundle: str | Path, *, threads: int = 0, engine: EngineKind | str = EngineKind.ONNXRUNTIME
) -> Classifier:
    """Load a bundle folder, the ready bundle `imagenet17`, or one of the Hub: `hf://owner/name`.

    Raises:
        InputError: when there is no such bundle, or it cannot be made or fetched.
    """
    folder = folder_of(bundle)
    return Classifier(read_bundle(folder), threads=threads, engine=engine)


def folder_of(bundle: str | Path) -> Path:
    """The folder of a bundle by name; made or fetched where it is not here yet.

    Raises:
        InputError: when it cannot be made or fetched.
    """
    if str(bundle).startswith(SCHEME):
        return fetch(str(bundle))
    folder = Path(bundle)
    if str(bundle) == IMAGENET17 and not folder.exists():
        folder = kept_folder() / IMAGENET17
        if not folder.exists():
            _make(folder)
    return folder


def kept_folder() -> Path:
    """Where ready bundles are kept: $OPHIS_CACHE, else the user's cache folder."""
    if chosen := os.environ.get("OPHIS_CACHE"):
        return Path(chosen)
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "ophis"


def _make(folder: Path) -> None:
    """Export in a process of its own, so that answering never loads torch."""
    print(f"ophis: making the bundle imagenet17 once, in {folder}", file=sys.stderr, flush=True)
    command = [sys.executable, "-m", "ophis", "export", IMAGENET17, "--out", str(folder)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)  # noqa: S603
    if done.returncode:
        reason = (done.stderr.strip().splitlines() or ["no reason given"])[-1]
        raise InputError(
            f"imagenet17 cannot be made: {reason.removeprefix('ophis: ')}"
            " (it needs pip install 'ophis[train,demo]' once; the bundle folder can be copied)"
        )
