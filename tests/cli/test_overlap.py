"""Every command that writes refuses an output that is an input, before it writes anything."""

import hashlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from ophis import InputError
from ophis.challenges import aicrowd as hidden_test
from ophis.cli import COMMANDS, answers, challenges, evaluation, models, photos, priors
from ophis.cli.web import web

# Calls whose output is an input, by command; paths lie in a folder of files with made content.
T = {"train": Path("t.csv"), "validation": Path("v.csv")}
MANIFEST = Path("t.csv")
CASES: dict[str, list[Callable[[], Any]]] = {
    "web": [
        lambda: web(Path("bundle"), Path("bundle")),
        lambda: web(Path("bundle"), Path("bundle/page.html"), single_file=True),
        lambda: web(Path("bundle"), Path("a.npz"), single_file=True, runtime=Path("a.npz")),
    ],
    "score": [
        lambda: answers.score(Path("bundle"), Path("m.npz"), out=Path("m.npz")),
        lambda: answers.score(Path("bundle"), MANIFEST, out=Path("bundle/training_photos.npz")),
        lambda: answers.score(Path("bundle"), Path("pack"), out=Path("pack/new.npz")),
    ],
    "collect": [
        lambda: photos.collect(MANIFEST, out=Path("t.csv")),
        lambda: photos.collect(MANIFEST, out=Path("v.csv"), synonyms=Path("v.csv")),
        lambda: photos.collect(Path("photos"), out=Path("photos/metadata.csv")),
        lambda: photos.collect(Path("pack"), out=Path("pack/manifest.parquet")),
    ],
    "split": [
        lambda: photos.split(MANIFEST, train=Path("x.csv"), validation=Path("x.csv")),
        lambda: photos.split(MANIFEST, train=Path("t.csv"), validation=Path("x.csv")),
        lambda: photos.split(MANIFEST, train=Path("x.csv"), validation=Path("link.csv")),
        lambda: photos.split(Path("run/train.csv"), out=Path("run")),
    ],
    "pack": [lambda: photos.pack(Path("photos"), out=Path("photos"))],
    "train": [
        lambda: models.train("r.toml", **T, out=Path("r.toml")),
        lambda: models.train("r.toml", **T, out=Path("t.csv")),
        lambda: models.train("demo", train=Path("photos"), validation=MANIFEST, out=Path("photos")),
    ],
    "export": [
        lambda: models.export("run", out=Path("run")),
        lambda: models.export("run", out=Path("bundle"), prior=Path("bundle/prior.csv")),
    ],
    "quantise": [lambda: models.quantise(Path("bundle"), **T, out=Path("bundle"))],
    "combine": [
        lambda: models.combine(Path("run"), Path("bundle"), validation=MANIFEST, out=Path("run")),
    ],
    "fit_prior": [
        lambda: priors.fit_prior(MANIFEST, out=Path("t.csv")),
        lambda: priors.fit_prior(MANIFEST, out=Path("t.toml")),  # its table is t.csv
        lambda: priors.fit_prior(MANIFEST, out=Path("v.toml"), range_map=Path("v_range_map.csv")),
    ],
    "evaluate": [lambda: evaluation.evaluate(Path("run"), Path("a.npz"), out=Path("run"))],
    "compare": [
        lambda: evaluation.compare(Path("a.npz"), Path("run"), out=Path("a.npz")),
        lambda: evaluation.compare(Path("run"), Path("a.npz"), out=Path("run/run.html")),
        lambda: evaluation.compare(Path("run"), Path("a.npz"), out=Path("run")),
    ],
    "study": [
        lambda: evaluation.study("demo", "demo", **T, out=Path("t.csv")),
        lambda: evaluation.study(
            "demo", "demo", train=Path("run/train.csv"), validation=MANIFEST, out=Path("run")
        ),
    ],
    "species_map": [
        lambda: evaluation.species_map(Path("t.csv"), "Naja naja", out=Path("link.csv")),
    ],
    "submit": [
        lambda: challenges.submit(Path("a.npz"), style="observations", out=Path("a.npz")),
        lambda: challenges.submit(
            Path("a.npz"), style="observations", out=Path("t.csv"), classes=Path("link.csv")
        ),
    ],
    "read_submissions": [
        lambda: challenges.read_submissions(Path("a.csv"), truth=Path("a.npz"), out=Path()),
    ],
    "aicrowd": [
        lambda: challenges.aicrowd(Path("bundle")),
        lambda: challenges.aicrowd(Path("run"), species=Path("t.csv")),
    ],
}
# `card --write` changes the bundle that it reads, which is its purpose.
NO_FILE_FROM_FILES = {
    "identify", "near", "serve", "card", "check_submission", "demo", "sample", "doctor",
    "completion",
}  # fmt: skip
FILES = (
    "t.csv", "v.csv", "v_range_map.csv", "a.npz", "a.csv", "m.npz", "r.toml", "bundle/bundle.json",
    "bundle/prior.csv", "bundle/training_photos.npz", "run/run.json", "run/train.csv",
    "photos/metadata.csv", "pack/pack.json", "pack/manifest.parquet",
)  # fmt: skip


def digests() -> dict[str, str]:
    paths = (path for path in Path().rglob("*") if path.is_file())
    return {str(path): hashlib.sha256(path.read_bytes()).hexdigest() for path in paths}


@pytest.mark.parametrize(
    "call", [pytest.param(call, id=name) for name, calls in CASES.items() for call in calls]
)
def test_output_that_is_an_input_is_refused(call, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for name in FILES:
        Path(name).parent.mkdir(exist_ok=True)
        Path(name).write_text(f"content of {name}\n")
    Path("link.csv").symlink_to("t.csv")
    monkeypatch.setenv(hidden_test.IMAGES, "photos")
    monkeypatch.setenv(hidden_test.METADATA, "t.csv")
    monkeypatch.setenv(hidden_test.PREDICTIONS, "link.csv")
    before = digests()
    with pytest.raises(InputError, match=r"input of this command|one file to write"):
        call()
    assert digests() == before


def test_every_command_is_tried_or_writes_no_file_from_files():
    names = {command.__name__ for commands in COMMANDS.values() for command in commands}
    assert names == CASES.keys() | NO_FILE_FROM_FILES
