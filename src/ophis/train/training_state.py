"""Network and optimiser of a run between two steps, and settings of its execution."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch

from ophis.errors import InputError, require_whole
from ophis.train.checkpoint import restore
from ophis.train.gradient import autocast
from ophis.train.networks.compilation import compile_network
from ophis.train.networks.model import create_model, freeze
from ophis.train.networks.trial import require_trainable
from ophis.train.processes import autocast_dtype

if TYPE_CHECKING:
    from typing import Self

    from torch import nn

    from ophis.recipe import Recipe
    from ophis.train.checkpoint import Checkpoint
    from ophis.train.processes import Processes
    from ophis.train.run_folder import RunInputs


@dataclass(frozen=True)
class Execution:
    """Settings of a run that change its weights by no more than rounding.

    Attributes:
        workers: threads that read photos.
        save_every_seconds: seconds between checkpoints.
        compile: run the training steps through torch.compile.
    """

    workers: int
    save_every_seconds: float
    compile: bool

    def __post_init__(self) -> None:
        require_whole("workers", self.workers, least=1)
        if not self.save_every_seconds >= 0:
            raise InputError(
                f"save_every_seconds is {self.save_every_seconds}; it should be 0 or more"
            )


@dataclass(frozen=True, eq=False)
class TrainingState:
    """Network and optimiser between two steps.

    Attributes:
        model: a timm model on its device.
        network: the form of it that takes training steps: compiled, or the model itself.
        frozen: modules of it that keep their weights and statistics.
        optimiser: of all other parameters.
    """

    model: nn.Module
    network: nn.Module
    frozen: list[nn.Module]
    optimiser: torch.optim.Optimizer

    @classmethod
    def begin(
        cls,
        inputs: RunInputs,
        processes: Processes,
        saved: Checkpoint | None,
        *,
        compiled: bool = False,
    ) -> Self:
        """Create the state of the first step, or restore the saved one, and try the network.

        Raises:
            InputError: when the micro-batches cannot be divided among the processes, or the
                backbone, the weights or the sizes of photos do not fit together.
        """
        recipe = inputs.recipe
        if recipe.micro_batches % processes.count:
            raise InputError(
                f"{recipe.micro_batches} micro-batches cannot be divided evenly among"
                f" {processes.count} processes; change micro_batch_photos or the number of"
                " processes"
            )
        torch.manual_seed(recipe.seed)  # initial weights of all that is not pretrained
        model = create_model(
            recipe.backbone,
            species=len(inputs.species),
            weights="none" if saved else recipe.weights,
            weights_folder=inputs.weights_folder,
            head=recipe.head,
            dropout=recipe.dropout,
            sides=recipe.sides,
        )
        model = model.to(processes.device).to(memory_format=torch.channels_last)
        frozen = freeze(model, recipe.frozen_stages)
        optimiser = create_optimiser(recipe, [p for p in model.parameters() if p.requires_grad])
        if saved:
            restore(saved, model, optimiser)
        network = compile_network(model) if compiled else model
        state = cls(model, network, frozen, optimiser)
        state._try(recipe, processes)
        return state

    def _try(self, recipe: Recipe, processes: Processes) -> None:
        """Refuse sizes of photos on which the network fails, and change nothing."""
        self.begin_step(0.0)
        statistics = self.statistics()
        device = processes.device
        with autocast(device, autocast_dtype(recipe.precision, device)):
            require_trainable(
                self.model,
                crop_pixels=recipe.crop_pixels,
                test_pixels=recipe.test_pixels,
                micro_batch_photos=recipe.micro_batch_photos,
            )
        self.restore_statistics(statistics)
        self.optimiser.zero_grad(set_to_none=True)

    def begin_step(self, learning_rate: float) -> None:
        """Clear gradients, set the rate, and put all but the frozen modules in training mode."""
        self.model.train()
        for module in self.frozen:
            module.eval()
        for group in self.optimiser.param_groups:
            group["lr"] = learning_rate
        self.optimiser.zero_grad(set_to_none=True)

    def statistics(self) -> list[torch.Tensor]:
        """Copy the running statistics of batch norms, which forward passes change."""
        return [buffer.clone() for buffer in self.model.buffers()]

    def restore_statistics(self, kept: list[torch.Tensor]) -> None:
        """Put back copied statistics: an interrupted step then has changed nothing."""
        for buffer, before in zip(self.model.buffers(), kept, strict=True):
            buffer.copy_(before)


def create_optimiser(recipe: Recipe, parameters: list[nn.Parameter]) -> torch.optim.Optimizer:
    """Return the recipe's optimiser; its rate is set at each step."""
    decay = recipe.weight_decay
    if recipe.optimiser == "adamw":
        betas = (recipe.momentum, 0.999)
        return torch.optim.AdamW(parameters, lr=0.0, betas=betas, weight_decay=decay)
    return torch.optim.SGD(parameters, lr=0.0, momentum=recipe.momentum, weight_decay=decay)
