"""The torch network beside the ONNX file, as timm and the Hugging Face Hub lay one out."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from safetensors.torch import save

from ophis.inference.bundles.bundle import CONFIG, WEIGHTS

if TYPE_CHECKING:
    from pathlib import Path

    from torch import nn

    from ophis.images.preprocessing import Preprocessing
    from ophis.taxonomy.species_list import SpeciesList


def write_timm_files(
    model: nn.Module,
    folder: Path,
    *,
    species: SpeciesList,
    preprocessing: Preprocessing,
    weights: bool,
) -> None:
    """Write config.json, and with ``weights`` model.safetensors, of one of timm's networks.

    ``timm.create_model("local-dir:FOLDER", pretrained=True)`` makes the network of them. Of a
    network that is none of timm's nothing is written.
    """
    own: dict[str, Any] = dict(getattr(model, "pretrained_cfg", None) or {})
    if not own.get("architecture"):
        return
    config = {
        "architecture": own["architecture"],
        "num_classes": len(species),
        "num_features": getattr(model, "num_features", None),
        "label_names": list(species),
        "pretrained_cfg": _pretrained(own, len(species), preprocessing),
    }
    text = json.dumps(config, indent=2, ensure_ascii=False)
    (folder / CONFIG).write_text(text + "\n", encoding="utf-8")
    if weights:
        tensors = {name: tensor.contiguous() for name, tensor in model.state_dict().items()}
        # Not `save_file`: what it makes can be read by its owner only.
        (folder / WEIGHTS).write_bytes(save(tensors, metadata={"format": "pt"}))


def _pretrained(own: dict[str, Any], species: int, preprocessing: Preprocessing) -> dict[str, Any]:
    """How timm should show a photo to it: the same squares as ours."""
    side = preprocessing.pixels
    return {
        "input_size": [3, side, side],
        "interpolation": "bilinear",
        "crop_pct": 1.0,
        "crop_mode": "squash",
        "mean": list(preprocessing.mean),
        "std": list(preprocessing.deviation),
        "num_classes": species,
        "first_conv": own.get("first_conv"),
        "classifier": own.get("classifier"),
    }
