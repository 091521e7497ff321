import numpy as np
import pytest
import timm
import torch
from timm.layers import StdConv2d
from timm.models.resnetv2 import ResNetV2
from torch import nn
from torch.nn import functional

from ophis import InputError
from ophis.train.networks import model as model_module
from ophis.train.networks.model import classifiers_of, create_model, freeze
from ophis.train.networks.standardisation import (
    fold_weight_standardisation,
    standardise_as_published,
)
from ophis.train.networks.weights import bit_name, load_weights
from tests.support.made_weights import BLOCKS, bit_shapes, bit_tensors, write_bit_npz


def published(tensors, pixels, *, blocks):
    """Return logits of Big Transfer's ResNet-v2, from its description and the file's tensors alone.

    Kolesnikov et al. 2020: ResNet-v2 with group norm and weight standardisation; the 1e-10 that is
    added to a kernel's variance stands in their released code.
    """
    t = {name: torch.from_numpy(tensor).double() for name, tensor in tensors.items()}

    def conv(x, place, stride=1, padding=0):
        kernel = t[f"{place}/standardized_conv2d/kernel"].permute(3, 2, 0, 1)
        mean = kernel.mean(dim=(1, 2, 3), keepdim=True)
        variance = ((kernel - mean) ** 2).mean(dim=(1, 2, 3), keepdim=True)
        standard = (kernel - mean) / torch.sqrt(variance + 1e-10)
        return functional.conv2d(x, standard, stride=stride, padding=padding)

    def active(x, place):
        gamma, beta = t[f"{place}/group_norm/gamma"], t[f"{place}/group_norm/beta"]
        return functional.relu(functional.group_norm(x, 32, gamma, beta, eps=1e-5))

    x = conv(pixels, "resnet/root_block", stride=2, padding=3)
    x = functional.max_pool2d(functional.pad(x, (1, 1, 1, 1)), 3, stride=2)
    for block, units in enumerate(blocks):
        for unit in range(units):
            place = f"resnet/block{block + 1}/unit{unit + 1:02}"
            stride = 2 if unit == 0 and block > 0 else 1
            before = active(x, f"{place}/a")
            shortcut = conv(before, f"{place}/a/proj", stride=stride) if unit == 0 else x
            y = conv(before, f"{place}/a")
            y = conv(active(y, f"{place}/b"), f"{place}/b", stride=stride, padding=1)
            x = conv(active(y, f"{place}/c"), f"{place}/c") + shortcut
    features = active(x, "resnet").mean(dim=(2, 3))
    return features @ t["resnet/head/conv2d/kernel"][0, 0] + t["resnet/head/conv2d/bias"]


def made_pixels(photos, side):
    pixels = torch.rand(photos, 3, side, side, generator=torch.Generator().manual_seed(0))
    return 2 * pixels.double() - 1


def with_the_files_head(model, tensors):
    """Return the model with the head of the file, which ophis drops."""
    (head,) = classifiers_of(model)
    with torch.no_grad():
        kernel = torch.from_numpy(tensors["resnet/head/conv2d/kernel"])
        head.weight.copy_(kernel.permute(3, 2, 0, 1))
        head.get_parameter("bias").copy_(torch.from_numpy(tensors["resnet/head/conv2d/bias"]))
    return model.double().eval()


# Odd sides show where the padding falls.
@pytest.mark.parametrize(
    ("depth", "side"), [(50, 64), (50, 49), pytest.param(101, 40, marks=pytest.mark.full)]
)
def test_bit_logits_equal_the_published_architecture(tmp_path, depth, side):
    """Compare in float64, with random weights of the published names and shapes."""
    path = write_bit_npz(tmp_path / "made.npz", blocks=BLOCKS[depth], classes=7)
    tensors = dict(np.load(path))
    model = create_model(
        f"resnetv2_{depth}x1_bit", species=7, weights="made.npz", weights_folder=tmp_path
    )
    model, pixels = with_the_files_head(model, tensors), made_pixels(2, side)
    with torch.inference_mode():
        found = model(pixels)
        expected = published(tensors, pixels, blocks=BLOCKS[depth])
    assert expected.std() > 0.1
    torch.testing.assert_close(found, expected, rtol=1e-9, atol=1e-9)


def test_small_bit_equals_the_published_architecture_with_one_unit_a_stage():
    torch.manual_seed(0)
    model = create_model("bit_r14_half", species=5, weights="none", head="random").double().eval()
    tensors = {}
    for key, tensor in model.state_dict().items():
        if not key.startswith("head.fc."):
            array = tensor.numpy() + 0.1 * np.random.default_rng(0).normal(size=tensor.shape)
            tensor.copy_(torch.from_numpy(array))
            tensors[bit_name(key)] = array.transpose(2, 3, 1, 0) if array.ndim == 4 else array
    head = model.get_submodule("head.fc")
    tensors["resnet/head/conv2d/kernel"] = head.weight.detach().numpy().transpose(2, 3, 1, 0)
    tensors["resnet/head/conv2d/bias"] = head.bias.detach().numpy()
    pixels = made_pixels(2, 64)
    with torch.no_grad():
        logits = model(pixels)
    torch.testing.assert_close(logits, published(tensors, pixels, blocks=(1, 1, 1, 1)))
    assert logits.std() > 1e-3


def test_bit_logits_are_equal_for_kernels_of_small_variance(tmp_path):
    """Small variances, as in trained networks: timm's epsilon of 1e-8 would be a tenth of them."""
    tensors = bit_tensors(classes=7)
    for name, tensor in list(tensors.items()):
        if name.endswith("standardized_conv2d/kernel"):
            tensors[name] = tensor * np.sqrt(1e-7 / tensor.var()).astype(np.float32)
    np.savez(tmp_path / "made.npz", **tensors)
    model = create_model(
        "resnetv2_50x1_bit", species=7, weights="made.npz", weights_folder=tmp_path
    )
    model, pixels = with_the_files_head(model, tensors), made_pixels(1, 40)
    with torch.inference_mode():
        expected = published(tensors, pixels, blocks=BLOCKS[50])
        torch.testing.assert_close(model(pixels), expected, rtol=1e-9, atol=1e-9)
        folded = fold_weight_standardisation(model)
        torch.testing.assert_close(folded(pixels), expected, rtol=1e-9, atol=1e-9)
        for module in model.modules():
            if isinstance(module, StdConv2d):
                module.eps = 1e-8
        assert (model(pixels) - expected).abs().max() > 1e-3


def test_wide_bit_logits_equal_the_published_architecture(tmp_path):
    """R50x3's widths with one unit a block, because its full depth takes gigabytes in float64."""
    blocks = (1, 1, 1, 1)
    path = write_bit_npz(tmp_path / "made.npz", blocks=blocks, width=3, classes=7)
    tensors = dict(np.load(path))
    model = ResNetV2(
        list(blocks), num_classes=7, width_factor=3, stem_type="fixed", conv_layer=StdConv2d
    )
    standardise_as_published(model)
    load_weights(model, path)
    model, pixels = with_the_files_head(model, tensors), made_pixels(1, 33)
    with torch.inference_mode():
        expected = published(tensors, pixels, blocks=blocks)
        torch.testing.assert_close(model(pixels), expected, rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize(
    ("depth", "width"), [(50, 1), (50, 3), (101, 1), (101, 3), (152, 2), (152, 4)]
)
def test_bit_backbones_have_published_names_and_shapes(depth, width):
    with torch.device("meta"):  # shapes without memory: R152x4 has 3.7 GB
        model = timm.create_model(f"resnetv2_{depth}x{width}_bit", num_classes=5)
    found = {}
    for key, tensor in model.state_dict().items():
        if not key.startswith("head."):
            order = (2, 3, 1, 0) if tensor.dim() == 4 else (0,)
            found[bit_name(key)] = tuple(tensor.permute(order).shape)
    expected = bit_shapes(blocks=BLOCKS[depth], width=width, classes=5)
    assert found == {n: shape for n, shape in expected.items() if "/head/" not in n}


def test_random_weights_have_as_many_tensors_as_the_published_file():
    # BiT-R50x1: 16 units of 3 kernels and 3 norms, 4 projections, root, last norm, head.
    assert len(bit_shapes()) == 16 * 3 + 16 * 6 + 4 + 1 + 2 + 2
    kernel = bit_tensors(blocks=(1,))["resnet/block1/unit01/b/standardized_conv2d/kernel"]
    assert kernel.std() == pytest.approx((2 / (9 * 64)) ** 0.5, rel=0.02)


@pytest.mark.parametrize("backbone", ["resnetv2_50x1_bit", "tf_efficientnet_lite0"])
def test_zero_head_gives_equal_logits_and_random_head_does_not(backbone):
    pixels = torch.rand(2, 3, 32, 32)
    zero = create_model(backbone, species=4, weights="none").eval()
    other = create_model(backbone, species=4, weights="none", head="random").eval()
    assert not any(p.any() for head in classifiers_of(zero) for p in head.parameters())
    assert all(head.weight.all() for head in classifiers_of(other))
    with torch.inference_mode():
        assert torch.equal(zero(pixels), torch.zeros(2, 4))
        assert (other(pixels) != 0).all()


@pytest.mark.parametrize("backbone", ["resnetv2_50x1_bit", "tf_efficientnet_lite0"])
def test_dropout_is_before_the_head_in_training(backbone):
    model = create_model(backbone, species=4, weights="none", head="random", dropout=0.5)
    pixels = torch.rand(1, 3, 32, 32).expand(2, -1, -1, -1)
    features = []
    (head,) = classifiers_of(model)
    head.register_forward_pre_hook(lambda _, given: features.append(given[0]))
    model.eval()(pixels)
    model.train()(pixels)
    calm, trained = (f.flatten() for f in features)
    assert model.drop_rate == 0.5
    kept = trained[trained != 0].numel() / calm[calm != 0].numel()
    assert 0.2 < kept < 0.8


@pytest.mark.parametrize(("kind", "near"), [(torch.float32, 1e-5), (torch.float64, 1e-10)])
def test_folding_weight_standardisation_keeps_logits(kind, near):
    torch.manual_seed(0)
    model = create_model("resnetv2_50x1_bit", species=4, weights="none", head="random").to(kind)
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    folded, pixels = fold_weight_standardisation(model), made_pixels(2, 48).to(kind)
    assert model.training
    assert not folded.training
    with torch.inference_mode():
        expected = model.eval()(pixels)
        torch.testing.assert_close(folded(pixels), expected, rtol=near, atol=near)
    kinds = [type(m) for m in folded.modules() if isinstance(m, nn.Conv2d)]
    assert kinds == [nn.Conv2d] * 54  # 53 and the head
    assert sum(isinstance(m, StdConv2d) for m in model.modules()) == 53
    assert all(torch.equal(tensor, before[n]) for n, tensor in model.state_dict().items())


@pytest.mark.parametrize(
    ("backbone", "words"),
    [
        ("resnetv2_50x1_bi", r"'resnetv2_50x1_bi'; did you mean resnetv2_50x1_bit"),
        ("ResNetV2_50x1_BiT", r"did you mean resnetv2_50x1_bit"),
        ("resnetv2_50x1_bit.goog_in22k", r"did you mean resnetv2_50x1_bit\.goog_in21k or"),
        ("?", r"'\?'; timm\.list_models\(\) lists them"),
    ],
)
def test_unknown_backbone_is_refused_with_similar_names(backbone, words):
    with pytest.raises(InputError, match=words) as error:
        create_model(backbone, species=2, weights="none")
    assert "\n" not in str(error.value)


def test_backbone_with_tag_of_weights_is_accepted():
    backbone = "resnet10t.c3_in1k"
    assert create_model(backbone, species=2, weights="none")(torch.rand(2, 3, 32, 32)).shape == (
        2, 2,
    )  # fmt: skip


def fake_hub(monkeypatch, answer):
    """Replace the hub by a fake, so that no test needs the network; timm's download is not run."""
    real = timm.create_model

    def create(name, **options):
        if not options.pop("pretrained", False):
            return real(name, **options)
        assert options == {}
        return answer(real(name))

    monkeypatch.setattr(model_module.timm, "create_model", create)


def test_failed_download_is_one_line_with_the_fix(monkeypatch):
    def fail(_):
        raise OSError("\nno route to the hub\nsecond line")

    fake_hub(monkeypatch, fail)
    with pytest.raises(InputError) as error:
        create_model("resnet18", species=2, weights="hub")
    assert "resnet18 could not be fetched (no route to the hub)" in str(error.value)
    assert "give a local file" in str(error.value)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("species", [3, 1000])
def test_hub_weights_fill_the_body_only(monkeypatch, species):
    fetched = []
    fake_hub(monkeypatch, lambda model: fetched.append(model) or model)
    torch.manual_seed(0)
    model = create_model("resnet18", species=species, weights="hub", head="random", dropout=0.1)
    expected, found = fetched[0].state_dict(), model.state_dict()
    assert all(torch.equal(found[n], expected[n]) for n in expected if not n.startswith("fc."))
    assert found["fc.weight"].shape == (species, 512)
    assert not torch.equal(found["fc.weight"][:3], expected["fc.weight"][:3])


@pytest.mark.parametrize(
    ("backbone", "stages", "first"),
    [
        ("resnet18", 1, "layer1.0.conv1.weight"),
        ("resnet18", 2, "layer2.0.conv1.weight"),
        ("resnetv2_50x1_bit", 3, "stages.2.blocks.0.downsample.conv.weight"),
        ("vit_tiny_patch16_224", 1, "blocks.0.norm1.weight"),
        ("tf_efficientnet_lite0", 8, "classifier.weight"),
    ],
)
def test_freezing_stops_at_the_given_stage(backbone, stages, first):
    with torch.device("meta"):
        model = timm.create_model(backbone)
    names = [name for name, _ in model.named_parameters()]
    frozen = freeze(model, stages)
    left = [name for name, p in model.named_parameters() if p.requires_grad]
    assert left == names[names.index(first) :]
    within = {id(p) for module in frozen for p in module.parameters()}
    alone = {"cls_token", "pos_embed"}  # parameters of no module; they have no statistics
    still = {n for n, p in model.named_parameters() if not p.requires_grad and id(p) not in within}
    assert still <= alone


def test_too_many_frozen_stages_are_refused():
    model = timm.create_model("resnet18", num_classes=2)
    assert freeze(model, 0) == []
    with pytest.raises(InputError, match="frozen_stages = 6, but this backbone has 5 stages"):
        freeze(model, 6)
    assert len(freeze(model, 5)) > 10
