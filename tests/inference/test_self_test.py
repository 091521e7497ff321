"""Self-test of a bundle: logits compared with those at its export."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest

from ophis import InputError, load
from ophis.inference.bundles.index import SELFTEST
from ophis.inference.engine import EngineKind
from ophis.inference.network import Network
from ophis.inference.self_test import (
    PHOTOS,
    ROUNDED_TOLERANCE,
    TOLERANCE,
    SelfTest,
    require_same,
)
from ophis.taxonomy.danger import Danger
from tests.support.classifiers import SPECIES
from tests.support.made_bundle import write_made_bundle


@pytest.fixture
def network(tmp_path: Path) -> Network:
    folder = write_made_bundle(tmp_path / "bundle", SPECIES, selftest=True)
    return load(folder).networks[0]


def changed(network: Network, **values: object) -> None:
    path = network.member.model.with_name(SELFTEST)
    path.write_text(json.dumps(json.loads(path.read_text()) | values))


def test_same_network_passes(network):
    require_same(network, EngineKind.ONNXRUNTIME)
    test = SelfTest.read(network.member.model.with_name(SELFTEST))
    assert len(test.photos) == len(test.logits) == PHOTOS
    assert np.unique(test.logits, axis=0).shape == (PHOTOS, len(SPECIES))
    assert test.tolerance == TOLERANCE
    assert test.dangers["Naja naja"] == "venomous"


@pytest.mark.parametrize("fraction", [0.9, 1.1, 2.0, float("nan")])
def test_difference_above_tolerance_is_rejected(network, fraction):
    logits = SelfTest.read(network.member.model.with_name(SELFTEST)).logits.astype(np.float64)
    place = np.unravel_index(np.abs(logits).argmax(), logits.shape)
    logits[place] *= 1 + fraction * TOLERANCE
    changed(network, logits=logits.tolist())
    if fraction == 0.9:
        require_same(network, EngineKind.ONNXRUNTIME)
    else:
        with pytest.raises(InputError, match=r"model\.onnx: logits of self-test photo \d differ"):
            require_same(network, EngineKind.ONNXRUNTIME)


def test_other_network_is_rejected_and_bfloat16_has_wider_tolerance(network, tmp_path):
    write_made_bundle(tmp_path / "other", SPECIES, seed=1)
    path = network.member.model.with_name(SELFTEST)
    shutil.copy(path, tmp_path / "other")
    with pytest.raises(InputError, match="differ from those at its export by"):
        require_same(load(tmp_path / "other").networks[0], EngineKind.ONNXRUNTIME)
    near = SelfTest.read(path).logits * (1 + ROUNDED_TOLERANCE / 2)
    changed(network, logits=near.tolist())
    require_same(network, EngineKind.OPENVINO_BFLOAT16)
    with pytest.raises(InputError):
        require_same(network, EngineKind.ONNXRUNTIME)
    changed(network, logits=near[:, :2].tolist())
    with pytest.raises(InputError, match="belongs to another network"):
        require_same(network, EngineKind.ONNXRUNTIME)


def test_non_finite_logits_are_rejected(network, monkeypatch):
    run = network._engine.run
    monkeypatch.setattr(
        network._engine, "run", lambda *given: {"logits": run(*given)["logits"] * np.nan}
    )
    with pytest.raises(InputError, match="its logits are not finite"):
        require_same(network, EngineKind.ONNXRUNTIME)


@pytest.mark.parametrize("text", ["", "{}", "[]", '{"photos": 3}', "nonsense"])
def test_damaged_self_test_file_is_rejected(tmp_path, text):
    (tmp_path / SELFTEST).write_text(text)
    with pytest.raises(
        InputError,
        match=r"selftest\.json: (no self-test|cannot be read as JSON): .*; export the bundle",
    ):
        SelfTest.read(tmp_path / SELFTEST)
    with pytest.raises(InputError, match=r"selftest\.json: there is no such self-test"):
        SelfTest.read(tmp_path / "gone" / SELFTEST)


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"photos": [], "logits": [], "verdicts": []}, "have 0, 0 and 0 entries"),
        ({"verdicts": ["may be venomous"]}, "have 3, 3 and 1 entries"),
        ({"verdicts": ["fine"] * 3}, "of unknown verdicts"),
        ({"tolerance": 0.11}, "`tolerance` holds 0.11 and should be .* at most 0.1"),
        ({"tolerance": True}, "`tolerance` holds True"),
        ({"tolerance": float("nan")}, "`tolerance` holds nan"),
    ],
)
def test_self_test_that_proves_nothing_is_rejected(network, values, message):
    changed(network, **values)
    with pytest.raises(InputError, match=rf"selftest\.json: .*{message}.*export the bundle again"):
        require_same(network, EngineKind.ONNXRUNTIME)


def test_lost_verdict_of_a_photo_is_rejected(network, monkeypatch):
    test = SelfTest.read(network.member.model.with_name(SELFTEST))
    assert len(test.verdicts) == PHOTOS
    changed(network, verdicts=["may be venomous"] * PHOTOS)
    for risky in (True, False):
        monkeypatch.setattr(
            "ophis.inference.self_test.logits_show_danger",
            lambda *_, risky=risky: np.array([risky]),
        )
        if risky:
            require_same(network, EngineKind.ONNXRUNTIME)
        else:
            with pytest.raises(InputError, match="photo 1 had the verdict may be venomous"):
                require_same(network, EngineKind.ONNXRUNTIME)


@pytest.mark.parametrize("lost", [Danger.UNKNOWN, Danger.NOT_KNOWN_DANGEROUS])
def test_species_no_longer_venomous_is_rejected(network, monkeypatch, lost):
    """Simulate tables of danger that are incomplete or of an older version."""
    monkeypatch.setattr("ophis.inference.self_test.danger", lambda _: lost)
    with pytest.raises(InputError, match=r"'Naja naja' was venomous when .* danger tables"):
        require_same(network, EngineKind.ONNXRUNTIME)
    monkeypatch.setattr("ophis.inference.self_test.danger", lambda _: Danger.VENOMOUS)
    require_same(network, EngineKind.ONNXRUNTIME)
