"""Runs of a tiny real network, compared, explained and reported."""

import json
from dataclasses import replace

import numpy as np
import polars as pl
import pytest

from ophis import InputError, read_manifest, read_scores
from ophis.evaluation.report.comparison_report import write_comparison
from ophis.evaluation.run import read_scored_run
from ophis.train import study
from ophis.train.explain import explain_runs
from ophis.train.explain.discrepancies import explain
from ophis.train.explain.saliency import Method


@pytest.fixture(scope="module")
def recipes(tmp_path_factory, small):
    """Two recipes that differ in the number of steps: 1 and 20."""
    folder = tmp_path_factory.mktemp("recipes")
    shared = {
        "backbone": "tf_efficientnet_lite0", "weights": "lite0", "batch_photos": 16,
        "micro_batch_photos": 16, "learning_rate": 0.03, "resize_pixels": 72, "crop_pixels": 64,
        "test_pixels": 64, "evaluate_every_steps": 20,
    }  # fmt: skip
    paths = []
    for name, steps in (("short", 1), ("long", 20)):
        path = folder / f"{name}.toml"
        path.write_text(small(**shared, steps=steps, decay_steps=()).to_toml())
        paths.append(path)
    return tuple(paths)


@pytest.fixture(scope="module")
def parts(coloured):
    boxes = {"box_left": "0.25", "box_top": "0", "box_right": "0.75", "box_bottom": "1"}
    table = coloured.table.with_columns(**{name: pl.lit(text) for name, text in boxes.items()})
    boxed = replace(coloured, table=table)
    return boxed.take(np.arange(18)), boxed.take(np.arange(18, 36))


@pytest.fixture(scope="module")
def studied(recipes, parts, tmp_path_factory):
    out = tmp_path_factory.mktemp("study") / "own"
    report = study(recipes, train=parts[0], validation=parts[1], out=out)
    assert report == out / "report.html"
    return out


def test_study_writes_runs_manifests_and_report(studied, recipes):
    names = {path.relative_to(studied).as_posix() for path in studied.rglob("*")}
    assert {
        "a/recipe.toml", "b/recipe.toml", "a/run.json", "b/scores.npz", "train.csv",
        "validation.csv", "prior.csv", "report.html", "report.json",
        "report-figures/training.svg", "report-figures/training.csv",
    } <= names  # fmt: skip
    text = (studied / "report.html").read_text()
    facts = json.loads((studied / "a" / "run.json").read_text())
    assert facts["train"]["sha256"] in text
    assert facts["versions"]["torch"] in text
    assert "short" in text
    assert "long" in text
    figures = json.loads((studied / "report.json").read_text())
    b = read_scores(studied / "b" / "scores.npz")
    assert figures["names"] == ["short", "long"]
    assert figures["metrics"][0]["b"]["value"] == (b.logits.argmax(axis=1) == b.truth).mean()
    assert len(read_manifest(studied / "validation.csv", follow_links=True)) == 18


def test_study_resumes_without_repeating_finished_runs(studied, recipes, parts):
    before = {path: path.stat().st_mtime_ns for path in studied.glob("*/checkpoint.pt")}
    assert len(before) == 2
    (studied / "report.html").unlink()
    study(recipes, train=parts[0], validation=parts[1], out=studied)
    assert (studied / "report.html").is_file()
    assert {path: path.stat().st_mtime_ns for path in before} == before


def test_study_refuses_folder_of_other_recipes(studied, recipes, parts):
    with pytest.raises(InputError, match="holds a run of another recipe; take a new folder"):
        study(recipes[::-1], train=parts[0], validation=parts[1], out=studied)


@pytest.mark.parametrize("method", list(Method))
def test_both_models_have_maps_of_the_same_photos(studied, parts, method):
    a, b = (read_scored_run(studied / letter) for letter in "ab")
    explain_both = explain_runs((studied / "a", studied / "b"), parts[1], method=method)
    comparison = write_comparison(
        a, b, studied / "again.html", photos=parts[1], explain=explain_both
    )
    wanted = {x.photo_id for x in (*comparison.gains_of_b[:12], *comparison.gains_of_a[:12])}
    assert wanted
    maps = explain((a.folder, b.folder), comparison, parts[1], method=method)
    assert maps.keys() == wanted
    for each in maps.values():
        assert [map_.shape for map_ in each.maps] == [(64, 64)] * 2
        assert all(0 <= value <= 1 for value in each.concentration)
        assert each.inside is None or all(0 <= value <= 1 for value in each.inside)
    # A head of zeros: the gradient of its logits is zero.
    assert all(each.maps[0].max() == 0 for each in maps.values())
    assert any(each.maps[1].max() > 0 for each in maps.values())


def test_photo_missing_in_the_manifest_is_named(studied, parts):
    a, b = (read_scored_run(studied / letter) for letter in "ab")
    comparison = write_comparison(a, b, studied / "again.html")
    with pytest.raises(InputError, match="was compared, but the manifest does not hold it"):
        explain((a.folder, b.folder), comparison, parts[0])
