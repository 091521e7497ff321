import json
from pathlib import Path

import numpy as np
import pytest

from ophis import InputError, Scores, SpeciesList
from ophis.evaluation.run import distinct_names, read_scored_run


def write_scores(path: Path) -> Path:
    names = ("one", "two")
    Scores(
        logits=np.eye(2, dtype=np.float32), species=SpeciesList(("Naja naja", "Bitis arietans")),
        photo_ids=names, truth=np.arange(2), countries=("india",) * 2, observations=names,
    ).write(path)  # fmt: skip
    return path


def test_scores_file_is_a_run(tmp_path):
    run = read_scored_run(write_scores(tmp_path / "old.npz"))
    assert (run.name, run.folder, run.prior, run.recipe, run.log) == ("old", *[None] * 4)


def test_run_folder_is_read_with_log_and_prior(tmp_path):
    write_scores(tmp_path / "scores.npz")
    rows = [
        {"step": 0, "loss": 2.0, "learning_rate": 0.0},
        {"step": 1, "loss": 1.5, "learning_rate": 0.1},
        {"step": 1, "loss": 1.4, "learning_rate": 0.1},  # repeated after a resume
        {"step": 1, "validation_top1": 0.5},
    ]
    (tmp_path / "log.jsonl").write_text("\n".join(map(json.dumps, rows)))
    (tmp_path / "prior.csv").write_text("species,country,photos\nNaja naja,india,7\n")
    run = read_scored_run(tmp_path, name="mine")
    assert run.name == "mine"
    assert run.log is not None
    assert run.log["loss"].to_list() == [2.0, 1.4, None]
    assert run.log["validation_top1"].to_list() == [None, None, 0.5]
    assert run.prior is not None
    assert run.prior.species_photos() == {"Naja naja": 7, "Bitis arietans": 0}


def test_read_scored_run_rejects_bad_folder_and_files(tmp_path):
    with pytest.raises(InputError, match=r"no scores\.npz in it"):
        read_scored_run(tmp_path)
    write_scores(tmp_path / "scores.npz")
    (tmp_path / "log.jsonl").write_text("no json")
    with pytest.raises(InputError, match=r"log\.jsonl: not the log of a run"):
        read_scored_run(tmp_path)
    with pytest.raises(InputError, match="no such scores file"):
        read_scored_run(tmp_path / "none.npz")


@pytest.mark.parametrize(
    ("a", "b", "names"),
    [
        ("runs/a/scores.npz", "runs/b/scores.npz", ("a", "b")),
        ("runs/old", "new.npz", ("old", "new")),
        ("x/m.npz", "y/m.npz", ("x/m", "y/m")),
        ("runs/v1.0", "runs/v1.1", ("v1.0", "v1.1")),
        ("m.npz", "m.npz", ("A", "B")),
    ],
)
def test_distinct_names_are_shortest_that_differ(a, b, names):
    assert distinct_names(Path(a), Path(b)) == names


def test_distinct_names_of_any_number_of_models():
    assert distinct_names(Path("runs/a/scores.npz")) == ("a",)
    paths = [Path(f"{name}/scores.npz") for name in ("x/a", "y/a", "x/b")]
    assert distinct_names(*paths) == ("x/a", "y/a", "x/b")
