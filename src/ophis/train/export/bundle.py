"""Bundle of a torch network: ONNX file, card, and the files of timm and the Hugging Face Hub."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

from safetensors.torch import save

from ophis.datasets.training_photos import write_training_photos
from ophis.evaluation.results import EvaluationResults
from ophis.inference.bundles.bundle import BundleWriter, Member
from ophis.inference.bundles.index import CONFIG, IMAGES, MODEL, WEIGHTS
from ophis.inference.bundles.model_card import card_text
from ophis.inference.evidence import OUTPUTS as EVIDENCE
from ophis.inference.self_test import write_selftest
from ophis.train.export.inference_form import WithEvidence, averages_maps, inference_form
from ophis.train.export.onnx_export import check_parity, write_onnx
from ophis.train.out_of_distribution import OodModel, WithOodScore

if TYPE_CHECKING:
    from torch import nn

    from ophis.datasets.training_photos import Digests
    from ophis.decision.calibration import Calibration
    from ophis.decision.rule import DecisionRule
    from ophis.images.preprocessing import Preprocessing
    from ophis.priors.prior import Prior
    from ophis.taxonomy.species_list import SpeciesList


def write_bundle(
    model: nn.Module,
    out: str | Path,
    *,
    species: SpeciesList,
    preprocessing: Preprocessing,
    calibration: Calibration | None,
    prior: Prior | None,
    rule: DecisionRule | None,
    results: EvaluationResults | None = None,
    ood_model: OodModel | None = None,
    training_photos: Digests | None = None,
    weights: bool = True,
) -> Path:
    """Write a bundle of any torch model of [photos, 3, side, side] that returns logits.

    The network also returns each photo's out-of-distribution score where ``ood_model`` is given,
    which needs one of timm's, and evidence maps where its head averages maps.

    Args:
        model: the network; it is not changed.
        out: the bundle folder; an older bundle there is replaced.
        species: order of the logits.
        preprocessing: of the photos.
        calibration: of the logits.
        prior: p(species | country).
        rule: the decision rule.
        results: for the card.
        ood_model: features to out-of-distribution score.
        training_photos: digests of the photos that the network learned from, see
            `ophis.datasets.training_photos.content_digests`; needed with a rule, which is to be
            fitted on other photos.
        weights: write the torch weights too.

    Raises:
        InputError: when ONNX Runtime's outputs differ from torch's, or a rule is given without the
            training photos.
    """
    plain = model
    model, outputs = _with_outputs(model, ood_model, side=preprocessing.pixels)
    results = results or EvaluationResults()
    text = card_text(species, results, calibration=calibration, prior=prior, rule=rule)
    with BundleWriter(out) as writer:
        writer.write(
            species=species,
            calibration=calibration,
            prior=prior,
            rule=rule,
            card=text,
            results=results,
        )
        if training_photos is not None:
            write_training_photos(writer.folder, training_photos)
        preprocessing.write(writer.folder / IMAGES)
        write_timm_files(
            plain, writer.folder, species=species, preprocessing=preprocessing, weights=weights
        )
        write_onnx(model, writer.folder / MODEL, side=preprocessing.pixels, outputs=outputs)
        check_parity(model, writer.folder / MODEL, side=preprocessing.pixels)
        write_selftest(Member(writer.folder / MODEL, species, preprocessing, None))
    return Path(out)


def _with_outputs(
    model: nn.Module, ood_model: OodModel | None, *, side: int
) -> tuple[nn.Module, tuple[str, ...]]:
    """Return the network that is exported, and the names of its outputs."""
    model = inference_form(model, side=side)
    outputs = ("logits", *(("ood_score",) if ood_model else ()))
    if averages_maps(model, side=side):
        return WithEvidence(model, ood_model).eval(), (*outputs, *EVIDENCE)
    return (WithOodScore(model, ood_model).eval() if ood_model else model), outputs


def write_timm_files(
    model: nn.Module,
    folder: Path,
    *,
    species: SpeciesList,
    preprocessing: Preprocessing,
    weights: bool,
) -> None:
    """Write config.json, and with ``weights`` model.safetensors, of a network of timm.

    ``timm.create_model("local-dir:FOLDER", pretrained=True)`` reads them. Nothing is written for
    other networks.
    """
    published: dict[str, Any] = dict(getattr(model, "pretrained_cfg", None) or {})
    if not published.get("architecture"):
        return
    config = {
        "architecture": published["architecture"],
        "num_classes": len(species),
        "num_features": getattr(model, "num_features", None),
        "model_args": _size_options(model),
        "label_names": list(species),
        "pretrained_cfg": _pretrained_cfg(published, len(species), preprocessing),
    }
    text = json.dumps(config, indent=2, ensure_ascii=False)
    (folder / CONFIG).write_text(text + "\n", encoding="utf-8")
    if weights:
        tensors = {name: tensor.contiguous() for name, tensor in model.state_dict().items()}
        # Not `save_file`: only the owner could read its file.
        (folder / WEIGHTS).write_bytes(save(tensors, metadata={"format": "pt"}))


def _size_options(model: nn.Module) -> dict[str, Any]:
    """Return timm's options of a network that was built for other sides than published."""
    options: dict[str, Any] = getattr(model, "_model_args", {})
    return {name: value for name, value in options.items() if name.endswith("img_size")}


def _pretrained_cfg(
    published: dict[str, Any], species: int, preprocessing: Preprocessing
) -> dict[str, Any]:
    """Return timm's configuration of the same preprocessing."""
    side = preprocessing.pixels
    return {
        "input_size": [3, side, side],
        "interpolation": "bilinear",
        "crop_pct": 1.0,
        "crop_mode": "squash",
        "mean": list(preprocessing.mean),
        "std": list(preprocessing.std),
        "num_classes": species,
        "first_conv": published.get("first_conv"),
        "classifier": published.get("classifier"),
    }
