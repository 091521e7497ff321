"""Fast backward of group norm against torch in float64."""

import pytest
import timm
import torch
from timm.layers import GroupNormAct
from torch.nn import functional

from ophis.train.networks.group_norm import MIN_PIXELS, GroupNorm, fast_group_norm

GROUPS = 4


def tensors(kind, channels=12, side=33):
    torch.manual_seed(0)
    x = torch.randn(3, channels, side, side, dtype=torch.float64) + 0.5
    gradient = torch.randn_like(x)
    made = (t.to(kind).contiguous(memory_format=torch.channels_last) for t in (x, gradient))
    # Parameters stay in float32 where activations are bfloat16, as under autocast.
    own = torch.promote_types(kind, torch.float32)
    return *made, torch.rand(channels, dtype=own) + 0.5, torch.randn(channels, dtype=own)


def gradients(function, x, gradient, weight, bias):
    leaves = [t.detach().clone().requires_grad_() for t in (x, weight, bias)]
    function(*leaves).backward(gradient)
    return [leaf.grad for leaf in leaves]


def by_ophis(x, weight, bias):
    return GroupNorm.apply(x, weight, bias, GROUPS, 1e-5)


def by_torch(x, weight, bias):
    return functional.group_norm(x, GROUPS, weight, bias, 1e-5)


def exact(x, gradient, weight, bias):
    return gradients(by_torch, *(t.double() for t in (x, gradient, weight, bias)))


@pytest.mark.parametrize("shape", [(12, 33), (4, 1), (64, 8)])
def test_gradients_equal_torch_in_float64(shape):
    given = tensors(torch.float64, *shape)
    for found, expected in zip(gradients(by_ophis, *given), exact(*given), strict=True):
        torch.testing.assert_close(found, expected, rtol=1e-10, atol=1e-10)


@pytest.mark.parametrize("kind", [torch.float32, torch.bfloat16])
def test_rounding_errors_are_like_those_of_torch(kind):
    given = tensors(kind)
    expected = exact(*given)
    found, other = (gradients(function, *given) for function in (by_ophis, by_torch))
    assert found[0].dtype == kind
    for own, reference, right in zip(found, other, expected, strict=True):
        error, rounding = ((t.double() - right).abs().max() for t in (own, reference))
        # Where torch happens to be exact, one rounding of the largest is no error either.
        assert error <= 3 * max(rounding, torch.finfo(own.dtype).eps * right.abs().max())


def test_gradient_in_another_layout_is_equal():
    x, gradient, weight, bias = tensors(torch.float64)
    for found, expected in zip(
        gradients(by_ophis, x, gradient.contiguous(), weight, bias),
        gradients(by_ophis, x, gradient, weight, bias),
        strict=True,
    ):
        assert torch.equal(found, expected)


def test_fast_backward_is_used_for_large_maps_only(monkeypatch):
    sizes = []
    real = GroupNorm.apply
    monkeypatch.setattr(
        GroupNorm, "apply", lambda x, *a: (sizes.append(x.shape[2]), real(x, *a))[1]
    )
    torch.manual_seed(0)
    model = timm.create_model("bit_r14_half", num_classes=3).double()
    model = model.to(memory_format=torch.channels_last)
    pixels = torch.randn(2, 3, 160, 160, dtype=torch.float64)
    pixels = pixels.contiguous(memory_format=torch.channels_last)
    model(pixels).square().sum().backward()
    expected = {n: p.grad.clone() for n, p in model.named_parameters() if p.grad is not None}
    assert expected
    model.zero_grad()
    with fast_group_norm(model):
        model(pixels).square().sum().backward()
    assert sizes
    assert all(side**2 >= MIN_PIXELS for side in sizes)
    assert len(sizes) < sum(isinstance(m, GroupNormAct) for m in model.modules())
    for name, gradient in expected.items():
        found = model.get_parameter(name).grad
        torch.testing.assert_close(found, gradient, rtol=1e-9, atol=1e-12)
    before = len(sizes)
    model(pixels)
    assert len(sizes) == before  # the model is restored
