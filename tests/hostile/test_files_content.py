"""Damaged and hostile content of every small file: one `InputError` that names it, or a value."""

import json
import random
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from ophis import InputError, SpeciesList, read_recipe, read_scores
from ophis.decision.calibration import Calibration, read_calibration
from ophis.decision.rule import fit_rule, read_rule
from ophis.evaluation.results import read_results
from ophis.evaluation.run import read_scored_run
from ophis.images.preprocessing import Preprocessing
from ophis.images.test_time_augmentation import read_tta, tta_crops, write_tta
from ophis.inference.bundles.index import read_index
from ophis.inference.self_test import SelfTest
from ophis.priors.bayes import BayesPrior
from ophis.priors.country_counts import CountryPrior
from ophis.priors.location import LocationPrior
from ophis.priors.prior_file import read_prior
from ophis.priors.records import Records
from ophis.scores.scores import Scores
from tests.support.made_bundle import write_made_bundle

SPECIES = SpeciesList(("Boa boa", "Naja naja", "Vipera berus"))
VALUES = [
    "null", "true", "-1", "0", "1e400", "9" * 400, "9" * 5000, "NaN", "Infinity", '""', '"x"',
    "[]", "{}", "[[1]]", '{"a": {}}', "[" * 5000, '"\\ud800"', "\x00", "1e-320",
]  # fmt: skip

READERS: dict[str, Callable[[Path], object]] = {
    "recipe.toml": read_recipe,
    "prior.toml": read_prior,
    "prior.csv": read_prior,
    "place.toml": read_prior,
    "place_records.npz": lambda path: read_prior(path.with_name("place.toml")),
    "calibration.json": lambda path: read_calibration(path, SPECIES),
    "decision.json": lambda path: read_rule(path, SPECIES),
    "images.json": Preprocessing.read,
    "tta.json": read_tta,
    "selftest.json": SelfTest.read,
    "evaluation.json": read_results,
    "bundle.json": lambda path: read_index(path.parent),
    "species.csv": SpeciesList.read,
    "scores.npz": read_scores,
    "run.json": lambda path: read_scored_run(path.parent),
    "log.jsonl": lambda path: read_scored_run(path.parent),
}


@pytest.fixture(scope="module")
def whole(tmp_path_factory) -> Path:
    """Folder with a valid file of each kind."""
    folder = tmp_path_factory.mktemp("whole") / "all"
    rng = np.random.default_rng(0)
    rows = 40
    scores = Scores(
        logits=rng.normal(size=(rows, 3)).astype(np.float32),
        species=SPECIES,
        photo_ids=tuple(f"{n}.jpg" for n in range(rows)),
        truth=rng.integers(0, 3, rows),
        countries=("india",) * rows,
        observations=tuple(map(str, range(rows))),
        ood_score=rng.random(rows),
        sha256=rng.integers(0, 255, (rows, 32)).astype(np.uint8),
    )
    prior = BayesPrior(CountryPrior(SPECIES, ("france", "india"), np.array([[0, 1, 9], [5, 9, 0]])))
    write_made_bundle(
        folder,
        SPECIES,
        selftest=True,
        calibration=Calibration(np.ones(3), np.zeros(3), SPECIES),
        prior=prior,
        rule=fit_rule(scores),
    )
    scores.write(folder / "scores.npz")
    records = Records.of(
        SPECIES,
        latitude=rng.uniform(-90, 90, rows),
        longitude=rng.uniform(-180, 180, rows),
        column=rng.integers(0, 3, rows),
    )
    LocationPrior(prior, records).write(folder / "place.toml")
    write_tta(tta_crops("flip"), folder / "tta.json")
    (folder / "recipe.toml").write_text(read_recipe("demo").to_toml())
    (folder / "evaluation.json").write_text("{}")
    (folder / "run.json").write_text(json.dumps({"train": {"photos": 3}, "precision": "float32"}))
    log = [{"step": n, "loss": 1.0, "learning_rate": 0.1} for n in range(5)]
    (folder / "log.jsonl").write_text("".join(json.dumps(row) + "\n" for row in log))
    return folder


def mutated(data: bytes, rng: random.Random) -> bytes:
    """Return the data with a value replaced, bytes changed, or cut."""
    kind = rng.randrange(4)
    if kind == 0:
        return data[: rng.randrange(len(data) + 1)]
    if kind == 1:
        places = [n for n, byte in enumerate(data) if byte in b":=,[ "]
        start = rng.choice(places or [0]) + 1
        ends = (data.find(end, start) for end in (b",", b"\n", b"]", b"}"))
        end = min((n for n in ends if n >= 0), default=len(data))
        return data[:start] + rng.choice(VALUES).encode() + data[end:]
    changed = bytearray(data)
    for _ in range(rng.choice([1, 3, 30])):
        changed[rng.randrange(len(changed))] = rng.randrange(256)
    return bytes(changed)


def require_one_line(read: Callable[[Path], object], path: Path, data: bytes) -> bool:
    """Return whether the file is refused; any exception but an `InputError` fails."""
    path.write_bytes(data)
    message = None
    try:
        read(path)
    except InputError as error:
        message = str(error)
    assert message is None or (message.startswith(str(path.parent)) and "\n" not in message)
    return message is not None


@pytest.mark.full
@pytest.mark.parametrize("name", READERS)
def test_damaged_content_is_one_line_with_the_name_of_the_file(name, whole, tmp_path, figure):
    folder, rng = tmp_path / "all", random.Random(name)
    shutil.copytree(whole, folder)
    assert READERS[name](folder / name) is not None
    data = (whole / name).read_bytes()
    refused = sum(
        require_one_line(READERS[name], folder / name, mutated(data, rng)) for _ in range(1500)
    )
    figure(f"{name}: {refused} of 1,500 damaged files refused, no traceback")


@pytest.mark.full
def test_damaged_arrays_of_scores_are_one_line(whole, tmp_path, figure):
    rng, refused = random.Random(1), 0
    with np.load(whole / "scores.npz") as file:
        arrays = dict(file)
    odd = [
        np.zeros(0), np.zeros((3, 3, 3)), np.array("x"), np.array(["a", "b"]), np.array([1j]),
        np.array([np.nan]), np.zeros(40, bool), np.array(5), np.frombuffer(b"[1, 2]", np.uint8),
        np.frombuffer(b"{}", np.uint8), np.frombuffer(b'[["a"]]', np.uint8),
        np.frombuffer(b'["[]"]', np.uint8), np.frombuffer(b"\xff", np.uint8),
        np.zeros(40, "datetime64[s]"), np.zeros((40, 3), "U1"), np.full(40, 10**18),
    ]  # fmt: skip
    for name in arrays:
        for value in odd:
            np.savez(tmp_path / "s.npz", **(arrays | {name: value}))
            data = (tmp_path / "s.npz").read_bytes()
            refused += require_one_line(read_scores, tmp_path / "s.npz", data)
    for _ in range(300):
        chosen = rng.choice(list(arrays))
        changed = bytearray(arrays[chosen].tobytes())
        changed[rng.randrange(len(changed))] = rng.randrange(256)
        array = np.frombuffer(bytes(changed), arrays[chosen].dtype).reshape(arrays[chosen].shape)
        np.savez(tmp_path / "s.npz", **(arrays | {chosen: array}))
        data = (tmp_path / "s.npz").read_bytes()
        refused += require_one_line(read_scores, tmp_path / "s.npz", data)
    figure(f"scores: {refused} of {len(arrays) * len(odd) + 300} refused, no traceback")
