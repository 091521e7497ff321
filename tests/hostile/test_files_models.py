"""Untrusted models: no code in them is run, external data is refused, damage is found."""

import hashlib
import io
import json
import os
import pickle
import shutil
import struct
import zipfile
from dataclasses import replace
from pathlib import Path

import numpy as np
import onnx
import polars as pl
import pytest
import timm
import torch
from onnx import TensorProto
from safetensors.torch import save_file

from ophis import InputError, Recipe, SpeciesList, load, read_scores
from ophis.cli import main
from ophis.datasets.training_photos import TRAINING_PHOTOS
from ophis.files.npz import read_npz
from ophis.inference.bundles.index import INDEX, MODEL, WEIGHTS
from ophis.inference.engine import EngineKind
from ophis.train import fit
from ophis.train.export import quantise
from ophis.train.networks.weights import load_weights
from ophis.train.out_of_distribution import FILE as OOD_MODEL_FILE
from ophis.train.out_of_distribution import OodModel
from tests.support.made_bundle import write_made_bundle

SPECIES = SpeciesList(("Boa boa", "Naja naja"))


class Canary:
    """Object that creates a folder when it is unpickled."""

    def __init__(self, trace: Path) -> None:
        self.trace = trace

    def __reduce__(self) -> tuple[object, ...]:
        return os.makedirs, (str(self.trace), 0o700, True)


def pickled_files(trace: Path) -> dict[str, bytes]:
    """Return files of every kind that can contain a pickle, each with a canary."""
    canary = {"format": Canary(trace), "conv1.weight": Canary(trace), "logits": Canary(trace)}
    array = np.array([Canary(trace)], dtype=object)
    files = {name: io.BytesIO() for name in ("npz", "npy", "torch", "old torch")}
    np.savez(files["npz"], **dict.fromkeys(("logits", "format", "means"), array))
    np.save(files["npy"], array, allow_pickle=True)
    torch.save(canary, files["torch"])
    torch.save(canary, files["old torch"], _use_new_zipfile_serialization=False)
    return {"pickle": pickle.dumps(canary)} | {n: file.getvalue() for n, file in files.items()}


@pytest.fixture(scope="module")
def trained(coloured, small, tmp_path_factory) -> Path:
    """Run folder."""
    return fit(
        small(steps=1),
        train=coloured.take(np.arange(24)),
        validation=coloured.take(np.arange(24, 36)),
        out=tmp_path_factory.mktemp("trained") / "run",
    )


@pytest.fixture(scope="module")
def bundle(tmp_path_factory) -> Path:
    return write_made_bundle(tmp_path_factory.mktemp("made") / "bundle", SPECIES)


def update_digests(folder: Path) -> None:
    """Write the digests of changed files, as an attacker can."""
    index = json.loads((folder / INDEX).read_text())
    for name in index["files"]:
        index["files"][name] = hashlib.sha256((folder / name).read_bytes()).hexdigest()
    (folder / INDEX).write_text(json.dumps(index))


# Every input file: where it is written, and the command that reads it.
def places(folder: Path) -> dict[str, tuple[str, list[str]]]:
    run, other, made = "run", "other", "bundle"
    table = ["--train", "train.csv", "--validation", "validation.csv", "--out", other]
    table += ["--follow-links"]
    weights = {
        f"weights{suffix}": (f"w{suffix}", ["train", f"w{suffix}.toml", *table])
        for suffix in (".pt", ".pth", ".npz", ".safetensors")
    }
    return weights | {
        "checkpoint to resume": (f"{run}/checkpoint.pt", ["export", run, "--out", made]),
        "checkpoint as weights": (f"{run}/checkpoint.pt", ["train", "run.toml", *table]),
        "ood_model": (f"{run}/{OOD_MODEL_FILE}", ["export", run, "--out", "new"]),
        "training photos of a run": (f"{run}/{TRAINING_PHOTOS}", ["export", run, "--out", "new"]),
        "scores of a run": (f"{run}/scores.npz", ["export", run, "--out", "new"]),
        "scores": ("s.npz", ["evaluate", "s.npz"]),
        "scores to compare": ("s.npz", ["compare", "s.npz", "s.npz", "--out", "r.html"]),
        "scores for a prior": ("s.npz", ["fit-prior", "train.csv", "--validation", "s.npz",
                                         "--out", "p.toml", "--follow-links"]),
        "scores to submit": ("s.npz", ["submit", "s.npz", "--style", "aicrowd2020",
                                       "--out", "x.csv"]),
        "network of a bundle": (f"{made}/{MODEL}", ["identify", made, "a.png"]),
        "network to score with": (f"{made}/{MODEL}", ["score", made, "unlabelled.csv",
                                                     "--out", "n.npz"]),
    }  # fmt: skip


def write_inputs(folder: Path, trained: Path, bundle: Path, coloured, recipe: Recipe) -> None:
    shutil.copytree(trained, folder / "run")
    (folder / "run" / "checkpoint-before.pt").unlink(missing_ok=True)
    shutil.copytree(bundle, folder / "bundle")
    photos = coloured.paths()
    shutil.copy(photos[0], folder / "a.png")
    coloured.take(np.arange(24)).write(folder / "train.csv")
    coloured.take(np.arange(24, 36)).write(folder / "validation.csv")
    (folder / "unlabelled.csv").write_text("photo,species,country\na.png,,\n")
    for weights in ("w.pt", "w.pth", "w.npz", "w.safetensors", "run"):
        text = recipe.to_toml().replace('weights = "none"', f'weights = "{weights}"')
        assert weights in text
        (folder / f"{weights}.toml").write_text(text)


@pytest.mark.parametrize("place", places(Path()))
def test_pickle_in_an_input_file_is_not_run(
    place, trained, bundle, coloured, small, tmp_path, monkeypatch, capsys, figure
):
    write_inputs(tmp_path, trained, bundle, coloured, small(steps=1))
    monkeypatch.chdir(tmp_path)
    trace = tmp_path / "trace"
    name, words = places(tmp_path)[place]
    for kind, data in pickled_files(trace).items():
        (tmp_path / name).write_bytes(data)
        if (tmp_path / name).parent.name == "bundle":
            update_digests(tmp_path / "bundle")
        capsys.readouterr()
        with pytest.raises(SystemExit) as end:
            main(words)
        assert end.value.code == 2, (kind, capsys.readouterr())
        assert Path(name).name in capsys.readouterr().err
        assert not trace.exists(), kind
    for data in pickled_files(trace).values():  # a control: unpickling runs it
        if data.startswith(b"\x80"):
            pickle.loads(data)  # noqa: S301
            break
    assert trace.exists()
    figure(f"{place}: {len(pickled_files(trace))} kinds, none run")


def externalised(model: onnx.ModelProto, location: str) -> bytes:
    """Return the network with its weights in another file."""
    [tensor] = model.graph.initializer
    tensor.ClearField("raw_data")
    tensor.data_location = TensorProto.EXTERNAL
    tensor.external_data.add(key="location", value=location)
    return model.SerializeToString()


@pytest.fixture(params=["beside.bin", "../outside.bin", "/etc/hostname"])
def external_weights(request, bundle, tmp_path) -> Path:
    """Bundle whose network keeps its weights in another file."""
    folder = tmp_path / "bundle"
    shutil.copytree(bundle, folder)
    model = onnx.load(folder / MODEL)
    weights = model.graph.initializer[0].raw_data
    for path in (folder / "beside.bin", tmp_path / "outside.bin"):
        path.write_bytes(weights)
    (folder / MODEL).write_bytes(externalised(model, request.param))
    update_digests(folder)
    return folder


@pytest.mark.parametrize("engine", EngineKind)
def test_network_with_external_weights_is_refused(external_weights, engine):
    if engine is not EngineKind.ONNXRUNTIME:
        pytest.importorskip("openvino", reason="openvino is not installed")
    with pytest.raises(InputError, match=r"model\.onnx: keeps numbers in other files"):
        load(external_weights, engine=engine)


def test_quantise_refuses_external_weights(external_weights, coloured, tmp_path):
    labelled = replace(
        coloured, table=coloured.table.with_columns(species=pl.lit(SPECIES.names[0]))
    )
    with pytest.raises(InputError, match=r"model\.onnx: keeps numbers in other files"):
        quantise(external_weights, tmp_path / "eight", train=labelled, validation=labelled)
    assert not (tmp_path / "eight").exists()


def npz_with_header(path: Path, shape: tuple[int, ...]) -> Path:
    """Write arrays whose header has a large shape, with eight bytes of data."""
    header = io.BytesIO()
    about = {"descr": "<f8", "fortran_order": False, "shape": shape}
    np.lib.format.write_array_header_1_0(header, about)
    with zipfile.ZipFile(path, "w") as archive:
        for name in ("logits", "means", "resnet/root_block/standardized_conv2d/kernel"):
            archive.writestr(f"{name}.npy", header.getvalue() + bytes(8))
    return path


@pytest.mark.parametrize("numbers", [2**31, 2**40, 2**60, 2**70])
def test_absurd_headers_are_refused_before_memory_is_taken(numbers, tmp_path):
    path = npz_with_header(tmp_path / "w.npz", (numbers, 8))
    with pytest.raises(InputError, match=r"w\.npz: not a scores file of ophis, or cut short"):
        read_scores(path)
    with pytest.raises(InputError, match=r"w\.npz"):
        OodModel.read(path)
    with pytest.raises(InputError, match=r"w\.npz: not a file of plain weights, or damaged"):
        load_weights(timm.create_model("resnet10t"), path)
    size = struct.pack("<Q", numbers % 2**64 or 2**63)
    (tmp_path / "w.safetensors").write_bytes(size + b'{"a":1}')
    with pytest.raises(InputError, match=r"w\.safetensors: not a file of plain weights"):
        load_weights(timm.create_model("resnet10t"), tmp_path / "w.safetensors")


def test_arrays_that_unpack_beyond_the_limit_are_refused(tmp_path, monkeypatch):
    monkeypatch.setattr("ophis.files.npz.MAX_UNPACKED_BYTES", (2 << 20) + 500)
    np.savez_compressed(tmp_path / "a.npz", a=np.zeros(1 << 17), b=np.zeros(1 << 17))
    assert read_npz(tmp_path / "a.npz", what="file").keys() == {"a", "b"}
    np.savez_compressed(tmp_path / "a.npz", a=np.zeros(1 << 17), b=np.zeros(1 << 18))
    with pytest.raises(InputError, match=r"b\.npy goes beyond 0 GiB unpacked"):
        read_npz(tmp_path / "a.npz", what="file")


@pytest.mark.parametrize("kind", [".npz", ".pt", ".safetensors", "bundle"])
def test_flipped_bits_in_weights_are_found(kind, tmp_path, full_size, figure, bundle):
    flips = 200 if full_size else 10
    rng = np.random.default_rng(0)
    path = tmp_path / f"w{kind}"
    state = timm.create_model("resnet10t").state_dict()
    if kind == "bundle":
        path = shutil.copytree(bundle, tmp_path / "bundle") / MODEL
    elif kind == ".npz":
        np.savez(path, **{name: tensor.numpy() for name, tensor in state.items()})
    elif kind == ".pt":
        torch.save(state, path)
    else:
        save_file(state, path)
        digest = hashlib.sha256(path.read_bytes()).hexdigest()
        (tmp_path / "w.safetensors.sha256").write_text(f"{digest}  {path.name}\n")
    whole = path.read_bytes()
    for place in rng.integers(8 * len(whole), size=flips):
        damaged = bytearray(whole)
        damaged[place // 8] ^= 1 << place % 8
        path.write_bytes(damaged)
        with pytest.raises(InputError, match=path.name):
            load(path.parent) if kind == "bundle" else _read_all(path)
    figure(f"{kind}: {flips} of {flips} found")


def _read_all(path: Path) -> None:
    """Read every tensor of a file, independent of the network."""
    from contextlib import ExitStack

    from ophis.train.networks.weights_file import read_tensors

    with ExitStack() as stack:
        tensors = read_tensors(path, stack)
        try:
            for name in tensors:
                tensors[name]
        except zipfile.BadZipFile as error:
            raise InputError(f"{path}: {error}") from None


def test_weights_of_a_bundle_match_its_digest(bundle, tmp_path):
    folder = shutil.copytree(bundle, tmp_path / "bundle")
    state = timm.create_model("resnet10t").state_dict()
    save_file(state, folder / WEIGHTS)
    index = json.loads((folder / INDEX).read_text())
    index["files"][WEIGHTS] = hashlib.sha256((folder / WEIGHTS).read_bytes()).hexdigest()
    (folder / INDEX).write_text(json.dumps(index))
    load_weights(timm.create_model("resnet10t"), folder / WEIGHTS)
    data = bytearray((folder / WEIGHTS).read_bytes())
    data[-9] ^= 1
    (folder / WEIGHTS).write_bytes(data)
    with pytest.raises(InputError, match=r"model\.safetensors: its checksum differs from bundle"):
        load_weights(timm.create_model("resnet10t"), folder / WEIGHTS)


def test_malformed_digest_file_is_refused(tmp_path):
    save_file(timm.create_model("resnet10t").state_dict(), tmp_path / "w.safetensors")
    (tmp_path / "w.safetensors.sha256").write_text("none")
    with pytest.raises(InputError, match=r"sha256: should begin with the sha256 of w\.safetensors"):
        load_weights(timm.create_model("resnet10t"), tmp_path / "w.safetensors")
