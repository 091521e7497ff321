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


def test_evaluate_prints_the_papers_table_without_and_with_the_country(judged):
    arguments = ("evaluate", judged / "scores.npz", "--prior", judged / "prior.csv")
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


def test_evaluate_prints_official_scores(judged):
    scores = read_scores(judged / "scores.npz")
    metric = ("--metric", "snakeclef2020", "--metric", "snakeclef2023-track2")
    said = json.loads(ophis("evaluate", judged / "scores.npz", *metric, "--json").stdout)
    (row,) = said["evaluations"]
    assert row["snakeclef2020"] == pytest.approx(evaluate(scores).macro_f1)
    assert row["snakeclef2023-track2"] == snakeclef_metric("snakeclef2023-track2", scores)
    shown = ophis("evaluate", judged / "scores.npz", *metric).stdout.splitlines()
    assert shown[0].split()[-2:] == ["snakeclef2020", "snakeclef2023-track2"]
    assert shown[1].split()[-1] == f"{row['snakeclef2023-track2']:.0f}"
    said = json.loads(ophis("evaluate", judged / "scores.npz", "--reliability", "--json").stdout)
    (row,) = said["evaluations"]
    assert row["log_loss"] == pytest.approx(reliability(scores).log_loss)
    line = refused("evaluate", judged / "scores.npz", "--metric", "snakeclef2030")
    assert "'snakeclef2030'; there are snakeclef2020" in line


def test_evaluate_judges_files_together_and_observations(judged, capsys):
    scores = read_scores(judged / "scores.npz")
    other = replace(scores, logits=scores.logits[:, ::-1].copy())
    other.write(judged / "other.npz")
    files = [str(judged / "scores.npz"), str(judged / "other.npz")]
    with pytest.raises(SystemExit):
        main(["evaluate", *files, "--ensemble", "--json"])
    rows = json.loads(capsys.readouterr().out)["evaluations"]
    assert [row["scores"] for row in rows] == [*files, "ensemble"]
    mean = replace(scores, logits=(scores.logits + other.logits) / 2)
    assert rows[-1]["macro_f1"] == pytest.approx(evaluate(mean).macro_f1)
    # Two photos of each snake: rows that follow each other three apart are of one species.
    names = tuple(f"{row % 3}-{row // 6}" for row in range(36))
    replace(scores, observations=names).write(judged / "observed.npz")
    with pytest.raises(SystemExit):
        main(["evaluate", str(judged / "observed.npz"), "--by-observation", "--json"])
    (row,) = json.loads(capsys.readouterr().out)["evaluations"]
    assert row["photos"] == 18
    assert row["top1"] == evaluate(aggregate_observations(replace(scores, observations=names))).top1
    replace(scores, photo_ids=tuple(map(str, range(36)))).write(judged / "strange.npz")
    line = refused_here(capsys, "evaluate", files[0], judged / "strange.npz", "--ensemble")
    assert "score the same photos with both" in line
    things = ("--ood-scores", judged / "other.npz")
    for switch in ("--ensemble", "--by-observation"):
        line = refused_here(capsys, "evaluate", *files, switch, *things)
        assert "OOD scores are evaluated photo by photo" in line


def test_evaluate_draws_reliability_and_risk_of_each_file(judged, capsys):
    (judged / "b").mkdir()
    other = replace(read_scores(judged / "scores.npz"), logits=np.eye(3)[[0] * 36])
    other.write(judged / "b" / "scores.npz")
    files = [str(judged / "scores.npz"), str(judged / "b" / "scores.npz")]
    place = judged / "new" / "figures"
    arguments = ["evaluate", *files, "--prior", str(judged / "prior.csv"), "--out", str(place)]
    with pytest.raises(SystemExit) as end:
        main(arguments)
    assert end.value.code == 0
    shown = capsys.readouterr().out.splitlines()[-2:]
    assert shown == [str(place / "reliability.svg"), str(place / "risk-coverage.svg")]
    names = {"reliability.csv", "reliability.svg", "risk-coverage.csv", "risk-coverage.svg"}
    assert {path.name for path in place.iterdir()} == names
    table = pl.read_csv(place / "risk-coverage.csv")
    rows = set(table.select("scores", "country").rows())
    assert rows == {(name, said) for name in (judged.name, "b") for said in (False, True)}
    alone = read_scores(judged / "scores.npz")
    for said, scores in ((False, alone), (True, read_prior(judged / "prior.csv").adjust(alone))):
        own = table.filter((pl.col("scores") == judged.name) & (pl.col("country") == said))
        assert own["risk"].to_list() == risk_coverage(scores)["risk"].to_list()
    with pytest.raises(SystemExit):
        main([*arguments, "--json"])
    assert len(json.loads(capsys.readouterr().out)["evaluations"]) == 4


def test_figures_that_cannot_be_are_refused_in_one_line(judged, capsys, monkeypatch):
    arguments = ("evaluate", judged / "scores.npz", "--out")
    line = refused_here(capsys, *arguments, judged / "prior.csv")
    assert "prior.csv/reliability.svg: cannot be written" in line
    for name in [name for name in sys.modules if name.split(".")[0] == "matplotlib"]:
        monkeypatch.setitem(sys.modules, name, None)
    for name in [name for name in sys.modules if name.startswith("ophis.evaluation.report.page")]:
        monkeypatch.delitem(sys.modules, name)
    line = refused_here(capsys, *arguments, judged / "figures")
    assert line == "ophis: matplotlib is not installed; pip install 'ophis[report]'\n"
    assert not (judged / "figures").exists()


def test_evaluate_prints_how_well_other_things_are_refused(judged, capsys):
    scores = read_scores(judged / "scores.npz")
    snakes = replace(scores, ood_score=np.linspace(0.8, 1.2, 36))
    snakes.write(judged / "snakes.npz")
    replace(snakes, ood_score=np.linspace(1.1, 1.9, 36)).write(judged / "others.npz")
    arguments = ["evaluate", str(judged / "snakes.npz"), "--ood-scores"]
    with pytest.raises(SystemExit):
        main([*arguments, str(judged / "others.npz"), "--json"])
    (row,) = json.loads(capsys.readouterr().out)["evaluations"]
    assert row["ood_rejected"] == pytest.approx(32 / 36)  # four below the 34th snake: 1.177
    assert 0.9 < row["auroc_low"] < row["auroc"] < row["auroc_high"] <= 1
    line = refused_here(capsys, *arguments, judged / "scores.npz")
    assert "only one of the two scores files holds OOD scores" in line


def test_compare_prints_table_1_with_intervals_and_writes_the_report(judged):
    scores = read_scores(judged / "scores.npz")
    right = replace(scores, logits=5 * np.eye(3)[scores.truth])
    right.write(judged / "right.npz")
    scores.write(judged / "left.npz")
    arguments = ("compare", judged / "left.npz", judged / "right.npz", "--out")
    done = ophis(*arguments, judged / "r.html")
    assert done.returncode == 0, done.stderr
    header, a, b, difference, who, *_, path = done.stdout.rstrip().splitlines()
    assert header.split()[:2] == ["model", "top-1"]
    assert (a.split()[0], b.split()[:2]) == ("left", ["right", "100.00"])
    top1 = evaluate(scores).top1
    assert difference.split()[1] == f"{100 * (1 - top1):+.2f}"
    assert f"of 36 photos both are right on {36 * top1:.0f}" in who
    assert path == str(judged / "r.html")
    assert "right" in (judged / "r.html").read_text()
    said = json.loads(ophis(*arguments, judged / "r.html", "--json").stdout)
    assert said == json.loads((judged / "r.json").read_text())
    assert said["disagreement"]["only_a"] == 0


def test_scores_are_untouched_by_evaluate(judged):
    before = (judged / "scores.npz").read_bytes()
    ophis("evaluate", judged / "scores.npz")
    assert (judged / "scores.npz").read_bytes() == before
    assert len(read_scores(judged / "scores.npz")) == 36
