"""Tensors of a weights file by name, read without running code and checked for damage."""

from __future__ import annotations

import hashlib
import re
import warnings
import zipfile
from typing import IO, TYPE_CHECKING

import numpy as np
import torch
from safetensors.torch import load_file

from ophis.errors import InputError, first_line
from ophis.files.npz import require_sizes
from ophis.inference.bundles.index import INDEX, WEIGHTS, verify_weights

if TYPE_CHECKING:
    from collections.abc import Mapping
    from contextlib import ExitStack
    from pathlib import Path

    # NumPy arrays of an open .npz, or torch's tensors of the other formats.
    Tensors = Mapping[str, torch.Tensor] | Mapping[str, np.ndarray]

SUFFIXES = (".npz", ".safetensors", ".pt", ".pth")
_DIGEST_SUFFIX = ".sha256"  # the digest of `w.pt` is in `w.pt.sha256`, as sha256sum writes it
_MAX_DIGEST_BYTES = 4096


def read_tensors(path: Path, stack: ExitStack) -> Tensors:
    """Return a file's tensors by name; those of an .npz are read one at a time (R152x4: 3.7 GB).

    Files in .npz, .pt and .pth format contain checksums. Any file is also compared with its digest
    in `bundle.json` or in a file `NAME.sha256` beside it, which is the only check of .safetensors.

    Args:
        path: with one of the `SUFFIXES`.
        stack: keeps the file open while its tensors are read.

    Raises:
        InputError: naming the file, when it is damaged or does not contain weights.
    """
    _require_digest(path)
    try:
        if path.suffix == ".safetensors":
            return load_file(path)
        handle = stack.enter_context(path.open("rb"))
        if path.suffix != ".npz":
            _require_checksums(handle)
            return state_of(handle)
        file = np.load(handle, allow_pickle=False)
        if not isinstance(file, np.lib.npyio.NpzFile):
            raise TypeError("a single array")  # noqa: TRY301 # reported below
        require_sizes(file.zip)
        return stack.enter_context(file)
    except Exception as error:  # the readers raise many kinds on damaged files
        raise InputError(
            f"{path}: not a file of plain weights, or damaged ({first_line(error)});"
            " nothing in it was executed; download it again, or save a state dict or safetensors"
        ) from None


def _require_digest(path: Path) -> None:
    """Compare the file with its digest, if there is one."""
    if path.name == WEIGHTS and (path.parent / INDEX).is_file():
        if verify_weights(path.parent) is False:
            raise InputError(f"{path}: its checksum differs from {INDEX}; copy the bundle again")
        return
    beside = path.with_name(path.name + _DIGEST_SUFFIX)
    if not beside.is_file():
        return
    with beside.open("rb") as file:
        digest = re.match(rb"\s*([0-9a-fA-F]{64})\b", file.read(_MAX_DIGEST_BYTES))
    if not digest:
        raise InputError(f"{beside}: should begin with the sha256 of {path.name}; write it again")
    with path.open("rb") as file:
        if hashlib.file_digest(file, "sha256").hexdigest() != digest[1].decode().lower():
            raise InputError(f"{path}: its checksum differs from {beside.name}; download it again")


def _require_checksums(handle: IO[bytes]) -> None:
    """Verify the checksums of a zip file written by torch, which torch does not."""
    if zipfile.is_zipfile(handle):
        with zipfile.ZipFile(handle) as archive:
            if damaged := archive.testzip():
                raise ValueError(f"the checksum of {damaged} differs")
    handle.seek(0)


def state_of(handle: IO[bytes]) -> Mapping[str, torch.Tensor]:
    """Read a state dict without running code.

    Raises:
        TypeError: when the file contains something else; other errors when it is damaged.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # torch warns about pickles before it refuses them
        state = torch.load(handle, map_location="cpu", weights_only=True)
    if not isinstance(state, dict) or not all(
        isinstance(n, str) and isinstance(t, torch.Tensor) for n, t in state.items()
    ):
        raise TypeError("it contains something else than tensors by name")
    return state
