"""Weight standardisation of Big Transfer: once an optimiser step, and folded for inference.

A standardised convolution (Qiao et al. 2019) subtracts the mean of each filter and divides by its
std before it convolves. timm does so in every forward pass.
"""

from __future__ import annotations

import copy
from contextlib import contextmanager
from functools import partial
from typing import TYPE_CHECKING

import torch
from timm.layers import Conv2dSame, StdConv2d, StdConv2dSame, pad_same
from torch import nn
from torch.nn import functional

from ophis.train.networks.forward import replaced_forward

if TYPE_CHECKING:
    from collections.abc import Generator

StandardisedLayer = StdConv2d | StdConv2dSame


def standardise_as_published(model: nn.Module) -> None:
    """Standardise kernels as in the released code of Big Transfer.

    It adds 1e-10 to a kernel's variance, timm 1e-8. Published kernels have variances so small that
    the logits differ.
    """
    for module in model.modules():
        if isinstance(module, StdConv2d):
            module.eps = 1e-10


def standardised(layer: StandardisedLayer) -> torch.Tensor:
    """Return the standardised filters of a layer, bit by bit those of its forward pass."""
    flat = layer.weight.reshape(1, layer.out_channels, -1)
    standard = functional.batch_norm(flat, None, None, training=True, momentum=0.0, eps=layer.eps)
    return standard.reshape_as(layer.weight)


@contextmanager
def standardised_once(model: nn.Module) -> Generator[None]:
    """Standardise filters once for all micro-batches of an optimiser step.

    The weights do not change between the micro-batches, which accumulate gradients of the filters.
    At the end of the block their sum is propagated through the standardisation once, and added to
    the gradients of the weights.
    """
    layers = [module for module in model.modules() if isinstance(module, StandardisedLayer)]
    filters = [standardised(layer) for layer in layers]
    leaves = [f.detach().requires_grad_(f.requires_grad) for f in filters]
    pairs = zip(layers, leaves, strict=True)
    with replaced_forward({layer: partial(convolve_with, layer, leaf) for layer, leaf in pairs}):
        yield
    used = [
        (f, leaf.grad) for f, leaf in zip(filters, leaves, strict=True) if leaf.grad is not None
    ]
    torch.autograd.backward([f for f, _ in used], [gradient for _, gradient in used])


def convolve_with(layer: StandardisedLayer, filters: torch.Tensor, x: torch.Tensor) -> torch.Tensor:
    """Compute the layer's output with given filters."""
    if getattr(layer, "same_pad", False):
        x = pad_same(x, list(layer.kernel_size), list(layer.stride), list(layer.dilation))
    return functional.conv2d(
        x, filters, layer.bias, layer.stride, layer.padding, layer.dilation, layer.groups
    )


def fold_weight_standardisation(model: nn.Module) -> nn.Module:
    """Return a copy in eval mode with plain convolutions of standardised weights; equal logits.

    After training the standardised weights are constants, which need not be computed for each photo
    and which an exporter stores as initialisers.
    """
    folded = copy.deepcopy(model).eval()
    for name, module in list(folded.named_modules()):
        if isinstance(module, StandardisedLayer):
            parent, _, child = name.rpartition(".")
            setattr(folded.get_submodule(parent), child, _plain(module))
    return folded


def _plain(layer: StdConv2d | StdConv2dSame) -> nn.Conv2d:
    """Return a plain convolution with the layer's standardised weights."""
    # Padding "same" of TensorFlow depends on the size of the input.
    kind = Conv2dSame if getattr(layer, "same_pad", False) else nn.Conv2d
    rows, columns = layer.kernel_size
    plain = kind(
        layer.in_channels,
        layer.out_channels,
        (rows, columns),
        groups=layer.groups,
        bias=layer.bias is not None,
    ).to(layer.weight)
    plain.stride, plain.padding, plain.dilation = layer.stride, layer.padding, layer.dilation
    with torch.no_grad():
        plain.weight.copy_(standardised(layer))
        if layer.bias is not None and plain.bias is not None:
            plain.bias.copy_(layer.bias)
    return plain
