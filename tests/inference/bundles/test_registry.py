"""Bundles by name where there is no home folder, or none that can be written."""

from pathlib import Path

import pytest

from ophis import InputError
from ophis.inference.bundles.hub import fetch
from ophis.inference.bundles.registry import IMAGENET17, bundle_folder
from ophis.web import runtime


@pytest.fixture
def no_home(monkeypatch):
    """A user without $HOME and without an entry in passwd."""

    def home() -> Path:
        raise RuntimeError("Could not determine home directory.")

    for name in ("OPHIS_CACHE", "XDG_CACHE_HOME"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(Path, "home", home)
    return home


def test_named_bundle_without_home_asks_for_a_cache_folder(no_home, monkeypatch, tmp_path):
    with pytest.raises(InputError, match="no home folder; set OPHIS_CACHE to a folder"):
        bundle_folder(IMAGENET17)
    monkeypatch.setenv("OPHIS_CACHE", str(tmp_path))
    (tmp_path / IMAGENET17).mkdir()
    assert bundle_folder(IMAGENET17) == tmp_path / IMAGENET17


def test_cache_that_cannot_be_made_is_named_with_its_variable(monkeypatch, tmp_path):
    (tmp_path / "file").touch()
    monkeypatch.setenv("OPHIS_CACHE", str(tmp_path / "file" / "cache"))
    with pytest.raises(InputError, match=r"file/cache: Not a directory; set OPHIS_CACHE to"):
        bundle_folder(IMAGENET17)


def test_engine_of_the_page_needs_no_home(no_home, monkeypatch, tmp_path):
    monkeypatch.setattr(runtime, "__file__", str(tmp_path / "a" / "b" / "c" / "runtime.py"))
    monkeypatch.setattr(runtime, "_fetched", lambda: {"engine": b"1"})
    assert runtime.runtime_files() == {"engine": b"1"}
    assert not [*tmp_path.iterdir()]


def test_hub_without_home_asks_for_its_variable(no_home, monkeypatch):
    hub = pytest.importorskip("huggingface_hub", reason="the Hub's client is not here (extra hub)")
    monkeypatch.setattr(hub, "hf_hub_download", lambda *_, **__: no_home())
    with pytest.raises(InputError, match="hf://a/b: there is no home folder; set HF_HOME to"):
        fetch("hf://a/b")
