"""Types of the public names, as ty reveals them: none is Unknown."""

import inspect
import re
import subprocess
import sys
from pathlib import Path

import pytest

import ophis
from tests.support.paths import SOURCE

TY = Path(sys.executable).with_name("ty")


def public_names() -> list[str]:
    """Return the names of `ophis.__all__` and of public methods and constructors."""
    names = []
    for name in ophis.__all__:
        names.append(f"ophis.{name}")
        value = getattr(ophis, name)
        if inspect.isclass(value):
            members = {m for kind in value.__mro__[:-1] if kind.__module__.startswith("ophis")
                       for m in vars(kind)}  # fmt: skip
            names += [f"ophis.{name}.{m}" for m in sorted(members) if not m.startswith("_")]
            names.append(f"ophis.{name}.__init__")
    return names


def revealed(code: str, folder: Path) -> str:
    script = folder / "user.py"
    script.write_text(code)
    python = ("--python", sys.executable, "--extra-search-path", str(SOURCE.parent))
    done = subprocess.run(
        [TY, "check", "--project", folder, "--output-format", "concise", *python, script],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    return done.stdout + done.stderr


def test_package_is_marked_as_typed():
    assert (SOURCE / "py.typed").is_file()


@pytest.mark.skipif(not TY.exists(), reason="ty is not installed (extra dev)")
def test_no_public_name_is_unknown(tmp_path):
    names = public_names()
    assert "ophis.Scores.take" in names
    lines = [f"reveal_type({name})" for name in names]
    output = revealed(
        "\n".join(["import ophis", "from typing import reveal_type", *lines]), tmp_path
    )
    found = re.findall(r"user\.py:(\d+):\d+: info\[revealed-type\] (.*)", output)
    assert len(found) == len(names), output
    unknown = {names[int(row) - 3]: text for row, text in found if "Unknown" in text}
    assert not unknown


@pytest.mark.skipif(not TY.exists(), reason="ty is not installed (extra dev)")
def test_missing_annotation_is_revealed_as_unknown(tmp_path):
    code = "from typing import reveal_type\ndef f(x): return x\nreveal_type(f)\n"
    assert "Unknown" in revealed(code, tmp_path)
