"""Runs of the command line, in a process or in this one."""

import subprocess
import sys
from pathlib import Path

import pytest

from ophis.cli import main


def ophis(*arguments: object, cwd: Path | None = None) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "ophis", *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, check=False, cwd=cwd)


def refused(*arguments: object, cwd: Path | None = None) -> str:
    """Return the one line of an error: status 2, nothing on stdout, no traceback."""
    done = ophis(*arguments, cwd=cwd)
    assert done.returncode == 2, done.stderr
    assert done.stdout == ""
    assert done.stderr.startswith("ophis: ")
    assert done.stderr.count("\n") == 1, done.stderr
    return done.stderr


def refused_here(capsys: pytest.CaptureFixture[str], *arguments: object) -> str:
    """Return the error line of a command run in this process, without a start of Python."""
    with pytest.raises(SystemExit) as end:
        main([str(argument) for argument in arguments])
    output = capsys.readouterr()
    assert end.value.code == 2, output.err
    assert output.out == ""
    assert output.err.startswith("ophis: ")
    assert output.err.count("\n") == 1, output.err
    return output.err


def run_here(capsys: pytest.CaptureFixture[str], *arguments: object) -> str:
    """Return the stdout of a command run in this process, which succeeds."""
    with pytest.raises(SystemExit) as end:
        main([str(argument) for argument in arguments])
    output = capsys.readouterr()
    assert not end.value.code, output.err
    return output.out
