"""Checkpoints: written whole or not at all, read without unpickling code."""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torch

from ophis.errors import InputError

if TYPE_CHECKING:
    from pathlib import Path

    from torch import nn

    from ophis.recipe import Recipe

FILE = "checkpoint.pt"
SECONDS_BETWEEN_SAVES = 300.0


@dataclass(frozen=True)
class Checkpoint:
    """The state of a run after ``step`` optimiser steps.

    The order of the photos, the crops and the mixtures need no state: they are pure functions of
    the recipe's seed and the step (see `batches`).
    """

    step: int
    recipe_sha256: str
    train_sha256: str  # of the manifest
    model: dict[str, torch.Tensor]
    optimiser: dict[str, Any]


def save_checkpoint(checkpoint: Checkpoint, folder: Path) -> Path:
    """Write ``folder/checkpoint.pt``: temporary file, fsync, rename, fsync of the folder.

    A stop at any moment leaves the old checkpoint or the new one, never half of one. Halves that
    a killed process left beside it are removed.
    """
    path = folder / FILE
    temporary = folder / f".{FILE}.{os.getpid()}"
    try:
        with temporary.open("wb") as file:
            torch.save(vars(checkpoint), file)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
    finally:
        for half in folder.glob(f".{FILE}.*"):  # only one process of a run writes
            half.unlink(missing_ok=True)
    if os.name == "posix":  # Windows cannot open a folder
        handle = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)
    return path


def load_checkpoint(folder: Path) -> Checkpoint | None:
    """The checkpoint of a run folder, on the processor; None when there is none yet.

    Raises:
        InputError: when the file is damaged or is no checkpoint of ophis.
    """
    path = folder / FILE
    if not path.exists():
        return None
    try:
        return Checkpoint(**torch.load(path, map_location="cpu", weights_only=True))
    except Exception as error:  # torch raises a dozen kinds on damaged files
        reason = (str(error).splitlines() or ["empty"])[0]
        raise InputError(
            f"{path}: not a checkpoint of ophis, or damaged ({reason}); move it away to start anew"
        ) from None


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


def require_finite(model: nn.Module, step: int) -> None:
    """No checkpoint and no score is ever made of weights that are no numbers.

    Raises:
        InputError: naming the step and the tensor.
    """
    for name, tensor in model.state_dict().items():
        if not tensor.isfinite().all():
            raise diverged(step, f"{name} is no longer finite")


def diverged(step: int, what: str) -> InputError:
    """What to raise of a step whose numbers ran away."""
    return InputError(
        f"step {step:,}: {what}; the last checkpoint stands; try a lower learning_rate or"
        ' precision = "float32"'
    )
