from pathlib import Path

import numpy as np
import onnx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from onnx import TensorProto, helper, numpy_helper

from ophis import InputError
from ophis.inference.onnx_file import require_single_file

X, Y = (helper.make_tensor_value_info(name, TensorProto.FLOAT, [4]) for name in "xy")
INSIDE = numpy_helper.from_array(np.arange(4, dtype=np.float32), "w")


def outside(location: str = "weights.bin") -> TensorProto:
    """Return a tensor whose four weights are in another file."""
    tensor = TensorProto()
    tensor.CopyFrom(INSIDE)
    tensor.ClearField("raw_data")
    tensor.data_location = TensorProto.EXTERNAL
    tensor.external_data.add(key="location", value=location)
    return tensor


def graph(*nodes: onnx.NodeProto, tensors: tuple[TensorProto, ...] = ()) -> onnx.GraphProto:
    return helper.make_graph(list(nodes), "g", [X], [Y], list(tensors))


def model(whole: onnx.GraphProto, **more: object) -> onnx.ModelProto:
    return helper.make_model(
        whole, opset_imports=[helper.make_opsetid("", 17)], ir_version=8, **more
    )


ADD = helper.make_node("Add", ["x", "w"], ["y"])


def constant(tensor: TensorProto) -> onnx.NodeProto:
    return helper.make_node("Constant", [], ["w"], value=tensor)


def branching(tensor: TensorProto) -> onnx.NodeProto:
    inner = helper.make_graph([constant(tensor), ADD], "inner", [], [Y])
    return helper.make_node("If", ["x"], ["y"], then_branch=inner, else_branch=inner)


def sparse(tensor: TensorProto) -> onnx.GraphProto:
    whole = graph(ADD)
    places = numpy_helper.from_array(np.arange(4), "places")
    whole.sparse_initializer.append(helper.make_sparse_tensor(tensor, places, [4]))
    return whole


def training(tensor: TensorProto) -> onnx.ModelProto:
    whole = model(graph(ADD, tensors=(INSIDE,)))
    whole.training_info.add().initialization.CopyFrom(graph(ADD, tensors=(tensor,)))
    return whole


def function(tensor: TensorProto) -> onnx.ModelProto:
    imports = [helper.make_opsetid("", 17)]
    own = helper.make_function("own", "F", ["x"], ["y"], [constant(tensor), ADD], imports)
    return model(graph(ADD, tensors=(INSIDE,)), functions=[own])


PLACES = {
    "weights": lambda t: model(graph(ADD, tensors=(t,))),
    "a constant": lambda t: model(graph(constant(t), ADD)),
    "a branch": lambda t: model(graph(branching(t))),
    "sparse weights": lambda t: model(sparse(t)),
    "training": training,
    "a function": function,
}


@pytest.mark.parametrize("place", PLACES)
def test_external_data_is_rejected_in_every_field(tmp_path, place):
    path = tmp_path / "model.onnx"
    path.write_bytes(PLACES[place](INSIDE).SerializeToString())
    require_single_file(path)
    path.write_bytes(PLACES[place](outside()).SerializeToString())
    with pytest.raises(InputError, match=r"model\.onnx: keeps numbers in other files"):
        require_single_file(path)


def test_either_field_of_external_data_is_rejected(tmp_path):
    for change in (
        lambda t: t.ClearField("external_data"),
        lambda t: t.ClearField("data_location"),
    ):
        tensor = outside()
        change(tensor)
        (tmp_path / "m.onnx").write_bytes(PLACES["weights"](tensor).SerializeToString())
        with pytest.raises(InputError, match="keeps numbers in other files"):
            require_single_file(tmp_path / "m.onnx")


def refused(path: Path) -> str:
    try:
        require_single_file(path)
    except InputError as error:
        return str(error)
    return ""


@settings(max_examples=300)
@given(
    data=st.one_of(
        st.binary(max_size=80),
        st.sampled_from([make(INSIDE).SerializeToString() for make in PLACES.values()]),
    ),
    place=st.floats(0, 1),
    noise=st.binary(max_size=12),
)
def test_damaged_file_gives_at_most_a_one_line_error(tmp_path_factory, data, place, noise):
    path = tmp_path_factory.mktemp("model") / "m.onnx"
    cut = int(place * len(data))
    path.write_bytes(data[:cut] + noise + data[cut + len(noise) :])
    message = refused(path)
    assert "\n" not in message
    assert not message or message.startswith(f"{path}: ")


def test_deeply_nested_messages_are_rejected(tmp_path):
    data = b""
    for _ in range(3000):  # nest a graph in an attribute of a node of a graph
        for tag in (b"\x32", b"\x2a", b"\x0a"):
            size, length = len(data), b""
            while size >= 128:
                length += bytes([size & 127 | 128])
                size >>= 7
            data = tag + length + bytes([size]) + data
    size = len(data)
    head = b"\x3a" + bytes([size & 127 | 128, size >> 7 & 127 | 128, size >> 14])
    (tmp_path / "m.onnx").write_bytes(head + data)
    assert refused(tmp_path / "m.onnx").endswith("it is nested too deep")
    (tmp_path / "m.onnx").write_bytes(b"")
    assert "not a model that can be run" in refused(tmp_path / "m.onnx")
