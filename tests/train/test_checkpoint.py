"""Checks of a checkpoint, with tensors of a few numbers; damage is in tests/hostile."""

import dataclasses
import os
import re
from errno import EACCES, EIO
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
from torch import nn

from ophis import InputError, read_recipe
from ophis.train import checkpoint as module
from ophis.train.checkpoint import (
    Checkpoint,
    damage_of,
    find_checkpoint,
    load_checkpoint,
    require_same_run,
    restore,
    resume_checkpoint,
    save_checkpoint,
)
from ophis.train.gradient import require_finite
from ophis.train.processes import Processes

ENDING = '; the last checkpoint stands; try a lower learning_rate or precision = "float32"'


def small(step: int = 1) -> Checkpoint:
    return Checkpoint(step, "recipe", "train", {"weight": torch.ones(3)}, {"state": {}})


class Follower(Processes):
    """A process that does not lead, beside one that found the same checkpoint."""

    leads = False

    def gather(self, mine):
        return [mine, mine]


def test_folder_without_checkpoint_gives_none(tmp_path):
    assert find_checkpoint(tmp_path) is None
    assert load_checkpoint(tmp_path) is None
    assert resume_checkpoint(tmp_path, Processes(torch.device("cpu"))) is None


def test_checkpoint_reads_back_on_the_cpu(tmp_path):
    path = save_checkpoint(small(), tmp_path)
    assert path == tmp_path / "checkpoint.pt"
    found = find_checkpoint(tmp_path)
    assert found
    assert (found.path, found.damage) == (path, None)
    read, expected = vars(found.checkpoint), vars(small())
    assert read.pop("model")["weight"].tolist() == expected.pop("model")["weight"].tolist()
    assert read == expected


def test_checkpoint_is_the_archive_and_a_line(tmp_path):
    data = save_checkpoint(small(), tmp_path).read_bytes()
    assert re.fullmatch(rb"PK.*\nophis checkpoint 2 sha256 [0-9a-f]{64}\n", data, re.DOTALL)


def test_checksum_is_computed_in_parts(tmp_path, monkeypatch):
    path = save_checkpoint(small(), tmp_path)
    lengths, read = [], module._chunks

    def measured(file, size):
        for chunk in read(file, size):
            lengths.append(len(chunk))
            yield chunk

    monkeypatch.setattr(module, "_CHUNK_BYTES", 100)
    monkeypatch.setattr(module, "_chunks", measured)
    assert damage_of(path) is None
    assert max(lengths) == 100
    assert sum(lengths) == path.stat().st_size - 92
    monkeypatch.setattr(module, "_CHUNK_BYTES", path.stat().st_size - 93)
    assert damage_of(path) is None  # the last part is one byte
    data = bytearray(path.read_bytes())
    data[150] ^= 1
    path.write_bytes(data)
    assert damage_of(path) == "is damaged (its checksum differs)"


def test_save_removes_files_of_killed_processes(tmp_path):
    (tmp_path / ".checkpoint.pt.1").write_bytes(b"partial")
    (tmp_path / ".other.pt.1").write_bytes(b"other")
    save_checkpoint(small(), tmp_path)
    assert sorted(path.name for path in tmp_path.iterdir()) == [".other.pt.1", "checkpoint.pt"]


def test_followers_leave_the_files_to_the_leader(tmp_path):
    for step in (1, 2):
        save_checkpoint(small(step), tmp_path)
    (tmp_path / "checkpoint.pt").write_bytes(b"damaged")
    found = resume_checkpoint(tmp_path, Follower(torch.device("cpu"), count=2))
    assert found
    assert found.path == tmp_path / "checkpoint-before.pt"
    assert found.path.exists()


def test_unreadable_checkpoint_is_damaged_or_forbidden(tmp_path, monkeypatch):
    def failing(number):
        def read(*_):
            raise OSError(number, os.strerror(number))
            yield b""

        return read

    path = save_checkpoint(small(), tmp_path)
    assert damage_of(tmp_path / "none.pt") == "is missing"
    assert damage_of(tmp_path) == "is damaged (cannot be read: Is a directory)"
    monkeypatch.setattr(module, "_chunks", failing(EIO))
    assert damage_of(path) == "is damaged (cannot be read: Input/output error)"
    monkeypatch.setattr(module, "_chunks", failing(EACCES))
    with pytest.raises(InputError, match=r"checkpoint\.pt: cannot be read: Permission denied$"):
        find_checkpoint(tmp_path)


def test_checkpoint_of_another_version_is_refused(tmp_path, monkeypatch):
    monkeypatch.setattr("builtins.vars", lambda _: {"step": 1, "weights": 2}, raising=False)
    save_checkpoint(small(), tmp_path)
    monkeypatch.undo()
    assert damage_of(tmp_path / "checkpoint.pt") is None
    words = r"checkpoint\.pt: not a checkpoint of this ophis: .*[Ww]eights.*; move it away to"
    with pytest.raises(InputError, match=words):
        find_checkpoint(tmp_path)


class Planted:
    """Object whose unpickling creates a file."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self):
        return Path.touch, (self.path,)


def test_checkpoint_with_valid_checksum_executes_no_pickle(tmp_path):
    planted = tmp_path / "planted"
    save_checkpoint(dataclasses.replace(small(), optimiser={"state": Planted(planted)}), tmp_path)
    assert damage_of(tmp_path / "checkpoint.pt") is None
    with pytest.raises(InputError, match="not a checkpoint of this ophis"):
        find_checkpoint(tmp_path)
    assert not planted.exists()


def test_full_disk_is_reported_with_the_bytes(tmp_path):
    resource = pytest.importorskip("resource")
    size = save_checkpoint(small(), tmp_path).stat().st_size
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1000, limits[1]))
    try:
        with pytest.raises(InputError) as error:
            save_checkpoint(small(2), tmp_path)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert str(error.value) == (
        f"{tmp_path}/checkpoint.pt: could not be written: File too large ({size:,} bytes needed,"
        " 1,000 written); the checkpoint before stands; free space, and the same command goes on"
        " from it"
    )
    assert [path.name for path in tmp_path.iterdir()] == ["checkpoint.pt"]
    found = find_checkpoint(tmp_path)
    assert found
    assert found.checkpoint.step == 1


def test_file_that_cannot_be_synced_is_no_checkpoint(tmp_path, monkeypatch):
    def fails(_: Path) -> None:
        raise OSError(EIO, "Input/output error")

    save_checkpoint(small(), tmp_path)
    monkeypatch.setattr(module, "sync", fails)
    with pytest.raises(InputError, match="could not be written: Input/output error"):
        save_checkpoint(small(2), tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["checkpoint.pt"]


def test_run_of_another_recipe_or_of_other_photos_is_refused(tmp_path):
    recipe = read_recipe("demo")
    saved = dataclasses.replace(small(), recipe_sha256=recipe.sha256())
    require_same_run(saved, recipe, "train", tmp_path)
    words = "{} holds a run of another {}; choose another run folder"
    for wrong, train, other in (
        (small(), "train", "recipe"),
        (small(), "others", "recipe"),
        (saved, "others", "training manifest"),
    ):
        with pytest.raises(InputError) as error:
            require_same_run(wrong, recipe, train, tmp_path)
        assert str(error.value) == words.format(tmp_path, other)


def test_checkpoint_beyond_the_recipe_is_refused(tmp_path):
    recipe = read_recipe("demo")
    saved = dataclasses.replace(small(), recipe_sha256=recipe.sha256(), step=10**12)
    with pytest.raises(InputError, match=r"checkpoint is of step 1,000,000,000,000 of [0-9,]+;"):
        require_same_run(saved, recipe, "train", tmp_path)


@pytest.mark.parametrize(
    "wrong",
    [{"step": -1}, {"step": "1"}, {"step": True}, {"step": 1.5}, {"step": None}],
)
def test_checkpoint_with_valid_checksum_and_wrong_step_is_refused(tmp_path, wrong):
    content = vars(small()) | wrong
    save_checkpoint(SimpleNamespace(**content), tmp_path)
    with pytest.raises(InputError, match=r"checkpoint\.pt: step = .*; move it away"):
        find_checkpoint(tmp_path)


@pytest.mark.parametrize(
    "wrong",
    [
        {"model": {}}, {"model": None}, {"model": {"weight": "x", "bias": torch.zeros(2)}},
        {"optimiser": {}}, {"optimiser": [1]}, {"optimiser": {"state": 3, "param_groups": 4}},
        {"optimiser": "buffer"},
    ],
)  # fmt: skip
def test_states_that_do_not_fit_the_network_are_refused(wrong):
    model = nn.Linear(2, 2)
    optimiser = torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9)
    right = {"model": model.state_dict(), "optimiser": optimiser.state_dict()}
    restore(dataclasses.replace(small(), **right), model, optimiser)
    if wrong == {"optimiser": "buffer"}:
        state = {0: {"momentum_buffer": torch.zeros(3)}}
        wrong = {"optimiser": optimiser.state_dict() | {"state": state}}
    with pytest.raises(InputError, match=r"^checkpoint\.pt: .*; move it away to start anew"):
        restore(dataclasses.replace(small(), **(right | wrong)), model, optimiser)


@pytest.mark.parametrize("value", [float("nan"), float("inf"), -float("inf")])
def test_weights_that_are_not_finite_are_refused(value):
    model = nn.Sequential(nn.Linear(2, 2), nn.BatchNorm1d(2))
    optimiser = torch.optim.AdamW(model.parameters())
    require_finite(model, optimiser, 1)
    with torch.no_grad():
        model.get_buffer("1.running_mean")[1] = value
    with pytest.raises(InputError) as error:
        require_finite(model, optimiser, 1234)
    assert str(error.value) == f"step 1,234: 1.running_mean is no longer finite{ENDING}"


@pytest.mark.parametrize("value", [float("nan"), float("inf"), -float("inf")])
def test_optimiser_state_that_is_not_finite_is_refused(value):
    model = nn.Linear(2, 2)
    optimiser = torch.optim.AdamW(model.parameters())
    model(torch.ones(1, 2)).sum().backward()
    optimiser.step()
    state = optimiser.state[model.bias]
    state["note"] = None  # values of other types are not checked
    require_finite(model, optimiser, 1)
    state["exp_avg_sq"][1] = value
    with pytest.raises(InputError) as error:
        require_finite(model, optimiser, 5)
    assert str(error.value) == f"step 5: the optimiser's exp_avg_sq is no longer finite{ENDING}"
