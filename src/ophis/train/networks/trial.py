"""Trial of a network before a run: a training pass and an answer with the run's sizes.

Networks of timm fail in many ways on photos of a side that they were not made for, and batch norm
on a single value. A run finds that before it reads a photo or writes a file.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

from ophis.errors import InputError, first_line
from ophis.train.networks.group_norm import fast_group_norm
from ophis.train.networks.standardisation import standardised_once

if TYPE_CHECKING:
    from torch import nn

STEPS = (32, 14)  # sides of patches and windows, and of the strides of convolutional networks


def require_trainable(
    model: nn.Module, *, crop_pixels: int, test_pixels: int, micro_batch_photos: int
) -> None:
    """Refuse a network that cannot take a training step or an answer with these sizes.

    Uses at most two photos: batch norm fails on one alone, and no layer on two but not on more.
    Gradients are left in the model, and running statistics change.

    Args:
        model: a timm model in training mode, frozen modules excepted.
        crop_pixels: side of the photos of a training step.
        test_pixels: side of the photos to identify.
        micro_batch_photos: photos of a forward pass of a training step.

    Raises:
        InputError: naming the key of the recipe, and values that fit.
    """
    name = (getattr(model, "pretrained_cfg", None) or {}).get("architecture") or "the backbone"
    photos = min(2, micro_batch_photos)
    fault = _training_fault(model, crop_pixels, photos)
    if fault and photos == 1 and not _training_fault(model, crop_pixels, 2):
        raise InputError(
            f"micro_batch_photos = 1: {name} cannot learn from one photo of {crop_pixels} pixels at"
            f" a time ({fault}); use 2 or more"
        )
    key, side = "crop_pixels", crop_pixels
    if not fault:
        key, side, fault = "test_pixels", test_pixels, answer_fault(model, test_pixels)
    if fault:
        raise InputError(f"{key} = {side}: {name} does not take it ({fault}); {_fix(model, side)}")


def _fix(model: nn.Module, wanted: int) -> str:
    """Return a sentence with the sides that fit, next to the wanted one."""
    published = (getattr(model, "pretrained_cfg", None) or {}).get("input_size")
    near = {wanted // step * step + more for step in STEPS for more in (0, step)}
    sides = sorted({*near, published[-1] if published else wanted} - {0, wanted})
    fitting = [s for s in sides if not (_training_fault(model, s, 2) or answer_fault(model, s))]
    if not fitting:
        return "take another backbone"
    return f"{' and '.join(map(str, fitting))} fit, for crop_pixels and for test_pixels"


def _training_fault(model: nn.Module, side: int, photos: int) -> str:
    """Return why a training pass fails, or an empty text."""
    try:
        with standardised_once(model), fast_group_norm(model):
            logits = model(_pixels(model, side, photos))
            logits.sum().backward()
    except Exception as error:  # timm and torch raise many kinds
        return _reason(error)
    return "" if logits.shape[:1] == (photos,) and logits.ndim == 2 else "it returns no logits"


def answer_fault(model: nn.Module, side: int) -> str:
    """Return why a photo of a side cannot be identified, or an empty text."""
    modes = {module: module.training for module in model.modules()}
    model.eval()
    try:
        with torch.inference_mode():
            maps = model.forward_features(_pixels(model, side, 1))  # ty: ignore[not-callable]
            model.forward_head(maps)  # ty: ignore[not-callable]
            features = model.forward_head(maps, pre_logits=True)  # ty: ignore[not-callable]
    except Exception as error:  # as above
        return _reason(error)
    finally:
        for module, training in modes.items():
            module.training = training
    return "" if features.ndim == 2 else "its features are no list of numbers"


def _pixels(model: nn.Module, side: int, photos: int) -> torch.Tensor:
    like = next(model.parameters())
    rng = torch.Generator().manual_seed(0)
    pixels = torch.rand(photos, 3, side, side, generator=rng) * 2 - 1
    return pixels.to(like).contiguous(memory_format=torch.channels_last)


def _reason(error: Exception) -> str:
    return first_line(error).rstrip(".")
