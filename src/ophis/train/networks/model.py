"""Backbones through timm, with a new head."""

from __future__ import annotations

import difflib
import re
from pathlib import Path

import timm
from timm.models import get_arch_pretrained_cfgs, group_modules, group_parameters
from torch import nn

from ophis.errors import InputError
from ophis.train.networks import small_bit  # noqa: F401 - registers its network with timm
from ophis.train.networks.standardisation import standardise_as_published
from ophis.train.networks.weights import LITE0_BACKBONE, fill_body, load_lite0, load_weights
from ophis.train.networks.weights_file import one_line

BIG_TRANSFER = re.compile(r"resnetv2_\d+x\d+_bit(\.|$)")


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
            extra; or, in ``weights_folder``, a file (.npz, .safetensors, .pt, .pth) or the folder
            of an earlier run. The head that comes with them is never taken.
        weights_folder: where that file or folder lies.
        head: "zero": all logits of an untrained model are 0, as Big Transfer starts; "random":
            as timm starts it.
        dropout: part of the features dropped before the head while training, 0 to 1.

    Returns:
        [photos, 3, side, side] float32 -> logits [photos, species].

    Raises:
        InputError: naming the backbone, file or tensor that does not fit.
    """
    _check_name(backbone)
    if weights == "lite0" and backbone != LITE0_BACKBONE:
        raise InputError(f"weights lite0 fit the backbone {LITE0_BACKBONE}, not {backbone!r}")
    model = timm.create_model(backbone, num_classes=species, drop_rate=dropout)
    if BIG_TRANSFER.match(backbone):
        standardise_as_published(model)
    if weights == "hub":
        _load_from_hub(model, backbone)
    elif weights == "lite0":
        load_lite0(model)
    elif weights != "none":
        load_weights(model, weights_folder / weights)
    if head == "zero":
        for parameter in classifier_of(model).parameters():
            nn.init.zeros_(parameter)
    return model


def classifier_of(model: nn.Module) -> nn.Module:
    """The head of a timm model."""
    return model.get_classifier()  # ty: ignore[not-callable]


def freeze(model: nn.Module, stages: int) -> list[nn.Module]:
    """Take the first stages out of training, weights and running statistics alike.

    Args:
        model: a timm model.
        stages: how many, as timm counts them: the stem is the first, then stage by stage.

    Returns:
        The frozen modules; they belong in eval mode while the rest trains.

    Raises:
        InputError: when nothing but the head would be left to train, or less.
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
    """Refuse what timm does not know, the tag of pretrained weights included."""
    name, dot, _ = backbone.partition(".")
    if not timm.is_model(name):
        asked, known = name, timm.list_models()
    elif dot:
        asked, known = backbone, list(get_arch_pretrained_cfgs(name))
    else:
        return
    if asked in known:
        return
    close = difflib.get_close_matches(asked.lower(), known, n=3)
    mend = f"did you mean {' or '.join(close)}?" if close else "timm.list_models() lists them"
    raise InputError(f"timm has no backbone called {backbone!r}; {mend}")


def _load_from_hub(model: nn.Module, backbone: str) -> None:
    """Fill the body with the weights that timm fetches, whatever their head."""
    try:
        fetched = timm.create_model(backbone, pretrained=True).state_dict()
    except Exception as error:  # the hub's client, and those below it, raise many kinds
        raise InputError(
            f"the pretrained weights of {backbone} could not be fetched ({one_line(error)});"
            ' without a network give a local file: weights = "NAME.safetensors"'
        ) from None
    fill_body(model, fetched, source=f"pretrained {backbone}")
