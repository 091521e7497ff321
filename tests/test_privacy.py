"""Tests of privacy: no command reports to the makers of dependencies or leaves identifiers."""

import os
import re
import shutil
import signal
import subprocess
import sys
import time
from importlib.util import find_spec
from pathlib import Path

import pytest

import ophis
from ophis.cli import COMMANDS
from tests.support.docs_pages import ENGINE

PAGE = Path(__file__).parents[1] / "docs" / "privacy.md"
# Addresses of other machines, name servers included, in the calls that strace prints; and the
# socket by which a machine with systemd looks names up.
OUTSIDE = re.compile(
    r'sa_family=AF_INET6?.*?inet_(?:addr|pton)\([^"]*"(?!127\.|::1"|::ffff:127\.)'
    r"|io\.systemd\.Resolve"
)
OPHIS = (sys.executable, "-m", "ophis")
# Every command but `serve`, which has a test of its own, and `demo`, which runs others of them.
CALLS = (
    "sample sample --count 36",
    "collect sample/manifest.csv --out collected.csv",
    "split sample/manifest.csv --out .",
    "pack train.csv --out packed --pixels 64",
    "train tiny.toml --train train.csv --validation validation.csv --out run",
    "export run --out bundle",
    "identify bundle sample/photos/synthetic-00001.jpg --country Kenya --at -1.29,36.82 --gps",
    "web bundle page.html --single-file",
    "score bundle validation.csv --out s.npz",
    "score bundle validation.csv --out o.npz --engine openvino",
    "score bundle validation.csv --out r.npz --ray local",
    "quantise bundle --train train.csv --validation validation.csv --out q --most-loss 100",
    "combine bundle --tta flip --validation validation.csv --out combined",
    "fit-prior train.csv --out p.toml",
    "near 27.0,84.8667 --prior bundle",
    "card bundle",
    "evaluate s.npz --out figures",
    "study tiny.toml tiny.toml --train train.csv --validation validation.csv --out study",
    "compare study/a study/b --manifest validation.csv --out compared.html",
    "species-map records.csv Naja~naja --out map.svg",
    "submit s.npz --style aicrowd2020 --out submission.csv",
    "check-submission submission.csv",
    "read-submissions named.csv --truth truth.csv --out read",
    "aicrowd bundle",
    "doctor",
    "completion bash",
)


def environment(home: Path) -> dict[str, str]:
    """Return an environment with an empty home folder and without any setting."""
    shutil.rmtree(home, ignore_errors=True)
    home.mkdir()
    own = {"PATH": os.environ["PATH"], "PYTHONPATH": str(Path(ophis.__file__).parents[1])}
    test = {"IMAGES": "sample/photos", "METADATA": "m.csv", "PREDICTIONS_OUTPUT": "predicted.csv"}
    hidden = {f"AICROWD_{'' if n.startswith('P') else 'TEST_'}{n}_PATH": p for n, p in test.items()}
    return {**own, **hidden, "HOME": str(home)}


def traced(calls: Path, *words: object) -> list[str]:
    """Return a command of ophis under strace, where there is one."""
    calls_of = "trace=connect,sendto,sendmsg,sendmmsg"
    trace = ("strace", "-f", "--seccomp-bpf", "-qq", "-e", calls_of, "-o", calls)
    return list(map(str, (*(trace if shutil.which("strace") else ()), *OPHIS, *words)))


def traces(folder: Path) -> str:
    """Return the files in the home folder, and the calls to other machines."""
    files = [str(path.relative_to(folder)) for path in (folder / "home").rglob("*")]
    calls = folder / "calls"
    lines = calls.read_text(errors="replace").splitlines() if calls.exists() else []
    return "\n".join((*files, *filter(OUTSIDE.search, lines)))


def run(folder: Path, *words: object) -> str:
    """Run a command in the folder, and return its traces."""
    done = subprocess.run(
        traced(folder / "calls", *words), env=environment(folder / "home"), cwd=folder,
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, f"{words}\n{done.stdout}\n{done.stderr}"
    return traces(folder)


def test_identify_leaves_no_trace(imagenet17, synthetic_photo, tmp_path):
    assert not run(tmp_path, "identify", imagenet17.bundle.folder, synthetic_photo)


def can_run(call: str) -> bool:
    """Return True if the extra of a call is installed."""
    needs = {"openvino": "openvino", "ray": "ray"}
    extras = [module for word, module in needs.items() if word in call]
    return all(map(find_spec, extras)) and bool(ENGINE or not call.startswith("web"))


@pytest.mark.full
def test_no_command_leaves_a_trace(tmp_path, small):
    (tmp_path / "tiny.toml").write_text(small(steps=2).to_toml())
    (tmp_path / "m.csv").write_text("hashed_id,country\nsynthetic-00001,Kenya\n")
    records = "species,latitude,longitude\nNaja naja,27.71,85.32\n"
    (tmp_path / "records.csv").write_text(records)
    for name in ("named.csv", "truth.csv"):
        (tmp_path / name).write_text("uuid,species\n1,Naja naja\n2,Bitis arietans\n")
    names = {command.__name__.replace("_", "-") for group in COMMANDS.values() for command in group}
    assert {call.split()[0] for call in CALLS} == names - {"serve", "demo"}
    left: dict[str, str] = {}
    for call in filter(can_run, CALLS):
        left[call] = run(tmp_path, *(word.replace("~", " ") for word in call.split()))
    assert {call: found for call, found in left.items() if found} == {}


@pytest.mark.full
def test_service_leaves_no_trace(imagenet17, tmp_path):
    words = traced(tmp_path / "calls", "serve", imagenet17.bundle.folder, "--port", 0)
    log = tmp_path / "log"
    with log.open("wb") as file, subprocess.Popen(
        words, env=environment(tmp_path / "home"), stderr=file, start_new_session=True
    ) as process:  # fmt: skip
        deadline = time.monotonic() + 300
        while "listening" not in log.read_text() and time.monotonic() < deadline:
            time.sleep(0.1)
        os.killpg(process.pid, signal.SIGTERM)
        assert process.wait(300) == 0
    assert "listening" in log.read_text()
    assert not traces(tmp_path)


@pytest.mark.parametrize(("line", "outside"), [
    ('connect(3, {sa_family=AF_INET, sin_addr=inet_addr("8.8.8.8")}, 16)', True),
    ('connect(3, {sa_family=AF_INET6, inet_pton(AF_INET6, "2001:db8::1", &a)}, 28)', True),
    ('connect(3, {sa_family=AF_UNIX, sun_path="/run/systemd/resolve/io.systemd.Resolve"}', True),
    ('connect(3, {sa_family=AF_INET, sin_addr=inet_addr("127.0.0.1")}, 16)', False),
    ('connect(3, {sa_family=AF_INET6, inet_pton(AF_INET6, "::ffff:127.0.0.1", &a)}, 28)', False),
    ('connect(3, {sa_family=AF_UNIX, sun_path="/var/run/nscd/socket"}, 110)', False),
])  # fmt: skip
def test_calls_to_other_machines_are_found(line, outside):
    assert bool(OUTSIDE.search(line)) is outside


def test_value_of_the_user_stays():
    code = "import ophis, os; print(os.environ['HF_HUB_DISABLE_TELEMETRY'])"
    environment = os.environ | {"HF_HUB_DISABLE_TELEMETRY": "0"}
    done = subprocess.run(
        [sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True
    )
    assert done.stdout == "0\n"


def test_openvino_finds_no_module_to_report_by():
    code = "import ophis, openvino_telemetry"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.stderr.splitlines()[-1].startswith("ModuleNotFoundError")


def test_page_lists_every_switch():
    text = PAGE.read_text(encoding="utf-8")
    for name, value in ophis.NO_TELEMETRY.items():
        assert f"`{name}={value}`" in text
