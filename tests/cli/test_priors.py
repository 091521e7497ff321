"""Command fit-prior."""

import json
from dataclasses import replace

import numpy as np
import pytest

from ophis import evaluate, read_prior, read_scores
from ophis.cli import main
from ophis.scores.scores import concatenate
from ophis.scores.validation import validation_halves
from tests.support.commands import ophis, refused, refused_here


def test_fit_prior_reports_synonyms_in_range_map(tmp_path, capsys):
    (tmp_path / "m.csv").write_text("photo,species,country\na.jpg,boa,Cyprus\n")
    (tmp_path / "map.csv").write_text("species,Cyprus,n cyprus\nboa,1,0\nBoa,0,1\n")
    given = [tmp_path / "m.csv", "--range-map", tmp_path / "map.csv", "--out", tmp_path / "p.toml"]
    with pytest.raises(SystemExit) as end:
        main(["fit-prior", *map(str, given)])
    assert not end.value.code
    lines = capsys.readouterr().err.splitlines()
    prefix = f"ophis: {tmp_path / 'map.csv'}: one and the same:"
    assert lines == [f"{prefix} 'cyprus', 'n-cyprus'", f"{prefix} 'boa', 'Boa'"]


def test_fit_prior_rejects_manifest_without_species(tmp_path, capsys):
    (tmp_path / "m.csv").write_text("photo,species,country\na.jpg,,Kenya\n")
    line = refused_here(capsys, "fit-prior", tmp_path / "m.csv", "--out", tmp_path / "p.csv")
    assert line.startswith(f"ophis: {tmp_path / 'm.csv'}: there is no photo of any species")


def test_fit_prior_selects_on_validation_scores(scores_folder, coloured):
    table = coloured.folder / "manifest.csv"
    scores, out = scores_folder / "scores.npz", scores_folder / "chosen.toml"
    done = ophis("fit-prior", table, "--validation", scores, "--out", out)
    assert done.returncode == 0, done.stderr
    fitting, _ = validation_halves(read_scores(scores))
    assert 0 < len(fitting) < 36
    lines = done.stdout.splitlines()
    assert lines[1] == f"chosen on {len(fitting)} of 36 photos, the rest is for guarantees"
    assert f"log loss of {len(fitting)} validation photos" in lines[2]
    rows = [line.rsplit(maxsplit=1) for line in lines[3:-1]]
    assert {"image alone", "Bayes' rule, smoothed"} <= {name.strip() for name, _ in rows}
    assert done.stdout.splitlines()[-1] == str(out)
    arguments = ("evaluate", scores, "--prior", out, "--json")
    image, country = json.loads(ophis(*arguments).stdout)["evaluations"]
    expected = evaluate(read_prior(out, read_scores(scores).species).adjust(read_scores(scores)))
    assert country["macro_f1"] == pytest.approx(expected.macro_f1)
    assert country["macro_f1"] > image["macro_f1"]
    assert "need a prior in .toml" in refused(
        "fit-prior", table, "--validation", scores, "--out", scores_folder / "p.csv"
    )


def test_prior_does_not_depend_on_photos_of_the_guarantees(
    scores_folder, coloured, tmp_path, capsys
):
    """Guarantees are fitted on the other half; its contents must not matter for the prior."""
    scores = read_scores(scores_folder / "scores.npz")
    table = str(coloured.folder / "manifest.csv")
    fitting, other = validation_halves(scores)
    nonsense = replace(other, logits=other.logits[:, ::-1] * 9)
    found = []
    for name, parts in (("as-is", (fitting, other)), ("nonsense", (fitting, nonsense))):
        given = concatenate(parts).write(tmp_path / f"{name}.npz")
        out = tmp_path / f"{name}.toml"
        with pytest.raises(SystemExit) as end:
            main(["fit-prior", table, "--validation", str(given), "--out", str(out)])
        assert not end.value.code
        found.append((out.read_text(), capsys.readouterr().out.replace(str(out), "")))
    assert found[0] == found[1]
    unlabelled = replace(other, truth=np.full(len(other), -1))
    given = unlabelled.write(tmp_path / "other.npz")
    assert "other.npz: no photo of the half to fit on has a known species" in refused_here(
        capsys, "fit-prior", table, "--validation", given, "--out", out
    )
