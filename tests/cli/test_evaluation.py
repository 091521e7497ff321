"""Commands evaluate and compare."""

import json
import sys
from dataclasses import replace

import numpy as np
import polars as pl
import pytest

from ophis import evaluate, read_prior, read_scores
from ophis.cli import main
from ophis.decision.calibration import reliability
from ophis.evaluation.metrics import risk_coverage
from ophis.evaluation.snakeclef_metrics import snakeclef_metric
from ophis.scores.aggregation import aggregate_observations
from tests.support.commands import ophis, refused, refused_here


def test_evaluate_prints_table_without_and_with_country(scores_folder):
    arguments = ("evaluate", scores_folder / "scores.npz", "--prior", scores_folder / "prior.csv")
    table = ophis(*arguments)
    assert table.returncode == 0, table.stderr
    header, without, with_country = table.stdout.rstrip().splitlines()
    assert header.split() == ["model", "country", "photos", "top-1", "top-5", "macro", "F1"]
    assert without.split()[1:3] == ["without", "36"]
    assert with_country.split()[1:3] == ["with", "36"]
    rows = json.loads(ophis(*arguments, "--json").stdout)["evaluations"]
    assert [row["country"] for row in rows] == [False, True]
    assert f"{rows[1]['macro_f1']:.4f}" == with_country.split()[-1]
    assert rows[1]["top1"] > rows[0]["top1"]


def test_evaluate_prints_snakeclef_metrics(scores_folder):
    scores = read_scores(scores_folder / "scores.npz")
    metric = ("--metric", "snakeclef2020", "--metric", "snakeclef2023-track2")
    output = json.loads(ophis("evaluate", scores_folder / "scores.npz", *metric, "--json").stdout)
    (row,) = output["evaluations"]
    assert row["snakeclef2020"] == pytest.approx(evaluate(scores).macro_f1)
    assert row["snakeclef2023-track2"] == snakeclef_metric("snakeclef2023-track2", scores)
    shown = ophis("evaluate", scores_folder / "scores.npz", *metric).stdout.splitlines()
    assert shown[0].split()[-2:] == ["snakeclef2020", "snakeclef2023-track2"]
    assert shown[1].split()[-1] == f"{row['snakeclef2023-track2']:.0f}"
    output = json.loads(
        ophis("evaluate", scores_folder / "scores.npz", "--reliability", "--json").stdout
    )
    (row,) = output["evaluations"]
    assert row["log_loss"] == pytest.approx(reliability(scores).log_loss)
    line = refused("evaluate", scores_folder / "scores.npz", "--metric", "snakeclef2030")
    assert "'snakeclef2030'; there are snakeclef2020" in line


def test_evaluate_ensemble_and_observations(scores_folder, capsys):
    scores = read_scores(scores_folder / "scores.npz")
    other = replace(scores, logits=scores.logits[:, ::-1].copy())
    other.write(scores_folder / "other.npz")
    files = [str(scores_folder / "scores.npz"), str(scores_folder / "other.npz")]
    with pytest.raises(SystemExit):
        main(["evaluate", *files, "--ensemble", "--json"])
    rows = json.loads(capsys.readouterr().out)["evaluations"]
    assert [row["scores"] for row in rows] == [*files, "ensemble"]
    mean = replace(scores, logits=(scores.logits + other.logits) / 2)
    assert rows[-1]["macro_f1"] == pytest.approx(evaluate(mean).macro_f1)
    # Two photos of each snake: every third row has the same species.
    names = tuple(f"{row % 3}-{row // 6}" for row in range(36))
    replace(scores, observations=names).write(scores_folder / "observed.npz")
    with pytest.raises(SystemExit):
        main(["evaluate", str(scores_folder / "observed.npz"), "--by-observation", "--json"])
    (row,) = json.loads(capsys.readouterr().out)["evaluations"]
    assert row["photos"] == 18
    assert row["top1"] == evaluate(aggregate_observations(replace(scores, observations=names))).top1
    replace(scores, photo_ids=tuple(map(str, range(36)))).write(scores_folder / "other_photos.npz")
    line = refused_here(
        capsys, "evaluate", files[0], scores_folder / "other_photos.npz", "--ensemble"
    )
    assert "score the same photos with both" in line
    ood = ("--ood-scores", scores_folder / "other.npz")
    for switch in ("--ensemble", "--by-observation"):
        line = refused_here(capsys, "evaluate", *files, switch, *ood)
        assert "OOD scores are evaluated photo by photo" in line


def test_evaluate_writes_reliability_and_risk_coverage_figures(scores_folder, capsys):
    (scores_folder / "b").mkdir()
    other = replace(read_scores(scores_folder / "scores.npz"), logits=np.eye(3)[[0] * 36])
    other.write(scores_folder / "b" / "scores.npz")
    files = [str(scores_folder / "scores.npz"), str(scores_folder / "b" / "scores.npz")]
    place = scores_folder / "new" / "figures"
    arguments = [
        "evaluate",
        *files,
        "--prior",
        str(scores_folder / "prior.csv"),
        "--out",
        str(place),
    ]
    with pytest.raises(SystemExit) as end:
        main(arguments)
    assert end.value.code == 0
    shown = capsys.readouterr().out.splitlines()[-2:]
    assert shown == [str(place / "reliability.svg"), str(place / "risk-coverage.svg")]
    names = {"reliability.csv", "reliability.svg", "risk-coverage.csv", "risk-coverage.svg"}
    assert {path.name for path in place.iterdir()} == names
    table = pl.read_csv(place / "risk-coverage.csv")
    rows = set(table.select("scores", "country").rows())
    assert rows == {
        (name, country) for name in (scores_folder.name, "b") for country in (False, True)
    }
    alone = read_scores(scores_folder / "scores.npz")
    for country, scores in (
        (False, alone),
        (True, read_prior(scores_folder / "prior.csv").adjust(alone)),
    ):
        own = table.filter(
            (pl.col("scores") == scores_folder.name) & (pl.col("country") == country)
        )
        assert own["risk"].to_list() == risk_coverage(scores)["risk"].to_list()
    with pytest.raises(SystemExit):
        main([*arguments, "--json"])
    assert len(json.loads(capsys.readouterr().out)["evaluations"]) == 4


def test_figure_errors_are_one_line(scores_folder, capsys, monkeypatch):
    arguments = ("evaluate", scores_folder / "scores.npz", "--out")
    line = refused_here(capsys, *arguments, scores_folder / "prior.csv")
    assert "prior.csv/reliability.svg: cannot be written" in line
    for name in [name for name in sys.modules if name.split(".")[0] == "matplotlib"]:
        monkeypatch.setitem(sys.modules, name, None)
    for name in [name for name in sys.modules if name.startswith("ophis.evaluation.report.page")]:
        monkeypatch.delitem(sys.modules, name)
    line = refused_here(capsys, *arguments, scores_folder / "figures")
    assert line == "ophis: matplotlib is not installed; pip install 'ophis[report]'\n"
    assert not (scores_folder / "figures").exists()


def test_evaluate_prints_ood_detection(scores_folder, capsys):
    scores = read_scores(scores_folder / "scores.npz")
    snakes = replace(scores, ood_score=np.linspace(0.8, 1.2, 36))
    snakes.write(scores_folder / "snakes.npz")
    replace(snakes, ood_score=np.linspace(1.1, 1.9, 36)).write(scores_folder / "others.npz")
    arguments = ["evaluate", str(scores_folder / "snakes.npz"), "--ood-scores"]
    with pytest.raises(SystemExit):
        main([*arguments, str(scores_folder / "others.npz"), "--json"])
    (row,) = json.loads(capsys.readouterr().out)["evaluations"]
    assert row["ood_rejected"] == pytest.approx(32 / 36)  # four below the 34th snake: 1.177
    assert 0.9 < row["auroc_low"] < row["auroc"] < row["auroc_high"] <= 1
    line = refused_here(capsys, *arguments, scores_folder / "scores.npz")
    assert "only one of the two scores files holds OOD scores" in line


def test_compare_prints_intervals_and_writes_report(scores_folder):
    scores = read_scores(scores_folder / "scores.npz")
    right = replace(scores, logits=5 * np.eye(3)[scores.truth])
    right.write(scores_folder / "right.npz")
    scores.write(scores_folder / "left.npz")
    arguments = ("compare", scores_folder / "left.npz", scores_folder / "right.npz", "--out")
    done = ophis(*arguments, scores_folder / "r.html")
    assert done.returncode == 0, done.stderr
    header, a, b, difference, who, *_, path = done.stdout.rstrip().splitlines()
    assert header.split()[:2] == ["model", "top-1"]
    assert (a.split()[0], b.split()[:2]) == ("left", ["right", "100.00"])
    top1 = evaluate(scores).top1
    assert difference.split()[1] == f"{100 * (1 - top1):+.2f}"
    assert f"of 36 photos both are right on {36 * top1:.0f}" in who
    assert path == str(scores_folder / "r.html")
    assert "right" in (scores_folder / "r.html").read_text()
    output = json.loads(ophis(*arguments, scores_folder / "r.html", "--json").stdout)
    assert output == json.loads((scores_folder / "r.json").read_text())
    assert output["disagreement"]["only_a"] == 0


def test_compare_names_the_command_that_takes_a_folder_of_photos(scores_folder, capsys):
    (scores_folder / "m.csv").write_text("photo,species,country,folder\na.jpg,Boa,,../elsewhere\n")
    run = scores_folder / "scores.npz"
    line = refused_here(
        capsys, "compare", run, run, "--out", scores_folder / "r.html",
        "--manifest", scores_folder / "m.csv",
    )  # fmt: skip
    assert "give the folder by `ophis collect --photos`, or for a table" in line
    assert "allow it by --follow-links" in line


def test_evaluate_leaves_scores_unchanged(scores_folder):
    before = (scores_folder / "scores.npz").read_bytes()
    ophis("evaluate", scores_folder / "scores.npz")
    assert (scores_folder / "scores.npz").read_bytes() == before
    assert len(read_scores(scores_folder / "scores.npz")) == 36
