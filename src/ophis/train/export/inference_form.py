"""Forms of a trained network for inference: the same outputs with fewer passes over memory.

Weight standardisation is folded into the kernels. Group norm becomes layer norm over each group,
which ONNX Runtime computes on all its threads; the exporter's instance norm runs on one. The zero
padding before Big Transfer's first pool becomes a maximum with a small constant, so that the
network's largest map is not copied. Embeddings of positions are interpolated once, and not for each
photo.
"""

from __future__ import annotations

import torch
from timm.layers import GroupNormAct
from torch import nn
from torch.nn import functional

from ophis.train.networks.model import classifiers_of
from ophis.train.networks.standardisation import fold_weight_standardisation

EVIDENCE_SPECIES = 5  # with maps: a country rarely lifts another species to the top
_ROUNDING = 1e-3


def inference_form(model: nn.Module, *, side: int) -> nn.Module:
    """Return a copy in eval mode with the same outputs on photos of a side, up to rounding."""
    folded = fold_weight_standardisation(model).eval()
    interpolates = "dynamic_img_size" in getattr(model, "_model_args", {})
    if interpolates and getattr(model, "pos_embed", None) is not None:
        folded.set_input_size(img_size=side)  # ty: ignore[not-callable]
    for name, module in list(folded.named_modules()):
        if isinstance(module, GroupNormAct):
            parent, _, child = name.rpartition(".")
            setattr(folded.get_submodule(parent), child, GroupNormOfRows(module))
        elif isinstance(module, nn.Sequential) and (pool := _pool_of_padded(module)):
            # timm's model accesses its parts by name.
            module.pool, module.pad = pool, nn.Identity()
    return folded


class GroupNormOfRows(nn.Module):
    """Group norm with activation of timm, as layer norm with one row a group."""

    def __init__(self, norm: GroupNormAct) -> None:
        super().__init__()
        self.groups, self.epsilon, self.act = norm.num_groups, norm.eps, norm.act
        self.weight, self.bias = (p.detach()[:, None, None] for p in (norm.weight, norm.bias))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Normalise [photos, channels, rows, columns]; the shape stays."""
        rows = x.reshape(x.shape[0], self.groups, -1)
        normal = functional.layer_norm(rows, rows.shape[-1:], eps=self.epsilon).reshape(x.shape)
        return self.act(normal * self.weight + self.bias)


class PaddedPool(nn.Module):
    """Maximum pooling of a map padded with zeros, without a padded copy."""

    def __init__(self, size: int, stride: int) -> None:
        super().__init__()
        self.size, self.stride = size, stride

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Pool [photos, channels, rows, columns] to about half the rows and columns."""
        most = functional.max_pool2d(x, self.size, self.stride, padding=1)
        rows, columns = (
            _touches(side, self.size, self.stride, windows)
            for side, windows in zip(x.shape[-2:], most.shape[-2:], strict=True)
        )
        border = rows[:, None] | columns
        # Windows at the border contain a zero.
        return torch.maximum(most, torch.zeros(()).masked_fill(~border, -torch.inf))


def _touches(side: int, size: int, stride: int, windows: int) -> torch.Tensor:
    """Return whether each window reaches the padding of 1 before or after ``side`` values."""
    first = torch.arange(windows) * stride - 1
    return (first < 0) | (first + size > side)


def _pool_of_padded(module: nn.Sequential) -> PaddedPool | None:
    """Return the pool of Big Transfer's stem in timm: a `pad` of one zero, then a plain `pool`."""
    pad, pool = (getattr(module, name, None) for name in ("pad", "pool"))
    if not (isinstance(pad, nn.ConstantPad2d) and isinstance(pool, nn.MaxPool2d)):
        return None
    size, stride = pool.kernel_size, pool.stride
    plain = not pool.padding and not pool.ceil_mode and pool.dilation == 1
    if pad.value or pad.padding != (1, 1, 1, 1) or not plain:
        return None
    return PaddedPool(size, stride) if isinstance(size, int) and isinstance(stride, int) else None


class WithEvidence(nn.Module):
    """Network of timm with the evidence maps of the most probable species as further outputs.

    See `ophis.inference.evidence` for their definition.

    Args:
        model: one whose head averages maps before one linear layer; see `averages_maps`.
        ood_model: features to out-of-distribution score, or None.
    """

    def __init__(self, model: nn.Module, ood_model: nn.Module | None) -> None:
        super().__init__()
        self.model, self.ood_model = model, ood_model
        self.species = min(EVIDENCE_SPECIES, _head_of(model).weight.shape[0])

    def forward(self, pixels: torch.Tensor) -> tuple[torch.Tensor, ...]:
        """Return logits, OOD scores if any, maps and species of [photos, 3, side, side].

        Maps are [photos, k, rows, columns]; species are [photos, k], columns of the logits.
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
    """Return whether the logits are means of maps plus a bias; tested on random pixels."""
    heads = classifiers_of(model)
    if len(heads) != 1:
        return False
    (head,) = heads
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
    (head,) = classifiers_of(model)
    return head
