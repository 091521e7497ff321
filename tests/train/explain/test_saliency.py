import numpy as np
import pytest
import timm
import torch
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import spearmanr
from torch import nn
from torch.nn import functional

from ophis import InputError
from ophis.images.decode import read_photo
from ophis.images.preprocessing import preprocess
from ophis.train.explain.saliency import Method, concentration, mass_inside, saliency
from ophis.train.export.imagenet17 import PREPROCESSING
from ophis.train.networks.weights import pretrained_lite0


class Smooth(nn.Module):
    """A small smooth network, so that finite differences approximate its gradient."""

    def __init__(self):
        super().__init__()
        torch.manual_seed(0)
        self.first, self.second = nn.Conv2d(3, 5, 3, padding=1), nn.Conv2d(5, 7, 3, stride=2)
        self.head = nn.Linear(7, 4)

    def forward_features(self, pixels):
        return torch.tanh(self.second(torch.tanh(self.first(pixels))))

    def forward_head(self, features):
        return self.head(features.mean(dim=(2, 3)))

    def forward(self, pixels):
        return self.forward_head(self.forward_features(pixels))


@pytest.fixture
def smooth():
    return Smooth().double().eval()


@pytest.fixture
def pixels():
    return torch.rand(2, 3, 7, 6, generator=torch.Generator().manual_seed(0)).double() * 2 - 1


def test_gradient_map_equals_finite_differences(smooth, pixels):
    targets = torch.tensor([2, 0])
    step = 1e-5
    expected = np.zeros((2, 3, 7, 6))
    with torch.no_grad():
        for place in np.ndindex(*pixels.shape):
            photo, target = place[0], targets[place[0]]
            up, down = pixels.clone(), pixels.clone()
            up[place] += step
            down[place] -= step
            expected[place] = (smooth(up) - smooth(down))[photo, target] / (2 * step)
    found = saliency(smooth, pixels, targets)
    assert found.shape == (2, 7, 6)
    np.testing.assert_allclose(found, np.abs(expected).max(axis=1), rtol=1e-6, atol=1e-9)


def test_smoothgrad_of_a_linear_network_is_its_gradient(pixels):
    last = nn.Linear(3 * 7 * 6, 4)
    linear = nn.Sequential(nn.Flatten(), last).double().eval()
    targets = torch.tensor([1, 3])
    plain = saliency(linear, pixels, targets)
    smoothed = saliency(linear, pixels, targets, method=Method.SMOOTHGRAD)
    np.testing.assert_allclose(smoothed, plain, rtol=1e-6)
    expected = last.weight[targets].detach().abs().reshape(2, 3, 7, 6).amax(dim=1)
    np.testing.assert_allclose(plain, expected, rtol=1e-6)


def test_smoothgrad_is_the_mean_of_noisy_gradients(smooth, pixels):
    targets = torch.tensor([2, 0])
    options = {"method": Method.SMOOTHGRAD}
    before = torch.random.get_rng_state()
    one, again, other = (saliency(smooth, pixels, targets, seed=s, **options) for s in (0, 0, 1))
    np.testing.assert_array_equal(one, again)
    assert torch.equal(before, torch.random.get_rng_state())
    assert np.abs(one - other).max() > 0
    # Reference: 400 noisy copies. The two means are close, the plain map is further away.
    rng = torch.Generator().manual_seed(7)
    total = torch.zeros_like(pixels)
    for _ in range(400):
        noisy = pixels + 0.3 * torch.randn(pixels.shape, generator=rng).double()
        noisy.requires_grad_()
        logits = smooth(noisy)
        (gradient,) = torch.autograd.grad(logits[0, 2] + logits[1, 0], noisy)
        total += gradient
    expected = (total / 400).abs().amax(dim=1).numpy()
    plain = saliency(smooth, pixels, targets)
    assert np.abs(one - expected).mean() < np.abs(plain - expected).mean()


def test_grad_cam_weights_the_feature_map_by_mean_gradients(smooth, pixels):
    targets = torch.tensor([2, 0])
    features = smooth.forward_features(pixels).detach().requires_grad_()
    logits = smooth.forward_head(features)
    (gradient,) = torch.autograd.grad(logits[0, 2] + logits[1, 0], features)
    weights = gradient.mean(dim=(2, 3), keepdim=True)
    small = functional.relu((weights * features).sum(dim=1, keepdim=True))
    expected = functional.interpolate(small, (7, 6), mode="bilinear")[:, 0].detach()
    found = saliency(smooth, pixels, targets, method=Method.GRAD_CAM)
    np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-9)


def test_grad_cam_without_a_feature_map_is_refused():
    model = timm.create_model("vit_tiny_patch16_224", img_size=32, num_classes=2)
    photo, target = torch.zeros(1, 3, 32, 32), torch.tensor([0])
    with pytest.raises(InputError, match="grad-cam needs a convolutional backbone"):
        saliency(model, photo, target, method=Method.GRAD_CAM)
    assert saliency(model, photo, target).shape == (1, 32, 32)


def test_model_and_pixels_are_unchanged(smooth, pixels):
    before = pixels.clone()
    for method in Method:
        saliency(smooth, pixels, torch.tensor([0, 1]), method=method)
    assert torch.equal(pixels, before)
    assert not pixels.requires_grad
    assert all(p.grad is None and p.requires_grad for p in smooth.parameters())


def scrambled(model, layers):
    """Return the model with random weights in its last layers (Adebayo et al. 2018)."""
    torch.manual_seed(0)
    weights = [m for m in model.modules() if isinstance(m, nn.Conv2d | nn.Linear)]
    for module in weights[max(0, len(weights) - layers) :]:
        module.reset_parameters()
    return model


@pytest.mark.parametrize("method", [Method.GRADIENT, Method.SMOOTHGRAD, Method.GRAD_CAM])
def test_maps_depend_on_the_weights(synthetic_photo, method):
    """The sanity check of Adebayo et al. 2018, from the head down, on a real network."""
    photo = torch.from_numpy(preprocess(read_photo(synthetic_photo), PREPROCESSING))[None]
    target = torch.tensor([60])
    whole = saliency(pretrained_lite0(), photo, target, method=method)
    likeness = []
    for layers in (0, 1, 10, 1000):
        other = saliency(scrambled(pretrained_lite0(), layers), photo, target, method=method)
        likeness.append(spearmanr(whole.ravel(), other.ravel()).statistic)
    assert likeness[0] == pytest.approx(1)
    assert max(likeness[1:]) < 0.9
    assert abs(likeness[-1]) < 0.5


def test_concentration_of_constant_and_single_pixel_maps():
    even, one = np.ones((1, 4, 5), np.float32), np.zeros((1, 4, 5), np.float32)
    one[0, 2, 3] = 7
    half = np.zeros((1, 4, 4), np.float32)
    half[0, :2] = 1
    assert concentration(even)[0] == pytest.approx(0, abs=1e-12)
    assert concentration(one)[0] == pytest.approx(1)
    assert concentration(half)[0] == pytest.approx(1 - np.log(8) / np.log(16))
    assert concentration(np.zeros((1, 4, 5), np.float32))[0] == pytest.approx(0)


@given(st.integers(0, 1000), st.floats(0.1, 100))
def test_concentration_does_not_depend_on_scale(seed, factor):
    maps = np.random.default_rng(seed).random((3, 5, 6)).astype(np.float32)
    found = concentration(maps)
    assert ((found >= 0) & (found <= 1)).all()
    np.testing.assert_allclose(concentration((maps * factor).astype(np.float32)), found, rtol=1e-4)
    np.testing.assert_allclose(concentration(maps[:, ::-1]), found)


def test_mass_inside_counts_partly_covered_pixels():
    maps = np.ones((4, 4, 8), np.float32)
    boxes = np.array(
        [[0, 0, 1, 1], [0, 0, 0.5, 0.5], [0.0625, 0, 0.125, 1], [np.nan] * 4], dtype=np.float64
    )
    np.testing.assert_allclose(mass_inside(maps, boxes), [1, 0.25, 0.0625, np.nan])
    assert np.isnan(mass_inside(np.zeros((1, 2, 2), np.float32), boxes[:1])).all()


@given(st.integers(0, 1000), st.floats(0.1, 0.9))
def test_masses_on_both_sides_of_a_line_sum_to_one(seed, line):
    maps = np.random.default_rng(seed).random((1, 5, 6)).astype(np.float32)
    parts = [mass_inside(maps, np.array([box]))[0] for box in ([0, 0, line, 1], [line, 0, 1, 1])]
    assert sum(parts) == pytest.approx(1)
