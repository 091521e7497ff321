"""Backbones through timm, with a new head; and the folding of weight standardisation."""

from __future__ import annotations

import copy
import difflib
from pathlib import Path

import timm
import torch
from timm.layers import Conv2dSame, StdConv2d, StdConv2dSame
from torch import nn
from torch.nn import functional

from ophis.errors import InputError
from ophis.train.weights import LITE0_BACKBONE, load_weights, pretrained_lite0


def create_model(
    backbone: str,
    *,
    species: int,
    weights: str,
    weights_folder: Path = Path(),
    head: str = "zero",
    dropout: float = 0.0,
) -> nn.Module:
    """A network with one logit a species.

    Args:
        backbone: name of a timm model.
        species: how many.
        weights: "none"; "hub", timm's own pretrained ones; "lite0", the small ones of the demo
            extra; or a file in ``weights_folder``: .npz, .safetensors, .pt, .pth.
        weights_folder: where that file lies.
        head: "zero": all logits of an untrained model are equal; "random": as timm starts it.
        dropout: before the head.

    Returns:
        [photos, 3, side, side] float32 -> logits [photos, species].

    Raises:
        InputError: naming the backbone, file or tensor that does not fit.
    """
    if not timm.is_model(backbone.split(".", maxsplit=1)[0]):
        close = difflib.get_close_matches(backbone, timm.list_models(), n=3)
        mend = f"did you mean {' or '.join(close)}?" if close else "timm.list_models() tells them"
        raise InputError(f"timm has no backbone called {backbone!r}; {mend}")
    if weights == "lite0":
        if backbone != LITE0_BACKBONE:
            raise InputError(f'weights "lite0" fit the backbone {LITE0_BACKBONE}, not {backbone}')
        model = pretrained_lite0()
        model.drop_rate = dropout  # ty: ignore[invalid-assignment]
    elif weights == "hub":
        model = _from_hub(backbone, dropout)
    else:
        model = timm.create_model(backbone, drop_rate=dropout)
        if weights != "none":
            load_weights(model, weights_folder / weights)
    model.reset_classifier(species)  # ty: ignore[not-callable]
    if head == "zero":
        for parameter in classifier_of(model).parameters():
            nn.init.zeros_(parameter)
    return model


def classifier_of(model: nn.Module) -> nn.Module:
    """The head of a timm model."""
    return model.get_classifier()  # ty: ignore[not-callable]


def _from_hub(backbone: str, dropout: float) -> nn.Module:
    try:
        return timm.create_model(backbone, pretrained=True, drop_rate=dropout)
    except Exception as error:  # the hub's client, and those below it, raise many kinds
        reason = (str(error).splitlines() or [type(error).__name__])[0]
        raise InputError(
            f"the pretrained weights of {backbone} could not be fetched ({reason});"
            ' without a network give a local file: weights = "NAME.safetensors"'
        ) from None


def fold_weight_standardisation(model: nn.Module) -> nn.Module:
    """A copy in eval mode whose standardised convolutions are plain ones, same logits.

    The standardised weights are constants once training is over; computed here, they need not be
    computed for every photo, and an exporter sees initialisers instead of arithmetic.
    """
    folded = copy.deepcopy(model).eval()
    for name, module in list(folded.named_modules()):
        if isinstance(module, StdConv2d | StdConv2dSame):
            parent = folded.get_submodule(name.rpartition(".")[0])
            setattr(parent, name.rpartition(".")[2], _plain(module))
    return folded


def _plain(layer: StdConv2d | StdConv2dSame) -> nn.Conv2d:
    """The convolution with standardised weights baked in (Qiao et al. 2019, as BiT uses it)."""
    # timm's "same" kind pads as TensorFlow does, by the size of what comes in.
    kind = Conv2dSame if getattr(layer, "same_pad", False) else nn.Conv2d
    plain = kind(
        layer.in_channels,
        layer.out_channels,
        _pair(layer.kernel_size),
        _pair(layer.stride),
        layer.padding if isinstance(layer.padding, str) else _pair(layer.padding),
        _pair(layer.dilation),
        layer.groups,
        bias=layer.bias is not None,
    ).to(layer.weight)
    with torch.no_grad():
        flat = layer.weight.reshape(1, layer.out_channels, -1)
        standard = functional.batch_norm(flat, None, None, training=True, eps=layer.eps)
        plain.weight.copy_(standard.reshape_as(layer.weight))
        if layer.bias is not None and plain.bias is not None:
            plain.bias.copy_(layer.bias)
    return plain


def _pair(sides: tuple[int, ...]) -> tuple[int, int]:
    rows, columns = sides
    return rows, columns
