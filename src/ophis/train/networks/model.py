"""Backbones of timm with a new head, and `bit_r14_half`, a small Big Transfer network."""

from __future__ import annotations

import difflib
import re
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import timm
from timm.layers import StdConv2d
from timm.models import (
    ResNetV2,
    build_model_with_cfg,
    generate_default_cfgs,
    get_arch_pretrained_cfgs,
    group_modules,
    group_parameters,
    register_model,
)
from torch import nn

from ophis.errors import InputError, first_line
from ophis.train.networks.standardisation import standardise_as_published
from ophis.train.networks.weights import (
    LITE0_BACKBONE,
    classifier_names,
    fill_body,
    load_lite0,
    load_weights,
)

if TYPE_CHECKING:
    from collections.abc import Collection

BIG_TRANSFER = re.compile(r"resnetv2_\d+x\d+_bit(\.|$)")


def create_model(
    backbone: str,
    *,
    species: int,
    weights: str,
    weights_folder: Path = Path(),
    head: str = "zero",
    dropout: float = 0.0,
    sides: Collection[int] = (),
) -> nn.Module:
    """Create a network with one logit for each species.

    Args:
        backbone: name of a timm model.
        species: number of logits.
        weights: "none"; "hub", those that timm downloads; "lite0", the small ones of the demo
            extra; or, in ``weights_folder``, a file (.npz, .safetensors, .pt, .pth) or the folder
            of an earlier run. Their head is never used.
        weights_folder: folder of that file or folder.
        head: "zero": weights and biases of 0, as in Big Transfer; "random": timm's.
        dropout: fraction of the features dropped before the head in training, in [0, 1].
        sides: pixels of the sides of the photos. A backbone of one input size is built for others
            where timm can; see `build`.

    Returns:
        [photos, 3, side, side] float32 -> logits [photos, species].

    Raises:
        InputError: naming the backbone, file or tensor that does not fit.
    """
    _check_name(backbone)
    if weights == "lite0" and backbone != LITE0_BACKBONE:
        raise InputError(f"weights lite0 fit the backbone {LITE0_BACKBONE}, not {backbone!r}")
    model = build(backbone, sides, num_classes=species, drop_rate=dropout)
    if BIG_TRANSFER.match(backbone):
        standardise_as_published(model)
    if weights == "hub":
        _load_from_hub(model, backbone, sides)
    elif weights == "lite0":
        load_lite0(model)
    elif weights != "none":
        load_weights(model, weights_folder / weights)
    if head == "zero":
        for layer in classifiers_of(model):
            for parameter in layer.parameters():
                nn.init.zeros_(parameter)
    return model


def build(backbone: str, sides: Collection[int] = (), **options: Any) -> nn.Module:  # noqa: ANN401
    """Build a network of timm for photos of these sides.

    Networks with a position for each patch or window are published for one size. Most take any
    size with `dynamic_img_size`, which interpolates the positions; others are built for one other
    size with `img_size`.

    Args:
        backbone: name of a timm model.
        sides: pixels.
        options: of timm.
    """
    published = timm.get_pretrained_cfg(backbone)
    sizes: list[dict[str, Any]] = []
    if published and published.fixed_input_size and {*sides} - {published.input_size[-1]}:
        sizes.append({"dynamic_img_size": True})
        sizes += [{"img_size": side} for side in {*sides} if len({*sides}) == 1]
    for size in sizes:
        with suppress(Exception):  # a TypeError where timm has no such option, and many kinds else
            return timm.create_model(backbone, **options, **size)
    return timm.create_model(backbone, **options)


def classifiers_of(model: nn.Module) -> list[nn.Linear | nn.Conv2d]:
    """Return the layers of a timm model that compute logits; distilled networks have several.

    They may lie behind other layers of the head, such as a norm or a hidden layer.
    """
    layers = dict(model.named_modules())
    heads = (layers[name].modules() for name in classifier_names(model) if name in layers)
    linear = ([m for m in head if isinstance(m, nn.Linear | nn.Conv2d)] for head in heads)
    return [found[-1] for found in linear if found]


def freeze(model: nn.Module, stages: int) -> list[nn.Module]:
    """Freeze the first stages: weights and running statistics.

    Args:
        model: a timm model.
        stages: number of stages, as timm counts them; the stem is the first.

    Returns:
        The frozen modules, which must be in eval mode during training.

    Raises:
        InputError: when not even one stage before the head would be trained.
    """
    if not stages:
        return []
    matcher = model.group_matcher(coarse=True)  # ty: ignore[not-callable]
    modules, parameters = group_modules(model, matcher), group_parameters(model, matcher)
    last = max(modules)  # the head's
    if stages > last:
        raise InputError(
            f"frozen_stages = {stages}, but this backbone has {last} stages before its head"
        )
    for stage in range(stages):
        for name in parameters[stage]:
            model.get_parameter(name).requires_grad = False
    return [model.get_submodule(name) for stage in range(stages) for name in modules[stage]]


def _check_name(backbone: str) -> None:
    """Refuse names that timm does not list, with or without a tag of pretrained weights."""
    name, dot, _ = backbone.partition(".")
    if not timm.is_model(name):
        wanted, known = name, timm.list_models()
    elif dot:
        wanted, known = backbone, list(get_arch_pretrained_cfgs(name))
    else:
        return
    if wanted in known:
        return
    close = difflib.get_close_matches(wanted.lower(), known, n=3)
    fix = f"did you mean {' or '.join(close)}?" if close else "timm.list_models() lists them"
    raise InputError(f"timm has no backbone called {backbone!r}; {fix}")


def _load_from_hub(model: nn.Module, backbone: str, sides: Collection[int]) -> None:
    """Fill the body with the weights that timm downloads, and fits to the sides."""
    try:
        fetched = build(backbone, sides, pretrained=True).state_dict()
    except Exception as error:  # the hub's client and its libraries raise many kinds
        raise InputError(
            f"the pretrained weights of {backbone} could not be fetched ({first_line(error)});"
            ' without a network give a local file: weights = "NAME.safetensors"'
        ) from None
    fill_body(model, fetched, source=f"pretrained {backbone}")


# timm reads this name from every module of networks; without a URL nothing is fetched.
default_cfgs = generate_default_cfgs(
    {
        "bit_r14_half": {
            "input_size": (3, 64, 64),
            "num_classes": 1000,
            "mean": (0.5, 0.5, 0.5),
            "std": (0.5, 0.5, 0.5),
            "first_conv": "stem.conv",
            "classifier": "head.fc",
        }
    }
)


@register_model
def bit_r14_half(pretrained: bool = False, **options: Any) -> ResNetV2:  # noqa: ANN401 - timm's
    """Build Big Transfer's ResNet-v2 with one unit a stage and half the width.

    For experiments on two CPU cores. Group norm, weight standardisation and bottleneck units are
    those of BiT-R50x1 (Kolesnikov et al. 2020); 14 layers, 2.0 million parameters, 0.08 GFLOP
    (multiply-add = 2) a photo of 64 x 64. There are no published weights: pretrain it with
    `ophis train`. timm requires this signature.
    """
    return build_model_with_cfg(
        ResNetV2,
        "bit_r14_half",
        pretrained,
        layers=(1, 1, 1, 1),
        channels=(128, 256, 512, 1024),
        stem_type="fixed",
        conv_layer=partial(StdConv2d, eps=1e-10),
        **options,
    )
