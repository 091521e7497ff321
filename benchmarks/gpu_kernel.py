"""Group norm and ReLU as one kernel against torch's two, forward and backward, layer by layer."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from gpu_figures import wait
from side_by_side import Row, row, timed
from torch.nn import functional

from ophis.train.networks.fused_norm import group_norm_relu, require_fused_norms

if TYPE_CHECKING:
    from collections.abc import Callable

# Channels and side of the activations of BiT-R50x1 at 456 pixels.
SHAPES = ((64, 114), (256, 114), (128, 57), (512, 57), (256, 29), (1024, 29), (512, 15), (2048, 15))
GROUPS, EPSILON = 32, 1e-5


def two(x: torch.Tensor, weight: torch.Tensor, bias: torch.Tensor) -> torch.Tensor:
    """What autocast makes of group norm and ReLU before a convolution."""
    normed = functional.group_norm(x.float(), GROUPS, weight, bias, EPSILON)
    return functional.relu(normed).to(x.dtype)


def one(x: torch.Tensor, weight: torch.Tensor, bias: torch.Tensor) -> torch.Tensor:
    """The kernel."""
    return group_norm_relu(x, weight, bias, GROUPS, EPSILON)


def line(device: torch.device, shape: tuple[int, ...], *, rounds: int) -> Row:
    """A shape [photos, channels, rows, columns], channels-last bfloat16.

    Raises:
        InputError: without a CUDA device or triton.
    """
    require_fused_norms(device)
    torch.manual_seed(0)
    x, dy = (
        torch.randn(shape, device=device, dtype=torch.bfloat16).contiguous(
            memory_format=torch.channels_last
        )
        for _ in range(2)
    )
    weight, bias = (torch.randn(shape[1], device=device) for _ in range(2))
    leaves = [tensor.requires_grad_() for tensor in (x, weight, bias)]

    def turn(norm: Callable[..., torch.Tensor]) -> Callable[[], list[torch.Tensor]]:
        def work() -> list[torch.Tensor]:
            y = norm(*leaves)
            found = [y, *torch.autograd.grad(y, leaves, dy)]
            wait(device)
            return found

        return work

    exact = turn(lambda *given: two(*(t.double() for t in given)).to(dy.dtype))
    gaps = [_gap(a, b) for a, b in zip(turn(one)(), exact(), strict=True)]
    names = ("output", "input", "weight", "bias")
    return row(
        f"group norm, ReLU and gradient, {' x '.join(map(str, shape))}, bfloat16",
        f"torch {torch.__version__}",
        timed(turn(one), turn(two), rounds=rounds),
        difference=", ".join(f"{n} {g:.1e}" for n, g in zip(names, gaps, strict=True)),
    )


def _gap(found: torch.Tensor, expected: torch.Tensor) -> float:
    return float((found.double() - expected.double()).norm() / expected.double().norm())
