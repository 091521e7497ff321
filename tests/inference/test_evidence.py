import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from ophis import InputError, SpeciesList, load
from ophis.inference.evidence import Evidence, evidence_for, evidence_of
from tests.support.made_bundle import write_made_bundle

SPECIES = SpeciesList(("a", "b", "c"))
NUMBERS = st.floats(-1e6, 1e6, width=32)


def test_evidence_maximum_is_one_and_negative_values_are_zero():
    maps = np.array([[[-3.0, 2.0], [0.0, 4.0]], [[-1.0, -1.0], [-2.0, 0.0]]], np.float32)
    found = evidence_of(maps, np.array([2, 0]), SPECIES)
    assert found == (
        Evidence("c", 2, 2, (0.0, 0.5, 0.0, 1.0)),
        Evidence("a", 2, 2, (0.0, 0.0, 0.0, 0.0)),
    )
    assert evidence_for("a", found) == found[1]
    assert evidence_for("b", found) is None
    assert evidence_for(None, found) is None


@given(arrays(np.float32, (1, 3, 4), elements=NUMBERS))
def test_evidence_values_lie_in_unit_interval_and_keep_order(maps):
    (found,) = evidence_of(maps, np.array([0]), SPECIES)
    values = np.array(found.values)
    assert (values >= 0).all()
    assert (values <= 1).all()
    order = np.argsort(maps.ravel(), kind="stable")
    assert (np.diff(values[order]) >= 0).all()


def test_network_without_evidence_maps_returns_none(coloured, tmp_path):
    classifier = load(write_made_bundle(tmp_path / "made", SPECIES))
    answer = classifier.identify(coloured.paths()[0], evidence=True)
    assert answer.evidence == (None,)


@pytest.mark.parametrize(("maps", "columns"), [
    (np.ones((1, 2, 2)), [999]), (np.ones((1, 2, 2)), [-1]), (np.ones((1, 2, 2)), [0, 1]),
    (np.full((1, 2, 2), np.nan), [0]), (np.full((1, 2, 2), np.inf), [0]), (np.ones((1, 2)), [0]),
    (np.ones((1, 2, 2)), [0.5]), (np.ones((1, 0, 2)), [0]),
])  # fmt: skip
def test_evidence_of_another_species_is_refused(tmp_path, maps, columns):
    (network,) = load(write_made_bundle(tmp_path / "made", SPECIES)).networks
    found = {"evidence": maps[None], "evidence_species": np.array([columns])}
    with pytest.raises(InputError, match=r"model\.onnx: its evidence maps"):
        network._evidence(found)
    assert network._evidence({"evidence": np.ones((1, 1, 2, 2)), "evidence_species": [[0]]})
