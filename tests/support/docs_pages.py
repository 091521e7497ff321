"""Commands and code of README and docs/, run in a folder with the results of `make demo`."""

import os
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

from ophis import read_manifest, read_recipe
from tests.support.forked import ophis
from tests.support.paths import ROOT

PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").glob("*.md"))]
# Pages of test_docs_workshop.py: as slow as all others, and run in parallel.
WORKSHOP = frozenset({"compare.md", "country.md", "performance.md", "scale.md", "ensembles.md"})
BIN = Path(sys.executable).parent
# onnxruntime-web; without npm, commands that need it are left out.
ENGINE = (ROOT / "node_modules" / "onnxruntime-web").is_dir() or shutil.which("npm")


def blocks(page: Path, language: str) -> list[str]:
    pattern = rf"^```{language}\n(.*?)^```$"
    return re.findall(pattern, page.read_text(encoding="utf-8"), re.DOTALL | re.MULTILINE)


def commands(page: Path) -> list[str]:
    lines = "\n".join(blocks(page, "sh")).splitlines()
    lines = [line for line in lines if line.strip() and not line.startswith("#")]
    return [line for line in lines if ENGINE or "ophis web " not in line]


def run(command: str, folder: Path, *, forked: bool = False) -> str:
    """Run a command and return its output.

    Args:
        command: a line of a page.
        folder: the working folder.
        forked: run `ophis` in a fork of a process that has imported torch.
    """
    words = shlex.split(command)
    environment = os.environ | {
        "PATH": f"{BIN}{os.pathsep}{os.environ['PATH']}",
        "OPHIS_CACHE": str(folder / "cache"),
        # The longest chain of tests may use all cores; waiting threads do not spin.
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


def make_place(folder: Path) -> None:
    """Fill a folder with the results of `make demo` and with small files that pages name."""
    folder.mkdir()
    run("ophis demo --out demo", folder)
    quick = read_recipe("demo").to_toml()
    quick = re.sub(r"(?m)^steps = .*$", "steps = 2", quick)
    (folder / "mine").mkdir()
    (folder / "mine" / "quick.toml").write_text(quick)
    shared = re.sub(r"(?m)^micro_batch_photos = .*$", "micro_batch_photos = 16", quick)
    (folder / "mine" / "shared.toml").write_text(shared)
    other = quick.replace('weights = "lite0"', 'weights = "none"')
    (folder / "mine" / "other.toml").write_text(other)
    names = read_manifest(folder / "demo" / "train.csv").species_list()
    (folder / "mine" / "range_map.csv").write_text(f"species,Australia,Kenya\n{names[0]},1,0\n")
    classes = "".join(f"{number},{name}\n" for number, name in enumerate(names))
    (folder / "mine" / "classes.csv").write_text(f"class_id,species\n{classes}")
    (folder / "mine" / "metadata.csv").write_text(
        "hashed_id,country,continent\nsynthetic-00009,Mexico,North America\n"
    )
    (folder / "mine" / "overrides.csv").write_text(
        f"country,species,probability\nKenya,{names[0]},0\n"
    )


def run_page(page: Path, folder: Path) -> None:
    """Run the commands of a page, then its Python; each has to succeed.

    CONTRIBUTING.md shows commands for the checkout, other pages for the folder of the demo.
    """
    folder = ROOT if page.name == "CONTRIBUTING.md" else folder
    for command in commands(page):
        run(command, folder, forked=page.name != "README.md")
    for number, code in enumerate(blocks(page, "python")):
        script = folder / f"{page.stem}-{number}.py"
        script.write_text(code)
        run(f"python {script}", folder)


def is_runnable(page: Path) -> bool:
    """Return True if a page has commands or Python code."""
    return bool(commands(page) or blocks(page, "python"))
