"""Every command with --json: one JSON object on stdout and nothing else."""

import json
import os
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest

from ophis.challenges.aicrowd import IMAGES, METADATA, PREDICTIONS
from ophis.cli import app

# `serve` answers over HTTP, `completion` prints a program for the shell.
# `web` needs onnxruntime-web; tests/web/test_web.py reads its JSON.
WITHOUT = {"serve", "completion", "web"}


@dataclass(frozen=True)
class Output:
    status: int
    out: str


# Runs in a separate process: the commands load three engines and two compilers. In the process of
# the tests a later test of training ended in a segmentation fault.
WALK = """
import io, json, sys
from contextlib import redirect_stdout
from ophis.cli import main
given = json.load(sys.stdin)
# The attribute of this name in ophis.cli is the command, not its module.
sys.modules["ophis.cli.demo"].RECIPES = dict.fromkeys("ab", given["recipe"])
found = {}
for call in given["calls"]:
    out = io.StringIO()
    try:
        with redirect_stdout(out):
            main([*call, "--json"])
    except SystemExit as end:
        found[call[0]] = (end.code, out.getvalue())
print(json.dumps(found))
"""


def hidden_test(folder: Path, photo: Path) -> dict[str, str]:
    """Return the environment of `ophis aicrowd`: a test of one photo."""
    (folder / "metadata.csv").write_text(f"hashed_id,country,filename\nx,India,{photo.name}\n")
    paths = (photo.parent, folder / "metadata.csv", folder / "predictions.csv")
    return dict(zip((IMAGES, METADATA, PREDICTIONS), map(str, paths), strict=True))


@pytest.fixture(scope="module")
def walk(tmp_path_factory, coloured, halves, small) -> dict[str, Output]:
    """Run all commands in order, each on the files of earlier ones; return outputs by command."""
    folder = tmp_path_factory.mktemp("walk")
    train, validation = (
        half.write(folder / f"{n}.csv") for n, half in zip("th", halves, strict=True)
    )
    for name, rate in (("a", 0.01), ("b", 0.02)):
        (folder / f"{name}.toml").write_text(small(learning_rate=rate).to_toml())
    names = halves[0].species_list()
    rows = "".join(f"{number},{name}\n" for number, name in enumerate(names))
    (folder / "records.csv").write_text("species,latitude,longitude\nNaja naja,27.71,85.32\n")
    (folder / "classes.csv").write_text(f"class_id,species\n{rows}")
    photos = ("--train", train, "--validation", validation, "--follow-links")
    own, tta = (train, "--follow-links"), ("--tta", "flip", *photos[2:])
    run, bundle, answers = folder / "run", folder / "bundle", folder / "answers.csv"
    observations = ("--style", "observations", "--classes", folder / "classes.csv")
    calls: list[tuple[object, ...]] = [
        ("sample", folder / "sample", "--count", 36),
        ("collect", coloured.folder / "manifest.csv", "--out", folder / "all.csv"),
        (
            "split",
            folder / "all.csv",
            "--train",
            folder / "t2.csv",
            "--validation",
            folder / "h2.csv",
            "--follow-links",
        ),
        ("pack", validation, "--out", folder / "pack", "--pixels", 36, "--follow-links"),
        ("train", folder / "a.toml", *photos, "--out", run),
        ("fit-prior", *own, "--out", folder / "p.toml", "--validation", run / "scores.npz"),
        ("export", run, "--out", bundle),
        ("score", bundle, validation, "--out", folder / "scores.npz", "--follow-links"),
        ("evaluate", folder / "scores.npz", "--reliability", "--out", folder / "figures"),
        ("compare", run / "scores.npz", folder / "scores.npz", "--out", folder / "r.html"),
        ("study", folder / "a.toml", folder / "b.toml", *photos, "--out", folder / "study"),
        ("combine", bundle, *tta, "--out", folder / "both"),
        ("quantise", bundle, *photos, "--most-loss", 100, "--out", folder / "eight"),
        ("identify", bundle, coloured.paths()[0], "--country", "Kenya"),
        ("near", "Kenya", "--prior", bundle),
        ("species-map", folder / "records.csv", "Naja naja", "--out", folder / "map.svg"),
        ("submit", folder / "scores.npz", *observations, "--out", answers),
        ("aicrowd", bundle),
        ("check-submission", answers, "--classes", folder / "classes.csv"),
        (
            "read-submissions",
            answers,
            "--truth",
            answers,
            "--classes",
            folder / "classes.csv",
            "--out",
            folder / "entries",
        ),
        ("card", bundle),
        ("doctor", bundle),
        ("demo", "--out", folder / "demo", "--count", 72),
    ]
    recipe = replace(small(), evaluate_every_steps=4)
    (folder / "c.toml").write_text(recipe.to_toml())
    given = {
        "calls": [[str(word) for word in call] for call in calls],
        "recipe": str(folder / "c.toml"),
    }
    done = subprocess.run(
        [sys.executable, "-c", WALK],
        input=json.dumps(given), capture_output=True, text=True, check=False,
        env=os.environ | hidden_test(folder, coloured.paths()[0]),
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return {command: Output(*result) for command, result in json.loads(done.stdout).items()}


def test_walk_covers_every_command(walk):
    assert walk.keys() == {command for command in app if not command.startswith("-")} - WITHOUT


CHECKS: dict[str, Callable[[dict[str, Any]], bool]] = {
    "collect": lambda o: o["photos"] == 36 and o["names"]["merged"] == {} and o["missing"] == [],
    "split": lambda o: o["photos"] + o["validation_photos"] == 36,
    "pack": lambda o: o["photos"] == 12 and o["bytes"] > 0 and o["failures"] == [],
    "train": lambda o: o["validation"]["photos"] == 12,
    "fit-prior": lambda o: o["losses"] == {} and o["prior"].endswith("p.toml"),
    "export": lambda o: len(o["version"]) == 64,
    "score": lambda o: o["photos"] == 12,
    "evaluate": lambda o: "log_loss" in o["evaluations"][0] and len(o["figures"]) == 2,
    "compare": lambda o: o["disagreement"]["only_a"] == 0,
    "study": lambda o: o["report"].endswith("report.html") and "disagreement" in o["comparison"],
    "combine": lambda o: [row["photos"] for row in o["results"]] == [12, 12],
    "quantise": lambda o: [row["bundle"] for row in o["results"]] == ["float32", "int8"],
    "identify": lambda o: o["source"] == "given" and o["lines"][-1].startswith("Treat every bite"),
    "near": lambda o: o["countries"] == ["KE"] and o["lines"][-1].startswith("Treat every bite"),
    "species-map": lambda o: o["records"] == 1,
    "submit": lambda o: o["photos"] == 12,
    "aicrowd": lambda o: o["photos"] == 1 and o["failures"] == [],
    "check-submission": lambda o: o["rows"] == 12 and o["problems"] == [],
    "read-submissions": lambda o: [Path(path).name for path in o["files"]] == ["answers.npz"],
    "card": lambda o: o["metrics"][0]["photos"] == 12,
    "doctor": lambda o: {"machine", "packages", "settings", "devices", "bundle"} <= o.keys(),
    "sample": lambda o: o["photos"] == 36,
    "demo": lambda o: len(o["evaluations"]) == 4 and o["answer"]["lines"],
}


@pytest.mark.parametrize("command", CHECKS)
def test_command_prints_one_json_object(walk, command):
    assert walk[command].status == 0
    output = json.loads(walk[command].out)  # fails on a second value and on any line of text
    assert isinstance(output, dict)
    assert "NaN" not in walk[command].out
    assert "Infinity" not in walk[command].out
    assert CHECKS[command](output)


def test_every_command_of_the_walk_has_a_check(walk):
    assert CHECKS.keys() == walk.keys()
