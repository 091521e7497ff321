"""Every command that README and docs/ show is run, on what `make demo` really makes."""

import os
import re
import shlex
import shutil
import subprocess
import sys
from dataclasses import fields
from pathlib import Path

import pytest
from forked import ophis

from ophis import Recipe, evaluate, read_manifest, read_recipe, read_scores

ROOT = Path(__file__).resolve().parents[1]
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").glob("*.md"))]
BIN = Path(sys.executable).parent
# Of the page; without npm there is no way to it, and its commands are passed over.
ENGINE = (ROOT / "node_modules" / "onnxruntime-web").is_dir() or shutil.which("npm")


def blocks(page: Path, language: str) -> list[str]:
    pattern = rf"^```{language}\n(.*?)^```$"
    return re.findall(pattern, page.read_text(encoding="utf-8"), re.DOTALL | re.MULTILINE)


def commands(page: Path) -> list[str]:
    lines = "\n".join(blocks(page, "sh")).splitlines()
    lines = [line for line in lines if line.strip() and not line.startswith("#")]
    return [line for line in lines if ENGINE or " --web " not in line]


@pytest.fixture(scope="session")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder as it is after `make demo`, with a quick recipe of one's own."""
    folder = tmp_path_factory.mktemp("reader")
    run("ophis demo --out demo", folder)
    quick = read_recipe("demo").to_toml()
    quick = re.sub(r"(?m)^steps = .*$", "steps = 2", quick)
    (folder / "mine").mkdir()
    (folder / "mine" / "quick.toml").write_text(quick)
    shared = re.sub(r"(?m)^micro_batch_photos = .*$", "micro_batch_photos = 16", quick)
    (folder / "mine" / "shared.toml").write_text(shared)
    other = quick.replace('weights = "lite0"', 'weights = "none"')
    (folder / "mine" / "other.toml").write_text(other)
    name = read_manifest(folder / "demo" / "train.csv").species_list()[0]
    (folder / "mine" / "presence.csv").write_text(f"species,Australia,Kenya\n{name},1,0\n")
    names = read_manifest(folder / "demo" / "train.csv").species_list()
    classes = "".join(f"{number},{name}\n" for number, name in enumerate(names))
    (folder / "mine" / "classes.csv").write_text(f"class_id,species\n{classes}")
    (folder / "mine" / "metadata.csv").write_text(
        "hashed_id,country,continent\ndrawn-00009,Mexico,North America\n"
    )
    (folder / "mine" / "rules.csv").write_text(f"country,species,probability\nKenya,{name},0\n")
    return folder


def run(command: str, folder: Path, *, forked: bool = False) -> str:
    """What a command prints.

    Args:
        command: as a page shows it.
        folder: where it runs.
        forked: `ophis` without importing torch anew.
    """
    words = shlex.split(command)
    environment = os.environ | {
        "PATH": f"{BIN}{os.pathsep}{os.environ['PATH']}",
        "OPHIS_CACHE": str(folder / "cache"),
        # The longest chain of the suite may use all cores, waiting without spinning.
        "OMP_NUM_THREADS": str(os.cpu_count() or 1),
        "OMP_WAIT_POLICY": "PASSIVE",
    }
    if forked and words[0] == "ophis":
        done = ophis(words[1:], cwd=folder, env=environment)
    else:
        done = subprocess.run(
            words, cwd=folder, env=environment, capture_output=True, text=True, check=False
        )
    assert done.returncode == 0, f"{command}\n{done.stdout}\n{done.stderr}"
    return done.stdout


@pytest.mark.slow
def test_the_demo_shows_what_pretraining_and_country_give(place):
    """Drawn photos: that every part works, nothing about real snakes."""
    a, b = (read_scores(place / "demo" / f"run-{name}" / "scores.npz") for name in "ab")
    assert evaluate(b).macro_f1 > evaluate(a).macro_f1 + 0.2
    assert (place / "demo" / "bundle" / "model.onnx").is_file()
    assert "Drawn, not photographed" in (place / "demo" / "bundle" / "README.md").read_text()


@pytest.mark.slow
@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_command_of_a_page_runs(place, page):
    for command in commands(page):
        run(command, place, forked=page.name != "README.md")


@pytest.mark.slow
@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_python_example_runs(place, page):
    for number, code in enumerate(blocks(page, "python")):
        script = place / f"{page.stem}-{number}.py"
        script.write_text(code)
        run(f"python {script}", place)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_make_target_of_a_page_exists(page):
    for target in re.findall(r"^make (\w+)", page.read_text(encoding="utf-8"), re.MULTILINE):
        make = shutil.which("make")
        assert make
        done = subprocess.run([make, "-n", target], cwd=ROOT, capture_output=True, check=False)
        assert done.returncode == 0, target


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_link_of_a_page_leads_somewhere(page):
    text = page.read_text(encoding="utf-8")
    for target in re.findall(r"\]\(([^)#:]+)\)", text):
        assert (page.parent / target).exists(), target


def test_the_recipe_page_explains_every_key():
    page = (ROOT / "docs" / "recipes.md").read_text(encoding="utf-8")
    for field in fields(Recipe):
        assert f"`{field.name}`" in page


def test_every_dependency_has_its_line():
    import tomllib

    page = (ROOT / "docs" / "architecture.md").read_text(encoding="utf-8")
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    groups = [project["dependencies"], *project["optional-dependencies"].values()]
    for requirement in (line for group in groups for line in group):
        name = re.split(r"[<>=!~\[]", requirement)[0]
        assert name in page, name


def test_the_locks_name_no_host_and_have_hashes():
    for lock in sorted((ROOT / "requirements").glob("*.txt")):
        text = lock.read_text(encoding="utf-8")
        assert "://" not in text
        assert "index-url" not in text
        pins = re.findall(r"^[a-zA-Z0-9_.-]+==[^\n]*\n(\s+--hash)?", text, re.MULTILINE)
        assert pins
        assert all(pins)


def test_the_core_lock_is_a_part_of_the_whole_and_holds_no_torch():
    def pins(name: str) -> set[str]:
        text = (ROOT / "requirements" / name).read_text(encoding="utf-8")
        return set(re.findall(r"^([a-zA-Z0-9_.-]+==\S+)", text, re.MULTILINE))

    assert pins("core.txt") <= pins("all.txt")
    assert not any(pin.startswith(("torch", "timm", "onnx==")) for pin in pins("core.txt"))
