"""The verbs as a person runs them: real processes, real files."""

import json
import re
import subprocess
import sys
import zipfile
from dataclasses import replace
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from PIL import Image

from ophis import CountryPrior, Scores, evaluate, read_manifest, read_prior, read_scores
from ophis.cli import ALIASES, RENAMED, app, main
from ophis.decision.calibration import reliability
from ophis.evaluation.metrics import risk_coverage
from ophis.evaluation.snakeclef_metrics import snakeclef_metric
from ophis.locales import languages, read_sentences
from ophis.scores.aggregation import aggregate_observations
from ophis.scores.scores import concatenate
from ophis.scores.validation import validation_halves
from tests.support.paths import ROOT


def ophis(*arguments: object, cwd: Path | None = None) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "ophis", *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, check=False, cwd=cwd)


def refused(*arguments: object, cwd: Path | None = None) -> str:
    """The one line of a refused request: status 2, nothing on stdout, no traceback."""
    done = ophis(*arguments, cwd=cwd)
    assert done.returncode == 2, done.stderr
    assert done.stdout == ""
    assert done.stderr.startswith("ophis: ")
    assert done.stderr.count("\n") == 1, done.stderr
    return done.stderr


def refused_here(capsys: pytest.CaptureFixture[str], *arguments: object) -> str:
    """As `refused`, in this process: twenty starts of Python would be most of the test's time."""
    with pytest.raises(SystemExit) as end:
        main([str(argument) for argument in arguments])
    said = capsys.readouterr()
    assert end.value.code == 2, said.err
    assert said.out == ""
    assert said.err.startswith("ophis: ")
    assert said.err.count("\n") == 1, said.err
    return said.err


@pytest.fixture
def judged(tmp_path, coloured) -> Path:
    """Scores of made logits, and the prior beside them."""
    species = coloured.species_list()
    chance = np.random.default_rng(0)
    truth = coloured.truth(species)
    Scores(
        logits=chance.normal(size=(36, 3)) + 0.5 * np.eye(3)[truth],
        species=species,
        photo_ids=tuple(coloured.table["photo_id"]),
        truth=truth,
        countries=tuple(coloured.table["country"]),
        observations=tuple(coloured.table["observation"]),
    ).write(tmp_path / "scores.npz")
    CountryPrior.fit(coloured).write(tmp_path / "prior.csv")
    return tmp_path


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


def test_collect_split_and_fit_prior_make_files_that_read_back(tmp_path, coloured):
    whole = tmp_path / "all.parquet"
    done = ophis("collect", coloured.folder / "manifest.csv", "--out", whole)
    assert done.stdout.splitlines()[0] == "36 photos, 3 species, 3 countries", done.stderr
    done = ophis(
        "split", whole, "--train", tmp_path / "t.csv", "--validation", tmp_path / "h.csv",
        "--fraction", "0.25", "--no-near-duplicates",
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    train, held = read_manifest(tmp_path / "t.csv"), read_manifest(tmp_path / "h.csv")
    assert len(train) + len(held) == 36
    assert sorted([*train.paths(), *held.paths()]) == sorted(coloured.paths())
    assert all(path.is_file() for path in train.paths())
    done = ophis("fit-prior", tmp_path / "t.csv", "--out", tmp_path / "p.csv")
    assert done.stdout.startswith("3 countries, 3 species"), done.stderr


def test_split_writes_both_parts_to_a_folder(tmp_path, coloured, capsys):
    table = coloured.folder / "manifest.csv"
    line = refused_here(capsys, "split", table, "--train", tmp_path / "train.csv")
    assert "name a folder by --out, or two files by --train and --validation" in line
    with pytest.raises(SystemExit) as end:
        main(["split", str(table), "--out", str(tmp_path / "parts"), "--no-near-duplicates"])
    assert not end.value.code
    parts = [read_manifest(tmp_path / "parts" / f"{name}.csv") for name in ("train", "validation")]
    paths = sorted(path.resolve() for part in parts for path in part.paths())
    assert paths == sorted(path.resolve() for path in coloured.paths())


def test_sample_takes_its_folder_as_option(tmp_path, capsys):
    with pytest.raises(SystemExit) as end:
        main(["sample", "--out", str(tmp_path / "sample"), "--count", "36"])
    assert not end.value.code
    assert len(read_manifest(capsys.readouterr().out.strip())) == 36


def test_what_a_range_map_calls_by_two_names_is_said(tmp_path, capsys):
    (tmp_path / "m.csv").write_text("photo,species,country\na.jpg,boa,Cyprus\n")
    (tmp_path / "map.csv").write_text("species,Cyprus,n cyprus\nboa,1,0\nBoa,0,1\n")
    given = [tmp_path / "m.csv", "--range-map", tmp_path / "map.csv", "--out", tmp_path / "p.toml"]
    with pytest.raises(SystemExit) as end:
        main(["fit-prior", *map(str, given)])
    assert not end.value.code
    said = capsys.readouterr().err.splitlines()
    told = f"ophis: {tmp_path / 'map.csv'}: one and the same:"
    assert said == [f"{told} 'cyprus', 'n-cyprus'", f"{told} 'boa', 'Boa'"]


def test_a_manifest_without_species_makes_no_prior(tmp_path, capsys):
    (tmp_path / "m.csv").write_text("photo,species,country\na.jpg,,Kenya\n")
    line = refused_here(capsys, "fit-prior", tmp_path / "m.csv", "--out", tmp_path / "p.csv")
    assert line.startswith(f"ophis: {tmp_path / 'm.csv'}: there is no photo of any species")


def collected(capsys: pytest.CaptureFixture[str], *arguments: object) -> tuple[list[str], str]:
    """Lines on stdout and what stands on stderr of `ophis collect`, in this process."""
    with pytest.raises(SystemExit) as end:
        main(["collect", *map(str, arguments)])
    said = capsys.readouterr()
    assert not end.value.code, said.err
    return said.out.splitlines(), said.err


def test_names_of_one_country_are_counted_together_and_that_is_said(tmp_path, capsys):
    rows = [("boa", "bahamas"), ("boa", "Alemania"), ("adder", "the Bahamas"), ("adder", "Kenya")]
    lines = [f"{n}.jpg,{species},{country}" for n, (species, country) in enumerate(rows)]
    (tmp_path / "m.csv").write_text("\n".join(["photo,species,country", *lines]) + "\n")
    told = "one country, counted together: bahamas, the-bahamas"
    said, _ = collected(capsys, tmp_path / "m.csv", "--out", tmp_path / "out.csv")
    assert said[:2] == ["4 photos, 2 species, 4 countries", told]
    for name in ("p.csv", "p.toml"):
        with pytest.raises(SystemExit):
            main(["fit-prior", str(tmp_path / "out.csv"), "--out", str(tmp_path / name)])
        assert capsys.readouterr().out.splitlines()[1] == told
        prior = read_prior(tmp_path / name)
        np.testing.assert_array_equal(
            prior.log_factors("bahamas")[0], prior.log_factors("the-bahamas")[0]
        )
    names = tuple("ab")
    scores = Scores(
        np.zeros((2, 2)), prior.species, names, np.array([0, 1]), ("bahamas", "kenya"), names
    )
    scores.write(tmp_path / "s.npz")
    with pytest.raises(SystemExit):
        main(["evaluate", str(tmp_path / "s.npz"), "--prior", str(tmp_path / "p.csv")])
    assert capsys.readouterr().err == f"ophis: {tmp_path / 'p.csv'}: {told}\n"


def test_collect_says_each_name_it_changes_and_merges_only_when_told(tmp_path, capsys):
    rows = ("naja-nivea", "Naja nivea (L.)", "Naja nivea (L.)", "boa_boa", "Coluber boa", "")
    lines = [f"{number}.jpg,{name}" for number, name in enumerate(rows)]
    (tmp_path / "m.csv").write_text("\n".join(["photo,species", *lines]) + "\n")
    (tmp_path / "s.csv").write_text("name,accepted\nColuber boa,Boa boa\n")
    out = tmp_path / "out.csv"
    given = (tmp_path / "m.csv", "--out", out)

    lines, err = collected(capsys, *given)
    assert lines[:2] == ["6 photos, 4 species, 1 countries", "photos without a species: 1"]
    assert "6 of 6 photos are missing; the first is" in err
    assert "0.jpg" in err
    assert "1 species are written in several ways; --normalise-names lists them" in err

    lines, _ = collected(capsys, *given, "--normalise-names")
    both = "'Naja nivea (L.)' (2 photos) and 'naja-nivea' (1 photo)"
    assert lines[:2] == [
        "renamed: 'boa_boa' is now 'Boa boa' (1 photo)",
        f"kept apart: {both} would be 'Naja nivea'; --merge-names makes them one",
    ]
    assert read_manifest(out).table["species"].n_unique() == 5

    lines, _ = collected(capsys, *given, "--synonyms", tmp_path / "s.csv", "--merge-names")
    assert lines[:3] == [
        "merged: 'Coluber boa' (1 photo) and 'boa_boa' (1 photo) are now 'boa_boa'",
        "renamed: 'boa_boa' is now 'Boa boa' (2 photos)",
        f"merged: {both} are now 'Naja nivea'",
    ]
    table = read_manifest(out).table
    assert list(table["species"]) == ["Naja nivea"] * 3 + ["Boa boa"] * 2 + [None]
    assert list(table["species_as_found"]) == list(rows)


def test_collect_unpacks_the_photos_of_an_archive(tmp_path, capsys):
    meta = (
        '<archive><core rowType="x/Occurrence"><files><location>o.csv</location></files>'
        '<id index="0"/><field index="1" term="x/scientificName"/>'
        '<field index="2" term="x/associatedMedia"/></core></archive>'
    )
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as archive:
        archive.writestr("meta.xml", meta)
        archive.writestr("o.csv", "7,Boa boa,p/1.jpg|p/2.jpg\n")
        archive.writestr("p/1.jpg", "1")
        archive.writestr("p/2.jpg", "2")
    given = (tmp_path / "a.zip", "--unpack", tmp_path / "here", "--out", tmp_path / "out.csv")
    lines, err = collected(capsys, *given)
    assert lines[0] == f"2 photos of {tmp_path / 'a.zip'} in {tmp_path / 'here'}"
    assert err == ""
    manifest = read_manifest(tmp_path / "out.csv")
    assert not manifest.missing_photos()
    assert list(manifest.table["observation"]) == ["7", "7"]
    assert "photos and unpack are two folders" in refused_here(
        capsys, "collect", *given, "--photos", tmp_path
    )


def test_fit_prior_chooses_on_validation_scores_and_its_prior_serves(judged, coloured):
    table = coloured.folder / "manifest.csv"
    scores, out = judged / "scores.npz", judged / "chosen.toml"
    done = ophis("fit-prior", table, "--validation", scores, "--out", out)
    assert done.returncode == 0, done.stderr
    fitting, _ = validation_halves(read_scores(scores))
    assert 0 < len(fitting) < 36
    said = done.stdout.splitlines()
    assert said[1] == f"chosen on {len(fitting)} of 36 photos, the rest is for guarantees"
    assert f"log loss of {len(fitting)} validation photos" in said[2]
    rows = [line.rsplit(maxsplit=1) for line in said[3:-1]]
    assert {"image alone", "Bayes' rule, smoothed"} <= {name.strip() for name, _ in rows}
    assert done.stdout.splitlines()[-1] == str(out)
    arguments = ("evaluate", scores, "--prior", out, "--json")
    image, country = json.loads(ophis(*arguments).stdout)["evaluations"]
    expected = evaluate(read_prior(out, read_scores(scores).species).adjust(read_scores(scores)))
    assert country["macro_f1"] == pytest.approx(expected.macro_f1)
    assert country["macro_f1"] > image["macro_f1"]
    assert "need a prior in .toml" in refused(
        "fit-prior", table, "--validation", scores, "--out", judged / "p.csv"
    )


def test_what_promises_are_made_on_has_no_say_in_the_prior(judged, coloured, tmp_path, capsys):
    """Of the other half the bundle guarantees something; it may look like anything."""
    scores = read_scores(judged / "scores.npz")
    table = str(coloured.folder / "manifest.csv")
    fitting, judging = validation_halves(scores)
    nonsense = replace(judging, logits=judging.logits[:, ::-1] * 9)
    found = []
    for name, parts in (("as-is", (fitting, judging)), ("nonsense", (fitting, nonsense))):
        given = concatenate(parts).write(tmp_path / f"{name}.npz")
        out = tmp_path / f"{name}.toml"
        with pytest.raises(SystemExit) as end:
            main(["fit-prior", table, "--validation", str(given), "--out", str(out)])
        assert not end.value.code
        found.append((out.read_text(), capsys.readouterr().out.replace(str(out), "")))
    assert found[0] == found[1]
    given = judging.write(tmp_path / "judging.npz")
    assert "judging.npz: no photo of the half to fit on has a known species" in refused_here(
        capsys, "fit-prior", table, "--validation", given, "--out", out
    )


def test_a_wrong_request_is_one_line_with_the_mend_and_status_2(tmp_path, judged, coloured, capsys):
    (tmp_path / "no_species.csv").write_text("photo,country\na.jpg,Kenya\n")
    (tmp_path / "outside.csv").write_text("photo,species\n../a.jpg,boa\n")
    (tmp_path / "where.csv").write_text(
        "photo,species,country\na.jpg,boa,Kenya\nb.jpg,boa,Atlantis\n"
    )
    recipe = (ROOT / "recipes" / "demo.toml").read_text()
    (tmp_path / "r.toml").write_text(recipe.replace("mixup_alpha", "mixup_alfa"))
    table = coloured.folder / "manifest.csv"
    run = ("--train", table, "--validation", table, "--out", tmp_path / "run")
    out = ("--out", tmp_path / "x.csv")
    for words, arguments in [
        (("no_species.csv", "species"), ("collect", tmp_path / "no_species.csv", *out)),
        (("outside.csv", "row 2", "../a.jpg"), ("collect", tmp_path / "outside.csv", *out)),
        (("where.csv", "row 3", "Atlantis"), ("collect", tmp_path / "where.csv", *out)),
        (("none.csv",), ("collect", tmp_path / "none.csv", *out)),
        (("r.toml", "unknown key 'mixup_alfa'"), ("train", tmp_path / "r.toml", *run)),
        (("is in training and validation",), ("train", "demo", *run)),
        (("none.npz",), ("evaluate", tmp_path / "none.npz")),
        (("is not a bundle",), ("identify", tmp_path, "photo.jpg")),
        (("is not a run folder",), ("export", tmp_path, "--out", tmp_path / "b")),
        (("no_species.csv",), ("sample", tmp_path / "no_species.csv" / "b", "--count", 36)),
        (("x.html", "no such scores"), ("compare", *["x.html"] * 2, "--out", tmp_path / "r.html")),
        (
            ("r.txt", ".html"),
            ("compare", *[judged / "scores.npz"] * 2, "--out", tmp_path / "r.txt"),
        ),
        (("--help", "magic"), ("compare", "a", "b", "--out", "r.html", "--maps", "magic")),
        (("--help",), ("evaluate",)),
        (("--help", "sing"), ("sing",)),
        (("--help", "--loud"), ("evaluate", "x.npz", "--loud")),
    ]:
        line = refused_here(capsys, *arguments)
        for word in words:
            assert word in line
    left = {path.name for path in tmp_path.iterdir()}
    assert left == {
        "no_species.csv",
        "outside.csv",
        "where.csv",
        "r.toml",
        "scores.npz",
        "prior.csv",
    }


def test_a_species_of_the_validation_that_training_does_not_know_is_named(tmp_path, coloured):
    lines = (coloured.folder / "manifest.csv").read_text().splitlines()
    for name, rows in (
        ("t", lines[1:25]),
        ("v", [*lines[25:30], lines[30].replace("Made", "Odd")]),
    ):
        (coloured.folder / f"{name}.csv").write_text("\n".join([lines[0], *rows]) + "\n")
    line = refused(
        "train", "demo", "--train", coloured.folder / "t.csv",
        "--validation", coloured.folder / "v.csv", "--out", tmp_path / "run",
    )  # fmt: skip
    assert "'Odd " in line
    assert "29.png" in line
    assert not (tmp_path / "run").exists()


def test_identify_lists_a_bad_photo_and_answers_the_others(tmp_path, coloured, monkeypatch):
    """The ready bundle: made once by name, then read; a photo that is text is status 1."""
    monkeypatch.setenv("OPHIS_CACHE", str(tmp_path / "kept"))
    (tmp_path / "text.jpg").write_text("this is text")
    good = coloured.paths()[0]
    done = ophis("identify", "imagenet17", tmp_path / "text.jpg", good, "--top", 2, "--json")
    assert done.returncode == 1
    assert "text.jpg" in done.stderr
    assert "Traceback" not in done.stderr
    bad, answer = [json.loads(line) for line in done.stdout.splitlines()]
    assert bad["failures"][0]["photo_id"] == str(tmp_path / "text.jpg")
    assert [photo["name"] for photo in answer["photos"]] == [str(good)]
    assert len(answer["guesses"]) == 2
    assert (answer["source"], answer["countries"]) == (None, {})
    together = ophis("identify", "imagenet17", tmp_path / "text.jpg", good, "--one-snake", "--json")
    assert together.returncode == 1
    assert "text.jpg" in together.stderr
    one = json.loads(together.stdout)
    assert one["guesses"][:2] == answer["guesses"]
    assert [failure["photo_id"] for failure in one["failures"]] == [str(tmp_path / "text.jpg")]
    again = ophis("identify", "imagenet17", good, "--gps")
    assert again.returncode == 0
    assert again.stderr == ""
    assert "Treat every bite as an emergency" in again.stdout
    assert "no position that tells its country" in again.stdout or "no snake" in again.stdout
    assert "Atlantis" in refused("identify", "imagenet17", good, "--country", "Atlantis")
    assert "top = 0" in refused("identify", "imagenet17", good, "--top", 0)

    scored = ophis("score", "imagenet17", tmp_path, "--out", tmp_path / "s.npz")
    assert scored.returncode == 2  # a folder without species folders is no manifest
    (tmp_path / "m.csv").write_text("photo,species\ntext.jpg,\n")
    monkeypatch.undo()


@pytest.fixture
def unusable(tmp_path) -> list[Path]:
    """A text, a photo cut short, and one too small to show anything."""
    (tmp_path / "text.jpg").write_text("this is text")
    chance = np.random.default_rng(0)
    pixels = chance.integers(0, 255, (90, 90, 3), np.uint8)
    Image.fromarray(pixels).save(tmp_path / "whole.jpg")
    (tmp_path / "cut.jpg").write_bytes((tmp_path / "whole.jpg").read_bytes()[:900])
    Image.fromarray(pixels[:31]).save(tmp_path / "tiny.png")
    return [tmp_path / name for name in ("text.jpg", "cut.jpg", "tiny.png")]


def identified(capsys, *arguments: object) -> tuple[int, str, str]:
    with pytest.raises(SystemExit) as end:
        main(["identify", *map(str, arguments)])
    said = capsys.readouterr()
    return int(end.value.code or 0), said.out, said.err


def test_each_photo_that_cannot_be_used_is_a_row_too(imagenet17, unusable, coloured, capsys):
    photos = [unusable[0], coloured.paths()[0], *unusable[1:]]
    bundle = imagenet17.bundle.folder
    status, out, err = identified(capsys, bundle, *photos, "--json", "--country", "Kenya")
    rows = [json.loads(line) for line in out.splitlines()]
    assert status == 1
    assert err.count("\n") == 3
    assert len(rows) == len(photos)
    for path, row in zip(photos, rows, strict=True):
        assert row.keys() == rows[1].keys()
        assert row["countries"] == {"kenya": 1.0}
        assert row["lines"][-1] == read_sentences().text("advice", "emergency")
        if path in unusable:
            assert (row["photos"], row["guesses"], row["prior"]) == ([], [], None)
            assert (row["state"], row["verdict"]) == ("unusable", "may be venomous")
            (failure,) = row["failures"]
            assert failure["photo_id"] == str(path)
            assert failure["reason"] in err
            codes = dict(zip(unusable, ("not_a_photo", "damaged", "too_small"), strict=True))
            assert failure["code"] == codes[path]
    status, out, _ = identified(capsys, bundle, *unusable, "--one-snake", "--json")
    assert status == 1
    (row,) = [json.loads(line) for line in out.splitlines()]
    assert [failure["photo_id"] for failure in row["failures"]] == list(map(str, unusable))


def test_what_holds_is_told_of_a_photo_that_cannot_be_used(imagenet17, unusable, capsys):
    status, out, err = identified(capsys, imagenet17.bundle.folder, unusable[1])
    assert status == 1
    assert "cut.jpg: damaged or cut short" in err
    assert "this photo is not usable, because it cannot be read" in out
    assert out.splitlines()[-1] == read_sentences().text("advice", "emergency")
    spanish = read_sentences("es")
    _, again, told = identified(capsys, imagenet17.bundle.folder, unusable[1], "--language", "es")
    assert again.splitlines()[-1] == spanish.text("advice", "emergency")
    assert told == f"ophis: {unusable[1]}: {spanish.text('error', 'damaged')} ({err[7:-1]})\n"


def test_sentences_are_in_the_language_asked_for_and_the_rest_is_not(imagenet17, coloured, capsys):
    asked = (imagenet17.bundle.folder, coloured.paths()[0], "--country", "Thailand", "--json")
    english, spanish = (
        json.loads(identified(capsys, *asked, "--language", language)[1])
        for language in ("en", "es")
    )
    assert "País indicado: Tailandia." in spanish["lines"]
    assert not set(english["lines"]) & set(spanish["lines"])
    for row in (english, spanish):
        del row["lines"], row["language"]
    assert english == spanish
    assert "'tlh'; there are en, es" in refused_here(capsys, "identify", *asked, "--language=tlh")
    main_help = " ".join(ophis("identify", "--help").stdout.replace("│", " ").split())
    for language in languages():
        assert re.search(rf"in: .*\b{language}\b", main_help)


def test_a_bundle_that_was_never_judged_says_so_first(imagenet17, coloured, capsys):
    folder, photo = imagenet17.bundle.folder, coloured.paths()[0]
    caution = read_sentences().text("bundle", "never_judged")
    _, out, _ = identified(capsys, folder, photo)
    assert out.splitlines()[:2] == [str(photo), caution]
    row = json.loads(identified(capsys, folder, photo, "--json")[1])
    assert row["lines"][0] == caution
    assert row["judged"] is False
    assert imagenet17.identify(photo).lines[0] == caution


def test_help_names_every_verb_in_the_order_of_the_work():
    text = ophis("--help").stdout
    verbs = [
        "identify", "serve", "web", "score",
        "collect", "split", "pack",
        "train", "export", "quantise", "combine", "fit-prior", "card",
        "evaluate", "compare", "study",
        "submit", "check-submission", "aicrowd",
        "demo", "sample", "doctor", "completion",
    ]  # fmt: skip
    assert re.findall(r"^\W+ ([a-z][a-z-]*)  ", text, re.MULTILINE) == verbs
    assert text.index(" doctor ") < text.index(" --version ")


def test_every_verb_explains_itself(capsys):
    verbs = [verb for verb in app if not verb.startswith("-")]
    assert len(verbs) == 23
    for verb in verbs:
        with pytest.raises(SystemExit) as end:
            main([verb, "--help"])
        assert end.value.code == 0
        assert f"Usage: ophis {verb}" in capsys.readouterr().out


def test_scores_are_untouched_by_evaluate(judged):
    before = (judged / "scores.npz").read_bytes()
    ophis("evaluate", judged / "scores.npz")
    assert (judged / "scores.npz").read_bytes() == before
    assert len(read_scores(judged / "scores.npz")) == 36


@pytest.mark.parametrize(("command", "option"), RENAMED)
def test_renamed_option_is_refused_with_its_new_form(command, option, capsys):
    new = RENAMED[command, option]
    line = refused_here(capsys, command, "x", f"{option}=y")
    assert line == f"ophis: `ophis {command} {option}` is now `ophis {new}`\n"
    assert line == refused_here(capsys, command, "x", option, "y")
    successor = new.split()[0]
    with pytest.raises(SystemExit):
        main([successor, "--help"])
    helped = capsys.readouterr().out
    for word in (word for word in new.split() if word.startswith("--")):
        assert word in helped
    with pytest.raises(SystemExit):
        main([command, "--help"])
    assert f"{option} " not in capsys.readouterr().out


@pytest.mark.parametrize("alias", ALIASES)
def test_alias_is_the_same_command(alias, capsys):
    outputs = []
    for command in (alias, ALIASES[alias]):
        with pytest.raises(SystemExit):
            main([command, "--help"])
        outputs.append(capsys.readouterr().out)
    assert outputs[0] == outputs[1]
