"""Forms of a network for inference: equal outputs, and evidence maps."""

import numpy as np
import pytest
import timm
import torch
from timm.layers import GroupNormAct
from torch import nn

from ophis.images.decode import read_photo
from ophis.images.preprocessing import preprocess
from ophis.inference.evidence import OUTPUTS
from ophis.train.export.imagenet17 import imagenet17_model
from ophis.train.export.inference_form import PaddedPool, averages_maps, inference_form
from ophis.train.networks.model import classifiers_of, create_model


@pytest.mark.parametrize("side", [64, 75, 97])
def test_inference_form_of_big_transfer_has_equal_logits(side):
    torch.manual_seed(0)
    model = timm.create_model("resnetv2_50x1_bit", num_classes=5).double().eval()
    for module in model.modules():  # as after training: no scale is 1, no shift 0
        if isinstance(module, GroupNormAct):
            nn.init.uniform_(module.weight, -1, 2)
            nn.init.normal_(module.bias)
    nn.init.normal_(model.get_parameter("head.fc.weight"))
    form = inference_form(model, side=side)
    assert not any(isinstance(m, GroupNormAct | nn.ConstantPad2d) for m in form.modules())
    pixels = torch.randn(2, 3, side, side, dtype=torch.float64)
    with torch.inference_mode():
        torch.testing.assert_close(form(pixels), model(pixels), rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("side", [5, 6, 7, 8])
@pytest.mark.parametrize("stride", [1, 2, 3])
def test_padded_pool_equals_pooling_of_the_padded_map(side, stride):
    pool = nn.MaxPool2d(3, stride)
    x = -torch.rand(1, 2, side, side + 3) - 1  # below zero, so that a padded zero is the maximum
    expected = pool(nn.functional.pad(x, (1, 1, 1, 1)))
    assert torch.equal(PaddedPool(3, stride)(x), expected)
    assert (expected == 0).any()


def test_other_networks_are_unchanged():
    model = timm.create_model("efficientnet_lite0", num_classes=3).eval()
    pixels = torch.randn(1, 3, 64, 64)
    with torch.inference_mode():
        assert torch.equal(inference_form(model, side=64)(pixels), model(pixels))


def test_evidence_maps_sum_to_the_logit(imagenet17, synthetic_photo):
    """Mean of the map plus the bias of the head, against torch's own logits."""
    network = imagenet17.networks[0]
    pixels = preprocess(read_photo(synthetic_photo), network.member.preprocessing)[None]
    found = network._engine.run(pixels)
    maps, columns = (found[name] for name in OUTPUTS)
    model = imagenet17_model().eval()
    with torch.inference_mode():
        (logits,) = model(torch.from_numpy(pixels)).numpy()
    assert columns[0].tolist() == np.argsort(-logits)[:5].tolist()
    (head,) = classifiers_of(model)
    bias = head.get_parameter("bias").detach().numpy()
    sums = maps[0].mean(axis=(1, 2)) + bias[columns[0]]
    np.testing.assert_allclose(sums, logits[columns[0]], atol=1e-3)

    (evidence,) = imagenet17.identify(synthetic_photo, evidence=True).evidence
    assert evidence.species == imagenet17.bundle.species[int(columns[0, 0])]
    expected = np.maximum(maps[0, 0], 0) / maps[0, 0].max()
    np.testing.assert_allclose(np.reshape(evidence.values, expected.shape), expected, atol=1e-4)


def test_maps_are_computed_only_on_request(imagenet17, synthetic_photo, monkeypatch):
    (network,) = imagenet17.networks
    run, computed = network._engine.run, []

    def recorded(pixels, wanted=None):
        found = run(pixels, wanted)
        computed.append(set(found) & set(OUTPUTS))
        return found

    monkeypatch.setattr(network._engine, "run", recorded)
    assert imagenet17.identify(synthetic_photo).evidence == ()
    network.outputs(np.zeros((1, 3, 224, 224), np.float32))
    (evidence,) = imagenet17.identify(synthetic_photo, evidence=True).evidence
    assert evidence is not None
    assert computed == [set(), set(), set(OUTPUTS)]


@pytest.mark.parametrize(
    ("backbone", "side", "expected"),
    [
        ("resnetv2_50x1_bit", 64, True),
        ("resnet18", 64, True),
        ("vit_tiny_patch16_224", 224, False),  # tokens, with one for the class
        ("mobilenetv3_small_050", 64, False),  # another layer between the mean and the head
    ],
)
def test_evidence_needs_logits_that_are_means_of_maps(backbone, side, expected):
    torch.manual_seed(0)
    if backbone == "resnetv2_50x1_bit":
        model = create_model(backbone, species=7, weights="none", head="random")
    else:
        model = timm.create_model(backbone, num_classes=7)
    assert averages_maps(model.eval(), side=side) is expected
