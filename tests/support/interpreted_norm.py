"""Run by test_fused_norm.py with TRITON_INTERPRET=1: the kernels on a processor, against torch.

Prints a line of JSON: for each case and each result the largest error as a multiple of what is
allowed, against group norm and ReLU of torch in float64.
"""

import json
from collections.abc import Callable

import torch
from torch import nn
from torch.nn import functional

from ophis.train.networks import norm_tiles
from ophis.train.networks.fused_norm import fused_norms, group_norm_relu
from ophis.train.networks.model import create_model

EPSILON = 1e-5
PARTS = ("output", "input", "weight", "bias")
# name: shape, groups, added to the input
CASES = {
    "odd": ((2, 6, 5, 7), 3, 0.0),
    "one pixel": ((1, 64, 1, 1), 32, 0.0),
    "one photo": ((1, 96, 9, 9), 32, 0.0),
    "two blocks of channels": ((2, 160, 13, 11), 32, 0.0),
    "far from zero": ((2, 6, 35, 37), 3, 300.0),
}


def results(norm: Callable[..., torch.Tensor], dy: torch.Tensor, *given: torch.Tensor):
    leaves = [tensor.detach().clone().requires_grad_() for tensor in given]
    y = norm(*leaves)
    y.backward(dy.to(y))
    return [y.detach(), *(leaf.grad for leaf in leaves)]


def excess(found: torch.Tensor, expected: torch.Tensor, rtol: float, atol: float) -> float:
    allowed = rtol * expected.abs() + atol
    return float(((found.double() - expected).abs() / allowed).nan_to_num(torch.inf).max())


def errors(name: str, kind: torch.dtype, layout: torch.memory_format) -> dict[str, float]:
    shape, groups, added = CASES[name]
    torch.manual_seed(0)
    x = (torch.randn(shape) * 2 + added).to(kind).contiguous(memory_format=layout)
    dy = torch.randn(shape).to(kind)
    weight, bias = torch.randn(shape[1]), torch.randn(shape[1])
    ours = results(lambda x, w, b: group_norm_relu(x, w, b, groups, EPSILON), dy, x, weight, bias)
    exact = results(
        lambda x, w, b: functional.relu(functional.group_norm(x, groups, w, b, EPSILON)),
        dy, x.double(), weight.double(), bias.double(),
    )  # fmt: skip
    assert [result.dtype for result in ours] == [kind, kind, torch.float32, torch.float32]
    assert all(result.stride() == x.stride() for result in ours[:2])
    # The interpreter cuts bfloat16 off where a GPU rounds: a whole last digit, not half of one.
    # Groups of nearly equal numbers have large gradients that cancel; float32 keeps what it can.
    scale = float(x.double().reshape(len(x), groups, -1).var(-1, correction=0).rsqrt().max())
    wide = (2**-7, 1e-3) if kind == torch.bfloat16 else (2e-5, 3e-6 * scale + 1e-7 * added + 2e-5)
    narrow = (2e-5, 2e-5 * x[0, 0].numel() ** 0.5 + 1e-6 * added)
    return {
        part: excess(*pair, *(wide if pair[0].ndim == 4 else narrow))
        for part, pair in zip(PARTS, zip(ours, exact, strict=True), strict=True)
    }


def odd_strides() -> dict[str, float]:
    """A view that is not dense, and the gradient of a mean: one number, expanded."""
    given = torch.randn(2, 8, 6, 10), torch.randn(8), torch.randn(8)
    dy = torch.randn(2, 8)
    ours = results(
        lambda x, w, b: group_norm_relu(x[:, :, ::2, 1:], w, b, 4, EPSILON).mean((2, 3)),
        dy, *given,
    )  # fmt: skip
    exact = results(
        lambda x, w, b: functional.relu(
            functional.group_norm(x[:, :, ::2, 1:], 4, w, b, EPSILON)
        ).mean((2, 3)),
        dy, *(tensor.double() for tensor in given),
    )  # fmt: skip
    pairs = zip(ours, exact, strict=True)
    return {part: excess(*pair, 2e-5, 1e-5) for part, pair in zip(PARTS, pairs, strict=True)}


def lost_numbers() -> int:
    """Outputs that are no numbers, of 2 groups of 4 where one input is none."""
    x = torch.randn(1, 4, 2, 1)
    x[0, 0, 0, 0] = torch.nan
    return int(group_norm_relu(x, torch.ones(4), torch.zeros(4), 2, EPSILON).isnan().sum())


def network() -> dict[str, float | int]:
    """A small Big Transfer, whole: loss and gradients with fused norms against without."""
    torch.manual_seed(0)
    model = create_model("bit_r14_half", species=3, weights="none", head="random")
    pixels = torch.randn(1, 3, 32, 32).contiguous(memory_format=torch.channels_last)

    def gradient() -> torch.Tensor:
        model.zero_grad()
        functional.cross_entropy(model(pixels), torch.tensor([2])).backward()
        return torch.cat([p.grad.flatten() for p in model.parameters() if p.grad is not None])

    plain = gradient()
    with fused_norms(model) as norms:
        fused = gradient()
    left = sum("forward" in vars(module) for module in model.modules())
    other = nn.Sequential(nn.GroupNorm(2, 4), nn.ReLU())
    with fused_norms(other) as others:
        pass
    return {
        "norms": norms,
        "others": others,
        "left behind": left,
        "difference": float((fused - plain).norm() / plain.norm()),
        "differs at all": float((fused - plain).abs().max()),
    }


if __name__ == "__main__":
    norm_tiles.MOST_PARTS = 3  # so that small cases too have several tiles a part
    told: dict[str, object] = {
        f"{name}, {str(kind).removeprefix('torch.')}, {str(layout).removeprefix('torch.')}": errors(
            name, kind, layout
        )
        for name in CASES
        for kind in (torch.float32, torch.bfloat16)
        for layout in (torch.contiguous_format, torch.channels_last)
    }
    print(json.dumps({
        "cases": told | {"odd strides": odd_strides()},
        "lost numbers": lost_numbers(),
        "network": network(),
    }))  # fmt: skip
