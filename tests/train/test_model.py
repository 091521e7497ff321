import numpy as np
import pytest
import torch
from made_weights import BLOCKS, bit_tensors, write_bit_npz
from timm.layers import StdConv2d
from torch import nn
from torch.nn import functional

from ophis import InputError
from ophis.train import model as room
from ophis.train.model import create_model, fold_weight_standardisation


def published(tensors, pixels, *, blocks, epsilon):
    """Features of Big Transfer's ResNet-v2, straight from its description and its tensors.

    Kolesnikov et al. 2020: ResNet-v2 with group norm and weight standardisation.
    """
    t = {name: torch.from_numpy(tensor).double() for name, tensor in tensors.items()}

    def conv(x, place, stride=1, padding=0):
        kernel = t[f"{place}/standardized_conv2d/kernel"].permute(3, 2, 0, 1)
        mean = kernel.mean(dim=(1, 2, 3), keepdim=True)
        variance = ((kernel - mean) ** 2).mean(dim=(1, 2, 3), keepdim=True)
        standard = (kernel - mean) / torch.sqrt(variance + epsilon)
        return functional.conv2d(x, standard, stride=stride, padding=padding)

    def norm(x, place):
        gamma, beta = t[f"{place}/group_norm/gamma"], t[f"{place}/group_norm/beta"]
        return functional.relu(functional.group_norm(x, 32, gamma, beta, eps=1e-5))

    x = conv(pixels, "resnet/root_block", stride=2, padding=3)
    x = functional.max_pool2d(functional.pad(x, (1, 1, 1, 1)), 3, stride=2)
    for block, units in enumerate(blocks):
        for unit in range(units):
            place = f"resnet/block{block + 1}/unit{unit + 1:02}"
            stride = 2 if unit == 0 and block > 0 else 1
            active = norm(x, f"{place}/a")
            shortcut = conv(active, f"{place}/a/proj", stride=stride) if unit == 0 else x
            y = conv(active, f"{place}/a")
            y = conv(norm(y, f"{place}/b"), f"{place}/b", stride=stride, padding=1)
            x = conv(norm(y, f"{place}/c"), f"{place}/c") + shortcut
    return norm(x, "resnet").mean(dim=(2, 3))


@pytest.mark.parametrize(
    ("backbone", "layers", "width", "side"),
    [
        ("resnetv2_50x1_bit", 50, 1, 64),
        ("resnetv2_101x1_bit", 101, 1, 40),
        pytest.param("resnetv2_50x3_bit", 50, 3, 33, marks=pytest.mark.slow),
    ],
)
def test_bit_gives_the_logits_of_the_published_architecture(
    tmp_path, backbone, layers, width, side
):
    """In float64, with made weights of the official names and shapes, head included."""
    blocks = BLOCKS[layers]
    path = write_bit_npz(tmp_path / "made.npz", blocks=blocks, width=width, classes=7)
    model = create_model(
        backbone, species=5, weights="made.npz", weights_folder=tmp_path, head="random"
    )
    model = model.double().eval()
    tensors = dict(np.load(path))
    pixels = torch.rand(2, 3, side, side, generator=torch.Generator().manual_seed(0)).double()
    pixels = 2 * pixels - 1
    head = model.get_classifier()
    with torch.inference_mode():
        expected = published(tensors, pixels, blocks=blocks, epsilon=1e-8)
        expected = expected @ head.weight.flatten(1).T + head.bias
        found = model(pixels)
        # Google's code adds 1e-10 to the variance and timm 1e-8: far below what float32 holds.
        googles = published(tensors, pixels, blocks=blocks, epsilon=1e-10)
        googles = googles @ head.weight.flatten(1).T + head.bias
    assert expected.abs().max() > 1e-3
    torch.testing.assert_close(found, expected, rtol=1e-9, atol=1e-9)
    torch.testing.assert_close(found, googles, rtol=1e-4, atol=1e-4)


def test_a_zero_head_says_the_same_of_all_species_and_a_random_one_does_not():
    pixels = torch.rand(2, 3, 32, 32)
    for backbone in ("resnetv2_50x1_bit", "tf_efficientnet_lite0"):
        zero = create_model(backbone, species=4, weights="none").eval()
        other = create_model(backbone, species=4, weights="none", head="random").eval()
        with torch.inference_mode():
            assert zero(pixels).shape == (2, 4)
            assert (zero(pixels) == 0).all()
            assert (other(pixels) != 0).any()


def test_dropout_stands_before_the_head():
    model = create_model(
        "tf_efficientnet_lite0", species=4, weights="lite0", head="random", dropout=0.9
    )
    pixels = torch.rand(1, 3, 64, 64).expand(2, -1, -1, -1)
    model.eval()
    assert torch.equal(model(pixels)[0], model(pixels)[1])
    for module in model.modules():  # only dropout should differ between the two rows
        if isinstance(module, nn.BatchNorm2d):
            module.eval()
    model.training = True
    assert not torch.equal(model(pixels)[0], model(pixels)[1])


def test_weight_standardisation_is_folded_without_a_change():
    torch.manual_seed(0)
    model = create_model("resnetv2_50x1_bit", species=4, weights="none", head="random").double()
    pixels = torch.rand(2, 3, 48, 48).double()
    folded = fold_weight_standardisation(model)
    with torch.inference_mode():
        torch.testing.assert_close(folded(pixels), model.eval()(pixels), rtol=1e-10, atol=1e-10)
    assert not any(isinstance(m, StdConv2d) for m in folded.modules())
    assert any(isinstance(m, StdConv2d) for m in model.modules())
    assert sum(isinstance(m, nn.Conv2d) for m in folded.modules()) == 54  # 53 and the head


def test_an_unknown_backbone_is_refused_with_the_ones_that_look_alike():
    with pytest.raises(InputError, match=r"no backbone called 'resnetv2_50x1_bi'.*50x1_bit"):
        create_model("resnetv2_50x1_bi", species=2, weights="none")


def test_weights_from_the_hub_come_through_timms_own_mechanism(monkeypatch):
    """A fake stands for the hub: no test needs a network."""
    asked = []

    def hub(name, **options):
        asked.append((name, options))
        raise OSError("no route to the hub\nsecond line")

    monkeypatch.setattr(room.timm, "create_model", hub)
    with pytest.raises(InputError) as refusal:
        create_model("resnet18", species=2, weights="hub")
    assert asked == [("resnet18", {"pretrained": True, "drop_rate": 0.0})]
    assert "resnet18 could not be fetched (no route to the hub)" in str(refusal.value)
    assert "give a local file" in str(refusal.value)


def test_made_weights_have_the_number_of_tensors_of_the_official_file():
    # BiT-R50x1: 16 units of 3 kernels and 3 norms, 4 projections, root, last norm, head.
    assert len(bit_tensors()) == 16 * 3 + 16 * 6 + 4 + 1 + 2 + 2
