"""The promises of docs/reliability.md: run their tests in full, and see each fail unprotected.

`python tests/promises.py` (`make torture`) does all; areas named behind it are done alone. The
promises stand in tests/torture/promises/, a file an area:

    [[promise]]
    says = "what is promised"
    tests = ["tests/torture/test_x.py::test_y"]

    [[promise.without]]
    what = "the protection that is taken out"
    file = "src/ophis/x.py"
    take = "a text that stands once in the file"
    put = "what stands there instead"
"""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import sys
import tempfile
import tomllib
import xml.etree.ElementTree as ET
from collections import Counter, defaultdict
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
FOLDER = ROOT / "tests" / "torture" / "promises"
PAGE = ROOT / "docs" / "reliability.md"
START, END = "<!-- figures: made by `make torture` -->", "<!-- end of figures -->"
SHORT = ("-q", "-x", "-p", "no:cacheprovider", "-p", "no:xdist")
AT_ONCE = 2
MOST_SECONDS = 400  # a test that waits for ever fails nobody
FAILED = 1  # pytest's status when tests ran and failed; others mean that they never ran


@dataclass(frozen=True)
class Without:
    """A protection taken out of one file of the checkout."""

    what: str
    file: str
    take: str
    put: str

    def apply(self, root: Path) -> None:
        """Take it out of a copy of the checkout."""
        path = root / self.file
        text = path.read_text(encoding="utf-8")
        if text.count(self.take) != 1:
            raise SystemExit(f"{self.file}: {self.take!r} should stand there once")
        path.write_text(text.replace(self.take, self.put), encoding="utf-8")


@dataclass(frozen=True)
class Promise:
    """What is promised, the tests that hold it, and what they fail without."""

    says: str
    tests: tuple[str, ...]
    without: tuple[Without, ...]


def read_promises() -> dict[str, list[Promise]]:
    """Promises by area."""
    promises: dict[str, list[Promise]] = {}
    for path in sorted(FOLDER.glob("*.toml")):
        listed = tomllib.loads(path.read_text(encoding="utf-8"))["promise"]
        promises[path.stem] = [
            Promise(
                one["says"], tuple(one["tests"]), tuple(Without(**each) for each in one["without"])
            )
            for one in listed
        ]
    return promises


def figures_of(promises: list[Promise], *, in_full: bool) -> dict[str, list[str]]:
    """What the tests of some promises measured, by test."""
    tests = list(dict.fromkeys(test for promise in promises for test in promise.tests))
    with tempfile.TemporaryDirectory() as folder:
        xml = Path(folder) / "figures.xml"
        full = ("--torture",) if in_full else ()
        words = (*full, f"--junit-xml={xml}", "-o", "junit_family=xunit1")
        done = subprocess.run(
            [sys.executable, "-m", "pytest", "-q", "-p", "no:xdist", *words, *tests],
            cwd=ROOT,
            env=os.environ | {"PYTHONPATH": str(ROOT / "src")},
            check=False,
        )
        if done.returncode:
            raise SystemExit("a promise was not kept; the page is as it was")
        return _recorded(xml)


def _recorded(xml: Path) -> dict[str, list[str]]:
    """What each test told of itself, else how many of its cases passed."""
    found: dict[str, list[str]] = defaultdict(list)
    passed: Counter[str] = Counter()
    for case in ET.parse(xml).iter("testcase"):  # noqa: S314 - written by pytest just now
        test = f"{case.get('file')}::{(case.get('name') or '').partition('[')[0]}"
        told = (each for each in case.iter("property") if each.get("name") == "figure")
        found[test] += [each.get("value") or "" for each in told]
        passed[test] += case.find("skipped") is None
    for test, cases in passed.items():
        if not found[test]:
            found[test] = ["1 case passes" if cases == 1 else f"{cases} cases pass"]
    return found


def fails_without(promise: Promise, without: Without) -> bool:
    """Whether one of the promise's tests, in its short form, fails in a copy without it."""
    with tempfile.TemporaryDirectory() as folder:
        copy = Path(folder)
        for name in subprocess.check_output(
            ["git", "ls-files", "-z"], cwd=ROOT, text=True
        ).split("\0"):  # fmt: skip
            if name:
                (copy / name).parent.mkdir(parents=True, exist_ok=True)
                shutil.copy(ROOT / name, copy / name)
        if (modules := ROOT / "node_modules").is_dir():
            (copy / "node_modules").symlink_to(modules)
        without.apply(copy)
        try:
            done = subprocess.run(
                [sys.executable, "-m", "pytest", *SHORT, *promise.tests],
                cwd=copy,
                env=os.environ | {"PYTHONPATH": str(copy / "src"), "OPHIS_WITHOUT": without.what},
                capture_output=True,
                text=True,
                check=False,
                timeout=MOST_SECONDS,
            )
        except subprocess.TimeoutExpired:
            print(f"no test ends without: {without.what}", file=sys.stderr)
            return False
    if done.returncode not in (0, FAILED):
        print(done.stdout[-3000:], done.stderr[-1000:], file=sys.stderr)
    return done.returncode == FAILED


def require_protections(promises: list[Promise]) -> None:
    """Take out every protection, one after the other, and see a test fail."""
    work = [(promise, without) for promise in promises for without in promise.without]
    with ThreadPoolExecutor(AT_ONCE) as pool:
        seen = list(pool.map(lambda pair: fails_without(*pair), work))
    unseen = 0
    for (promise, without), failed in zip(work, seen, strict=True):
        print(f"{'fails' if failed else 'STILL PASSES'} without: {without.what}", flush=True)
        unseen += not failed
        if not failed:
            print(f"  {promise.says}: {', '.join(promise.tests)}", file=sys.stderr)
    if unseen:
        raise SystemExit(f"{unseen} protections can go without a test that fails")


def table(promises: list[Promise], figures: dict[str, list[str]], *, in_full: bool = True) -> str:
    """The rows of an area."""
    form = "figure" if in_full else "figure of the short form"
    lines = [f"| promise | test | {form} | fails without |", "|---|---|---|---|"]
    for promise in promises:
        tests = "<br>".join(f"`{test.removeprefix('tests/')}`" for test in promise.tests)
        seen = "; ".join(each for test in promise.tests for each in figures.get(test, ()))
        without = "; ".join(each.what for each in promise.without)
        lines.append(f"| {promise.says} | {tests} | {seen} | {without} |")
    return "\n".join(lines)


def page_with(area: str, made: str) -> str:
    """The page with an area's table anew."""
    text = PAGE.read_text(encoding="utf-8")
    before, found, rest = text.partition(f"### {area.capitalize()}\n\n{START}\n")
    if not found:
        raise SystemExit(f"{PAGE}: '### {area.capitalize()}' with {START!r} is missing")
    after = rest.partition(END)[2]
    return f"{before}{found}{made}\n{END}{after}"


def main() -> None:
    """Run what was asked for and write the page."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("areas", nargs="*", help="by default all")
    parser.add_argument("--figures-only", action="store_true", help="take no protection out")
    parser.add_argument("--protections-only", action="store_true", help="run nothing in full")
    parser.add_argument("--short", action="store_true", help="figures of the short form")
    asked = parser.parse_args()
    promises = read_promises()
    for area in asked.areas or promises:
        if area not in promises:
            raise SystemExit(f"there is no area {area!r}; there are {', '.join(promises)}")
        print(f"== {area}", flush=True)
        if not asked.figures_only:
            require_protections(promises[area])
        if not asked.protections_only:
            figures = figures_of(promises[area], in_full=not asked.short)
            made = table(promises[area], figures, in_full=not asked.short)
            PAGE.write_text(page_with(area, made), encoding="utf-8")


if __name__ == "__main__":
    main()
