"""Tensors of a weights file by name: nothing in it is run, and damage is refused."""

from __future__ import annotations

import hashlib
import re
import warnings
import zipfile
from typing import IO, TYPE_CHECKING

import numpy as np
import torch
from safetensors.torch import load_file

from ophis.errors import InputError
from ophis.files.npz import require_sizes
from ophis.inference.bundles.bundle import INDEX, WEIGHTS, verify_weights

if TYPE_CHECKING:
    from collections.abc import Mapping
    from contextlib import ExitStack
    from pathlib import Path

    # An open .npz is a mapping of NumPy arrays; the other readers give torch's tensors.
    Tensors = Mapping[str, torch.Tensor] | Mapping[str, np.ndarray]

SUFFIXES = (".npz", ".safetensors", ".pt", ".pth")
_DIGEST_BESIDE = ".sha256"  # of a file `w.pt`: `w.pt.sha256`, as sha256sum writes it
_MOST_DIGEST_BYTES = 4096


def read_tensors(path: Path, stack: ExitStack) -> Tensors:
    """The file's tensors by name, an .npz's one at a time: R152x4 has 3.7 GB of them.

    An .npz and torch's own files hold checksums. A .safetensors does not: it is checked where its
    digest stands in `bundle.json` or in a file `NAME.sha256` beside it, as any file is.

    Args:
        path: of one of the `SUFFIXES`.
        stack: keeps the file open as long as its tensors are read.

    Raises:
        InputError: naming the file, when it is damaged or holds something else than weights.
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
            raise TypeError("a single array")  # noqa: TRY301 # the same refusal as below
        require_sizes(file.zip)
        return stack.enter_context(file)
    except Exception as error:  # the three readers raise a dozen kinds on damaged files
        raise InputError(
            f"{path}: not a file of plain weights, or damaged ({one_line(error)});"
            " nothing in it was executed; fetch it anew, or save a state dict or safetensors"
        ) from None


def _require_digest(path: Path) -> None:
    """Where somebody wrote down what the file should be: that it is that."""
    if path.name == WEIGHTS and (path.parent / INDEX).is_file():
        if verify_weights(path.parent) is False:
            raise InputError(f"{path}: its checksum differs from {INDEX}; copy the bundle anew")
        return
    beside = path.with_name(path.name + _DIGEST_BESIDE)
    if not beside.is_file():
        return
    with beside.open("rb") as file:
        said = re.match(rb"\s*([0-9a-fA-F]{64})\b", file.read(_MOST_DIGEST_BYTES))
    if not said:
        raise InputError(f"{beside}: should begin with the sha256 of {path.name}; write it anew")
    with path.open("rb") as file:
        if hashlib.file_digest(file, "sha256").hexdigest() != said[1].decode().lower():
            raise InputError(f"{path}: its checksum differs from {beside.name}; fetch it anew")


def _require_checksums(handle: IO[bytes]) -> None:
    """Of a file that torch wrote as a zip: torch itself does not look at its checksums."""
    if zipfile.is_zipfile(handle):
        with zipfile.ZipFile(handle) as archive:
            if damaged := archive.testzip():
                raise ValueError(f"the checksum of {damaged} differs")
    handle.seek(0)


def state_of(handle: IO[bytes]) -> Mapping[str, torch.Tensor]:
    """A state dict, read without running anything.

    Raises:
        TypeError: when it is none; and a dozen kinds when it is damaged.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # torch warns of pickles that it then refuses
        state = torch.load(handle, map_location="cpu", weights_only=True)
    if not isinstance(state, dict) or not all(
        isinstance(n, str) and isinstance(t, torch.Tensor) for n, t in state.items()
    ):
        raise TypeError("it holds something else than names and their tensors")
    return state


def one_line(error: Exception) -> str:
    """What an error says, cut to its first line; its kind when it says nothing."""
    return next((line for line in str(error).splitlines() if line.strip()), type(error).__name__)
