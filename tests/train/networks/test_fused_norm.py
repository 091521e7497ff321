"""The Triton kernels, run on a processor by Triton's interpreter, in a process of their own."""

import json
import os
import subprocess
import sys
from importlib import util
from pathlib import Path

import pytest
import torch
from timm.layers import GroupNormAct
from torch import nn

from ophis import InputError
from ophis.train.networks import fused_norm
from ophis.train.networks.fused_norm import fused_norms, require_fused_norms
from ophis.train.networks.group_norm import fast_group_norm

SCRIPT = Path(__file__).with_name("interpreted_norm.py")


@pytest.fixture(scope="module")
def told():
    if util.find_spec("triton") is None:
        pytest.skip("triton is not here, so the fused norm cannot be tried")
    done = subprocess.run(
        [sys.executable, str(SCRIPT)],
        env=os.environ | {"TRITON_INTERPRET": "1"}, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


@pytest.mark.slow
def test_outputs_and_gradients_are_those_of_torch_in_float64(told):
    assert len(told["cases"]) == 21
    beyond = {name: errors for name, errors in told["cases"].items() if max(errors.values()) > 1}
    assert not beyond


@pytest.mark.slow
def test_what_is_no_number_is_not_hidden_by_the_relu(told):
    assert told["lost numbers"] == 4


@pytest.mark.slow
def test_a_network_learns_the_same_with_fused_norms(told):
    network = told["network"]
    assert network["norms"] == 13
    assert network["others"] == 0
    assert network["left behind"] == 0
    assert network["differs at all"] > 0  # the kernels really ran
    assert network["difference"] < 1e-5


def test_fused_norms_stay_fused_inside_a_step():
    model = nn.Sequential(
        GroupNormAct(4, num_groups=2), GroupNormAct(4, num_groups=2, drop_layer=nn.Dropout)
    )
    with fused_norms(model) as norms:
        fused = vars(model[0])["forward"]
        with fast_group_norm(model):
            assert vars(model[0])["forward"] is fused
            assert "forward" in vars(model[1])  # dropout: not fused, and so the processor's
        assert vars(model[0])["forward"] is fused
    assert norms == 1
    assert not any("forward" in vars(module) for module in model)


def test_where_the_kernel_cannot_run_it_is_refused_in_a_line(monkeypatch):
    with pytest.raises(InputError, match="need a CUDA device, not cpu"):
        require_fused_norms(torch.device("cpu"))
    monkeypatch.setattr(fused_norm.util, "find_spec", lambda name: None)
    with pytest.raises(InputError, match="pip install triton"):
        require_fused_norms(torch.device("cuda"))
