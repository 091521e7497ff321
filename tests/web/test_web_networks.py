"""Bundles in the browser: test-time augmentation, ensembles, evidence maps."""

import numpy as np
import pytest
from onnx import TensorProto, helper
from PIL import Image

from ophis import SpeciesList, load
from ophis.decision.calibration import Calibration
from ophis.inference.ensemble import combine
from tests.support.made_bundle import write_made_bundle, write_network_bundle
from tests.support.web_pages import require_same

SPECIES = SpeciesList(("Boa constrictor", "Naja naja", "Natrix natrix"))


def test_crops_are_averaged_like_python(answers, photo_sets, coloured, tmp_path):
    bundle = write_made_bundle(tmp_path / "made", coloured.species_list())
    combine([bundle], tmp_path / "tta", validation=coloured, tta=("flip", "crops"))
    classifier = load(tmp_path / "tta")
    assert len(classifier.bundle.tta) == 10
    for here, there in answers(classifier, *photo_sets):
        require_same(here, there, 1e-5)


def test_ensemble_answers_like_python(answers, photo_sets, coloured, tmp_path):
    """Members differ in the order of species and in calibration."""
    species = coloured.species_list()
    orders = (species, SpeciesList(tuple(reversed(species.names))))
    parts = [
        write_made_bundle(
            tmp_path / f"{seed}", order, seed=seed,
            calibration=Calibration(np.array(0.5 + seed), np.array([0.0, 0.3, 0.7]), order),
        )
        for seed, order in enumerate(orders)
    ]  # fmt: skip
    combine(parts, tmp_path / "both", validation=coloured, tta=["flip"])
    classifier = load(tmp_path / "both")
    assert all(member.calibration for member in classifier.bundle.members)
    alone = [load(part).identify(photo_sets[0]).as_dict()["guesses"] for part in parts]
    assert alone[0] != alone[1]
    both = answers(classifier, *photo_sets, country="KE", top=3)
    for here, there in both:
        require_same(here, there, 1e-5)
    assert both[0][1]["guesses"] not in alone


def write_mapping_bundle(folder, species: SpeciesList):
    """Write a network with evidence maps of two species: block means of a colour channel."""
    rng = np.random.default_rng(0)
    numbers = {
        "weights": rng.normal(size=(3, len(species))).astype(np.float32),
        "best": np.array([2], np.int64), "places": np.array([2, 3], np.int64),
        "shape": np.array([1, 1, 4, 4], np.int64),
    }  # fmt: skip
    node, number = helper.make_node, helper.make_tensor_value_info
    nodes = [
        node("AveragePool", ["pixels"], ["blocks"], kernel_shape=[8, 8], strides=[8, 8]),
        node("GlobalAveragePool", ["pixels"], ["mean"]),
        node("Flatten", ["mean"], ["flat"]),
        node("MatMul", ["flat", "weights"], ["logits"]),
        node("TopK", ["logits", "best"], ["highest", "evidence_species"]),
        node("Transpose", ["blocks"], ["last"], perm=[0, 2, 3, 1]),
        node("MatMul", ["last", "weights"], ["all"]),
        node("Transpose", ["all"], ["maps"], perm=[0, 3, 1, 2]),
        node("Unsqueeze", ["evidence_species", "places"], ["which"]),
        node("Expand", ["which", "shape"], ["where"]),
        node("GatherElements", ["maps", "where"], ["evidence"], axis=1),
    ]
    outputs = [number("evidence", TensorProto.FLOAT, ["n", 2, 4, 4]),
               number("evidence_species", TensorProto.INT64, ["n", 2])]  # fmt: skip
    return write_network_bundle(folder, species, nodes, numbers, outputs=outputs)


@pytest.fixture
def blocks(tmp_path):
    """Photo of blocks in different colours."""
    colours = np.random.default_rng(1).integers(0, 256, (4, 4, 3), np.uint8)
    path = tmp_path / "blocks.png"
    Image.fromarray(colours).resize((96, 96), Image.Resampling.NEAREST).save(path)
    return path.read_bytes()


def require_same_map(found, expected):
    assert (min(expected["values"]), max(expected["values"])) == (0, 1)
    assert found.pop("values") == pytest.approx(expected.pop("values"), abs=2e-4)
    assert found == expected


def test_evidence_is_the_map_of_the_first_guess(answers, blocks, tmp_path):
    classifier = load(write_mapping_bundle(tmp_path / "bundle", SPECIES))
    ((here, there),) = answers(classifier, [blocks], evidence=True)
    (found,), (expected,) = here["evidence"], there["evidence"]
    require_same_map(found, expected)


def test_evidence_comes_from_the_first_network_with_maps(answers, blocks, coloured, tmp_path):
    """Without the request for evidence, no network computes maps."""
    species = coloured.species_list()
    parts = [write_made_bundle(tmp_path / "made", species, seed=2),
             write_mapping_bundle(tmp_path / "mapping", species)]  # fmt: skip
    combine(parts, tmp_path / "both", validation=coloured)
    classifier = load(tmp_path / "both")
    ((here, there),) = answers(classifier, [blocks], evidence=True)
    assert there["guesses"][0]["species"] in {guess["species"] for guess in here["guesses"]}
    (found,), (expected,) = here["evidence"], there["evidence"]
    assert expected is not None
    require_same_map(found, expected)
    ((here, there),) = answers(classifier, [blocks])
    assert here["evidence"] == there["evidence"] == []


def test_network_without_maps_has_no_evidence(answers, blocks, tmp_path):
    classifier = load(write_made_bundle(tmp_path / "made", SPECIES))
    ((here, there),) = answers(classifier, [blocks], evidence=True)
    assert here["evidence"] == there["evidence"] == [None]
