"""The gradient of one optimiser step, accumulated from its micro-batches."""

from __future__ import annotations

import math
from contextlib import nullcontext
from typing import TYPE_CHECKING

import torch
from torch.nn import functional

from ophis.train.batches import dropout_seed, mix, mixup_partners, mixup_share
from ophis.train.checkpoint import diverged
from ophis.train.networks.group_norm import fast_group_norm
from ophis.train.networks.standardisation import standardised_once
from ophis.train.processes import on_device

if TYPE_CHECKING:
    from collections.abc import Iterator

    from torch import nn

    from ophis.recipe import Recipe
    from ophis.train.batches import MicroBatch
    from ophis.train.processes import Processes
    from ophis.train.stop import StopRequest


def accumulate(
    model: nn.Module,
    pieces: Iterator[MicroBatch],
    recipe: Recipe,
    processes: Processes,
    precision: torch.dtype | None,
    stop: StopRequest | None = None,
) -> float:
    """Take the pieces of one optimiser step and leave the step's mean gradient in the model.

    The gradient equals that of one large batch (where the model treats photos one by one, as
    group norm does; batch norm sees each piece for itself).

    Returns:
        The step's mean loss.

    Raises:
        InputError: when the loss is no finite number; the weights are still those of before.
    """
    losses: list[torch.Tensor] = []
    step = 0
    with standardised_once(model), fast_group_norm(model):
        for _ in range(recipe.micro_batches // processes.count):
            piece = stop.next_of(pieces, processes) if stop else next(pieces)
            step = piece.step
            share = mixup_share(recipe, step)
            torch.manual_seed(dropout_seed(recipe, piece))
            with _autocast(processes.device, precision):
                loss = piece_loss(model, piece, share, recipe, processes.device)
            (loss / recipe.micro_batches).backward()
            losses.append(loss.detach())
    processes.sum_gradients(model)
    mean = 0.0
    for one in torch.stack(losses).tolist():  # read once a step: a GPU waits for every reading
        mean += one / recipe.micro_batches
    mean = processes.total(mean)
    if not math.isfinite(mean):
        raise diverged(step, f"the loss is {mean}")
    return mean


def piece_loss(
    model: nn.Module, piece: MicroBatch, share: float, recipe: Recipe, device: torch.device
) -> torch.Tensor:
    """Mean cross-entropy of a mixed piece: each photo counts for both its species."""
    partners = on_device(mixup_partners(recipe, piece), device)
    truth = on_device(piece.truth, device)
    pixels = on_device(piece.pixels, device).contiguous(memory_format=torch.channels_last)
    logits = model(mix(pixels, share, partners))
    logits = logits.to(torch.promote_types(logits.dtype, torch.float32))  # out of bfloat16
    smoothing = recipe.label_smoothing
    loss = functional.cross_entropy(logits, truth, label_smoothing=smoothing)
    if share == 1:
        return loss
    other = functional.cross_entropy(logits, truth[partners], label_smoothing=smoothing)
    return share * loss + (1 - share) * other


def _autocast(
    device: torch.device, precision: torch.dtype | None
) -> torch.autocast | nullcontext[None]:
    return torch.autocast(device.type, precision) if precision else nullcontext()
