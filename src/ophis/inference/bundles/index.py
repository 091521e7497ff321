"""Index of a bundle: the names of its files, with a digest of each."""

from __future__ import annotations

import hashlib
import json
import os
from pathlib import Path
from typing import TYPE_CHECKING

from ophis.datasets.training_photos import TRAINING_PHOTOS
from ophis.errors import InputError
from ophis.files.content import read_json

if TYPE_CHECKING:
    from collections.abc import Mapping

FORMAT = 1
CONFIG, WEIGHTS, EVALUATION = "config.json", "model.safetensors", "evaluation.json"
MODEL, SELFTEST, SPECIES, IMAGES, TTA, CALIBRATION, PRIOR, COUNTS, DECISION, CARD, INDEX = (
    "model.onnx",
    "selftest.json",
    "species.csv",
    "images.json",
    "tta.json",
    "calibration.json",
    "prior.toml",
    "prior.csv",
    "decision.json",
    "README.md",
    "bundle.json",
)
# Not needed to identify: a bundle without them is complete.
NOT_FOR_ANSWERS = frozenset({CARD, CONFIG, WEIGHTS, EVALUATION, TRAINING_PHOTOS})


def read_index(folder: Path) -> dict[str, dict[str, str]]:
    """Return `files` and `members` of the index, each a mapping of names in the folder."""
    path = folder / INDEX
    if not os.path.lexists(path):
        raise InputError(
            f"{folder} is not a bundle: {INDEX} is missing; make one with `ophis export`"
        )
    index = read_json(path, "index", fix="copy the bundle again")
    if not isinstance(index, dict) or index.get("format") != FORMAT:
        raise InputError(f"{path}: format {FORMAT} is needed; export the bundle with this ophis")
    parts = {"files": index.get("files"), "members": index.get("members", {})}
    for what, names in parts.items():
        if not isinstance(names, dict) or not all(
            isinstance(digest, str) and Path(name).name == name and name not in ("", "..")
            for name, digest in names.items()
        ):
            raise InputError(f"{path}: `{what}` should map names in this folder to their digests")
    return parts


def require_training_photos(files: Mapping[str, str], index: Path) -> None:
    """Refuse a decision rule that may be fitted on training photos."""
    if DECISION in files and TRAINING_PHOTOS not in files:
        raise InputError(
            f"{index}: {DECISION} needs {TRAINING_PHOTOS}, or its guarantees may be of photos that"
            " the network learned from; export the run, or combine the bundles, again"
        )


def files_for_answers(folder: str | Path) -> tuple[list[str], list[str]]:
    """Return the files of a bundle that inference needs, and the folders of its members.

    Raises:
        InputError: see `read_bundle`.
    """
    index = read_index(Path(folder))
    return [name for name in index["files"] if name not in NOT_FOR_ANSWERS], list(index["members"])


def verify_weights(folder: str | Path) -> bool | None:
    """Return whether the torch weights match their checksum; None without weights."""
    path = Path(folder) / WEIGHTS
    digest = read_index(Path(folder))["files"].get(WEIGHTS)
    return None if digest is None or not path.is_file() else sha256(path) == digest


def sha256(path: Path) -> str:
    """Return the SHA-256 digest of a file in hexadecimal."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def version_of(digests: Mapping[str, str]) -> str:
    """Return the version of a bundle: the SHA-256 digest over those of all its files."""
    return hashlib.sha256(json.dumps(digests, sort_keys=True).encode()).hexdigest()
