"""Offline page in the browser: bytes, seconds to the first answer, memory, agreement with Python.

    python benchmarks/web.py BUNDLE MANIFEST [--photos 100] [--rounds 3]

Writes the page of the bundle, as a folder and as one file, serves the folder on this machine and
opens it in a headless Chromium. Cold is a browser without the page, from the address to the
answer; warm one that has it, with the server stopped; from disk is the one file. The network is
that of this machine: add the time of the transfer. Memory is the resident set of the tab's
process, which holds the page, its worker and its service worker: the highest, and three seconds
after the first answer. Agreement is with `Classifier.identify` on the same photos, without a
country and with the manifest's. Needs playwright and Chromium.
"""

from __future__ import annotations

import argparse
import base64
import json
import re
import sys
import tempfile
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING, Any

import numpy as np

from ophis import load, read_manifest
from ophis.geography.countries import UNKNOWN, country_code
from ophis.inference.bundles.registry import bundle_folder
from ophis.web.export import export_web, web_files, with_file_digests, with_inline_engine
from ophis.web.runtime import MODULE, runtime_files
from ophis.web.single_file import single_page

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))  # tests.support
from tests.support.page_browser import ASK, chromium, served, tried, write_page

if TYPE_CHECKING:
    from collections.abc import Sequence

    from playwright.sync_api import Browser, Page

    from ophis.inference.classifier import Classifier

SINCE_OPENED = "performance.now() / 1000"


def main() -> None:
    """Print bytes, then seconds and memory, then agreement."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("bundle", help="a bundle folder, or imagenet17")
    parser.add_argument("manifest", type=Path)
    parser.add_argument("--photos", type=int, default=100)
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args()
    classifier = load(bundle_folder(options.bundle))
    manifest = read_manifest(options.manifest)
    rows = np.linspace(0, len(manifest) - 1, min(options.photos, len(manifest))).astype(int)
    table, paths = manifest.table, manifest.paths()
    photos = [(paths[row].read_bytes(), _code(table["country"][int(row)])) for row in rows]
    with tempfile.TemporaryDirectory() as name, chromium() as browser:
        folder = Path(name)
        print_bytes(classifier, folder)
        page = tried(web_files(classifier.bundle, runtime_files()))
        print_seconds(browser, page, folder, photos[0], options.rounds)
        print_agreement(browser, folder, classifier, photos)


def _code(country: str) -> str | None:
    return None if country == UNKNOWN else country_code(country)


def print_bytes(classifier: Classifier, folder: Path) -> None:
    """Print the bytes that a browser loads, without licences."""
    bundle = classifier.bundle.folder
    files = [
        file for file in export_web(bundle, folder / "bytes") if not file.path.endswith(".txt")
    ]
    for name, chosen in (
        ("model", [file for file in files if file.path.endswith(".onnx")]),
        ("engine", [file for file in files if file.path.startswith("runtime/")]),
        ("all files", files),
        ("one file", export_web(bundle, folder / "bytes.html", single_file=True)),
    ):
        size, packed = (sum(getattr(file, key) for file in chosen) for key in ("size", "packed"))
        print(f"{name:12} {size / 1e6:7.2f} MB, {packed / 1e6:7.2f} MB packed by gzip")


def print_seconds(
    browser: Browser,
    files: dict[str, bytes],
    folder: Path,
    photo: tuple[bytes, str | None],
    rounds: int,
) -> None:
    """Print medians: cold, warm, the second answer, and from disk."""
    seconds: dict[str, list[float]] = {"cold": [], "warm": [], "next": [], "from disk": []}
    memory: dict[str, list[float]] = {"first visit": [], "at rest": [], "kept": [], "from disk": []}
    one = folder / "one.html"
    one.write_bytes(single_page(with_inline_engine(files), runtime_files()[MODULE]))
    write_page(folder / "page", with_file_digests(files))
    for _ in range(rounds):
        context = browser.new_context()
        page = context.new_page()
        with served(folder / "page") as address:
            page.goto(address)
            seconds["cold"].append(answered(page, photo))
            page.evaluate("backend.availableOffline()")
            memory["first visit"].append(resident(browser))
            page.wait_for_timeout(3000)
            memory["at rest"].append(resident(browser, "VmRSS"))
        page.close()
        page = context.new_page()
        page.goto(address)
        seconds["warm"].append(answered(page, photo))
        start = page.evaluate(SINCE_OPENED)
        seconds["next"].append(answered(page, photo) - start)
        memory["kept"].append(resident(browser))
        context.close()
        context = browser.new_context()
        page = context.new_page()
        page.goto(one.as_uri())
        seconds["from disk"].append(answered(page, photo))
        memory["from disk"].append(resident(browser))
        context.close()
    for name, values in seconds.items():
        print(f"{name:12} {median(values):6.2f} s (of {rounds}: {_range(values)})")
    for name, values in memory.items():
        print(f"memory, {name}: {max(values):.0f} MB")


def _range(values: Sequence[float]) -> str:
    return f"{min(values):.2f} to {max(values):.2f}"


def answered(page: Page, photo: tuple[bytes, str | None]) -> float:
    """Return the seconds from the opening of the page to the answer."""
    answers_of(page, *photo)
    return float(page.evaluate(SINCE_OPENED))


def answers_of(page: Page, photo: bytes, country: str | None) -> dict[str, Any]:
    """Return the answers of the page."""
    return page.evaluate(ASK, {"photos": [base64.b64encode(photo).decode()], "country": country})


def resident(browser: Browser, which: str = "VmHWM") -> float:
    """Return the resident memory of the largest tab, in MB: its peak, or VmRSS."""
    session = browser.new_browser_cdp_session()
    processes = session.send("SystemInfo.getProcessInfo")["processInfo"]
    tabs = [process["id"] for process in processes if process["type"] == "renderer"]
    peaks = [
        int(re.findall(rf"{which}:\s+(\d+)", Path(f"/proc/{tab}/status").read_text())[0])
        for tab in tabs
    ]
    return max(peaks) / 1e3


def print_agreement(
    browser: Browser,
    folder: Path,
    classifier: Classifier,
    photos: Sequence[tuple[bytes, str | None]],
) -> None:
    """Print how many names, states and dangers are equal, and the largest difference."""
    pairs: list[tuple[dict[str, Any], dict[str, Any]]] = []
    with served(folder / "page") as address:
        page = browser.new_page()
        page.goto(address)
        for data, country in photos:
            for where in dict.fromkeys((None, country)):
                found = answers_of(page, data, where)
                pairs.append((found, classifier.identify(data, country=where).as_dict()))
    print(f"{len(pairs)} answers to {len(photos)} photos, without and with the country:")
    for field in ("state", "name", "verdict", "possible", "lines"):
        same = sum(found[field] == expected[field] for found, expected in pairs)
        print(f"  same {field}: {same}")
    guessed = [pair for pair in pairs if all(answer["guesses"] for answer in pair)]
    first = [[answer["guesses"][0]["species"] for answer in pair] for pair in guessed]
    print(f"  same first guess: {sum(a == b for a, b in first)} of {len(first)}")
    print(f"  largest difference of a probability: {max(map(_difference, pairs)):.1e}")
    odd = [pair for pair in pairs if pair[0]["lines"] != pair[1]["lines"]]
    for found, expected in odd[:5]:
        print(json.dumps([found["lines"][:2], expected["lines"][:2]], ensure_ascii=False))


def _difference(pair: tuple[dict[str, Any], dict[str, Any]]) -> float:
    found, expected = (
        {guess["species"]: guess["probability"] for guess in answer["guesses"]} for answer in pair
    )
    return max((abs(found[name] - expected[name]) for name in found.keys() & expected), default=0.0)


if __name__ == "__main__":
    main()
