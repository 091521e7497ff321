"""torch.compile in training. No test needs a GPU: CUDA is replaced by fakes."""

import copy
import json
import shutil
from dataclasses import replace

import pytest
import torch
from torch import nn

from ophis import InputError
from ophis.train import fit, loop, training_state
from ophis.train.batches import Batches
from ophis.train.checkpoint import load_checkpoint
from ophis.train.gradient import accumulate
from ophis.train.networks import compilation
from ophis.train.networks.compilation import compile_network, is_compiled, require_compiler
from ophis.train.processes import Processes

HAS_COMPILER = any(shutil.which(name) for name in compilation.COMPILERS)


def test_cpu_is_refused():
    with pytest.raises(InputError, match="compile needs a CUDA device, not cpu; train without it"):
        require_compiler(torch.device("cpu"))


def test_missing_triton_and_compiler_are_named_with_a_fake_cuda_device(monkeypatch):
    """The device is a name only, and the searches for Triton and a compiler are fakes."""
    monkeypatch.delenv("CC", raising=False)
    monkeypatch.setattr(compilation.util, "find_spec", lambda _: None)
    with pytest.raises(InputError, match="needs the package triton; pip install triton"):
        require_compiler(torch.device("cuda"))
    monkeypatch.setattr(compilation.util, "find_spec", lambda _: "found")
    monkeypatch.setattr(compilation.shutil, "which", lambda _: None)
    with pytest.raises(InputError, match="needs a C compiler; install gcc, or name one in CC"):
        require_compiler(torch.device("cuda"))
    monkeypatch.setattr(compilation.shutil, "which", lambda name: f"/usr/bin/{name}")
    require_compiler(torch.device("cuda"))


@pytest.mark.full
@pytest.mark.skipif(not HAS_COMPILER, reason="torch.compile needs a C compiler")
def test_compiled_gradient_equals_that_of_the_plain_network(coloured, small):
    recipe = small(mixup_alpha=1.0)
    torch.manual_seed(0)
    plain = nn.Sequential(
        nn.Conv2d(3, 8, 3, stride=4), nn.GroupNorm(2, 8), nn.ReLU(), nn.Flatten(), nn.LazyLinear(3)
    )
    plain(torch.zeros(1, 3, 32, 32))
    other = copy.deepcopy(plain)
    network = compile_network(other)
    assert is_compiled(network)
    assert not is_compiled(plain)
    cpu = Processes(torch.device("cpu"))
    losses = []
    for model in (plain, network):
        truth = coloured.truth(coloured.species_list())
        batches = Batches(recipe, coloured.paths(), truth, workers=1).micro_batches(0)
        losses.append(accumulate(model, batches, recipe, cpu, None))
    assert losses[0] == pytest.approx(losses[1], rel=1e-5)
    for own, compiled in zip(plain.parameters(), other.parameters(), strict=True):
        torch.testing.assert_close(own.grad, compiled.grad, rtol=1e-4, atol=1e-6)


def test_compiled_run_is_described_and_saved_with_a_fake_compiler(
    halves, small, tmp_path, monkeypatch
):
    """The check of the device and the compiler are fakes, so that the run goes on a CPU."""
    compiled = []

    def fake(model):
        compiled.append(model)
        return torch.compile(model, backend="eager")

    monkeypatch.setattr(loop, "require_compiler", lambda _: None)
    monkeypatch.setattr(training_state, "compile_network", fake)
    recipe = replace(small(steps=1), evaluate_every_steps=1)
    out = fit(recipe, train=halves[0], validation=halves[1], out=tmp_path / "run", compile=True)
    assert len(compiled) == 1
    assert json.loads((out / "run.json").read_text())["compiled"] is True
    saved = load_checkpoint(out)
    assert saved
    assert saved.model.keys() == compiled[0].state_dict().keys()
