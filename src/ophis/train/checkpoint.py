"""Checkpoint files of a training run.

Format: the zip archive of `torch.save`, then a line `ophis checkpoint 2 sha256 HEX` with the
SHA-256 of all bytes before it. The archive holds a dict with the fields of `Checkpoint`: step,
recipe_sha256, train_sha256, model and optimiser (state dicts). It is read with weights_only=True,
which runs no code in it, and only after its checksum was verified.

A run folder holds two: `checkpoint.pt` and the one saved before it, `checkpoint-before.pt`.
"""

from __future__ import annotations

import hashlib
import logging
from dataclasses import dataclass
from typing import IO, TYPE_CHECKING, Any

import torch

from ophis.errors import InputError, require_whole
from ophis.files.atomic import sync, sync_folder, whole_file
from ophis.files.content import content_of

if TYPE_CHECKING:
    from collections.abc import Iterator
    from io import FileIO
    from pathlib import Path

    from torch import nn

    from ophis.recipe import Recipe
    from ophis.train.processes import Processes

FILE, BEFORE = "checkpoint.pt", "checkpoint-before.pt"
SECONDS_BETWEEN_SAVES = 300.0
MARK = b"\nophis checkpoint 2 sha256 "
_AWAY = "move it away to start anew"
_CHUNK_BYTES = 1 << 20
_LOGGER = logging.getLogger(__name__)


@dataclass(frozen=True)
class Checkpoint:
    """State of a run after ``step`` optimiser steps.

    Random generators have no state to save: the order of the photos, crops, mixup and dropout are
    pure functions of the recipe's seed and the step (see `batches`).

    Attributes:
        step: optimiser steps done.
        recipe_sha256: `Recipe.sha256` of the run.
        train_sha256: `Manifest.sha256` of the training photos.
        model: state dict of the network.
        optimiser: state dict of the optimiser.
    """

    step: int
    recipe_sha256: str
    train_sha256: str
    model: dict[str, torch.Tensor]
    optimiser: dict[str, Any]

    def __post_init__(self) -> None:
        require_whole("step", self.step, least=0)


@dataclass(frozen=True)
class Found:
    """The newest valid checkpoint of a folder.

    Attributes:
        checkpoint: its content.
        path: its file.
        damage: a line about the damage of the newest, if this is the one before it; else None.
    """

    checkpoint: Checkpoint
    path: Path
    damage: str | None = None


def save_checkpoint(checkpoint: Checkpoint, folder: Path) -> Path:
    """Write ``folder/checkpoint.pt``; the former one becomes ``checkpoint-before.pt``.

    Temporary file, fsync, two renames, fsync of the folder: after any interruption, even a power
    failure, one of the two is intact. Temporary files of killed processes are removed first.

    Raises:
        InputError: when it cannot be written, naming the path and the bytes it needs.
    """
    path = folder / FILE
    for partial in folder.glob(f".{FILE}.*"):  # only one process of a run writes
        partial.unlink(missing_ok=True)
    with whole_file(path) as temporary:
        _write(checkpoint, temporary, name=path)
        if path.exists():
            path.replace(folder / BEFORE)
    return path


def find_checkpoint(folder: Path) -> Found | None:
    """Read the newest valid checkpoint of a run folder, on the CPU; None if there is none yet.

    Raises:
        InputError: when all are damaged or in the format of another version.
    """
    if not has_checkpoint(folder):
        return None
    damages = []
    for path in (folder / FILE, folder / BEFORE):
        damage = damage_of(path)
        if damage is None:
            checkpoint = _read(path)
            before = f"going on from the one before, step {checkpoint.step:,}"
            return Found(checkpoint, path, f"{damages[0]}; {before}" if damages else None)
        damages.append(f"{path} {damage}")
    raise InputError(f"{damages[0]}, and {damages[1]}; move them away to start anew")


def has_checkpoint(folder: Path) -> bool:
    """Return whether a run folder holds a checkpoint, valid or damaged."""
    return any((folder / name).exists() for name in (FILE, BEFORE))


def load_checkpoint(folder: Path) -> Checkpoint | None:
    """Read the newest valid checkpoint; log a warning if it is the one before the newest.

    Raises:
        InputError: see `find_checkpoint`.
    """
    found = find_checkpoint(folder)
    if found and found.damage:
        _LOGGER.warning("%s", found.damage)
    return found.checkpoint if found else None


def resume_checkpoint(folder: Path, processes: Processes) -> Found | None:
    """Read the newest valid checkpoint for a run that resumes, the same in all its processes.

    A valid one before a damaged one takes its place, or the next save would replace the valid one.

    Raises:
        InputError: see `find_checkpoint`; when the processes find different steps.
    """
    found = find_checkpoint(folder)
    steps = processes.gather(found.checkpoint.step if found else None)
    if len(set(steps)) > 1:
        raise InputError(
            f"{folder}: the processes found checkpoints of different steps there"
            f" ({', '.join(map(str, steps))}); give a folder that all of them share"
        )
    if found and found.damage and processes.leads:
        found.path.replace(folder / FILE)
        sync_folder(folder)
    return found


def damage_of(path: Path) -> str | None:
    """Return why a file is not an intact checkpoint; None if it is one.

    Raises:
        InputError: without permission to read it; the file may be intact.
    """
    try:
        with path.open("rb") as file:
            size = path.stat().st_size - _trailer_bytes()
            digest = hashlib.sha256()
            for chunk in _chunks(file, size):
                digest.update(chunk)
            found = file.read()
    except FileNotFoundError:
        return "is missing"
    except PermissionError as error:
        raise InputError(f"{path}: cannot be read: {error.strerror}") from None
    except OSError as error:
        return f"is damaged (cannot be read: {error.strerror})"
    if found == _trailer(digest.hexdigest()):
        return None
    fault = "its checksum differs" if found.startswith(MARK) else "cut short, or no checkpoint"
    return f"is damaged ({fault})"


def _chunks(file: IO[bytes], size: int) -> Iterator[bytes]:
    while size > 0 and (chunk := file.read(min(size, _CHUNK_BYTES))):
        size -= len(chunk)
        yield chunk


def _trailer(digest: str) -> bytes:
    return MARK + digest.encode() + b"\n"


def _trailer_bytes() -> int:
    return len(_trailer(hashlib.sha256().hexdigest()))


def _read(path: Path) -> Checkpoint:
    """Read a file whose checksum is verified."""
    with content_of(path, "not a checkpoint of this ophis", fix=_AWAY), path.open("rb") as file:
        # Zip readers find the archive's end despite the last line.
        return Checkpoint(**torch.load(file, map_location="cpu", weights_only=True))


def _write(checkpoint: Checkpoint, temporary: Path, *, name: Path) -> None:
    """Write a checkpoint and its checksum, through to the disk.

    Raises:
        InputError: when the disk is full.
    """
    sink = _Sink(temporary)
    torch.save(vars(checkpoint), sink)  # ty: ignore[invalid-argument-type] # needs write() only
    sink.write(_trailer(sink.digest.hexdigest()))
    sink.close()
    if sink.error:
        raise InputError(
            f"{name}: could not be written: {sink.error.strerror} ({sink.taken:,} bytes needed,"
            f" {sink.written:,} written); the checkpoint before stands; free space, and the same"
            " command goes on from it"
        )


class _Sink:
    """File that counts and hashes the bytes written to it.

    An error is kept, not raised: torch would replace it by one of its own, and the count of all
    bytes belongs in the message.
    """

    def __init__(self, path: Path) -> None:
        self.digest = hashlib.sha256()
        self.taken = self.written = 0
        self.error: OSError | None = None
        self._path = path
        self._file: FileIO | None = None

    def write(self, data: bytes) -> int:
        """Write some bytes."""
        rest = memoryview(data).cast("B")
        self.taken += len(rest)
        self.digest.update(rest)
        try:
            self._file = self._file or self._path.open("wb", buffering=0)
            while len(rest) and not self.error:
                count = self._file.write(rest)
                self.written += count
                rest = rest[count:]
        except OSError as error:
            self.error = error
        return len(data)

    def flush(self) -> None:
        """Do nothing: there is no buffer."""

    def close(self) -> None:
        """Close the file and wait until it is on the disk."""
        try:
            if self._file:
                self._file.close()
            if not self.error:
                sync(self._path)
        except OSError as error:
            self.error = self.error or error


def require_same_run(
    checkpoint: Checkpoint, recipe: Recipe, train_sha256: str | None, out: Path
) -> None:
    """Refuse to resume from a checkpoint of another recipe or of other photos; None: any photos."""
    if checkpoint.recipe_sha256 != recipe.sha256():
        other = "recipe"
    elif train_sha256 not in (None, checkpoint.train_sha256):
        other = "training manifest"
    elif checkpoint.step > recipe.steps:
        raise InputError(
            f"{out}: its checkpoint is of step {checkpoint.step:,} of {recipe.steps:,}; {_AWAY}"
        )
    else:
        return
    raise InputError(f"{out} holds a run of another {other}; choose another run folder")


def restore(
    checkpoint: Checkpoint, model: nn.Module, optimiser: torch.optim.Optimizer | None = None
) -> None:
    """Load the saved states; a state that does not fit is an `InputError`."""
    with content_of(FILE, "does not fit the network of the recipe", fix=_AWAY):
        model.load_state_dict(checkpoint.model)
        if not optimiser:
            return
        optimiser.load_state_dict(checkpoint.optimiser)
        for weights, state in optimiser.state.items():
            if any(value.ndim and value.shape != weights.shape for value in state.values()):
                raise InputError("the optimiser's state is of another network")
