"""How the kernels of group norm and ReLU are laid over an activation, and started.

Importing it needs triton; `fused_norm` is the way in.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch

from ophis.train.networks import norm_kernels

ELEMENTS: int = 4096  # of an activation that a program holds at once
MOST_PARTS: int = 64  # of a channel's places, each summed by a program of its own


@dataclass(frozen=True)
class Cut:
    """How an activation [photos, channels, rows, columns] is cut into tiles and parts."""

    photos: int
    channels: int
    places: int
    channel_stride: int
    place_stride: int
    groups: int

    @classmethod
    def of(cls, x: torch.Tensor, groups: int) -> Cut:
        """Of a dense tensor, contiguous or channels-last."""
        photos, channels, rows, columns = x.shape
        last = not x.is_contiguous()
        strides = (1, channels) if last else (rows * columns, 1)
        return cls(photos, channels, rows * columns, *strides, groups)

    @property
    def tile(self) -> dict[str, int]:
        """Places and channels that a program holds at once: most of what lies side by side."""
        channels, places = _power(self.channels), _power(self.places)
        if self.place_stride == 1:
            rows = min(places, 1024)
            return {"ROWS": rows, "COLUMNS": min(channels, max(1, ELEMENTS // rows))}
        columns = min(channels, 128)
        return {"ROWS": min(places, ELEMENTS // columns), "COLUMNS": columns}

    @property
    def part_places(self) -> int:
        """Places of a part: whole tiles, and not more parts than `MOST_PARTS`."""
        rows = self.tile["ROWS"]
        return rows * _pieces(_pieces(self.places, rows), MOST_PARTS)

    @property
    def parts(self) -> int:
        """Of a channel's places."""
        return _pieces(self.places, self.part_places)

    @property
    def group(self) -> int:
        """Channels of a group."""
        return self.channels // self.groups

    def grid(self, pieces: int) -> tuple[int, int, int]:
        """Programs: photos, pieces of the places, pieces of the channels."""
        return self.photos, pieces, _pieces(self.channels, self.tile["COLUMNS"])

    @property
    def by_tile(self) -> tuple[int, int, int]:
        """A program a tile."""
        return self.grid(_pieces(self.places, self.tile["ROWS"]))

    @property
    def members(self) -> dict[str, int]:
        """Sizes of the kernels that bring the parts of a group together."""
        return {
            "GROUP": self.group,
            "PARTS": _power(self.parts),
            "MEMBERS": _power(self.group),
        }

    def numbers(self, *shape: int, x: torch.Tensor) -> torch.Tensor:
        """Room for float32 numbers beside ``x``."""
        return torch.empty(shape, device=x.device, dtype=torch.float32)


def forward(
    x: torch.Tensor, weight: torch.Tensor, bias: torch.Tensor, groups: int, epsilon: float
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Output like ``x``; mean and one over the deviation of each group, [photos, groups]."""
    cut = Cut.of(x, groups)
    parts = (cut.photos, cut.parts, cut.channels)
    means, squares = cut.numbers(*parts, x=x), cut.numbers(*parts, x=x)
    mean, scale = (cut.numbers(cut.photos, groups, x=x) for _ in range(2))
    size = (cut.channels, cut.places)
    strides = (cut.channel_stride, cut.place_stride)
    _start(norm_kernels.channel_moments, cut.grid(cut.parts))(
        x, means, squares, *size, *strides, cut.part_places, **cut.tile
    )
    _start(norm_kernels.group_moments, (cut.photos, groups))(
        means, squares, mean, scale, *size, cut.part_places, cut.parts, epsilon, **cut.members
    )
    y = torch.empty_like(x)
    _start(norm_kernels.outputs, cut.by_tile)(
        x, y, mean, scale, weight, bias, *size, *strides, GROUP=cut.group, **cut.tile
    )
    return y, mean, scale


def backward(
    dy: torch.Tensor,
    x: torch.Tensor,
    weight: torch.Tensor,
    bias: torch.Tensor,
    mean: torch.Tensor,
    scale: torch.Tensor,
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Gradients of input, weight and bias; ``dy`` is laid out as ``x`` is."""
    cut = Cut.of(x, mean.shape[1])
    parts = (cut.photos, cut.parts, cut.channels)
    plain, scaled = cut.numbers(*parts, x=x), cut.numbers(*parts, x=x)
    size = (cut.channels, cut.places)
    strides = (cut.channel_stride, cut.place_stride)
    affine = (mean, scale, weight, bias)
    _start(norm_kernels.channel_sums, cut.grid(cut.parts))(
        x, dy, *affine, plain, scaled, *size, *strides, cut.part_places,
        GROUP=cut.group, **cut.tile,
    )  # fmt: skip
    sums = cut.numbers(2, cut.photos, cut.channels, x=x)
    pulls = cut.numbers(2, cut.photos, cut.groups, x=x)
    _start(norm_kernels.group_sums, (cut.photos, cut.groups))(
        plain, scaled, weight, sums, pulls, *size, cut.parts, **cut.members
    )
    dx = torch.empty_like(x)
    _start(norm_kernels.input_gradient, cut.by_tile)(
        x, dy, dx, *affine, pulls, *size, *strides, GROUP=cut.group, **cut.tile
    )
    db, dw = sums.sum(1)
    return dx, dw.to(weight.dtype), db.to(bias.dtype)


def _power(number: int) -> int:
    """The power of two that is not below; Triton's blocks have such sides."""
    return 1 << (number - 1).bit_length()


def _pieces(whole: int, size: int) -> int:
    """How many pieces of a size cover the whole."""
    return -(-whole // size)


def _start(kernel: Any, grid: tuple[int, ...]) -> Any:  # noqa: ANN401 - Triton's own kind of call
    return kernel[grid]
