"""Bundle of a tiny linear network, made without torch."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

from ophis import SpeciesList
from ophis.datasets.training_photos import write_training_photos
from ophis.decision.calibration import Calibration
from ophis.decision.rule import DecisionRule
from ophis.images.preprocessing import Preprocessing
from ophis.inference.bundles.bundle import BundleWriter, Member
from ophis.inference.bundles.index import IMAGES, MODEL
from ophis.inference.self_test import write_selftest
from ophis.priors.prior import Prior

PIXELS = 32


def write_made_bundle(
    folder: Path,
    species: SpeciesList,
    *,
    seed: int = 0,
    calibration: Calibration | None = None,
    prior: Prior | None = None,
    rule: DecisionRule | None = None,
    selftest: bool = False,
) -> Path:
    """Write a bundle whose logits are a linear function of all pixels, with random weights."""
    rng = np.random.default_rng(seed)
    weights = rng.normal(size=(3 * PIXELS**2, len(species))).astype(np.float32) / PIXELS
    nodes = [
        helper.make_node("Flatten", ["pixels"], ["flat"]),
        helper.make_node("MatMul", ["flat", "weights"], ["logits"]),
    ]
    more: Any = {
        "calibration": calibration, "prior": prior, "rule": rule, "selftest": selftest,
    }  # fmt: skip
    return write_network_bundle(folder, species, nodes, {"weights": weights}, **more)


def write_network_bundle(
    folder: Path,
    species: SpeciesList,
    nodes: Sequence[onnx.NodeProto],
    numbers: Mapping[str, NDArray[Any]],
    *,
    outputs: Sequence[onnx.ValueInfoProto] = (),
    calibration: Calibration | None = None,
    prior: Prior | None = None,
    rule: DecisionRule | None = None,
    selftest: bool = False,
) -> Path:
    """Write a bundle of any network from `pixels` to `logits` and further `outputs`."""
    number = helper.make_tensor_value_info
    graph = helper.make_graph(
        nodes,
        "made",
        [number("pixels", TensorProto.FLOAT, ["n", 3, PIXELS, PIXELS])],
        [number("logits", TensorProto.FLOAT, ["n", len(species)]), *outputs],
        [numpy_helper.from_array(values, name) for name, values in numbers.items()],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    with BundleWriter(folder) as writer:
        onnx.save(model, writer.folder / MODEL)
        images = Preprocessing(PIXELS, (0.5,) * 3, (0.5,) * 3)
        images.write(writer.folder / IMAGES)
        if selftest:
            write_selftest(Member(writer.folder / MODEL, species, images, None))
        writer.write(species=species, calibration=calibration, prior=prior, rule=rule, card="made")
        write_training_photos(writer.folder, np.zeros(0, np.uint64))
    return folder


def write_endless_bundle(folder: Path, species: SpeciesList) -> Path:
    """Write a bundle whose network adds the same number to its logits without end."""
    number = helper.make_tensor_value_info
    body = helper.make_graph(
        [
            helper.make_node("Identity", ["going"], ["go on"]),
            helper.make_node("Identity", ["logits so far"], ["logits then"]),
        ],
        "body",
        [
            number("turn", TensorProto.INT64, []),
            number("going", TensorProto.BOOL, []),
            number("logits so far", TensorProto.FLOAT, None),
        ],
        [
            number("go on", TensorProto.BOOL, []),
            number("logits then", TensorProto.FLOAT, None),
        ],
    )
    nodes = [
        helper.make_node("Flatten", ["pixels"], ["flat"]),
        helper.make_node("MatMul", ["flat", "weights"], ["first"]),
        helper.make_node("Loop", ["turns", "go", "first"], ["logits"], body=body),
    ]
    numbers = {
        "weights": np.zeros((3 * PIXELS**2, len(species)), np.float32),
        "turns": np.array(2**62),
        "go": np.array(True),
    }
    return write_network_bundle(folder, species, nodes, numbers)
