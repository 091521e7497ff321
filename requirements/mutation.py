"""Mutation tests of the modules that guard safety: `make mutation`.

    python x.py mutation [MODULE ...]

For each module of `AREAS`, copies the checkout into a temporary folder, lets mutmut change the
module in one place at a time, and runs the tests named there. Prints mutants, killed mutants and
score as a row of the table in docs/reliability.md, and the surviving mutants by function. A module
takes from one minute to half an hour on two cores.
"""

from __future__ import annotations

import ast
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections import Counter
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
# For each module the tests that have to fail when it is changed; they take about a second, and
# start no thread of polars, which hangs in the processes that mutmut forks.
AREAS = {
    "decision/rule.py": ["tests/decision/test_rule.py"],
    "decision/guarantees.py": ["tests/decision/test_conformal.py", "tests/decision/test_rule.py"],
    "priors/prior.py": ["tests/priors/test_prior.py"],
    "train/checkpoint.py": [
        "tests/train/test_checkpoint.py",
        "tests/hostile/test_training_checkpoint.py",
    ],
    "datasets/archive.py": ["tests/datasets/test_archive.py"],
    "images/structure.py": ["tests/images/test_structure.py"],
    "serve/admission.py": ["tests/serve/test_admission.py"],
    "serve/limits.py": [  # the other tests there start the service
        "tests/serve/test_limits.py::test_smallest_value_of_each_limit",
        "tests/serve/test_limits.py::test_threads_of_workers_and_engine_use_every_core_once",
        "tests/serve/test_limits.py::test_cores_are_counted_without_affinity",
        "tests/serve/test_limits.py::test_memory_is_bounded_by_decoders_and_requests",
    ],
}
CONFIG = """
[tool.mutmut]
source_paths = ["src"]
only_mutate = ["src/ophis/{module}"]
also_copy = ["recipes", "docs", "benchmarks", "requirements", "README.md"]
pytest_add_cli_args = ["-p", "no:xdist", "-p", "no:cacheprovider", "-m", "not full"]
pytest_add_cli_args_test_selection = {tests}
use_git_change_detection = false
track_dependencies = false
"""
KILLED = frozenset({"killed", "timeout", "segfault", "caught by type check"})
FUNCTIONS = (ast.FunctionDef, ast.AsyncFunctionDef)
COPIED = ("src", "tests", "recipes", "docs", "benchmarks", "requirements")


def without_decorators(text: str) -> str:
    """Return a module with `f = decorator(f)` after each function in place of `@decorator`.

    mutmut changes no decorated function, such as the context managers that admit a request.
    """
    lines = text.splitlines()
    nodes = [node for node in ast.walk(ast.parse(text)) if isinstance(node, FUNCTIONS)]
    for node in sorted(nodes, key=lambda node: node.lineno, reverse=True):
        for decorator in node.decorator_list:
            line = " " * node.col_offset + f"{node.name} = {ast.unparse(decorator)}({node.name})"
            lines.insert(node.end_lineno or node.lineno, line)
        if node.decorator_list:
            del lines[node.decorator_list[0].lineno - 1 : node.lineno - 1]
    return "\n".join(lines) + "\n"


def measure(module: str, tests: list[str]) -> dict[str, str]:
    """Return the status of each mutant of a module by name."""
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        for name in COPIED:
            ignored = shutil.ignore_patterns("__pycache__")
            shutil.copytree(ROOT / name, folder / name, ignore=ignored)
        for name in ("README.md", "LICENSE", "CHANGELOG.md"):
            shutil.copy(ROOT / name, folder / name)
        source = folder / "src/ophis" / module
        source.write_text(without_decorators(source.read_text(encoding="utf-8")), encoding="utf-8")
        config = CONFIG.format(module=module, tests=json.dumps(tests))
        text = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
        (folder / "pyproject.toml").write_text(text + config, encoding="utf-8")
        environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
        mutmut = Path(sys.executable).with_name("mutmut")
        done = subprocess.run(
            [mutmut, "run"],
            cwd=folder,
            env=environment,
            capture_output=True,
            text=True,
            check=False,
        )
        shown = subprocess.run(
            [mutmut, "results", "--all", "true"],
            cwd=folder, env=environment, capture_output=True, text=True, check=False,
        )  # fmt: skip
    found = dict(re.findall(r"^\s*(\S+): (.+)$", shown.stdout, re.MULTILINE))
    if not found or "not checked" in found.values():
        sys.exit(f"{module}: mutmut found no mutants\n{done.stdout[-3000:]}\n{done.stderr[-3000:]}")
    return found


def function_of(mutant: str) -> str:
    """Return the function that a mutant's name contains."""
    name = re.sub(r"__mutmut_\d+$", "", mutant.rpartition(".")[2])
    return name.removeprefix("x_").replace("xǁ", "").replace("ǁ", ".")


def main() -> None:
    """Measure the modules that are named, or all, and print their rows."""
    for module in sys.argv[1:] or list(AREAS):
        found = measure(module, AREAS[module])
        killed = sum(status in KILLED for status in found.values())
        print(f"| `{module}` | {len(found)} | {killed} | {100 * killed / len(found):.0f} % |")
        alive = Counter(
            (function_of(name), status) for name, status in found.items() if status not in KILLED
        )
        for (function, status), count in sorted(alive.items()):
            print(f"    {function}: {count} {status}")
        sys.stdout.flush()


if __name__ == "__main__":
    main()
