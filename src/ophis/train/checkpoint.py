"""Checkpoints: whole or not at all, verified by checksum, read without unpickling code.

A run folder holds two: ``checkpoint.pt`` and ``checkpoint-before.pt``, the one that was saved
before it. Each is what `torch.save` writes with one line behind it, the sha256 of all before.
"""

from __future__ import annotations

import hashlib
import sys
from dataclasses import dataclass
from typing import IO, TYPE_CHECKING, Any

import torch

from ophis.errors import InputError
from ophis.files.atomic import sync, sync_folder, whole_file

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
_PIECE = 1 << 20  # bytes that are read at once


@dataclass(frozen=True)
class Checkpoint:
    """The state of a run after ``step`` optimiser steps.

    What is drawn by chance needs no state: the order of the photos, crops, mixtures and dropout
    are pure functions of the recipe's seed and the step (see `batches`).
    """

    step: int
    recipe_sha256: str
    train_sha256: str  # of the manifest
    model: dict[str, torch.Tensor]
    optimiser: dict[str, Any]


@dataclass(frozen=True)
class Found:
    """The newest valid checkpoint of a folder.

    Attributes:
        checkpoint: what it holds.
        path: its file.
        damage: why it is the one before that was taken, as a line; else None.
    """

    checkpoint: Checkpoint
    path: Path
    damage: str | None = None


def save_checkpoint(checkpoint: Checkpoint, folder: Path) -> Path:
    """Write ``folder/checkpoint.pt``; what stood there becomes ``checkpoint-before.pt``.

    Temporary file, fsync, two renames, fsync of the folder: whatever stops it, a power failure
    too, one of the two is there and whole. Halves that a killed process left are removed first.

    Raises:
        InputError: when it cannot be written, naming the path and how many bytes it needs.
    """
    path = folder / FILE
    for half in folder.glob(f".{FILE}.*"):  # only one process of a run writes
        half.unlink(missing_ok=True)
    with whole_file(path) as temporary:
        _write(checkpoint, temporary, name=path)
        if path.exists():
            path.replace(folder / BEFORE)
    return path


def find_checkpoint(folder: Path) -> Found | None:
    """The newest valid checkpoint of a run folder, on the processor; None when it holds none yet.

    Raises:
        InputError: when all that are there are damaged, or were written by another ophis.
    """
    if not any((folder / name).exists() for name in (FILE, BEFORE)):
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


def load_checkpoint(folder: Path) -> Checkpoint | None:
    """The same for who only reads; says on stderr when it is the one before that was taken."""
    found = find_checkpoint(folder)
    if found and found.damage:
        print(f"ophis: {found.damage}", file=sys.stderr)
    return found.checkpoint if found else None


def take_up_checkpoint(folder: Path, processes: Processes) -> Found | None:
    """The newest valid checkpoint for a run that goes on, the same in all its processes.

    One before takes the place of a damaged one: the next save would put that in its place.

    Raises:
        InputError: as `find_checkpoint`; when the processes do not see the same.
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
    """Why a file is no whole checkpoint; None when it is one.

    Raises:
        InputError: when it may not be read, which says nothing of what it holds.
    """
    try:
        with path.open("rb") as file:
            size = path.stat().st_size - _trailer_bytes()
            digest = hashlib.sha256()
            for piece in _pieces(file, size):
                digest.update(piece)
            found = file.read()
    except FileNotFoundError:
        return "is missing"
    except PermissionError as error:
        raise InputError(f"{path}: cannot be read: {error.strerror}") from None
    except OSError as error:
        return f"is damaged (cannot be read: {error.strerror})"
    if found == _trailer(digest.hexdigest()):
        return None
    what = "its checksum differs" if found.startswith(MARK) else "cut short, or no checkpoint"
    return f"is damaged ({what})"


def _pieces(file: IO[bytes], size: int) -> Iterator[bytes]:
    while size > 0 and (piece := file.read(min(size, _PIECE))):
        size -= len(piece)
        yield piece


def _trailer(digest: str) -> bytes:
    return MARK + digest.encode() + b"\n"


def _trailer_bytes() -> int:
    return len(_trailer(hashlib.sha256().hexdigest()))


def _read(path: Path) -> Checkpoint:
    """What a file holds whose checksum is right."""
    try:
        with path.open("rb") as file:  # the end of a zip is found though a line follows it
            return Checkpoint(**torch.load(file, map_location="cpu", weights_only=True))
    except Exception as error:  # torch raises a dozen kinds
        reason = (str(error).splitlines() or ["empty"])[0]
        raise InputError(
            f"{path}: not a checkpoint of this ophis ({reason}); move it away to start anew"
        ) from None


def _write(checkpoint: Checkpoint, temporary: Path, *, name: Path) -> None:
    """Write what stands in a checkpoint and its checksum, to the disk.

    Raises:
        InputError: when there is no room.
    """
    sink = _Sink(temporary)
    torch.save(vars(checkpoint), sink)  # ty: ignore[invalid-argument-type] # it asks for write() only
    sink.write(_trailer(sink.digest.hexdigest()))
    sink.close()
    if sink.error:
        raise InputError(
            f"{name}: could not be written: {sink.error.strerror} ({sink.taken:,} bytes needed,"
            f" {sink.written:,} written); the checkpoint before stands; free space, and the same"
            " command goes on from it"
        )


class _Sink:
    """A file that is written once: counts and digests what it is given.

    An error is kept and not raised: torch would hide it behind one of its own, and who reads of it
    wants to know how many bytes there would have been.
    """

    def __init__(self, path: Path) -> None:
        self.digest = hashlib.sha256()
        self.taken = self.written = 0
        self.error: OSError | None = None
        self._path = path
        self._file: FileIO | None = None

    def write(self, data: bytes) -> int:
        """Take some bytes."""
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
        """There is no buffer."""

    def close(self) -> None:
        """Wait until all of it is on the disk."""
        try:
            if self._file:
                self._file.close()
            if not self.error:
                sync(self._path)
        except OSError as error:
            self.error = self.error or error


def require_same_run(checkpoint: Checkpoint, recipe: Recipe, train_sha256: str, out: Path) -> None:
    """Refuse to go on from a checkpoint of another recipe or of other photos.

    Raises:
        InputError: saying which of the two differs.
    """
    if checkpoint.recipe_sha256 != recipe.sha256():
        what = "recipe"
    elif checkpoint.train_sha256 != train_sha256:
        what = "training manifest"
    else:
        return
    raise InputError(f"{out} holds a run of another {what}; choose another --out")


def require_finite(model: nn.Module, optimiser: torch.optim.Optimizer, step: int) -> None:
    """No checkpoint and no score is ever made of numbers that are none.

    Raises:
        InputError: naming the step and the tensor.
    """
    for name, tensor in model.state_dict().items():
        if not tensor.isfinite().all():
            raise diverged(step, f"{name} is no longer finite")
    for state in optimiser.state.values():
        for name, value in state.items():
            if isinstance(value, torch.Tensor) and not value.isfinite().all():
                raise diverged(step, f"the optimiser's {name} is no longer finite")


def diverged(step: int, what: str) -> InputError:
    """What to raise of a step whose numbers ran away."""
    return InputError(
        f"step {step:,}: {what}; the last checkpoint stands; try a lower learning_rate or"
        ' precision = "float32"'
    )
