"""Command fit-prior."""

import json
from dataclasses import replace

import pytest

from ophis import evaluate, read_prior, read_scores
from ophis.cli import main
from ophis.scores.scores import concatenate
from ophis.scores.validation import validation_halves
from tests.support.commands import ophis, refused, refused_here


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
    """The guarantees of the bundle are estimated on the other half, whose photos may differ."""
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
