"""Commands, code and links of README, CONTRIBUTING and docs/."""

import re
import shutil
import subprocess
from dataclasses import fields

import pytest

from ophis import Recipe, evaluate, read_scores
from tests.support.docs_pages import PAGES, ROOT, WORKSHOP, is_runnable, run_page

HERE = [page for page in PAGES if is_runnable(page) and page.name not in WORKSHOP]


def test_demo_gains_from_pretraining_and_country(place):
    """Test the pipeline on synthetic photos, without meaning for real snakes."""
    a, b = (read_scores(place / "demo" / f"run-{name}" / "scores.npz") for name in "ab")
    assert evaluate(b).macro_f1 > evaluate(a).macro_f1 + 0.2
    assert (place / "demo" / "bundle" / "model.onnx").is_file()
    assert "Synthetic, not photographed" in (place / "demo" / "bundle" / "README.md").read_text()


@pytest.mark.parametrize("page", HERE, ids=lambda page: page.name)
def test_page_runs(place, page):
    run_page(page, place)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_make_targets_of_page_exist(page):
    for target in re.findall(r"^make ([\w-]+)", page.read_text(encoding="utf-8"), re.MULTILINE):
        make = shutil.which("make")
        assert make
        done = subprocess.run([make, "-n", target], cwd=ROOT, capture_output=True, check=False)
        assert done.returncode == 0, target


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_of_page_exist(page):
    text = page.read_text(encoding="utf-8")
    for target in re.findall(r"\]\(([^)#:]+)\)", text):
        assert (page.parent / target).exists(), target


def test_reliability_page_names_existing_tests():
    page = (ROOT / "docs" / "reliability.md").read_text(encoding="utf-8")
    named = set(re.findall(r"`([a-z0-9_/]*test_[a-z0-9_]*\.py)`", page))
    assert len(named) > 20
    assert [name for name in named if not (ROOT / "tests" / name).is_file()] == []


def test_recipe_page_has_every_key():
    page = (ROOT / "docs" / "recipes.md").read_text(encoding="utf-8")
    for field in fields(Recipe):
        assert f"`{field.name}`" in page


def test_architecture_page_names_every_dependency():
    import tomllib

    page = (ROOT / "docs" / "architecture.md").read_text(encoding="utf-8")
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    groups = [project["dependencies"], *project["optional-dependencies"].values()]
    for requirement in (line for group in groups for line in group):
        name = re.split(r"[<>=!~\[]", requirement)[0]
        assert name in page, name


def test_locks_have_hashes_and_no_host():
    for lock in sorted((ROOT / "requirements").glob("*.txt")):
        text = lock.read_text(encoding="utf-8")
        assert "://" not in text
        assert "index-url" not in text
        pins = re.findall(r"^[a-zA-Z0-9_.-]+==[^\n]*\n(\s+--hash)?", text, re.MULTILINE)
        assert pins
        assert all(pins)


def test_core_lock_is_part_of_whole_lock_without_torch():
    def pins(name: str) -> set[str]:
        text = (ROOT / "requirements" / name).read_text(encoding="utf-8")
        return set(re.findall(r"^([a-zA-Z0-9_.-]+==\S+)", text, re.MULTILINE))

    assert pins("core.txt") <= pins("all.txt")
    assert not any(pin.startswith(("torch", "timm", "onnx==")) for pin in pins("core.txt"))
