"""Saliency maps, and their concentration."""

from __future__ import annotations

from enum import StrEnum
from typing import TYPE_CHECKING, Self

import numpy as np
import torch
from captum.attr import LayerAttribution, LayerGradCam, NoiseTunnel, Saliency
from torch import nn

from ophis.errors import InputError

if TYPE_CHECKING:
    from numpy.typing import NDArray

SMOOTHGRAD_SAMPLES = 25
SMOOTHGRAD_NOISE = 0.3  # 15 % of the range of normalised pixels, which is about 2


class Method(StrEnum):
    """Method of a saliency map."""

    GRADIENT = "gradient"  # Simonyan et al. 2014, the paper's
    SMOOTHGRAD = "smoothgrad"  # Smilkov et al. 2017
    GRAD_CAM = "grad-cam"  # Selvaraju et al. 2017

    @classmethod
    def _missing_(cls, value: object) -> Self:
        raise InputError(f"unknown map {value!r}; known: {', '.join(cls)}")


def saliency(
    model: nn.Module,
    pixels: torch.Tensor,
    targets: torch.Tensor,
    *,
    method: Method = Method.GRADIENT,
    seed: int = 0,
) -> NDArray[np.float32]:
    """Return the influence of each pixel of each photo on the logit of its target.

    Args:
        model: a classifier; its parameters are not changed.
        pixels: [photos, 3, rows, columns], float32, normalised.
        targets: [photos], int64: the class whose logit is explained.
        method: GRADIENT: one gradient of that logit with respect to the input, the largest
            magnitude of the three channels. SMOOTHGRAD: likewise for the mean gradient of 25 noisy
            copies. GRAD_CAM: the last feature map, weighted by its mean gradients and enlarged.
        seed: of SMOOTHGRAD's noise.

    Returns:
        [photos, rows, columns], at least 0.

    Raises:
        InputError: for GRAD_CAM with a network whose features are not a map.
    """
    model.eval()
    if method is Method.GRAD_CAM:
        return _grad_cam(model, pixels, targets)
    pixels = pixels.detach().clone().requires_grad_()
    gradient = Saliency(model)
    if method is Method.SMOOTHGRAD:
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            signed = NoiseTunnel(gradient).attribute(
                pixels, target=targets, abs=False, nt_type="smoothgrad",
                nt_samples=SMOOTHGRAD_SAMPLES, nt_samples_batch_size=1, stdevs=SMOOTHGRAD_NOISE,
            )  # fmt: skip
    else:
        signed = gradient.attribute(pixels, target=targets, abs=False)
    return signed.detach().abs().amax(dim=1).float().cpu().numpy()


class _Split(nn.Module):
    """Network of timm with a named layer at its last feature map, for a hook."""

    def __init__(self, model: nn.Module) -> None:
        super().__init__()
        self.model = model
        self.features = nn.Identity()

    def forward(self, pixels: torch.Tensor) -> torch.Tensor:
        features = self.features(self.model.forward_features(pixels))  # ty: ignore[not-callable]
        return self.model.forward_head(features)  # ty: ignore[not-callable]


def _grad_cam(model: nn.Module, pixels: torch.Tensor, targets: torch.Tensor) -> NDArray[np.float32]:
    split = _Split(model).eval()
    with torch.no_grad():
        shape = model.forward_features(pixels[:1]).shape  # ty: ignore[not-callable]
    if len(shape) != 4:
        raise InputError(
            "grad-cam needs a convolutional backbone; for this one use gradient or smoothgrad"
        )
    small = LayerGradCam(split, split.features).attribute(
        pixels, target=targets, relu_attributions=True
    )
    size = tuple(pixels.shape[2:])
    large = LayerAttribution.interpolate(small, size, interpolate_mode="bilinear")
    return large.detach()[:, 0].float().cpu().numpy()


def concentration(maps: NDArray[np.float32]) -> NDArray[np.float64]:
    """Return the concentration of each map, [photos], in [0, 1].

    It is one minus the map's entropy as a fraction of the largest possible: 0 for a constant map, 1
    for a single pixel. A map of zeros has 0.
    """
    flat = maps.reshape(len(maps), -1).astype(np.float64)
    total = flat.sum(axis=1, keepdims=True)
    fraction = np.divide(flat, total, out=np.full_like(flat, 1 / flat.shape[1]), where=total > 0)
    logs = np.log(fraction, out=np.zeros_like(fraction), where=fraction > 0)
    return 1 + (fraction * logs).sum(axis=1) / np.log(flat.shape[1])


def mass_inside(maps: NDArray[np.float32], boxes: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the fraction of each map's sum inside its box, [photos], in [0, 1].

    Args:
        maps: [photos, rows, columns], at least 0.
        boxes: [photos, 4]: left, top, right, bottom as fractions of width and height; NaN without
            a box. A pixel on the border counts with its covered part.

    Returns:
        NaN where there is no box or the map is zero.
    """
    _, rows, columns = maps.shape
    across = _covered(columns, boxes[:, 0], boxes[:, 2])
    down = _covered(rows, boxes[:, 1], boxes[:, 3])
    inside = np.einsum("nrc,nr,nc->n", maps.astype(np.float64), down, across)
    total = maps.sum(axis=(1, 2), dtype=np.float64)
    return np.divide(inside, total, out=np.full(len(maps), np.nan), where=total > 0)


def _covered(
    pixels: int, low: NDArray[np.float64], high: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Return the covered part of each pixel along one side, [photos, pixels]."""
    edges = np.arange(pixels + 1) / pixels
    right = np.minimum(edges[None, 1:], high[:, None])
    left = np.maximum(edges[None, :-1], low[:, None])
    return np.where(right > left, right - left, 0.0 * (high - low)[:, None]) * pixels
