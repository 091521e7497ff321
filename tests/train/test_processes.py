"""Several processes under torchrun give the run of one, also when one of them is killed."""

import json
import os
import signal
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pytest
import torch

from ophis import InputError, read_scores
from ophis.errors import PhotoError
from ophis.train import processes
from ophis.train.checkpoint import load_checkpoint
from ophis.train.processes import Processes
from ophis.train.stop import StepInterrupted, StopRequest
from tests.support.training_process import start_training, wait_for_steps

STEPS = 12
RATE = 0.002  # low: a high rate would amplify rounding errors of the order of summation


@pytest.fixture(scope="module")
def runs(coloured, small, tmp_path_factory):
    """Run folders of the same recipe by one process and by two."""
    folders = {}
    for name, count in (("one", 1), ("two", 2)):
        folder = tmp_path_factory.mktemp(name)
        process = start_training(
            folder / "run",
            coloured,
            small(steps=STEPS, learning_rate=RATE),
            processes=count,
            folder=folder,
        )
        errors = process.communicate(timeout=600)[1]
        assert process.returncode == 0, errors
        folders[name] = folder / "run"
    return folders


def logged(run: Path, figure: str) -> list[float]:
    """Return a figure of each step; of a repeated step the last."""
    lines = [json.loads(line) for line in (run / "log.jsonl").read_text().splitlines()]
    found = {line["step"]: line[figure] for line in lines if figure in line}
    assert sorted(found) == list(range(STEPS))
    return [found[step] for step in range(STEPS)]


def weights(run: Path) -> dict[str, torch.Tensor]:
    saved = load_checkpoint(run)
    assert saved
    assert saved.step == STEPS
    return saved.model


def children(process: int) -> list[int]:
    """Processes that another one started, in the order of their ranks."""
    return [int(n) for n in Path(f"/proc/{process}/task/{process}/children").read_text().split()]


@pytest.mark.full
def test_two_processes_learn_the_weights_of_one(runs):
    """The division of micro-batches is tested in test_batches."""
    one, two = runs["one"], runs["two"]
    assert json.loads((two / "run.json").read_text())["processes"] == 2
    assert logged(two, "learning_rate") == logged(one, "learning_rate")
    losses = logged(one, "loss")
    assert logged(two, "loss") == pytest.approx(losses, rel=1e-4)
    assert max(losses) - min(losses) > 0.01  # a curve: other photos in a step would show
    for name, tensor in weights(one).items():
        assert torch.allclose(tensor, weights(two)[name], rtol=1e-4, atol=1e-5), name
    a, b = (read_scores(run / "scores.npz") for run in (one, two))
    assert a.photo_ids == b.photo_ids
    np.testing.assert_allclose(a.logits, b.logits, atol=1e-4)
    assert a.ood_score is not None
    assert b.ood_score is not None
    np.testing.assert_allclose(a.ood_score, b.ood_score, rtol=1e-2)


JOIN = """
import runpy
Processes = runpy.run_path(%r)["Processes"]
processes = Processes.from_environment("cpu")
print("here", flush=True)
with processes:
    print(processes.total(processes.rank + 1))
"""


@pytest.fixture
def joining():
    """Return a function that starts a process, which joins another one through a fake torchrun."""
    kept = torch.distributed.TCPStore("127.0.0.1", 0, is_master=True, wait_for_workers=False)

    def start(rank, attempt):
        environment = os.environ | {
            "RANK": str(rank), "WORLD_SIZE": "2", "MASTER_ADDR": "127.0.0.1",
            "MASTER_PORT": str(kept.port), "TORCHELASTIC_USE_AGENT_STORE": "True",
            "TORCHELASTIC_RESTART_COUNT": attempt,
        }  # fmt: skip
        process = subprocess.Popen(
            [sys.executable, "-c", JOIN % processes.__file__], stdout=subprocess.PIPE,
            stderr=subprocess.PIPE, text=True, env=environment,
        )  # fmt: skip
        assert process.stdout
        assert process.stdout.readline() == "here\n"
        return process

    return start


@pytest.mark.full
def test_restart_does_not_use_addresses_of_ended_processes(joining):
    """The first start leaves addresses in the store; in the second a process is late."""
    for attempt in "01":
        both = [joining(rank, attempt) for rank in (1, 0)]
        outputs = [process.communicate(timeout=600) for process in both]
        assert [printed for printed, _ in outputs] == ["3.0\n", "3.0\n"], outputs


def test_restarts_on_several_machines_need_new_stores(monkeypatch):
    monkeypatch.setenv("TORCHELASTIC_USE_AGENT_STORE", "True")
    monkeypatch.setenv("TORCHELASTIC_MAX_RESTARTS", "3")
    monkeypatch.setenv("GROUP_WORLD_SIZE", "2")
    monkeypatch.setenv("WORLD_SIZE", "2")
    with pytest.raises(InputError, match="set TORCH_DISABLE_SHARE_RDZV_TCP_STORE=1"):
        Processes.from_environment("cpu").__enter__()


@dataclass
class Both(Processes):
    """This process, and another one that stops or not."""

    other_stops: bool = False
    received: list[bool] = field(default_factory=list)

    def any(self, *, here: bool) -> bool:
        self.received.append(here)
        return here or self.other_stops


def test_all_processes_leave_the_step_when_one_cannot_read_a_photo():
    """A process that went on would wait for the others in the next exchange."""

    def unreadable():
        raise PhotoError("a.jpg: this is no photo")
        yield

    cpu = torch.device("cpu")
    here = Both(cpu)
    with pytest.raises(StepInterrupted) as interruption:
        StopRequest(Path("run"), 1).next_batch(unreadable(), here)
    assert here.received == [True]
    assert str(interruption.value.photo) == "a.jpg: this is no photo"
    with pytest.raises(StepInterrupted) as interruption:
        StopRequest(Path("run"), 1).next_batch(iter(["batch"]), Both(cpu, other_stops=True))
    assert interruption.value.photo is None
    assert StopRequest(Path("run"), 1).next_batch(iter(["batch"]), Both(cpu)) == "batch"


def test_statistics_are_averaged_except_in_frozen_layers(monkeypatch):
    model = torch.nn.Sequential(torch.nn.BatchNorm2d(2), torch.nn.BatchNorm2d(2))
    model[0].eval()
    monkeypatch.setattr(processes, "_sum", lambda tensor: tensor.add_(2))  # two others have 1
    Processes(torch.device("cpu"), count=3).average_statistics(model)
    assert model[0].running_mean.tolist() == [0, 0]
    assert model[1].running_mean.tolist() == pytest.approx([2 / 3, 2 / 3])
    assert model[1].running_var.tolist() == [1, 1]


@pytest.mark.full
@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="finds processes in /proc")
def test_killed_run_ends_with_the_weights_of_an_undisturbed_one(runs, coloured, small, tmp_path):
    """kill -9 of the leading process, then of the other one."""
    out = tmp_path / "run"
    process = start_training(
        out,
        coloured,
        small(steps=STEPS, learning_rate=RATE),
        processes=2,
        save_every=0,
        folder=tmp_path,
    )
    for rank, steps in ((0, 2), (1, 5)):
        wait_for_steps(out, steps, process)
        os.kill(children(process.pid)[rank], signal.SIGKILL)
    errors = process.communicate(timeout=600)[1]
    assert process.returncode == 0, errors
    assert errors.count("going on from step") == 2, errors
    assert "Traceback" not in errors
    undisturbed = weights(runs["two"])
    for name, tensor in weights(out).items():
        assert torch.equal(tensor, undisturbed[name]), name
    assert logged(out, "loss") == logged(runs["two"], "loss")
    assert not list(out.glob(".checkpoint*"))
