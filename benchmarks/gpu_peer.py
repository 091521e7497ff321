"""What timm's train.py does in a step, written anew from its documentation and options.

    train.py --model resnetv2_50x1_bit --amp --amp-dtype bfloat16 --channels-last --opt momentum
             --mixup 0.1 --smoothing 0 --batch-size 32 --grad-accum-steps 16

timm's wheel does not hold that script; these are timm's own network, optimiser and loss in its
order: autocast, mean over the accumulated pieces, no scaler with bfloat16, cuDNN's search switched
on. Mixup is done by its loader there, and so is off the clock here.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import timm
import torch
from gpu_steps import RATE
from timm.loss import SoftTargetCrossEntropy
from timm.optim import create_optimizer_v2
from torch.nn import functional

from ophis.train.batches import mix, mixup_partners, mixup_share

if TYPE_CHECKING:
    from gpu_work import Work

NAME = f"timm {timm.__version__}"


class Peer:
    """One optimiser step of timm's; see `gpu_steps.Step`."""

    def __init__(self, work: Work) -> None:
        self.work = work
        torch.manual_seed(0)
        model = timm.create_model(work.backbone, num_classes=work.species)
        self.model = model.to(work.device).to(memory_format=torch.channels_last).train()
        self.optimiser = create_optimizer_v2(
            self.model, opt="momentum", lr=RATE, momentum=0.9, weight_decay=0.0
        )
        self.criterion = SoftTargetCrossEntropy()
        self.given = [self._mixed(number) for number in range(work.pieces)]

    def _mixed(self, number: int) -> tuple[torch.Tensor, torch.Tensor]:
        """Photos and soft targets, as its loader hands them over."""
        batch = self.work.batches[number]
        share = mixup_share(self.work.recipe, self.work.step)
        partners = mixup_partners(self.work.recipe, batch).to(self.work.device)
        target = functional.one_hot(batch.truth, self.work.species).float()
        pixels = mix(batch.pixels, share, partners)
        return pixels, mix(target, share, partners)

    def accumulate(self) -> torch.Tensor:
        """See `Step`."""
        self.optimiser.zero_grad()
        total = torch.zeros((), device=self.work.device)
        for pixels, target in self.given:
            photos = pixels.contiguous(memory_format=torch.channels_last)
            with torch.autocast(self.work.device.type, torch.bfloat16):
                loss = self.criterion(self.model(photos), target) / self.work.pieces
            loss.backward()
            total += loss.detach()
        return total

    def update(self) -> None:
        """See `Step`."""
        self.optimiser.step()
