"""Temporary replacement of the forward method of layers."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Mapping

    import torch
    from torch import nn


@contextmanager
def replaced_forward(
    forwards: Mapping[nn.Module, Callable[[torch.Tensor], torch.Tensor]],
) -> Generator[None]:
    """Replace the forward method of layers inside the block."""
    for layer, forward in forwards.items():
        layer.forward = forward
    try:
        yield
    finally:
        for layer in forwards:
            del layer.forward
