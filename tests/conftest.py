"""Made photos and manifests for the tests; nothing here stands for a real snake."""

import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

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

# Tests run side by side share the cores; set before torch is imported, and inherited.
if at_once := os.environ.get("PYTEST_XDIST_WORKER_COUNT"):
    threads = max(1, (os.cpu_count() or 1) // int(at_once))
    os.environ.setdefault("OMP_NUM_THREADS", str(threads))

# How long an example takes says something about the machine and nothing about the code.
settings.register_profile("ophis", deadline=None)
settings.load_profile("ophis")

COLOURS = {"Made green": (30, 160, 40), "Made red": (190, 40, 30), "Made blue": (40, 60, 190)}
COUNTRIES = ("Kenya", "India", "UNKNOWN")


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--torture", action="store_true", help="keep promises in full: see docs/reliability.md"
    )


@pytest.fixture(scope="session")
def in_full(pytestconfig: pytest.Config) -> bool:
    """Whether a promise is kept in full (`make torture`), or in the short form of `make test`."""
    return bool(pytestconfig.getoption("--torture"))


@pytest.fixture
def figure(record_property: Callable[[str, object], None]) -> Callable[[str], None]:
    """Tell what was measured, for the row of a promise in docs/reliability.md."""
    return lambda text: record_property("figure", text)


@pytest.fixture(scope="session")
def coloured(tmp_path_factory: pytest.TempPathFactory) -> Manifest:
    """36 noisy photos of three plain colours: a task that a network learns in a few steps."""
    folder = tmp_path_factory.mktemp("coloured")
    chance = np.random.default_rng(0)
    lines = ["photo,species,country"]
    for number in range(36):
        species = list(COLOURS)[number % 3]
        noise = chance.normal(0, 25, size=(64, 72, 3))
        pixels = np.clip(np.array(COLOURS[species]) + noise, 0, 255).astype(np.uint8)
        Image.fromarray(pixels).save(folder / f"{number}.png")
        lines.append(f"{number}.png,{species},{COUNTRIES[number % 3 if number % 2 else 2]}")
    (folder / "manifest.csv").write_text("\n".join(lines) + "\n")
    return read_manifest(folder / "manifest.csv")


@pytest.fixture(scope="session")
def small() -> Callable[..., Recipe]:
    """A recipe of a tiny real network for a few steps; keywords change its keys."""
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
    """One photo of the sample: synthetic, not photographed."""
    from ophis.datasets.synthetic.camera import photograph
    from ophis.datasets.synthetic.population import sightings

    path = tmp_path_factory.mktemp("drawn") / "drawn.jpg"
    path.write_bytes(photograph(sightings(36, seed=0)[0], seed=0).data)
    return path


def made_once(
    tmp_path_factory: pytest.TempPathFactory, name: str, make: Callable[[Path], object]
) -> Path:
    """A folder that one worker makes and all see; nobody may change it."""
    from filelock import FileLock

    base = tmp_path_factory.getbasetemp()
    folder = (base.parent if "PYTEST_XDIST_WORKER" in os.environ else base) / name
    with FileLock(folder.with_suffix(".lock")):
        if not folder.is_dir():
            make(folder)
    return folder


@pytest.fixture(scope="session")
def imagenet17(tmp_path_factory: pytest.TempPathFactory) -> Classifier:
    """The ready bundle, which was never judged on photos."""
    from ophis.train.export import export_imagenet17

    return load(made_once(tmp_path_factory, "imagenet17", export_imagenet17))


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder as it is after `make demo`, for one to work in."""
    from tests.support.reader import make_place

    return Path(
        shutil.copytree(
            made_once(tmp_path_factory, "reader", make_place),
            tmp_path_factory.mktemp("mine") / "reader",
        )
    )


@pytest.fixture(scope="module")
def served(
    request: pytest.FixtureRequest, in_full: bool, tmp_path_factory: pytest.TempPathFactory
) -> Path:
    """A bundle to be served: the ready one in full, else one whose network is a few numbers."""
    if in_full:
        return request.getfixturevalue("imagenet17").bundle.folder
    from tests.support.service import judged_bundle

    return judged_bundle(tmp_path_factory.mktemp("served") / "bundle")


@pytest.fixture(scope="session")
def halves(coloured: Manifest) -> tuple[Manifest, Manifest]:
    """Two thirds to learn from, one third to judge by."""
    return coloured.take(np.arange(24)), coloured.take(np.arange(24, 36))


@pytest.fixture(scope="session")
def published_counts() -> pl.DataFrame:
    """The organisers' real counts as `species, country, photos`, where they are."""
    path = SHARED / "snakeclef2020" / "images_per_species_and_country.csv"
    if not path.is_file():
        pytest.skip("the organisers' counts are not here (shared/data/snakeclef2020)")
    table = pl.read_csv(path, empty_string_is_null=False)
    table = table.rename({"scientific_name": "species", "images": "photos"})
    return table.with_columns(pl.col("country").replace("unknown", "UNKNOWN"))


@pytest.fixture(scope="session")
def shared_2021() -> Path:
    """The organisers' tables of 2021, where they are."""
    path = SHARED / "snakeclef2021"
    if not path.is_dir():
        pytest.skip("the organisers' tables are not here (shared/data/snakeclef2021)")
    return path


@pytest.fixture(scope="module")
def browser() -> "Iterator[Browser]":
    """A real headless Chromium. Of a module: while it runs, no other event loop can be started."""
    pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
    from tests.support.page_browser import CHROMIUM, chromium

    if CHROMIUM is None:
        pytest.skip("no Chromium here (on Debian: apt install chromium)")
    with chromium() as browser:
        yield browser
