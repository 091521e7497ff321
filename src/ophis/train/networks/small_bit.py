"""A small network in the manner of Big Transfer, for experiments on two processor cores."""

from __future__ import annotations

from functools import partial
from typing import Any

from timm.layers import StdConv2d
from timm.models import ResNetV2, build_model_with_cfg, generate_default_cfgs, register_model

# timm wants this from every network; without an address in it there are no weights to fetch.
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
    """Big Transfer's ResNet-v2 with one unit a stage and half the width.

    Group norm, weight standardisation, bottleneck units, as in BiT-R50x1 (Kolesnikov et al. 2020);
    14 layers, 2.0 million parameters, 0.08 GFLOP (multiply-add = 2) a photo of 64 x 64. Nobody
    publishes weights for it: pretrain it with `ophis train`. The signature is the one timm calls.
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
