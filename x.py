"""Set-up and checks of this checkout, with the standard library only: `python x.py help`."""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import sys
import venv
from pathlib import Path

ROOT = Path(__file__).resolve().parent
VENV = ROOT / ".venv"
BIN = VENV / ("Scripts" if os.name == "nt" else "bin")
LOCK = ROOT / "requirements" / "all.txt"
CORE_LOCK = ROOT / "requirements" / "core.txt"
UV_LOCK = ROOT / "requirements" / "uv.txt"
BENCH_LOCK = ROOT / "requirements" / "bench.txt"
PEERS = ROOT / ".venv-bench"  # the peers of the benchmarks, kept out of what the tests see
STAMP = VENV / "ophis-setup.sha256"
NODE = ROOT / "node_modules"  # the page's engine and the checks of its code
NODE_LOCK = ROOT / "package-lock.json"


def run(*command: str | Path, tries: int = 1) -> None:
    """Run a command from the checkout's root; end with its status if it fails.

    One that crashes, and may well be repeated, gets as many `tries` as are given.
    """
    words = [str(word) for word in command]
    status = subprocess.run(words, cwd=ROOT, check=False).returncode
    if status < 0 and tries > 1:
        run(*command, tries=tries - 1)
    elif status:
        sys.exit(status if status > 0 else 128 - status)


def fingerprint() -> str:
    """Digest of everything that decides what is inside .venv."""
    digest = hashlib.sha256(sys.version.encode())
    for path in (UV_LOCK, LOCK, ROOT / "pyproject.toml"):
        digest.update(path.read_bytes())
    return digest.hexdigest()


def create_venv() -> None:
    """Make .venv and put the pinned uv into it."""
    shutil.rmtree(VENV, ignore_errors=True)
    try:
        venv.create(VENV, with_pip=True)
    except subprocess.CalledProcessError:
        shutil.rmtree(VENV, ignore_errors=True)
        sys.exit(
            "x.py: this Python cannot make a venv with pip; install its ensurepip"
            " (Debian: the package python3-venv), then repeat"
        )
    pip = (BIN / "python", "-m", "pip", "--disable-pip-version-check", "install", "--quiet")
    run(*pip, "--require-hashes", "--requirement", UV_LOCK)


def setup() -> None:
    """Make .venv with everything, from the locks; do nothing when it is up to date."""
    if sys.version_info < (3, 11):
        sys.exit(
            f"x.py: Python 3.11 or newer is needed, this is {sys.version.split()[0]};"
            " try `make PYTHON=python3.12 setup`"
        )
    if STAMP.is_file() and STAMP.read_text() == fingerprint():
        return
    print("setting up .venv from requirements/all.txt", flush=True)
    create_venv()
    uv = (BIN / "uv", "pip")
    # uv 0.13.9 was seen to crash here, once in many runs; what it has installed it leaves alone.
    sync = (*uv, "sync", "--quiet", "--python", BIN / "python")
    run(*sync, "--require-hashes", LOCK, UV_LOCK, tries=2)
    # No isolation: the build backend is in the lock, so nothing unpinned is fetched here.
    run(
        *uv,
        "install",
        "--quiet",
        "--python",
        BIN / "python",
        "--no-deps",
        "--no-build-isolation",
        "--editable",
        ".",
    )
    STAMP.write_text(fingerprint())


def page() -> bool:
    """Make node_modules from its lock; False, and one line, where npm is not here."""
    npm = shutil.which("npm")
    if npm is None:
        print("x.py: no npm here, so the page's code is not checked (Debian: nodejs, npm)")
        return False
    stamp = NODE / "ophis-lock.sha256"
    lock = hashlib.sha256(NODE_LOCK.read_bytes()).hexdigest()
    if not stamp.is_file() or stamp.read_text() != lock:
        if subprocess.run([npm, "ci", "--silent"], cwd=ROOT, check=False).returncode:
            print("x.py: `npm ci` failed, so the page's code is not checked, and some tests skip")
            return False
        stamp.write_text(lock)
    return True


def check() -> None:
    """Format, lint and strict types, of Python and of the page's code."""
    setup()
    if page():
        run(NODE / ".bin" / "biome", "ci", "--log-level=warn")
        run(NODE / ".bin" / "tsc", "--project", ".")
    run(BIN / "ruff", "format", "--check", "--quiet", ".")
    run(BIN / "ruff", "check", "--quiet", ".")
    run(
        BIN / "ty",
        "check",
        "--quiet",
        "--python",
        VENV,
        "src",
        "tests",
        "benchmarks",
        "requirements",
        "x.py",
    )


def browser() -> None:
    """In CI install the browser that the tests of pages drive; elsewhere say what is skipped."""
    if any(map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))):
        return
    apt = shutil.which("apt-get")
    if apt and os.environ.get("CI") and os.geteuid() == 0:
        for words in (("update", "-qq"), ("install", "-qq", "--yes", "chromium")):
            subprocess.run([apt, *words], stdout=subprocess.DEVNULL, check=False)
    if not shutil.which("chromium"):
        print("x.py: no Chromium here, so the tests of pages are skipped (Debian: chromium)")


def test() -> None:
    """Set up, check, and run every test, the slow ones too."""
    check()
    browser()
    # Side by side; a file stays in one process, so that what its tests share is made once. One
    # process that dies ends the run: with another in its place pytest-xdist may wait for ever.
    words = ("-n", "auto", "--dist", "loadfile", "--max-worker-restart", "0", "--durations=8")
    run(BIN / "python", "-m", "pytest", *words)


def demo() -> None:
    """Set up and run the main job from drawn photos to a named snake."""
    setup()
    run(BIN / "ophis", "demo", "--out", "demo")


def docs() -> None:
    """Set up and write the site of docs/ to site/; a warning ends it."""
    setup()
    run(BIN / "zensical", "build", "--strict")


def bench() -> None:
    """Set up with the peers, time every benchmark against them, write the dated table."""
    setup()
    uv = BIN / "uv"
    python = PEERS / BIN.relative_to(VENV) / "python"
    run(uv, "venv", "--quiet", "--allow-existing", "--python", BIN / "python", PEERS)
    locks = ("--require-hashes", LOCK, BENCH_LOCK)
    run(uv, "pip", "sync", "--quiet", "--python", python, *locks)
    run(
        *(uv, "pip", "install", "--quiet", "--python", python),
        *("--no-deps", "--no-build-isolation", "--editable", "."),
    )
    run(python, "-W", "ignore", ROOT / "benchmarks" / "table.py", *sys.argv[2:])


def audit() -> None:
    """Ask the public database of advisories about every locked package; needs a network."""
    setup()
    locks = [word for lock in (LOCK, BENCH_LOCK, UV_LOCK) for word in ("--requirement", lock)]
    service = ("--vulnerability-service", "osv")
    # Other databases speak the same language: one inside a network without a way out, say.
    url = ("--osv-url", os.environ["OSV_URL"]) if "OSV_URL" in os.environ else ()
    run(BIN / "pip-audit", *service, *url, "--disable-pip", "--require-hashes", *locks)
    if page():
        run("npm", "audit", "--omit=dev")


def sbom() -> None:
    """Write requirements/sbom.json and docs/licences.md from what the locks installed."""
    setup()
    run(BIN / "python", "requirements/sbom.py")


def format() -> None:  # noqa: A001 - the name of the make target
    """Write the code in the one format and mend what ruff can mend."""
    setup()
    run(BIN / "ruff", "check", "--fix", "--quiet", "--exit-zero", ".")
    run(BIN / "ruff", "format", "--quiet", ".")


def lock() -> None:
    """Write the locks anew from pyproject.toml: newest versions, with hashes, for any platform."""
    if not (BIN / "uv").exists():
        create_venv()
    command = (
        BIN / "uv",
        "pip",
        "compile",
        "--quiet",
        "--upgrade",
        "--universal",
        "--generate-hashes",
        "--python-version",
        "3.11",
        "--custom-compile-command",
        "make lock",
    )
    run(*command, "pyproject.toml", "--all-extras", "--output-file", LOCK)
    run(*command, "pyproject.toml", "--constraint", LOCK, "--output-file", CORE_LOCK)
    bench = ROOT / "requirements" / "bench.in"
    run(*command, bench, "--constraint", LOCK, "--output-file", BENCH_LOCK)
    run(*command, ROOT / "requirements" / "uv.in", "--output-file", UV_LOCK)


def clean() -> None:
    """Remove what the other targets set up and made."""
    for path in (VENV, PEERS, NODE, ROOT / "demo", ROOT / "site"):
        shutil.rmtree(path, ignore_errors=True)


def help() -> None:  # noqa: A001 - the name of the make target
    """List the targets."""
    for name, target in TARGETS.items():
        print(f"make {name:8} {(target.__doc__ or '').splitlines()[0]}")


TARGETS = {
    f.__name__: f
    for f in (
        setup,
        demo,
        test,
        check,
        docs,
        bench,
        audit,
        sbom,
        format,
        lock,
        clean,
        help,
    )
}

if __name__ == "__main__":
    # The environment is ours: without its bytecode each of the tests' many processes would compile
    # all it imports, torch among them.
    os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
    name = sys.argv[1] if len(sys.argv) > 1 else "help"
    if name not in TARGETS:
        sys.exit(f"x.py: no target is called {name!r}; choose one of {', '.join(TARGETS)}")
    TARGETS[name]()
