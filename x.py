"""Set-up and checks of this checkout: `python x.py help` lists the targets.

The file exists for two reasons. It needs nothing but Python 3.11 and its standard library, so a
fresh clone is set up by one command on Linux, macOS and Windows. And it installs from lock files
that hold versions and hashes and no address, so that the same locks work with any package index or
mirror; a pinned uv, itself installed with hashes, resolves and installs them.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import sys
import tempfile
import venv
from pathlib import Path

ROOT = Path(__file__).resolve().parent
VENV = ROOT / ".venv"
BIN = VENV / ("Scripts" if os.name == "nt" else "bin")
LOCK = ROOT / "requirements" / "all.txt"
CORE_LOCK = ROOT / "requirements" / "core.txt"
UV_LOCK = ROOT / "requirements" / "uv.txt"
BENCH_LOCK = ROOT / "requirements" / "bench.txt"
PEERS = ROOT / ".venv-bench"  # packages that only benchmarks compare with
STAMP = VENV / "ophis-setup.sha256"
NODE = ROOT / "node_modules"  # onnxruntime-web, Biome and TypeScript for the page
NODE_LOCK = ROOT / "package-lock.json"


def run(*command: str | Path, tries: int = 1) -> None:
    """Run a command from the checkout's root; end with its status if it fails.

    A command that is ended by a signal is repeated, up to `tries` runs in all.
    """
    words = [str(word) for word in command]
    status = subprocess.run(words, cwd=ROOT, check=False).returncode
    if status < 0 and tries > 1:
        run(*command, tries=tries - 1)
    elif status:
        sys.exit(status if status > 0 else 128 - status)


def fingerprint() -> str:
    """Return the digest of everything that .venv depends on."""
    digest = hashlib.sha256(sys.version.encode())
    for path in (UV_LOCK, LOCK, ROOT / "pyproject.toml"):
        digest.update(path.read_bytes())
    return digest.hexdigest()


def create_venv() -> None:
    """Create .venv and install the pinned uv into it."""
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
    """Create .venv from the locks, unless it is up to date."""
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
    # uv 0.13.9 crashed here once in many runs; a second run keeps what the first installed.
    sync = (*uv, "sync", "--quiet", "--python", BIN / "python")
    run(*sync, "--require-hashes", LOCK, UV_LOCK, tries=2)
    # Without isolation: the build backend is in the lock, so nothing unpinned is installed.
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
    """Create node_modules from its lock; return False, with a message, if that is impossible."""
    npm = shutil.which("npm")
    if npm is None:
        print("x.py: no npm, so the code of the page is not checked (Debian: nodejs, npm)")
        return False
    stamp = NODE / "ophis-lock.sha256"
    lock = hashlib.sha256(NODE_LOCK.read_bytes()).hexdigest()
    if not stamp.is_file() or stamp.read_text() != lock:
        if subprocess.run([npm, "ci", "--silent"], cwd=ROOT, check=False).returncode:
            print("x.py: `npm ci` failed, so the page is not checked and some tests are skipped")
            return False
        stamp.write_text(lock)
    return True


def check() -> None:
    """Check format, lint, docstrings and strict types of Python, and the code of the page."""
    setup()
    if page():
        run(NODE / ".bin" / "biome", "ci", "--log-level=warn")
        run(NODE / ".bin" / "tsc", "--project", ".")
    run(BIN / "ruff", "format", "--check", "--quiet", ".")
    run(BIN / "ruff", "check", "--quiet", ".")
    run(BIN / "python", "-m", "tests.support.docstrings")
    sources = ("src", "tests", "benchmarks", "requirements", "x.py")
    run(BIN / "ty", "check", "--quiet", "--python", VENV, *sources)


def browser() -> None:
    """Install the browser of the tests in CI; elsewhere print that they are skipped."""
    if any(map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))):
        return
    apt = shutil.which("apt-get")
    if apt and os.environ.get("CI") and os.geteuid() == 0:
        for words in (("update", "-qq"), ("install", "-qq", "--yes", "chromium")):
            subprocess.run([apt, *words], stdout=subprocess.DEVNULL, check=False)
    if not shutil.which("chromium"):
        print("x.py: no Chromium, so the tests of pages are skipped (Debian: chromium)")


def pytest(tier: str) -> None:
    """Run the tests that a marker expression selects, in parallel."""
    # A file stays in one process, so that its fixtures are made once. A process that dies ends the
    # run: with a replacement, pytest-xdist may wait without end.
    words = ("-n", "auto", "--dist", "loadfile", "--max-worker-restart", "0", "--durations=8")
    run(BIN / "python", "-m", "pytest", "-m", tier, *words)


def test() -> None:
    """Set up, check, and run the fast tests."""
    check()
    pytest("not full")


def test_full() -> None:
    """Set up and run the tests that `test` leaves out: browser, Ray, processes, docs, load."""
    setup()
    page()
    browser()
    pytest("full")


def mutation() -> None:
    """Set up and run mutation tests of the safety modules: `python x.py mutation [MODULE ...]`."""
    setup()
    run(BIN / "python", "requirements/mutation.py", *sys.argv[2:])


def reference() -> None:
    """Write docs/cli.md and docs/python.md from the help texts and docstrings."""
    setup()
    run(BIN / "python", "requirements/reference.py")


def demo() -> None:
    """Set up and run the whole chain on synthetic photos: train, compare, export, identify."""
    setup()
    run(BIN / "ophis", "demo", "--out", "demo")


def docs() -> None:
    """Set up and build the site of docs/ into site/; a warning is an error."""
    setup()
    run(BIN / "zensical", "build", "--strict")


def bench() -> None:
    """Set up and time every benchmark against other packages; write the dated table."""
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


def lower_bounds() -> list[str]:
    """Return each dependency of a user at the lowest version that pyproject.toml permits."""
    import tomllib  # noqa: PLC0415 - an older Python must reach the message of `setup`

    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    extras = project["optional-dependencies"]
    groups = (project["dependencies"], *(extras[name] for name in extras if name != "dev"))
    return [line.replace(">=", "==") for group in groups for line in group]


def audit() -> None:
    """Check every locked package and lower bound for known advisories; needs a network."""
    setup()
    locks = [word for lock in (LOCK, BENCH_LOCK, UV_LOCK) for word in ("--requirement", lock)]
    # Another database with the same interface, inside a closed network for example.
    url = ("--osv-url", os.environ["OSV_URL"]) if "OSV_URL" in os.environ else ()
    command = (BIN / "pip-audit", "--vulnerability-service", "osv", *url, "--disable-pip")
    run(*command, "--require-hashes", *locks)
    with tempfile.TemporaryDirectory() as folder:
        bounds = Path(folder, "lower-bounds.txt")
        bounds.write_text("\n".join(lower_bounds()) + "\n", encoding="utf-8")
        run(*command, "--no-deps", "--requirement", bounds)
    if page():
        run("npm", "audit", "--omit=dev")


def sbom() -> None:
    """Write requirements/sbom.json and docs/licences.md from the installed packages."""
    setup()
    run(BIN / "python", "requirements/sbom.py")


def format() -> None:  # noqa: A001 - the name of the make target
    """Format the code and apply the fixes of ruff."""
    setup()
    run(BIN / "ruff", "check", "--fix", "--quiet", "--exit-zero", ".")
    run(BIN / "ruff", "format", "--quiet", ".")


def lock() -> None:
    """Write the locks from pyproject.toml: newest versions, with hashes, for any platform."""
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
    """Remove what the other targets created."""
    for path in (VENV, PEERS, NODE, ROOT / "demo", ROOT / "site"):
        shutil.rmtree(path, ignore_errors=True)


def help() -> None:  # noqa: A001 - the name of the make target
    """List the targets."""
    for name, target in TARGETS.items():
        print(f"make {name:9} {(target.__doc__ or '').splitlines()[0]}")


TARGETS = {
    f.__name__.replace("_", "-"): f
    for f in (
        setup, demo, test, test_full, check, docs, bench, mutation, reference, audit, sbom, format,
        lock, clean, help,
    )
}  # fmt: skip

if __name__ == "__main__":
    # Without bytecode, each of the many processes of the tests compiles all that it imports.
    os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
    name = sys.argv[1] if len(sys.argv) > 1 else "help"
    if name not in TARGETS:
        sys.exit(f"x.py: no target is called {name!r}; choose one of {', '.join(TARGETS)}")
    TARGETS[name]()
