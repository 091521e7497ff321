"""Group norm and ReLU as one operation on a GPU, in the place of timm's two.

torch's group norm wants contiguous tensors and, under autocast, makes float32 ones: a channels-last
network in bfloat16 then turns and widens every activation, twice a layer. The fused kernel reads
and writes them as they lie. `benchmarks/gpu.py` says whether that pays on a device; until
somebody measured it there it is used on request only.
"""

from __future__ import annotations

from contextlib import contextmanager
from functools import partial
from importlib import util
from typing import TYPE_CHECKING, Any, TypeGuard

import torch
from timm.layers import GroupNormAct
from torch import nn
from torch.autograd import Function
from torch.autograd.function import once_differentiable

from ophis.errors import InputError
from ophis.train.networks.forward import replaced_forward

if TYPE_CHECKING:
    from collections.abc import Generator


class GroupNormReLU(Function):
    """relu(group_norm(x)): same type and layout as x, arithmetic in float32."""

    @staticmethod
    def forward(
        ctx: Any,  # noqa: ANN401 - torch's own
        x: torch.Tensor,
        weight: torch.Tensor,
        bias: torch.Tensor,
        groups: int,
        epsilon: float,
    ) -> torch.Tensor:
        """See `group_norm_relu`."""
        from ophis.train.networks import norm_tiles  # noqa: PLC0415 - needs triton, which not all have

        x = x.contiguous(memory_format=_layout(x))
        y, mean, scale = norm_tiles.forward(x, weight, bias, groups, epsilon)
        ctx.save_for_backward(x, weight, bias, mean, scale)
        return y

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, *gradients: torch.Tensor) -> tuple[torch.Tensor | None, ...]:  # noqa: ANN401
        """Of input, weight and bias."""
        from ophis.train.networks import norm_tiles  # noqa: PLC0415

        x, *rest = ctx.saved_tensors
        dy = gradients[0].contiguous(memory_format=_layout(x))
        return (*norm_tiles.backward(dy, x, *rest), None, None)


def group_norm_relu(
    x: torch.Tensor, weight: torch.Tensor, bias: torch.Tensor, groups: int, epsilon: float
) -> torch.Tensor:
    """Group norm (Wu & He 2018), then ReLU, through Triton.

    Args:
        x: [photos, channels, rows, columns], float32 or bfloat16, on a GPU.
        weight: [channels], a factor each.
        bias: [channels], added.
        groups: of neighbouring channels; divides their number.
        epsilon: added to each group's variance.

    Returns:
        Like ``x``, in its type and layout.
    """
    return GroupNormReLU.apply(x, weight, bias, groups, epsilon)


def require_fused_norms(device: torch.device) -> None:
    """Refuse where the kernel cannot run.

    Raises:
        InputError: without a CUDA device, or without triton.
    """
    if device.type != "cuda":
        raise InputError(f"fused norms need a CUDA device, not {device}; leave them off")
    if util.find_spec("triton") is None:
        raise InputError("fused norms need triton, which is not here; pip install triton")


@contextmanager
def fused_norms(model: nn.Module) -> Generator[int]:
    """Within it the model's group norms and their ReLUs are one operation each.

    Weights, their names and the results stay, but for rounding: outputs have the type of the input
    also under autocast.

    Yields:
        How many norms were taken over; those with another activation or with dropout are not.
    """
    norms = [module for module in model.modules() if _is_plain(module)]
    with replaced_forward({norm: partial(_forward, norm) for norm in norms}):
        yield len(norms)


def _is_plain(module: nn.Module) -> TypeGuard[GroupNormAct]:
    return (
        isinstance(module, GroupNormAct)
        and isinstance(module.act, nn.ReLU)
        and isinstance(module.drop, nn.Identity)
        and module.affine
    )


def _forward(norm: GroupNormAct, x: torch.Tensor) -> torch.Tensor:
    return group_norm_relu(x, norm.weight, norm.bias, norm.num_groups, norm.eps)


def _layout(x: torch.Tensor) -> torch.memory_format:
    """The layout that a tensor has, contiguous where it has both."""
    last = torch.channels_last
    plain = x.is_contiguous() or not x.is_contiguous(memory_format=last)
    return torch.contiguous_format if plain else last
