"""Who uses ophis sees a type for every public name: no Unknown, as ty reveals it from outside."""

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
    """All of `ophis.__all__`, and the public methods and constructors of its classes."""
    names = []
    for name in ophis.__all__:
        names.append(f"ophis.{name}")
        thing = getattr(ophis, name)
        if inspect.isclass(thing):
            members = {m for kind in thing.__mro__[:-1] if kind.__module__.startswith("ophis")
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


def test_the_package_says_that_it_is_typed():
    assert (SOURCE / "py.typed").is_file()


@pytest.mark.skipif(not TY.exists(), reason="no ty here (extra dev)")
def test_no_public_name_is_unknown(tmp_path):
    names = public_names()
    assert "ophis.Scores.take" in names
    lines = [f"reveal_type({name})" for name in names]
    said = revealed("\n".join(["import ophis", "from typing import reveal_type", *lines]), tmp_path)
    found = re.findall(r"user\.py:(\d+):\d+: info\[revealed-type\] (.*)", said)
    assert len(found) == len(names), said
    unknown = {names[int(row) - 3]: text for row, text in found if "Unknown" in text}
    assert not unknown


@pytest.mark.skipif(not TY.exists(), reason="no ty here (extra dev)")
def test_what_has_no_annotation_would_be_found(tmp_path):
    code = "from typing import reveal_type\ndef f(x): return x\nreveal_type(f)\n"
    assert "Unknown" in revealed(code, tmp_path)
