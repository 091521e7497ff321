"""The evidence for the most probable species as further outputs of an exported network.

See `ophis.inference.evidence` for what it is.
"""

from __future__ import annotations

import torch
from torch import nn

from ophis.train.networks.model import classifier_of

MOST_SPECIES = 5  # whose maps are given: the country seldom lifts another one to the top
_ROUNDING = 1e-3


class WithEvidence(nn.Module):
    """A timm model whose other outputs are followed by maps of evidence, and for which species.

    Args:
        model: one whose head averages maps before one linear layer: see `averages_maps`.
        ood_model: features to OOD score, or None.
    """

    def __init__(self, model: nn.Module, ood_model: nn.Module | None) -> None:
        super().__init__()
        self.model, self.ood_model = model, ood_model
        self.species = min(MOST_SPECIES, _head_of(model).weight.shape[0])

    def forward(self, pixels: torch.Tensor) -> tuple[torch.Tensor, ...]:
        """[photos, 3, side, side] to logits, OOD score if any, maps and whose they are.

        Maps are [photos, k, rows, columns], whose they are [photos, k] columns of the logits.
        """
        maps = self.model.forward_features(pixels)  # ty: ignore[not-callable]
        logits = self.model.forward_head(maps)  # ty: ignore[not-callable]
        outputs = (logits,)
        if self.ood_model is not None:
            pooled = self.model.forward_head(maps, pre_logits=True)  # ty: ignore[not-callable]
            outputs += (self.ood_model(pooled),)
        columns = logits.topk(self.species).indices
        weight = _head_of(self.model).weight.flatten(1)
        terms = weight[columns] @ maps.flatten(2)
        return (*outputs, terms.unflatten(2, maps.shape[-2:]), columns)


def averages_maps(model: nn.Module, *, side: int) -> bool:
    """Whether the terms of the mean, with the bias, are the logits; tried on made pixels."""
    head = classifier_of(model)
    if not isinstance(head, nn.Linear | nn.Conv2d):
        return False
    pixels = torch.rand(2, 3, side, side, generator=torch.Generator().manual_seed(0)) * 2 - 1
    with torch.inference_mode():
        maps = model.forward_features(pixels)  # ty: ignore[not-callable]
        weight = head.weight.flatten(1)
        if maps.ndim != 4 or maps.shape[1] != weight.shape[1]:
            return False
        logits = torch.einsum("sc,pcrk->ps", weight, maps) / maps[0, 0].numel()
        expected = model(pixels) - (0 if head.bias is None else head.bias)
    return bool((logits - expected).abs().max() <= _ROUNDING * (1 + expected.abs().max()))


def _head_of(model: nn.Module) -> nn.Linear | nn.Conv2d:
    head = classifier_of(model)
    assert isinstance(head, nn.Linear | nn.Conv2d)
    return head
