"""The GPU benchmark's own parts, on a processor; what it measures is measured by running it."""

import json
import subprocess
import sys
from contextlib import nullcontext
from pathlib import Path

import pytest
import torch
from gpu_figures import Figures, First, markdown, measure
from gpu_peer import Peer
from gpu_steps import REFERENCE, Captured, Eager, Way
from gpu_work import Work, peak

SCRIPT = Path(__file__).parents[1] / "benchmarks" / "gpu.py"
CPU = torch.device("cpu")


def run(*options):
    command = [sys.executable, str(SCRIPT), *map(str, options)]
    return subprocess.run(command, capture_output=True, text=True, check=False)


@pytest.fixture(scope="module")
def work():
    return Work("bit_r14_half", 5, 32, 2, 2, CPU)


@pytest.fixture(scope="module")
def exact(work):
    return First.of(REFERENCE.begin(work))


@pytest.mark.slow
def test_every_part_that_needs_no_gpu_runs(tmp_path):
    done = run("--tiny", "--out", tmp_path / "out")
    assert done.returncode == 0, done.stderr
    found = {p.stem: json.loads(p.read_text()) for p in (tmp_path / "out").glob("*.json")}
    assert sorted(found) == ["gpu-steps", "gpu-turns", "gpu-whole"]
    steps = {row["name"]: row for row in found["gpu-steps"]}
    assert {"ophis train", "eager, contiguous", "float32 eager"} < steps.keys()
    assert all(row["photos_per_second"] > 0 for row in steps.values())
    assert steps["float32 eager"]["gradient_difference"] == 0
    assert steps["ophis train"]["gradient_difference"] > 0
    # Whichever of the two was faster this time: `eager` may be, for four photos.
    work, _, way = found["gpu-turns"][0]["work"].partition(", ")
    assert work == "a step of 4 photos"
    assert way in {"ophis train", "eager, contiguous"}
    assert [row["failure"] for row in found["gpu-whole"]] == ["", ""]
    tables = (tmp_path / "out" / "gpu-steps.md").read_text()
    assert "| ophis train |" in tables


@pytest.mark.skipif(torch.cuda.is_available(), reason="here is a CUDA device")
def test_without_a_gpu_it_says_so_in_a_line(tmp_path):
    done = run("--out", tmp_path / "out")
    assert done.returncode == 2
    assert done.stderr.startswith("gpu: no CUDA device here; --tiny")
    assert done.stderr.count("\n") == 1
    assert not (tmp_path / "out").exists()


def test_a_step_and_timms_compute_the_same(work, exact):
    ours = First.of(Way("", "eager", "float32").begin(work))
    torch.testing.assert_close(ours.gradient, exact.gradient, rtol=1e-3, atol=1e-5)
    half, theirs = First.of(Way("", "product").begin(work)), First.of(Peer(work))
    assert half.loss == pytest.approx(exact.loss, rel=0.02)
    assert theirs.loss == pytest.approx(half.loss, rel=0.002)
    assert float((theirs.gradient - half.gradient).norm() / half.gradient.norm()) < 0.05


def test_a_captured_step_adds_up_what_an_eager_one_does(work, monkeypatch):
    """The graph is played: each replay does what was captured."""
    way = Way("", "captured", "float32", last=False)
    begun = []

    class Played(Captured):
        def __init__(self, *arguments):
            begun.append(self)
            super().__init__(*arguments)

    class Graph:
        def replay(self):
            begun[0].capture()

    class Stream:
        def __init__(self, *_):
            pass

        def wait_stream(self, _):
            pass

    monkeypatch.setattr(torch.cuda, "Stream", Stream)
    monkeypatch.setattr(torch.cuda, "current_stream", Stream)
    monkeypatch.setattr(torch.cuda, "stream", nullcontext)
    monkeypatch.setattr(torch.cuda, "CUDAGraph", Graph)
    monkeypatch.setattr(torch.cuda, "graph", lambda *_, **__: nullcontext())
    captured, eager = Played(way, work), Eager(way, work)
    for _ in range(2):  # the second with changed weights and what the first left behind
        a, b = First.of(captured), First.of(eager)
        assert a.loss == pytest.approx(b.loss, rel=1e-6)
        torch.testing.assert_close(a.gradient, b.gradient, rtol=1e-4, atol=1e-7)
        for step in (captured, eager):
            for group in step.optimiser.param_groups:
                group["lr"] = 0.1
            step.update()


def test_a_failure_is_a_line_and_the_next_goes_on(work, exact):
    def begin():
        raise MemoryError("no room\nmore words")

    failed = measure("big", begin, work, steps=1)
    assert failed == Figures("big", failure="MemoryError: no room")
    assert "| big | MemoryError: no room |" in markdown([failed])
    fused = measure("fused", lambda: Way("", "product", fused=True).begin(work), work, steps=1)
    assert "fused norms need a CUDA device" in fused.failure
    good = measure("good", lambda: REFERENCE.begin(work), work, steps=1, reference=exact)
    assert good.gradient_difference == 0
    assert good.photos_per_second


def test_work_is_counted_and_peaks_are_known_by_name(monkeypatch):
    paper = Work("resnetv2_50x1_bit", 783, 456, 32, 16, CPU)
    assert paper.photos == 512
    assert paper.photo_gflop == pytest.approx(104.8, rel=0.005)
    assert peak(CPU) is None
    names = {"NVIDIA H100 80GB HBM3": 989.4, "NVIDIA H100 PCIe": 756.4, "NVIDIA A100-SXM4": 312}
    for name, expected in names.items():
        monkeypatch.setattr(torch.cuda, "get_device_name", lambda _, n=name: n)
        known = peak(torch.device("cuda"))
        assert known
        assert known[0] == expected
