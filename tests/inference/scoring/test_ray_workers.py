"""Ray Data on this machine, in separate processes: killed worker, interrupt, missing file."""

import os
import secrets
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from ophis import read_manifest, read_scores
from ophis.datasets.manifest import COLUMNS
from ophis.images.test_time_augmentation import NO_TTA
from ophis.inference.scoring.ray_workers import PartScorer, WorkerSettings

linux = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="finds workers in /proc")

SCORE = """
import sys
from pathlib import Path
from ophis import read_manifest
from ophis.inference.bundles.bundle import read_bundle
from ophis.inference.scoring import score
bundle = read_bundle(sys.argv[1])
manifest = read_manifest(sys.argv[2])
score(bundle, manifest, out=Path(sys.argv[3]), ray=sys.argv[4], part_photos=8)
"""
HEAD = """
import sys
from ophis.inference.scoring.ray_cluster import cluster
with cluster("local"):
    import ray
    print(ray.get_runtime_context().gcs_address, flush=True)
    sys.stdin.read()
"""
LIMIT_SECONDS = 600


@dataclass(frozen=True)
class Head:
    """A running cluster.

    Attributes:
        address: address of the cluster.
        folder: folder by which its processes are found.
        environment: variables of the processes that connect to it.
    """

    address: str
    folder: str
    environment: dict[str, str]


@pytest.fixture
def many(coloured, tmp_path):
    """240 photos without a species, one of them a text file; two workers need some seconds."""
    rows = []
    for number in range(240):
        path = coloured.paths()[number % 36]
        rows.append({"photo": str(path.relative_to(coloured.folder)), "photo_id": f"p{number}"})
    table = pl.DataFrame(rows).with_columns(
        species=pl.lit(None, pl.String), country=pl.lit("Kenya"), observation=pl.col("photo_id")
    )
    table[100, "photo"] = "no.png"
    folder = tmp_path / "many"
    shutil.copytree(coloured.folder, folder)
    (folder / "no.png").write_text("this is text")
    manifest = replace(coloured, table=table, folder=folder)
    manifest.write(folder / "many.csv")
    return folder / "many.csv"


@pytest.fixture
def ray_folder():
    """Short, because the paths of sockets may have 107 bytes."""
    with tempfile.TemporaryDirectory(prefix="ray-", ignore_cleanup_errors=True) as folder:
        yield folder


def start(ray_folder, *words, **environment):
    """Start a process that scores with Ray, and wait for its workers or its end."""
    wait_until_idle(ray_folder)
    process = subprocess.Popen(
        [sys.executable, *(str(word) for word in words)],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        env=os.environ | {"RAY_TMPDIR": ray_folder} | environment,
    )  # fmt: skip
    while process.poll() is None and not workers(ray_folder):
        time.sleep(0.05)
    return process


def wait_until_idle(ray_folder):
    """Wait for the end of the workers of a process that has ended."""
    deadline = time.monotonic() + LIMIT_SECONDS
    while workers(ray_folder):
        assert time.monotonic() < deadline
        time.sleep(0.05)


@pytest.fixture(scope="session")
def head():
    """A cluster on the loopback, in a child process."""
    environment = {
        # Without it Ray replaces 127.0.0.1 in an address by the machine's address on the network.
        "RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER": "0",
        "RAY_AUTH_MODE": "token",
        "RAY_AUTH_TOKEN": secrets.token_hex(32),
    }
    # A short path, because the paths of sockets may have 107 bytes.
    with tempfile.TemporaryDirectory(prefix="ray-", ignore_cleanup_errors=True) as folder:
        process = subprocess.Popen(
            [sys.executable, "-c", HEAD], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
            env=os.environ | {"RAY_TMPDIR": folder} | environment,
        )  # fmt: skip
        assert process.stdout
        address = process.stdout.readline().strip()
        assert address, "the cluster did not start"
        yield Head(address, folder, environment)
        process.communicate(timeout=LIMIT_SECONDS)


def processes(ray_folder, part=b""):
    """Return the folders in /proc of processes of Ray with a word in their command."""
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            mine = f"RAY_TMPDIR={ray_folder}".encode() in (folder / "environ").read_bytes()
            if mine and part in (folder / "cmdline").read_bytes():
                found.append(folder)
        except OSError:  # the process has ended
            continue
    return found


def workers(ray_folder):
    """Return the process ids of the workers that score."""
    return [int(folder.name) for folder in processes(ray_folder, b"PartScorer")]


def addresses(ray_folder):
    """Return the hexadecimal addresses at which processes of Ray listen."""
    sockets = set()
    for folder in processes(ray_folder):
        for handle in (folder / "fd").iterdir():
            with suppress(OSError):
                sockets.add(str(handle.readlink()).removeprefix("socket:[").removesuffix("]"))
    lines = [
        line.split()
        for table in ("tcp", "tcp6")
        for line in Path(f"/proc/net/{table}").read_text().splitlines()[1:]
    ]
    listens = "0A"
    return {line[1].split(":")[0] for line in lines if line[3] == listens and line[9] in sockets}


def wait_for(folder, pattern, number, process):
    deadline = time.monotonic() + LIMIT_SECONDS
    while len(list(folder.glob(pattern))) < number:
        assert process.poll() is None, process.communicate()
        assert time.monotonic() < deadline
        time.sleep(0.02)


@linux
@pytest.mark.full
def test_scores_after_kills_and_interrupt_equal_one_process(imagenet17, many, head: Head, tmp_path):
    out = tmp_path / "scores.npz"
    parts = tmp_path / "scores.npz.parts"
    words = ("-c", SCORE, imagenet17.bundle.folder, many, out, head.address)
    process = start(head.folder, *words, **head.environment)
    wait_for(parts, "part-*.npz", 2, process)
    killed = workers(head.folder)[0]
    os.kill(killed, signal.SIGKILL)
    wait_for(parts, "part-*.npz", 12, process)
    process.send_signal(signal.SIGINT)
    process.communicate(timeout=LIMIT_SECONDS)
    wait_until_idle(head.folder)
    assert process.returncode
    assert not out.exists()
    before = {path: path.stat().st_mtime_ns for path in parts.glob("part-*.npz")}
    assert 12 <= len(before) < 30

    process = start(head.folder, *words, **head.environment)
    wait_for(parts, "part-*.npz", len(before) + 1, process)
    assert {path: path.stat().st_mtime_ns for path in before} == before
    os.kill(workers(head.folder)[0], signal.SIGKILL)
    errors = process.communicate(timeout=LIMIT_SECONDS)[1]
    assert process.returncode == 0, errors
    alone = imagenet17.score(read_manifest(many))
    scores = read_scores(out)
    assert scores.photo_ids == alone.photo_ids
    assert len(scores) == 239
    assert scores.failures == alone.failures
    np.testing.assert_array_equal(scores.logits, alone.logits)
    assert not parts.exists()


@linux
@pytest.mark.full
def test_score_with_ray_lists_bad_photos_and_listens_locally(
    imagenet17, many, ray_folder, tmp_path
):
    out = tmp_path / "scores.npz"
    process = start(
        ray_folder, "-m", "ophis", "score", imagenet17.bundle.folder, many, "--out", out,
        "--ray", "local",
    )  # fmt: skip
    wait_for(tmp_path / "scores.npz.parts", "*.attempts", 1, process)
    listening = addresses(ray_folder)
    assert listening
    assert all(address.endswith("0100007F") for address in listening)  # 127.0.0.1
    assert (
        b"RAY_USAGE_STATS_ENABLED=0"
        in (processes(ray_folder, b"raylet")[0] / "environ").read_bytes()
    )
    output, errors = process.communicate(timeout=LIMIT_SECONDS)
    assert process.returncode == 1
    assert "239 photos scored, 1 could not be read" in output
    (line,) = [line for line in errors.splitlines() if not line.startswith("[")]  # Ray's log
    assert line.startswith("ophis: ")
    assert "no.png: this is no photo" in line


def scorer(imagenet17, coloured, folder, **changes):
    folder.mkdir(exist_ok=True)
    given = {
        "bundle": imagenet17.bundle.folder, "version": imagenet17.bundle.version,
        "photos": coloured.folder, "parts": folder, "tta": NO_TTA, "threads": 1,
        "engine": "onnxruntime",
    }  # fmt: skip
    return PartScorer(WorkerSettings(**(given | changes)))


def block(manifest, number=0):
    table = manifest.table.select(COLUMNS).with_columns(species=pl.lit(None, pl.String))
    return table.with_columns(part=pl.lit(number)).to_arrow()


def test_worker_scores_and_writes_parts(imagenet17, coloured, tmp_path):
    import pyarrow as pa

    work = scorer(imagenet17, coloured, tmp_path / "parts")
    both = pa.concat_tables([block(coloured.take(np.arange(n, n + 3)), n) for n in (0, 3)])
    assert work(both) == {"photos": [3, 3], "error": ["", ""]}
    assert {path.name for path in (tmp_path / "parts").iterdir()} == {
        "part-000000.npz", "part-000003.npz",
    }  # fmt: skip


@pytest.mark.parametrize("what", ["bundle", "version", "photos", "folder", "attempts"])
def test_worker_without_its_files_returns_an_error(imagenet17, coloured, tmp_path, what):
    changes = {
        "bundle": ({"bundle": tmp_path / "nowhere"}, "nowhere"),
        "version": ({"version": "other"}, "another version"),
        "photos": ({"photos": tmp_path / "nowhere"}, "no such folder of photos"),
        "folder": ({"parts": tmp_path / "nowhere"}, "nowhere"),
        "attempts": ({}, "or one of the 36 photos from there on ends every worker"),
    }
    change, words = changes[what]
    if what == "attempts":
        (tmp_path / "parts").mkdir()
        (tmp_path / "parts" / "part-000000.attempts").write_bytes(b".....")
    answer = scorer(imagenet17, coloured, tmp_path / "parts", **change)(block(coloured))
    (error,) = answer["error"]
    assert words in error
    assert "(on machine " in error
    assert not list(tmp_path.rglob("*.npz"))


@pytest.mark.full
def test_error_of_worker_is_one_line(imagenet17, many, head: Head, tmp_path):
    bundle = tmp_path / "bundle"
    shutil.copytree(imagenet17.bundle.folder, bundle)
    vanished = "import shutil\nshutil.rmtree(sys.argv[1])\nmanifest ="
    code = SCORE.replace("manifest =", vanished)
    words = ("-c", code, bundle, many, tmp_path / "scores.npz", head.address)
    process = start(head.folder, *words, **head.environment)
    errors = process.communicate(timeout=LIMIT_SECONDS)[1]
    lines = [line for line in errors.splitlines() if "ophis.errors.InputError: " in line]
    assert len(lines) == 1, errors
    assert "(on machine " in lines[0]  # Ray's own log may come before it and after it


@pytest.mark.full
def test_ray_start_timeout_is_one_line(imagenet17, many, ray_folder, tmp_path):
    """Run in a separate process because Ray warns at import."""
    pytest.importorskip("ray", reason="ray is not installed here")
    late = """
import ray
def init(*_, **__):
    raise Exception("The current node timed out during startup.")  # as Ray does
ray.init = init
"""
    words = ("-c", late + SCORE, imagenet17.bundle.folder, many, tmp_path / "scores.npz", "local")
    process = start(ray_folder, *words)
    errors = process.communicate(timeout=LIMIT_SECONDS)[1]
    message = "Ray address 'local': Ray did not start: The current node timed out during startup.;"
    assert message in errors.splitlines()[-1]


def test_missing_ray_error_names_package(imagenet17, many, tmp_path):
    code = "import sys; sys.modules['ray'] = None; from ophis.cli import main; main(sys.argv[1:])"
    words = ["score", imagenet17.bundle.folder, many, "--out", tmp_path / "s.npz", "--ray", "local"]
    done = subprocess.run(
        [sys.executable, "-c", code, *map(str, words)], capture_output=True, text=True, check=False
    )
    assert done.returncode == 2
    assert done.stderr == "ophis: ray is not installed; pip install 'ophis[ray]'\n"
