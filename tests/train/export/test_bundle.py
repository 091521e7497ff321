"""Bundles read by timm from config.json and model.safetensors give the same logits."""

import json

import numpy as np
import pytest
import timm
import torch
from timm.data import create_transform, resolve_model_data_config

import ophis
from ophis.images.decode import read_photo
from ophis.images.preprocessing import preprocess
from ophis.inference.bundles.bundle import read_bundle
from ophis.inference.bundles.index import verify_weights
from ophis.train import fit
from ophis.train.export import export


@pytest.fixture(scope="module")
def bundle(halves, small, tmp_path_factory):
    folder = tmp_path_factory.mktemp("timm")
    train, validation = halves
    run = fit(small(), train=train, validation=validation, out=folder / "run")
    return export(run, folder / "bundle")


@pytest.fixture(scope="module")
def builtin(imagenet17):
    return imagenet17.bundle.folder


@pytest.mark.parametrize("name", ["bundle", "builtin"])
def test_timm_network_gives_the_logits_of_onnx_runtime(name, request, coloured):
    folder = request.getfixturevalue(name)
    model = timm.create_model(f"local-dir:{folder}", pretrained=True).eval()
    (member,) = read_bundle(folder).members
    photo = read_photo(coloured.paths()[0])
    pixels = preprocess(photo, member.preprocessing)[None]
    logits, _ = ophis.load(folder).networks[0].outputs(pixels)
    with torch.inference_mode():
        np.testing.assert_allclose(model(torch.from_numpy(pixels)), logits, rtol=1e-3, atol=1e-4)


def test_timm_transform_equals_the_preprocessing(builtin, coloured):
    """timm resizes with crop mode squash, bilinear; equal up to rounding of bytes."""
    model = timm.create_model(f"local-dir:{builtin}", pretrained=True)
    data = resolve_model_data_config(model)
    show = create_transform(**data, is_training=False)
    (member,) = read_bundle(builtin).members
    photo = read_photo(coloured.paths()[0])
    np.testing.assert_allclose(show(photo), preprocess(photo, member.preprocessing), atol=0.02)


def test_config_lists_species_in_order(bundle):
    config = json.loads((bundle / "config.json").read_text())
    assert config["label_names"] == list(read_bundle(bundle).species)
    assert config["num_classes"] == 3
    assert config["pretrained_cfg"]["input_size"] == [3, 32, 32]


def test_weights_are_optional_and_doctor_finds_damage(bundle, tmp_path):
    assert verify_weights(bundle) is True
    light = export(bundle.parent / "run", tmp_path / "light", weights=False)
    assert not (light / "model.safetensors").exists()
    assert verify_weights(light) is None
    full = export(bundle.parent / "run", tmp_path / "full")
    data = bytearray((full / "model.safetensors").read_bytes())
    data[-1] ^= 1
    (full / "model.safetensors").write_bytes(data)
    assert verify_weights(full) is False
    ophis.load(full)  # answers do not need them
