"""Lint of the first lines of docstrings, which have to be a noun phrase or an imperative.

    python -m tests.support.docstrings [PATH ...]

Part of `make check`. Prints file, line and opening of each docstring that breaks the rule.
"""

import ast
import re
import sys
from collections.abc import Iterator
from pathlib import Path

# Openings of a subordinate clause or of a riddle that only its neighbours explain.
OPENING = re.compile(r"(what|which|whether|how|of|so|as|that|the same)\b", re.IGNORECASE)
DOCUMENTED = ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef
FOLDERS = ("src", "tests", "benchmarks", "requirements", "x.py")


def violations(path: Path) -> Iterator[str]:
    """Return file, line and first line of each docstring that opens wrongly."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    for node in ast.walk(tree):
        if isinstance(node, DOCUMENTED):
            text = (ast.get_docstring(node) or "").split("\n", 1)[0]
            if OPENING.match(text):
                line = node.body[0].lineno
                yield f"{path}:{line}: docstring opens with a clause: {text}"


def files(paths: list[str]) -> Iterator[Path]:
    """Return the Python files of files and folders."""
    for path in map(Path, paths):
        yield from sorted(path.rglob("*.py")) if path.is_dir() else [path]


def main() -> None:
    """Print all violations; exit with 1 if there are any."""
    found = [line for path in files(sys.argv[1:] or [*FOLDERS]) for line in violations(path)]
    print(*found, sep="\n", end="\n" if found else "")
    sys.exit(bool(found))


if __name__ == "__main__":
    main()
