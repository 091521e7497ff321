"""Networks whose outputs have another type or shape than logits."""

from pathlib import Path

import numpy as np
import onnx
import pytest
from numpy.typing import NDArray
from onnx import TensorProto, helper

from ophis import InputError, SpeciesList
from ophis.images.preprocessing import Preprocessing
from ophis.inference.bundles.bundle import Member
from ophis.inference.network import Network

SPECIES = SpeciesList(("Boa boa", "Naja naja"))


def logits_of(path: Path, taken: int, given: int) -> NDArray[np.float32]:
    """Return the logits of a network with these types of input and output."""
    nodes = [
        helper.make_node("Cast", ["pixels"], ["cast"], to=TensorProto.FLOAT),
        helper.make_node("ReduceMean", ["cast"], ["mean"], axes=[2, 3], keepdims=0),
        helper.make_node("Slice", ["mean", "zero", "two", "one"], ["few"]),
        helper.make_node("Cast", ["few"], ["logits"], to=given),
    ]
    graph = helper.make_graph(
        nodes,
        "g",
        [helper.make_tensor_value_info("pixels", taken, ["n", 3, 32, 32])],
        [helper.make_tensor_value_info("logits", given, ["n", 2])],
        [
            onnx.numpy_helper.from_array(np.array([value]), name)
            for name, value in (("zero", 0), ("two", 2), ("one", 1))
        ],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    onnx.save(model, path)
    member = Member(path, SPECIES, Preprocessing(32, (0.5,) * 3, (0.5,) * 3), None)
    return Network(member, SPECIES).outputs(np.zeros((2, 3, 32, 32), np.float32))[0]


@pytest.mark.parametrize("kind", ["INT64", "UINT8", "DOUBLE", "STRING", "FLOAT16", "BOOL"])
def test_network_of_other_numbers_is_refused_by_name(tmp_path, kind):
    path, number, right = tmp_path / "model.onnx", getattr(TensorProto, kind), TensorProto.FLOAT
    assert logits_of(path, right, right).shape == (2, 2)
    for taken, given in ((number, right), (right, number)):
        with pytest.raises(InputError, match=r"model\.onnx: ") as error:
            logits_of(path, taken, given)
        assert "\n" not in str(error.value)
