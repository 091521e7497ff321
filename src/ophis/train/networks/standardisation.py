"""Weight standardisation of Big Transfer: as published, once an optimiser step, folded away.

A standardised convolution (Qiao et al. 2019) subtracts from each filter its mean and divides by its
deviation before it convolves. timm does so in every forward pass.
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
    """Standardise kernels as the released code of Big Transfer does.

    It adds 1e-10 to a kernel's variance, timm 1e-8. Trained kernels can have variances that small,
    and then the published weights give other logits.
    """
    for module in model.modules():
        if isinstance(module, StdConv2d):
            module.eps = 1e-10


def standardised(layer: StandardisedLayer) -> torch.Tensor:
    """The filters that a layer convolves with: the same operation as in its forward, to the bit."""
    flat = layer.weight.reshape(1, layer.out_channels, -1)
    standard = functional.batch_norm(flat, None, None, training=True, momentum=0.0, eps=layer.eps)
    return standard.reshape_as(layer.weight)


@contextmanager
def standardised_once(model: nn.Module) -> Generator[None]:
    """Within it filters are standardised once, whatever number of pieces a step has.

    The weights do not change between the pieces of one optimiser step, so neither do the filters.
    The pieces leave their gradients with the filters; on leaving without an error, the sum goes
    through the standardisation once, which is linear in it, and is added to the weights' gradients.
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
    """The layer's forward with filters that are there already."""
    if getattr(layer, "same_pad", False):
        x = pad_same(x, list(layer.kernel_size), list(layer.stride), list(layer.dilation))
    return functional.conv2d(
        x, filters, layer.bias, layer.stride, layer.padding, layer.dilation, layer.groups
    )


def fold_weight_standardisation(model: nn.Module) -> nn.Module:
    """A copy in eval mode whose standardised convolutions are plain ones, same logits.

    The standardised weights are constants once training is over: baked in, they are not computed
    anew for every photo, and an exporter sees initialisers instead of arithmetic.
    """
    folded = copy.deepcopy(model).eval()
    for name, module in list(folded.named_modules()):
        if isinstance(module, StandardisedLayer):
            parent, _, child = name.rpartition(".")
            setattr(folded.get_submodule(parent), child, _plain(module))
    return folded


def _plain(layer: StdConv2d | StdConv2dSame) -> nn.Conv2d:
    """The convolution with standardised weights baked in (Qiao et al. 2019, as BiT uses it)."""
    # timm's "same" kind pads as TensorFlow does, by the size of what comes in.
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
