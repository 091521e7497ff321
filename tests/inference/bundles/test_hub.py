"""Bundles of the Hugging Face Hub, against a local stub server."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from ophis import InputError, SpeciesList
from ophis.inference.bundles.bundle import read_bundle
from ophis.inference.bundles.hub import fetch
from tests.support.hub_stub import COMMIT, stub_of_the_hub
from tests.support.made_bundle import write_made_bundle

pytest.importorskip("huggingface_hub", reason="the Hub's client is not here (extra hub)")
SPECIES = SpeciesList(("Naja naja", "Boa constrictor", "Vipera berus"))


@pytest.fixture(scope="module")
def place(tmp_path_factory) -> Path:
    """Bundles as repositories, with files not needed for answers; one of them is changed."""
    folder = tmp_path_factory.mktemp("hub")
    write_made_bundle(folder / "good", SPECIES)
    (folder / "good" / "model.safetensors").write_bytes(b"large")
    shutil.copytree(folder / "good", folder / "changed")
    (folder / "changed" / "species.csv").write_text("species\nBoa boa\n")
    shutil.copytree(folder / "good", folder / "half")
    (folder / "half" / "model.onnx").unlink()
    (folder / "none").mkdir()
    (folder / "none" / "README.md").write_text("no bundle")
    index = json.loads((folder / "good" / "bundle.json").read_text())
    (folder / "both").mkdir()
    shutil.copytree(folder / "good", folder / "both" / "member-1")
    shutil.copy(folder / "good" / "species.csv", folder / "both")
    files = {"species.csv": index["files"]["species.csv"]}
    version = read_bundle(folder / "good").version
    both = {"format": 1, "files": files, "members": {"member-1": version}}
    (folder / "both" / "bundle.json").write_text(json.dumps(both))
    return folder


def ophis(*arguments: object, hub: str, cache: Path, **environment: str):
    """Run `ophis` in a new process: the Hub's client reads its address at import."""
    settings = {"HF_ENDPOINT": hub, "HF_HOME": str(cache), "HF_HUB_DISABLE_TELEMETRY": "1"}
    return subprocess.run(
        [sys.executable, "-m", "ophis", *map(str, arguments)],
        capture_output=True,
        text=True,
        check=False,
        env=os.environ | settings | environment,
    )


def refused(done: subprocess.CompletedProcess[str]) -> str:
    assert done.returncode == 2, done.stdout + done.stderr
    assert done.stdout == ""
    assert done.stderr.count("\n") == 1, done.stderr
    return done.stderr


def test_bundle_is_fetched_once_verified_and_cached(place, coloured, tmp_path):
    photo = coloured.paths()[0]
    with stub_of_the_hub({"owner/name": place / "good"}) as (hub, requests):
        for name in ("hf://owner/name", "hf://owner/name@v1", f"hf://owner/name@{COMMIT}"):
            done = ophis("identify", name, photo, "--json", hub=hub, cache=tmp_path)
            assert done.returncode == 0, done.stderr
            version = read_bundle(place / "good").version
            assert json.loads(done.stdout)["bundle"] == version
        # Files not needed for answers are not fetched, and nothing is fetched twice.
        assert sorted(requests) == ["bundle.json", "images.json", "model.onnx", "species.csv"]
    for offline in ({"HF_HUB_OFFLINE": "1"}, {}):  # by setting, and with no server at the address
        done = ophis("identify", "hf://owner/name", photo, hub=hub, cache=tmp_path, **offline)
        assert done.returncode == 0, done.stderr


def test_members_of_an_ensemble_are_fetched(place, coloured, tmp_path):
    revisions: set[str] = set()
    with stub_of_the_hub({"owner/both": place / "both"}, revisions) as (hub, requests):
        done = ophis("identify", "hf://owner/both", coloured.paths()[0], hub=hub, cache=tmp_path)
    assert done.returncode == 0, done.stderr
    assert "member-1/model.onnx" in requests
    assert "member-1/README.md" not in requests
    # All files after the index come from its commit, even if another is pushed meanwhile.
    assert revisions == {"main", COMMIT}
    assert requests[0] == "bundle.json"


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("hf://owner/gone", "hf://owner/gone: there is no such repository"),
        ("hf://owner/good@v9", "there is no such revision; leave out what follows the @"),
        ("hf://owner/none", "it is no bundle of ophis: bundle.json is not there"),
        ("hf://owner/half", "model.onnx is not there"),
        ("hf://owner/changed", "species.csv: its checksum differs from bundle.json"),
        ("hf://owner", "should be hf://owner/name or hf://owner/name@revision"),
        ("hf://a/b/../c", "should be hf://owner/name or hf://owner/name@revision"),
    ],
)
def test_fetch_errors_are_one_line(place, tmp_path, name, words):
    repositories = {f"owner/{p.name}": p for p in place.iterdir()}
    with stub_of_the_hub(repositories) as (hub, _):
        assert words in refused(ophis("identify", name, "a.jpg", hub=hub, cache=tmp_path))


NO_SERVER = "http://127.0.0.1:9"  # no server listens there
UNREACHABLE = "the Hub cannot be reached, and bundle.json is not kept here"


def test_offline_mode_without_cached_copy_is_an_error(tmp_path):
    done = ophis("identify", "hf://owner/name", "a.jpg", hub=NO_SERVER, cache=tmp_path,
                 HF_HUB_OFFLINE="1")  # fmt: skip
    assert UNREACHABLE in refused(done)


def test_unreachable_hub_without_cached_copy_is_an_error(tmp_path, monkeypatch, capsys):
    from huggingface_hub import constants

    address = constants.HUGGINGFACE_CO_URL_TEMPLATE.replace(constants.ENDPOINT, NO_SERVER)
    monkeypatch.setattr(constants, "HUGGINGFACE_CO_URL_TEMPLATE", address)
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path))
    monkeypatch.setattr("time.sleep", lambda seconds: None)  # the client retries five times
    with pytest.raises(InputError, match=UNREACHABLE):
        fetch("hf://owner/name")
    assert capsys.readouterr().err == ""


def test_missing_client_error_names_package(monkeypatch):
    monkeypatch.setitem(sys.modules, "huggingface_hub", None)
    with pytest.raises(InputError, match=r"pip install 'ophis\[hub\]' to fetch bundles"):
        fetch("hf://owner/name")


def test_stub_identifies_itself(place):
    import urllib.request

    with stub_of_the_hub({"owner/name": place / "good"}) as (hub, _):
        address = f"{hub}/owner/name/resolve/main/species.csv"
        with urllib.request.urlopen(address) as answer:  # noqa: S310 - the local stub
            assert "ophis-stub-of-the-hub" in answer.headers["Server"]


@pytest.mark.parametrize(
    "name",
    ["a--b/c", "-a/b", "a/b.git", "a/" + "b" * 200, "a/..", "./a", "a/b@../../c", "a/b@\0", "é/b"],
)
def test_odd_names_are_refused_in_one_line(name, tmp_path, monkeypatch):
    from huggingface_hub import constants

    address = constants.HUGGINGFACE_CO_URL_TEMPLATE.replace(constants.ENDPOINT, NO_SERVER)
    monkeypatch.setattr(constants, "HUGGINGFACE_CO_URL_TEMPLATE", address)
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path))
    monkeypatch.setattr("time.sleep", lambda seconds: None)
    with pytest.raises(InputError, match=r"^hf://") as error:
        fetch(f"hf://{name}")
    assert "\n" not in str(error.value)
