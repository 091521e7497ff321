"""`ophis` in a child of a process that has imported torch: the same program and words, sooner.

Importing torch and timm takes four seconds of a processor, and docs/ shows many commands. The
children are multiprocessing's, of a fork server that has done nothing but import.
"""

import multiprocessing
import os
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path

_METHOD = "forkserver"
_IMPORTED = ("torch", "timm", "captum.attr")


def _ophis(words: Sequence[str], folder: Path, environment: Mapping[str, str], said: Path) -> None:
    os.chdir(folder)
    os.environ.clear()
    os.environ.update(environment)
    for number, name in ((1, "out"), (2, "error")):
        os.dup2(os.open(said / name, os.O_WRONLY | os.O_CREAT), number)
    import torch

    torch.set_num_threads(int(environment.get("OMP_NUM_THREADS", os.cpu_count() or 1)))
    sys.argv = ["ophis", *words]
    from ophis.cli import main

    sys.exit(main())


def ophis(
    words: Sequence[str], *, cwd: Path, env: Mapping[str, str]
) -> subprocess.CompletedProcess[str]:
    """Run `ophis` with these words, as `subprocess.run` would."""
    if _METHOD not in multiprocessing.get_all_start_methods():  # Windows
        command = [sys.executable, "-m", "ophis", *words]
        return subprocess.run(
            command, cwd=cwd, env=dict(env), capture_output=True, text=True, check=False
        )
    context = multiprocessing.get_context(_METHOD)
    context.set_forkserver_preload(list(_IMPORTED))
    with tempfile.TemporaryDirectory() as folder:
        said = Path(folder)
        child = context.Process(target=_ophis, args=(words, cwd, dict(env), said))
        child.start()
        child.join()
        texts = ((said / name).read_text(encoding="utf-8") for name in ("out", "error"))
        return subprocess.CompletedProcess(["ophis", *words], child.exitcode or 0, *texts)
