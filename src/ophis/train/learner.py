"""What learns: the network of a recipe, what of it stays as it is, and its optimiser."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch

from ophis.errors import InputError
from ophis.train.networks.model import create_model, freeze

if TYPE_CHECKING:
    from pathlib import Path
    from typing import Self

    from torch import nn

    from ophis.recipe import Recipe
    from ophis.taxonomy.species_list import SpeciesList
    from ophis.train.checkpoint import Checkpoint
    from ophis.train.processes import Processes


@dataclass(frozen=True, eq=False)
class Learner:
    """Network and optimiser between two steps.

    Attributes:
        model: a timm model on its device.
        frozen: the modules of it that do not learn.
        optimiser: of all others.
    """

    model: nn.Module
    frozen: list[nn.Module]
    optimiser: torch.optim.Optimizer

    @classmethod
    def begin(
        cls,
        recipe: Recipe,
        species: SpeciesList,
        processes: Processes,
        weights_folder: Path,
        saved: Checkpoint | None,
    ) -> Self:
        """As they are at their first step, or as they were saved."""
        if recipe.micro_batches % processes.count:
            raise InputError(
                f"{recipe.micro_batches} micro-batches cannot be shared evenly by"
                f" {processes.count} processes; change micro_batch_photos or the number of"
                " processes"
            )
        torch.manual_seed(recipe.seed)  # the random start of what is not pretrained
        model = create_model(
            recipe.backbone,
            species=len(species),
            weights="none" if saved else recipe.weights,
            weights_folder=weights_folder,
            head=recipe.head,
            dropout=recipe.dropout,
        )
        model = model.to(processes.device).to(memory_format=torch.channels_last)
        frozen = freeze(model, recipe.frozen_stages)
        optimiser = create_optimiser(recipe, [p for p in model.parameters() if p.requires_grad])
        if saved:
            model.load_state_dict(saved.model)
            optimiser.load_state_dict(saved.optimiser)
        return cls(model, frozen, optimiser)

    def begin_step(self, learning_rate: float) -> None:
        """No gradients yet, the rate, and in training mode all but what is frozen."""
        self.model.train()
        for module in self.frozen:
            module.eval()
        for group in self.optimiser.param_groups:
            group["lr"] = learning_rate
        self.optimiser.zero_grad(set_to_none=True)

    def statistics(self) -> list[torch.Tensor]:
        """A copy of what a forward pass changes: the running statistics of batch norms."""
        return [buffer.clone() for buffer in self.model.buffers()]

    def restore_statistics(self, kept: list[torch.Tensor]) -> None:
        """As they were: a step that was left in its middle has changed nothing."""
        for buffer, before in zip(self.model.buffers(), kept, strict=True):
            buffer.copy_(before)


def create_optimiser(recipe: Recipe, parameters: list[nn.Parameter]) -> torch.optim.Optimizer:
    """The recipe's optimiser; each step sets its rate."""
    decay = recipe.weight_decay
    if recipe.optimiser == "adamw":
        betas = (recipe.momentum, 0.999)
        return torch.optim.AdamW(parameters, lr=0.0, betas=betas, weight_decay=decay)
    return torch.optim.SGD(parameters, lr=0.0, momentum=recipe.momentum, weight_decay=decay)
