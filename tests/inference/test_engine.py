"""Engines compared with each other on a small real bundle."""

import os
import signal
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

import ophis
from ophis import InputError
from ophis.inference.bundles.index import MODEL
from ophis.inference.engine import EngineKind, OnnxRuntime, OpenVino, open_engine
from ophis.inference.network import Network
from tests.support.forked import in_a_child

openvino = pytest.importorskip("openvino", reason="openvino is not installed here")
BFLOAT16 = "BF16" in openvino.Core().get_property("CPU", "OPTIMIZATION_CAPABILITIES")


@pytest.fixture(scope="module")
def pixels():
    return np.random.default_rng(0).uniform(-1, 1, (3, 3, 224, 224)).astype(np.float32)


def test_openvino_equals_onnx_runtime(imagenet17, pixels):
    model = imagenet17.bundle.folder / MODEL
    onnxruntime, other = OnnxRuntime(model, 1), OpenVino(model, 1)
    assert [list(shape)[1:] for shape in other.inputs] == [[3, 224, 224]]
    ranks, expected = (
        {name: len(list(shape)) for name, shape in engine.outputs.items()}
        for engine in (other, onnxruntime)
    )
    assert ranks == expected
    found = other.run(pixels)
    for name, values in onnxruntime.run(pixels).items():
        assert found[name].dtype == values.dtype
        np.testing.assert_allclose(found[name], values, atol=1e-3)


@pytest.mark.skipif(not BFLOAT16, reason="this processor has no bfloat16")
def test_bfloat16_differs_by_rounding_only(imagenet17, pixels):
    model = imagenet17.bundle.folder / MODEL
    expected, found = (
        open_engine(kind, model, threads=1).run(pixels)["logits"]
        for kind in (EngineKind.ONNXRUNTIME, EngineKind.OPENVINO_BFLOAT16)
    )
    difference = np.abs(found - expected).max()
    assert 0 < difference < 0.1 * np.ptp(expected)


@in_a_child
def _interrupt_after_two_networks(model: Path) -> None:
    first, second = OpenVino(model, 1), OpenVino(model, 1)
    del first
    del second
    with pytest.raises(KeyboardInterrupt):
        os.kill(os.getpid(), signal.SIGINT)


def test_interrupt_works_after_two_networks(imagenet17):
    _interrupt_after_two_networks(model=imagenet17.bundle.folder / MODEL)


def test_processor_without_bfloat16_is_an_error(imagenet17, monkeypatch):
    monkeypatch.setattr(openvino.Core, "get_property", lambda *_: ["FP32"])
    with pytest.raises(InputError, match="has no bfloat16; use the engine openvino"):
        ophis.load(imagenet17.bundle.folder, engine="openvino-bfloat16")


def test_unknown_or_missing_engine_is_named(imagenet17, monkeypatch):
    with pytest.raises(InputError, match="no engine 'tensorrt'; choose onnxruntime, openvino"):
        ophis.load(imagenet17.bundle.folder, engine="tensorrt")
    monkeypatch.setitem(sys.modules, "openvino", None)
    with pytest.raises(InputError, match=r"pip install 'ophis\[openvino\]'"):
        ophis.load(imagenet17.bundle.folder, engine="openvino")


def test_invalid_model_file_is_named(imagenet17, tmp_path):
    (tmp_path / MODEL).write_bytes(b"nothing")
    member = imagenet17.bundle.members[0]
    broken = replace(member, model=tmp_path / MODEL)
    for kind in ("onnxruntime", "openvino"):
        with pytest.raises(InputError, match=r"model\.onnx: not a model that can be run"):
            Network(broken, member.species, engine=kind)
