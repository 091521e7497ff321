import pytest
import torch
from timm.layers import StdConv2d, StdConv2dSame
from torch import nn

from ophis.train.networks import standardisation
from ophis.train.networks.standardisation import fold_weight_standardisation, standardised_once


def layers(kind: torch.dtype = torch.float64) -> nn.Sequential:
    """Return layers with strides, groups, bias, dilation and TensorFlow's padding."""
    torch.manual_seed(0)
    options = {"stride": 2, "groups": 2, "bias": True, "eps": 1e-3}
    return nn.Sequential(
        StdConv2d(4, 6, (3, 5), padding=(2, 1), **options),
        StdConv2dSame(6, 4, 3, **options),
        nn.Sequential(StdConv2d(4, 4, 3, dilation=2)),
    ).to(kind)


@pytest.mark.parametrize("side", [8, 9])
def test_folding_keeps_padding_stride_groups_dilation_and_bias(side):
    plain = layers(torch.float32)
    pixels = torch.randn(1, 4, side, side)
    folded = fold_weight_standardisation(plain)
    assert not any(isinstance(m, StdConv2d | StdConv2dSame) for m in folded.modules())
    torch.testing.assert_close(folded(pixels), plain(pixels), rtol=1e-6, atol=1e-6)


def gradients(model):
    return {name: p.grad.clone() for name, p in model.named_parameters() if p.grad is not None}


@pytest.mark.parametrize("side", [8, 9])
def test_gradients_of_several_micro_batches_equal_the_plain_form(side):
    once, plain = layers(), layers()
    batches = torch.randn(3, 2, 4, side, side, dtype=torch.float64)
    for batch in batches:
        plain(batch).square().sum().backward()
    with standardised_once(once):
        outputs = [once(batch) for batch in batches]
        for output in outputs:
            output.square().sum().backward()
    torch.testing.assert_close(outputs[-1], plain(batches[-1]), rtol=1e-12, atol=1e-12)
    expected = gradients(plain)
    assert len(expected) == 5
    for name, gradient in gradients(once).items():
        torch.testing.assert_close(gradient, expected[name], rtol=1e-9, atol=1e-12)


def test_filters_are_standardised_once_for_all_micro_batches(monkeypatch):
    calls = []
    real = standardisation.functional.batch_norm
    monkeypatch.setattr(
        torch.nn.functional, "batch_norm", lambda *a, **k: (calls.append(1), real(*a, **k))[1]
    )
    model, batch = layers(), torch.randn(1, 4, 8, 8, dtype=torch.float64)
    with standardised_once(model):
        for _ in range(4):
            model(batch).sum().backward()
    assert len(calls) == 3
    model(batch)
    assert len(calls) == 6  # the layers' forward is restored


def test_frozen_layers_get_no_gradient_and_others_accumulate():
    model, batch = layers(), torch.randn(1, 4, 8, 8, dtype=torch.float64)
    model[0].requires_grad_(requires_grad=False)
    for _ in range(2):
        with standardised_once(model):
            model(batch).sum().backward()
    assert model[0].weight.grad is None
    twice = gradients(model)
    model.zero_grad()
    with standardised_once(model):
        model(batch).sum().backward()
    for name, gradient in gradients(model).items():
        torch.testing.assert_close(twice[name], 2 * gradient)


def test_interrupted_step_leaves_the_model_unchanged():
    model, batch = layers(), torch.randn(1, 4, 8, 8, dtype=torch.float64)
    expected = model(batch)

    def step():
        with standardised_once(model):
            model(batch).sum().backward()
            raise RuntimeError("stop")

    with pytest.raises(RuntimeError, match="stop"):
        step()
    kernels = [p for name, p in model.named_parameters() if name.endswith("weight")]
    assert all(kernel.grad is None for kernel in kernels)
    torch.testing.assert_close(model(batch), expected)
    assert "forward" not in vars(model[0])
