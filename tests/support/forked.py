"""`ophis`, or a test, in a fork of a process that has imported torch.

Importing torch and timm takes four seconds, and docs/ has many commands. The children come from a
fork server of multiprocessing that has only imported.
"""

import functools
import importlib
import multiprocessing
import os
import subprocess
import sys
import tempfile
import traceback
from collections.abc import Callable, Mapping, Sequence
from multiprocessing.context import ForkServerContext
from pathlib import Path
from types import FunctionType

_IMPORTED = ("torch", "timm", "captum.attr")


def _ophis(
    words: Sequence[str], folder: Path, environment: Mapping[str, str], output: Path
) -> None:
    os.chdir(folder)
    os.environ.clear()
    os.environ.update(environment)
    for number, name in ((1, "out"), (2, "error")):
        os.dup2(os.open(output / name, os.O_WRONLY | os.O_CREAT), number)
    import torch

    torch.set_num_threads(int(environment.get("OMP_NUM_THREADS", os.cpu_count() or 1)))
    sys.argv = ["ophis", *words]
    from ophis.cli import main

    sys.exit(main())


def _server() -> ForkServerContext | None:
    """Return the context of the fork server; None on Windows."""
    if "forkserver" not in multiprocessing.get_all_start_methods():
        return None
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(list(_IMPORTED))
    return context


def _test(module: str, name: str, values: Mapping[str, object], output: Path) -> None:
    try:
        getattr(importlib.import_module(module), name).__wrapped__(**values)
    except BaseException:
        output.write_text(traceback.format_exc(), encoding="utf-8")
        sys.exit(1)


def in_a_child(test: FunctionType) -> Callable[..., None]:
    """Return a test that runs in a child, because it sends signals to its own process."""

    @functools.wraps(test)
    def wrapped(**values: object) -> None:
        context = _server() or multiprocessing.get_context("spawn")
        with tempfile.TemporaryDirectory() as folder:
            output = Path(folder) / "error"
            words = (test.__module__, test.__name__, values, output)
            child = context.Process(target=_test, args=words)
            child.start()
            child.join()
            error = output.read_text(encoding="utf-8") if output.exists() else ""
        assert child.exitcode == 0, f"the child ended with {child.exitcode}\n{error}"

    return wrapped


def ophis(
    words: Sequence[str], *, cwd: Path, env: Mapping[str, str]
) -> subprocess.CompletedProcess[str]:
    """Run `ophis` with arguments; the result is that of `subprocess.run`."""
    context = _server()
    if context is None:
        command = [sys.executable, "-m", "ophis", *words]
        return subprocess.run(
            command, cwd=cwd, env=dict(env), capture_output=True, text=True, check=False
        )
    with tempfile.TemporaryDirectory() as folder:
        output = Path(folder)
        child = context.Process(target=_ophis, args=(words, cwd, dict(env), output))
        child.start()
        child.join()
        texts = ((output / name).read_text(encoding="utf-8") for name in ("out", "error"))
        return subprocess.CompletedProcess(["ophis", *words], child.exitcode or 0, *texts)
