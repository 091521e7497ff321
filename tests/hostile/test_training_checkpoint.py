"""Checkpoints that are damaged, truncated, or incomplete after a power failure."""

import io
import re
from pathlib import Path

import numpy as np
import pytest
import torch

from ophis import InputError
from ophis.files.atomic import whole_file
from ophis.train.checkpoint import (
    Checkpoint,
    find_checkpoint,
    load_checkpoint,
    resume_checkpoint,
    save_checkpoint,
)
from ophis.train.processes import Processes
from tests.support.power_failure import states_of

ALONE = Processes(torch.device("cpu"))


def made(step: int) -> Checkpoint:
    rng = torch.Generator().manual_seed(step)
    weights = {f"layer{n}.weight": torch.randn(40, 30, generator=rng) for n in range(6)}
    momentum = {n: {"momentum_buffer": torch.randn(40, 30, generator=rng)} for n in range(6)}
    optimiser = {"state": momentum, "param_groups": [{"lr": 0.1, "params": list(range(6))}]}
    return Checkpoint(step, "recipe", "train", weights, optimiser)


def same(a: Checkpoint, b: Checkpoint) -> bool:
    return a.step == b.step and all(torch.equal(t, b.model[name]) for name, t in a.model.items())


@pytest.fixture
def saved_twice(tmp_path):
    for step in (1, 2):
        save_checkpoint(made(step), tmp_path)
    return tmp_path


def is_accepted_by_torch(data: bytes) -> bool:
    try:
        torch.load(io.BytesIO(data), weights_only=True)
    except Exception:
        return False
    return True


def test_every_flipped_bit_and_every_truncation_is_found(saved_twice, full_size, figure):
    """The earlier checkpoint is used; torch.load alone finds few of the errors."""
    path = saved_twice / "checkpoint.pt"
    whole = path.read_bytes()
    rng = np.random.default_rng(0)
    accepted, flips = 0, 200 if full_size else 40
    # The first and the last byte, the line of the checksum, and anywhere.
    places = [0, len(whole) - 1, len(whole) - 20, len(whole) - 85]
    places += rng.integers(len(whole), size=flips - len(places)).tolist()
    for place in places:
        data = bytearray(whole)
        data[place] ^= 1 << int(rng.integers(8))
        path.write_bytes(data)
        found = find_checkpoint(saved_twice)
        assert found
        assert same(found.checkpoint, made(1)), place
        accepted += is_accepted_by_torch(bytes(data))
    for length in (0, 1, len(whole) // 2, len(whole) - 93, len(whole) - 1):
        path.write_bytes(whole[:length])
        found = find_checkpoint(saved_twice)
        assert found
        assert same(found.checkpoint, made(1)), length
    path.write_bytes(whole)
    found = find_checkpoint(saved_twice)
    assert found
    assert same(found.checkpoint, made(2))
    assert found.damage is None
    figure(f"{flips} flipped bits and 5 truncations found; torch.load alone took {accepted}")


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (lambda p: p.write_bytes(p.read_bytes()[:-1]), "is damaged (cut short, or no checkpoint)"),
        (lambda p: p.write_bytes(b"?" + p.read_bytes()[1:]), "is damaged (its checksum differs)"),
        (lambda p: p.unlink(), "is missing"),
    ],
)
def test_newest_valid_checkpoint_is_used_with_a_warning(saved_twice, caplog, damage, message):
    damage(saved_twice / "checkpoint.pt")
    line = f"{saved_twice}/checkpoint.pt {message}; going on from the one before, step 1"
    read = load_checkpoint(saved_twice)
    assert read
    assert same(read, made(1))
    assert caplog.messages == [line]
    found = resume_checkpoint(saved_twice, ALONE)
    assert found
    assert found.damage == line
    # The damaged checkpoint is removed, so that no save can replace the valid one by it.
    assert [path.name for path in saved_twice.iterdir()] == ["checkpoint.pt"]
    save_checkpoint(made(3), saved_twice)
    (saved_twice / "checkpoint.pt").unlink()
    read = load_checkpoint(saved_twice)
    assert read
    assert same(read, made(1))


def test_two_damaged_checkpoints_give_one_line(saved_twice):
    for name in ("checkpoint.pt", "checkpoint-before.pt"):
        (saved_twice / name).write_bytes(b"PK")
    words = "checkpoint.pt is damaged (cut short, or no checkpoint)"
    before = "checkpoint-before.pt is damaged (cut short, or no checkpoint)"
    end = "move them away to start anew"
    line = f"{saved_twice}/{words}, and {saved_twice}/{before}; {end}"
    for reader in (find_checkpoint, load_checkpoint):
        with pytest.raises(InputError, match=f"^{re.escape(line)}$"):
            reader(saved_twice)


def test_checkpoint_without_checksum_is_refused(tmp_path):
    torch.save(vars(made(1)), tmp_path / "checkpoint.pt")
    with pytest.raises(InputError, match=r"no checkpoint\), and .*-before.pt is missing; move"):
        load_checkpoint(tmp_path)


def test_processes_with_different_checkpoints_are_refused(saved_twice):
    class Two(Processes):
        def gather(self, mine):
            return [mine, None]

    with pytest.raises(InputError, match=r"different steps there \(2, None\); give a folder"):
        resume_checkpoint(saved_twice, Two(torch.device("cpu"), count=2))


def test_power_failure_leaves_old_or_new_checkpoint(saved_twice, tmp_path_factory, figure):
    folder = tmp_path_factory.mktemp("after")
    states = states_of(saved_twice, lambda: save_checkpoint(made(3), saved_twice))
    for is_over, state in states:
        for path in folder.iterdir():
            path.unlink()
        for name, data in state.items():
            (folder / name).write_bytes(data)
        found = find_checkpoint(folder)
        assert found
        assert found.checkpoint.step in ((3,) if is_over else (2, 3))
        assert same(found.checkpoint, made(found.checkpoint.step))
    assert len(states) > 20
    figure(f"{len(states)} states of the folder, each with the checkpoint of before or the new one")


def test_power_failure_leaves_old_or_new_file(tmp_path, figure):
    """Files written with `whole_file`: scores, recipes, species, priors."""
    path = Path(tmp_path / "scores.npz")
    path.write_bytes(b"old one")

    def write():
        with whole_file(path) as temporary:
            temporary.write_bytes(b"new one")

    states = states_of(tmp_path, write)
    for is_over, state in states:
        assert state["scores.npz"] in ((b"new one",) if is_over else (b"old one", b"new one"))
    assert {is_over for is_over, _ in states} == {False, True}
    figure(f"{len(states)} states")
