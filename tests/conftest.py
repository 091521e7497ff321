"""Fixtures of several areas: synthetic photos and manifests, bundles, a browser."""

import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import polars as pl
import pytest
from hypothesis import settings
from PIL import Image

from ophis import Manifest, Recipe, load, read_manifest, read_recipe
from ophis.inference.classifier import Classifier
from tests.support.paths import SHARED

if TYPE_CHECKING:
    from playwright.sync_api import Browser

# Parallel workers share the cores. Set before torch is imported, and inherited by children.
if at_once := os.environ.get("PYTEST_XDIST_WORKER_COUNT"):
    threads = max(1, (os.cpu_count() or 1) // int(at_once))
    os.environ.setdefault("OMP_NUM_THREADS", str(threads))

# The time of an example depends on the load of the machine.
settings.register_profile("ophis", deadline=None)
settings.load_profile("ophis")

COLOURS = {"Made green": (30, 160, 40), "Made red": (190, 40, 30), "Made blue": (40, 60, 190)}
COUNTRIES = ("Kenya", "India", "UNKNOWN")


# Fixtures of slow tests: a browser, or the results of `make demo`.
SLOW_FIXTURES = frozenset({"browser", "place"})
NO_BROWSER = "no Chromium (on Debian: apt install chromium)"


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if SLOW_FIXTURES.intersection(getattr(item, "fixturenames", ())):
            item.add_marker(pytest.mark.full)


def pytest_terminal_summary(terminalreporter: Any) -> None:
    skipped = terminalreporter.getreports("skipped")
    count = sum(NO_BROWSER in str(report.longrepr) for report in skipped)
    if count:
        terminalreporter.write_line(f"{count} tests of pages were skipped: {NO_BROWSER}")


@pytest.fixture(
    scope="session",
    params=[
        pytest.param(False, id="small"),
        pytest.param(True, id="full-size", marks=pytest.mark.full),
    ],
)
def full_size(request: pytest.FixtureRequest) -> bool:
    """True for the sizes behind docs/reliability.md, which the full tier runs; else small ones."""
    return request.param


@pytest.fixture
def figure() -> Callable[[str], None]:
    """Print a measured value for docs/reliability.md; `pytest -rP` shows it."""
    return lambda text: print(f"figure: {text}")


@pytest.fixture
def in_base(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> None:
    """Work in the folder of all temporary ones: tables in one may name photos in another."""
    monkeypatch.chdir(tmp_path_factory.getbasetemp())


@pytest.fixture(scope="session")
def coloured(tmp_path_factory: pytest.TempPathFactory) -> Manifest:
    """Manifest of 36 noisy photos of three plain colours, learnable in a few steps."""
    folder = tmp_path_factory.mktemp("coloured")
    rng = np.random.default_rng(0)
    lines = ["photo,species,country"]
    for number in range(36):
        species = list(COLOURS)[number % 3]
        noise = rng.normal(0, 25, size=(64, 72, 3))
        pixels = np.clip(np.array(COLOURS[species]) + noise, 0, 255).astype(np.uint8)
        Image.fromarray(pixels).save(folder / f"{number}.png")
        lines.append(f"{number}.png,{species},{COUNTRIES[number % 3 if number % 2 else 2]}")
    (folder / "manifest.csv").write_text("\n".join(lines) + "\n")
    return read_manifest(folder / "manifest.csv")


@pytest.fixture(scope="session")
def small() -> Callable[..., Recipe]:
    """Return recipes of a tiny network and a few steps; keywords replace values."""
    from dataclasses import replace

    def make(**changes: object) -> Recipe:
        values = {
            "backbone": "bit_r14_half",
            "weights": "none",
            "resize_pixels": 36,
            "crop_pixels": 32,
            "test_pixels": 32,
            "steps": 4,
            "batch_photos": 8,
            "micro_batch_photos": 4,
            "learning_rate": 0.01,
            "warmup_steps": 1,
            "decay_steps": (3,),
            "evaluate_every_steps": 2,
            "precision": "float32",
        }
        return replace(read_recipe("demo"), **(values | changes))

    return make


@pytest.fixture(scope="session")
def synthetic_photo(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One synthetic photo."""
    from ophis.datasets.synthetic.camera import photograph
    from ophis.datasets.synthetic.population import sightings

    path = tmp_path_factory.mktemp("synthetic") / "synthetic.jpg"
    path.write_bytes(photograph(sightings(36, seed=0)[0], seed=0).data)
    return path


def made_once(
    tmp_path_factory: pytest.TempPathFactory, name: str, make: Callable[[Path], object]
) -> Path:
    """Return a folder that one worker makes and all workers read. Tests must not change it."""
    from filelock import FileLock

    base = tmp_path_factory.getbasetemp()
    folder = (base.parent if "PYTEST_XDIST_WORKER" in os.environ else base) / name
    with FileLock(folder.with_suffix(".lock")):
        if not folder.is_dir():
            make(folder)
    return folder


@pytest.fixture(scope="session")
def imagenet17(tmp_path_factory: pytest.TempPathFactory) -> Classifier:
    """Classifier of the bundle `imagenet17`, which has no evaluation results."""
    from ophis.train.export import export_imagenet17

    return load(made_once(tmp_path_factory, "imagenet17", export_imagenet17))


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Copy of the results of `make demo` for each test module."""
    from tests.support.docs_pages import make_place

    return Path(
        shutil.copytree(
            made_once(tmp_path_factory, "reader", make_place),
            tmp_path_factory.mktemp("mine") / "reader",
        )
    )


@pytest.fixture(scope="session")
def served(imagenet17: Classifier) -> Path:
    """Bundle folder to serve."""
    return imagenet17.bundle.folder


@pytest.fixture(scope="session")
def halves(coloured: Manifest) -> tuple[Manifest, Manifest]:
    """Training part (24 photos) and validation part (12 photos)."""
    return coloured.take(np.arange(24)), coloured.take(np.arange(24, 36))


@pytest.fixture(scope="session")
def published_counts() -> pl.DataFrame:
    """Published counts of SnakeCLEF 2020 as `species, country, photos`."""
    path = SHARED / "snakeclef2020" / "images_per_species_and_country.csv"
    if not path.is_file():
        pytest.skip("the organisers' counts are missing (shared/data/snakeclef2020)")
    table = pl.read_csv(path, empty_string_is_null=False)
    table = table.rename({"scientific_name": "species", "images": "photos"})
    return table.with_columns(pl.col("country").replace("unknown", "UNKNOWN"))


@pytest.fixture(scope="session")
def shared_2021() -> Path:
    """Folder of the published tables of SnakeCLEF 2021."""
    path = SHARED / "snakeclef2021"
    if not path.is_dir():
        pytest.skip("the organisers' tables are missing (shared/data/snakeclef2021)")
    return path


@pytest.fixture(scope="module")
def browser() -> "Iterator[Browser]":
    """Headless Chromium. Scope module: while it runs, no other event loop can be started."""
    from tests.support.page_browser import CHROMIUM, chromium

    if CHROMIUM is None:
        # In CI a missing browser is a failure, because tests of pages would be skipped unnoticed.
        (pytest.fail if os.environ.get("CI") else pytest.skip)(NO_BROWSER)
    with chromium() as browser:
        yield browser
