"""A bundle of a network that is a few numbers: photos to logits in no time, and no torch."""

from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from ophis import SpeciesList
from ophis.bundle import IMAGES, MODEL, BundleWriter, Member
from ophis.decision import DecisionRule
from ophis.images import Preprocessing
from ophis.prior import Prior
from ophis.selftest import write_selftest

PIXELS = 32


def write_made_bundle(
    folder: Path,
    species: SpeciesList,
    *,
    seed: int = 0,
    prior: Prior | None = None,
    rule: DecisionRule | None = None,
    selftest: bool = False,
) -> Path:
    """Logits are a linear function of all pixels; the weights are random."""
    chance = np.random.default_rng(seed)
    weights = chance.normal(size=(3 * PIXELS**2, len(species))).astype(np.float32) / PIXELS
    graph = helper.make_graph(
        [
            helper.make_node("Flatten", ["pixels"], ["flat"]),
            helper.make_node("MatMul", ["flat", "weights"], ["logits"]),
        ],
        "made",
        [helper.make_tensor_value_info("pixels", TensorProto.FLOAT, ["n", 3, PIXELS, PIXELS])],
        [helper.make_tensor_value_info("logits", TensorProto.FLOAT, ["n", len(species)])],
        [numpy_helper.from_array(weights, "weights")],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    with BundleWriter(folder) as writer:
        onnx.save(model, writer.folder / MODEL)
        images = Preprocessing(PIXELS, (0.5,) * 3, (0.5,) * 3)
        images.write(writer.folder / IMAGES)
        if selftest:
            write_selftest(Member(writer.folder / MODEL, species, images, None))
        writer.write(species=species, calibration=None, prior=prior, rule=rule, card="made")
    return folder
