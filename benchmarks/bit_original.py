"""Big Transfer as its authors run it in PyTorch, re-written from the paper and its description.

Kolesnikov et al. 2020, "Big Transfer", and the model that its release describes: a ResNet-v2 whose
convolutions standardise their kernels in every forward pass (variance plus 1e-10), group norm of 32
groups and ReLU before each convolution, a 7x7 stem, a border of zeros and a 3x3 pool, layout as
torch has it by default. It contains no line of the release. `with_weights_of` copies the
weights of timm's model, so that both compute the same function.
"""

from __future__ import annotations

import torch
from torch import nn
from torch.nn import functional

BLOCKS = (3, 4, 6, 3)  # of a ResNet50


class StandardisedConvolution(nn.Conv2d):
    """A convolution that standardises its kernels in every forward pass."""

    def forward(self, input: torch.Tensor) -> torch.Tensor:  # noqa: A002 - torch's name for it
        """[photos, channels, rows, columns]."""
        variance, mean = torch.var_mean(self.weight, (1, 2, 3), keepdim=True, unbiased=False)
        kernels = (self.weight - mean) / torch.sqrt(variance + 1e-10)
        return functional.conv2d(input, kernels, self.bias, self.stride, self.padding)


def convolution(into: int, out: int, size: int, stride: int = 1) -> StandardisedConvolution:
    """Return a convolution without bias, padded to keep the size but for the stride."""
    return StandardisedConvolution(into, out, size, stride, size // 2, bias=False)


class Block(nn.Module):
    """Three times norm, ReLU and convolution, with a residual connection."""

    def __init__(self, into: int, middle: int, stride: int, *, first: bool) -> None:
        super().__init__()
        out = 4 * middle
        self.short = convolution(into, out, 1, stride) if first else None
        self.norm1, self.conv1 = nn.GroupNorm(32, into), convolution(into, middle, 1)
        self.norm2, self.conv2 = nn.GroupNorm(32, middle), convolution(middle, middle, 3, stride)
        self.norm3, self.conv3 = nn.GroupNorm(32, middle), convolution(middle, out, 1)
        self.relu = nn.ReLU(inplace=True)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """[photos, channels, rows, columns]."""
        y = self.relu(self.norm1(x))
        kept = x if self.short is None else self.short(y)
        y = self.conv1(y)
        y = self.conv2(self.relu(self.norm2(y)))
        return self.conv3(self.relu(self.norm3(y))) + kept


class BigTransfer(nn.Module):
    """BiT-R50x1: [photos, 3, side, side] to logits [photos, species]."""

    def __init__(self, species: int) -> None:
        super().__init__()
        self.stem = nn.Sequential(
            convolution(3, 64, 7, 2), nn.ConstantPad2d(1, 0.0), nn.MaxPool2d(3, 2)
        )
        blocks, into = [], 64
        for stage, number in enumerate(BLOCKS):
            middle = 64 * 2**stage
            for place in range(number):
                stride = 2 if stage and not place else 1
                blocks.append(Block(into, middle, stride, first=not place))
                into = 4 * middle
        self.body = nn.Sequential(*blocks)
        self.head = nn.Sequential(
            nn.GroupNorm(32, into),
            nn.ReLU(inplace=True),
            nn.AdaptiveAvgPool2d(1),
            nn.Conv2d(into, species, 1),
        )

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """[photos, 3, side, side] to logits."""
        return self.head(self.body(self.stem(x)))[..., 0, 0]


def with_weights_of(model: nn.Module, species: int) -> BigTransfer:
    """Return the network with the weights of timm's `resnetv2_50x1_bit`, in its mode."""
    names = {
        "stem.conv": "stem.0",
        "norm": "head.0",
        "head.fc": "head.3",
    }
    copy = BigTransfer(species)
    state = {}
    for name, tensor in model.state_dict().items():
        place = name.rpartition(".")[0]
        own = name.replace(place, names[place]) if place in names else name
        if name.startswith("stages."):
            _, stage, _, block, rest = name.split(".", 4)
            number = sum(BLOCKS[: int(stage)]) + int(block)
            own = f"body.{number}.{rest.replace('downsample.conv', 'short')}"
        state[own] = tensor
    copy.load_state_dict(state)
    return copy.train(model.training)
