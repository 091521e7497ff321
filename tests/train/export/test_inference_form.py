"""What the exporter is given says what the model says."""

import pytest
import timm
import torch
from timm.layers import GroupNormAct
from torch import nn

from ophis.train.export.inference_form import PaddedPool, inference_form


@pytest.mark.parametrize("side", [64, 75, 97])
def test_a_big_transfer_says_the_same(side):
    torch.manual_seed(0)
    model = timm.create_model("resnetv2_50x1_bit", num_classes=5).double().eval()
    for module in model.modules():  # as after training: no scale is 1, no shift 0
        if isinstance(module, GroupNormAct):
            nn.init.uniform_(module.weight, -1, 2)
            nn.init.normal_(module.bias)
    nn.init.normal_(model.get_parameter("head.fc.weight"))
    mended = inference_form(model)
    assert not any(isinstance(m, GroupNormAct | nn.ConstantPad2d) for m in mended.modules())
    pixels = torch.randn(2, 3, side, side, dtype=torch.float64)
    with torch.inference_mode():
        torch.testing.assert_close(mended(pixels), model(pixels), rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("side", [5, 6, 7, 8])
@pytest.mark.parametrize("stride", [1, 2, 3])
def test_a_window_at_the_border_sees_a_zero(side, stride):
    pool = nn.MaxPool2d(3, stride)
    x = -torch.rand(1, 2, side, side + 3) - 1  # all below zero, so a zero is seen where it counts
    expected = pool(nn.functional.pad(x, (1, 1, 1, 1)))
    assert torch.equal(PaddedPool(3, stride)(x), expected)
    assert (expected == 0).any()


def test_a_network_without_any_of_it_stays_as_it_is():
    model = timm.create_model("efficientnet_lite0", num_classes=3).eval()
    pixels = torch.randn(1, 3, 64, 64)
    with torch.inference_mode():
        assert torch.equal(inference_form(model)(pixels), model(pixels))
