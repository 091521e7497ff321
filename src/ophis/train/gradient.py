"""Gradient of one optimiser step, accumulated from its micro-batches."""

from __future__ import annotations

import math
from contextlib import contextmanager, nullcontext
from typing import TYPE_CHECKING

import torch
from torch.nn import functional

from ophis.errors import InputError
from ophis.train.batches import dropout_seed, mix, mixup_coefficient, mixup_partners
from ophis.train.networks.compilation import is_compiled
from ophis.train.networks.group_norm import fast_group_norm
from ophis.train.networks.standardisation import standardised_once
from ophis.train.processes import on_device

if TYPE_CHECKING:
    from collections.abc import Generator, Iterator

    from torch import nn

    from ophis.recipe import Recipe
    from ophis.train.batches import MicroBatch
    from ophis.train.processes import Processes
    from ophis.train.stop import StopRequest


def accumulate(
    model: nn.Module,
    batches: Iterator[MicroBatch],
    recipe: Recipe,
    processes: Processes,
    precision: torch.dtype | None,
    stop: StopRequest | None = None,
) -> float:
    """Take one step's micro-batches and leave the step's mean gradient in the model.

    The gradient equals that of one large batch for layers that treat photos one by one, such as
    group norm. Batch norm normalises each micro-batch by itself.

    Args:
        model: the network, plain or compiled.
        batches: continues at the step's first micro-batch.
        recipe: of the run.
        processes: gradients are summed over them.
        precision: of the convolutions; None is float32.
        stop: request that may interrupt the step.

    Returns:
        The step's mean loss.

    Raises:
        InputError: when the loss is not finite; the weights are still those before the step.
        StepInterrupted: when ``stop`` asks for it.
    """
    losses: list[torch.Tensor] = []
    step = 0
    with _fast_layers(model):
        for _ in range(recipe.micro_batches // processes.count):
            batch = stop.next_batch(batches, processes) if stop else next(batches)
            step = batch.step
            torch.manual_seed(dropout_seed(recipe, batch))
            with autocast(processes.device, precision):
                loss = micro_batch_loss(model, batch, recipe, processes.device)
            (loss / recipe.micro_batches).backward()
            losses.append(loss.detach())
    processes.sum_gradients(model)
    mean = 0.0
    for loss in torch.stack(losses).tolist():  # once a step: each reading waits for the GPU
        mean += loss / recipe.micro_batches
    mean = processes.total(mean)
    if not math.isfinite(mean):
        raise diverged(step, f"the loss is {mean}")
    return mean


def micro_batch_loss(
    model: nn.Module, batch: MicroBatch, recipe: Recipe, device: torch.device
) -> torch.Tensor:
    """Return the mean cross-entropy of a micro-batch after mixup."""
    coefficient = mixup_coefficient(recipe, batch.step)
    partners = on_device(mixup_partners(recipe, batch), device)
    truth = on_device(batch.truth, device)
    pixels = on_device(batch.pixels, device).contiguous(memory_format=torch.channels_last)
    logits = model(mix(pixels, coefficient, partners))
    logits = logits.to(torch.promote_types(logits.dtype, torch.float32))  # out of bfloat16
    smoothing = recipe.label_smoothing
    loss = functional.cross_entropy(logits, truth, label_smoothing=smoothing)
    if coefficient == 1:
        return loss
    other = functional.cross_entropy(logits, truth[partners], label_smoothing=smoothing)
    return coefficient * loss + (1 - coefficient) * other


@contextmanager
def _fast_layers(model: nn.Module) -> Generator[None]:
    """Replace slow layers during a step; a compiled network has its own code for them."""
    if is_compiled(model):
        yield
        return
    with standardised_once(model), fast_group_norm(model):
        yield


def autocast(
    device: torch.device, precision: torch.dtype | None
) -> torch.autocast | nullcontext[None]:
    """Return the context in which convolutions run in a precision; None is float32."""
    return torch.autocast(device.type, precision) if precision else nullcontext()


def require_finite(model: nn.Module, optimiser: torch.optim.Optimizer, step: int) -> None:
    """Refuse weights or optimiser state that are not finite: they are never saved or scored.

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


def diverged(step: int, fault: str) -> InputError:
    """Return the error of a step with numbers that are not finite."""
    return InputError(
        f"step {step:,}: {fault}; the last checkpoint stands; try a lower learning_rate or"
        ' precision = "float32"'
    )
