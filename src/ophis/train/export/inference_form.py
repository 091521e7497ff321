"""A trained network as an inference engine should meet it: same numbers, fewer passes over memory.

Weight standardisation is folded into the kernels. Group norm becomes layer norm over each group's
numbers, which ONNX Runtime computes on all its threads, where the instance norm that the exporter
makes of it runs on one. The zero padding before Big Transfer's first pool becomes a maximum with a
small constant, so that the largest map of the network is not copied.
"""

from __future__ import annotations

import torch
from timm.layers import GroupNormAct
from torch import nn
from torch.nn import functional

from ophis.train.networks.standardisation import fold_weight_standardisation


def inference_form(model: nn.Module) -> nn.Module:
    """A copy in eval mode with the same outputs, up to rounding."""
    folded = fold_weight_standardisation(model).eval()
    for name, module in list(folded.named_modules()):
        if isinstance(module, GroupNormAct):
            parent, _, child = name.rpartition(".")
            setattr(folded.get_submodule(parent), child, GroupNormOfRows(module))
        elif isinstance(module, nn.Sequential) and (pool := _pool_of_padded(module)):
            # By name: timm's model finds its parts so.
            module.pool, module.pad = pool, nn.Identity()
    return folded


class GroupNormOfRows(nn.Module):
    """timm's group norm with activation, each group a row that layer norm knows how to treat."""

    def __init__(self, norm: GroupNormAct) -> None:
        super().__init__()
        self.groups, self.epsilon, self.act = norm.num_groups, norm.eps, norm.act
        self.weight, self.bias = (p.detach()[:, None, None] for p in (norm.weight, norm.bias))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """[photos, channels, rows, columns], shape stays."""
        rows = x.reshape(x.shape[0], self.groups, -1)
        normal = functional.layer_norm(rows, rows.shape[-1:], eps=self.epsilon).reshape(x.shape)
        return self.act(normal * self.weight + self.bias)


class PaddedPool(nn.Module):
    """The largest of each window of a map with a border of zeros, without making the border."""

    def __init__(self, size: int, stride: int) -> None:
        super().__init__()
        self.size, self.stride = size, stride

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """[photos, channels, rows, columns] to about half the rows and columns."""
        most = functional.max_pool2d(x, self.size, self.stride, padding=1)
        rows, columns = (
            _touches(side, self.size, self.stride, windows)
            for side, windows in zip(x.shape[-2:], most.shape[-2:], strict=True)
        )
        border = rows[:, None] | columns
        # Windows at the border see a zero too, the others nothing more.
        return torch.maximum(most, torch.zeros(()).masked_fill(~border, -torch.inf))


def _touches(side: int, size: int, stride: int, windows: int) -> torch.Tensor:
    """Whether each window reaches the padding of 1 before or after ``side`` numbers."""
    first = torch.arange(windows) * stride - 1
    return (first < 0) | (first + size > side)


def _pool_of_padded(module: nn.Sequential) -> PaddedPool | None:
    """For Big Transfer's stem as timm builds it: a `pad` of one zero, then a plain `pool`."""
    pad, pool = (getattr(module, name, None) for name in ("pad", "pool"))
    if not (isinstance(pad, nn.ConstantPad2d) and isinstance(pool, nn.MaxPool2d)):
        return None
    size, stride = pool.kernel_size, pool.stride
    plain = not pool.padding and not pool.ceil_mode and pool.dilation == 1
    if pad.value or pad.padding != (1, 1, 1, 1) or not plain:
        return None
    return PaddedPool(size, stride) if isinstance(size, int) and isinstance(stride, int) else None
