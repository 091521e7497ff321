"""Command fit-prior."""

import hashlib
import json
import shutil
from dataclasses import replace

import numpy as np
import pytest

from ophis import evaluate, read_prior, read_scores
from ophis.cli import main
from ophis.geography.location import Place, Position
from ophis.priors.location import LocationPrior, PlacePrior
from ophis.scores.scores import concatenate
from ophis.scores.validation import validation_halves
from tests.support.commands import ophis, refused, refused_here, run_here


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


def many(scores):
    """Return the photos of scores six times, each an observation of its own."""
    copies = [
        replace(
            scores,
            photo_ids=tuple(f"{name} {n}" for name in scores.photo_ids),
            observations=tuple(f"{name} {n}" for name in scores.photo_ids),
        )
        for n in range(6)
    ]
    return concatenate(copies)


def test_fit_prior_selects_on_validation_scores(scores_folder, coloured, capsys):
    table, out = coloured.folder / "manifest.csv", scores_folder / "chosen.toml"
    scores = many(read_scores(scores_folder / "scores.npz"))
    given = scores.write(scores_folder / "many.npz")
    fitting, _ = validation_halves(scores)
    assert 50 <= len(fitting) < 216
    lines = run_here(capsys, "fit-prior", table, "--validation", given, "--out", out).splitlines()
    assert lines[1] == f"chosen on {len(fitting)} of 216 photos, the rest is for guarantees"
    assert f"cross-validated on {len(fitting)} photos" in lines[2]
    names = {"image alone": 1, "Bayes' rule, smoothed": 3, "the paper's product": 3}
    for name, cells in names.items():
        (line,) = (line for line in lines[3:-1] if line.startswith(name))
        assert len(line.removeprefix(name).split()) == cells
    assert lines[-1] == str(out)
    # The countries of other photos: no prior is clearly better, and none is written.
    order = np.random.default_rng(0).permutation(len(scores))
    noise = replace(scores, countries=tuple(scores.countries[n] for n in order))
    given, out = noise.write(scores_folder / "noise.npz"), scores_folder / "none.toml"
    lines = run_here(capsys, "fit-prior", table, "--validation", given, "--out", out).splitlines()
    assert lines[-1].startswith("no prior is clearly better than the image alone: none is written")
    assert not out.exists()


def test_fit_prior_on_few_validation_scores_keeps_the_defaults(scores_folder, coloured):
    table = coloured.folder / "manifest.csv"
    scores, out = scores_folder / "scores.npz", scores_folder / "chosen.toml"
    done = ophis("fit-prior", table, "--validation", scores, "--out", out)
    assert done.returncode == 0, done.stderr
    fitting, _ = validation_halves(read_scores(scores))
    assert 0 < len(fitting) < 36
    few = f"{len(fitting)} photos of a known species are too few: the default of Bayes' rule"
    assert done.stdout.splitlines()[2] == few
    assert done.stdout.splitlines()[-1] == str(out)
    arguments = ("evaluate", scores, "--prior", out, "--json")
    image, country = json.loads(ophis(*arguments).stdout)["evaluations"]
    expected = evaluate(read_prior(out, read_scores(scores).species).adjust(read_scores(scores)))
    assert country["macro_f1"] == pytest.approx(expected.macro_f1)
    assert country["macro_f1"] > image["macro_f1"]
    assert "need a prior in .toml" in refused(
        "fit-prior", table, "--validation", scores, "--out", scores_folder / "p.csv"
    )


def test_fit_prior_as_published_keeps_names_of_one_country_apart(tmp_path, capsys):
    manifest = tmp_path / "m.csv"
    manifest.write_text(
        "photo,species,country\na.jpg,boa,bahamas\nb.jpg,adder,the-bahamas\nc.jpg,boa,kenya\n"
    )
    counts, published = tmp_path / "p.csv", tmp_path / "p2.toml"
    lines = run_here(capsys, "fit-prior", manifest, "--out", counts).splitlines()
    assert "one country, counted together: bahamas, the-bahamas" in lines
    lines = run_here(
        capsys, "fit-prior", manifest, "--out", published, "--as-published"
    ).splitlines()
    assert not any("counted together" in line for line in lines)
    merged, apart = (read_prior(path).log_factors("bahamas")[0] for path in (counts, published))
    np.testing.assert_allclose(np.exp(merged), [0.5, 0.5])
    np.testing.assert_allclose(np.exp(apart), [0, 1])
    line = refused_here(capsys, "fit-prior", manifest, "--out", counts, "--as-published")
    assert "p.csv: the paper's prior as published is a .toml file" in line


def test_fit_prior_refuses_scores_of_training_photos(scores_folder, coloured, capsys):
    """By the content of the files; training photos that are not there are not compared."""
    scores = read_scores(scores_folder / "scores.npz")
    files = b"".join(hashlib.sha256(path.read_bytes()).digest() for path in coloured.paths())
    learned = np.frombuffer(files, np.uint8).reshape(-1, 32)
    renamed = tuple(f"new-{name}" for name in scores.photo_ids)
    table, out = coloured.folder / "manifest.csv", scores_folder / "p.toml"
    words = ("fit-prior", table, "--validation", scores_folder / "scores.npz", "--out", out)
    for sha256, line in (
        (learned, "scores.npz: 36 of 36 photos are training photos too, by the content"),
        (None, f"{scores_folder / 'scores.npz'}: the scores hold no sha256 of the photos"),
    ):
        replace(scores, photo_ids=renamed, sha256=sha256).write(scores_folder / "scores.npz")
        assert line in refused_here(capsys, *words)
        assert not out.exists()
    scores.write(scores_folder / "scores.npz")
    shutil.copy(table, scores_folder / "elsewhere.csv")
    with pytest.raises(SystemExit) as end:
        main([str(word) for word in (*words[:1], scores_folder / "elsewhere.csv", *words[2:])])
    assert not end.value.code
    assert "36 of 36 training photos cannot be read" in capsys.readouterr().err


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


def write_records(path, *, number: int = 400):
    """Write records of two species in India, and of one that no manifest has; return the path."""
    rng = np.random.default_rng(0)
    rows = [
        f"{'Boa boa' if east > 77.5 else 'Vipera berus'},{north:.4f},{east:.4f}"
        for north, east in zip(
            rng.uniform(14, 22, number), rng.uniform(75.5, 79.5, number), strict=True
        )
    ]
    rows.append("Naja naja,20.1234,78.4321")
    path.write_text("\n".join(["species,latitude,longitude", *rows, ""]))
    return path


def test_fit_prior_to_occurrence_records(tmp_path, capsys):
    records, out = write_records(tmp_path / "o.csv"), tmp_path / "p.toml"
    manifest = tmp_path / "m.csv"
    manifest.write_text("photo,species,country\na.jpg,Boa boa,India\nb.jpg,Vipera berus,Kenya\n")
    with pytest.raises(SystemExit) as end:
        main(["fit-prior", str(manifest), "--occurrences", str(records), "--out", str(out)])
    assert not end.value.code
    shown = capsys.readouterr()
    assert f"{records}: 400 of 401 rows are used" in shown.err
    assert "1 dropped: a species that is not in the list" in shown.err
    assert "400 records of 2 species at places; log loss of 400" in shown.out
    assert shown.out.splitlines()[-1] == str(out)
    prior = read_prior(out)
    assert isinstance(prior, LocationPrior)
    assert prior.base.counts.countries == ("india", "kenya")  # of the photos
    west = prior.at(Place({"in": 1.0}, None, Position(18.0, 76.0)))
    assert isinstance(west, PlacePrior)
    assert west.probability[1] > 0.9


def test_fit_prior_to_occurrence_records_alone(tmp_path, capsys):
    records, out = write_records(tmp_path / "o.csv"), tmp_path / "p.toml"
    facts = json.loads(
        run_here(capsys, "fit-prior", "--occurrences", records, "--out", out, "--json")
    )
    assert facts["species"] == 3
    assert facts["records"] == 401
    assert facts["dropped"] == {}
    assert facts["location"]["losses"]["place"] < facts["location"]["losses"]["country"]
    assert facts["location"]["bandwidths_km"]
    assert isinstance(read_prior(out), LocationPrior)


def test_fit_prior_refuses_wrong_sources_of_positions(tmp_path, capsys):
    records, manifest = write_records(tmp_path / "o.csv"), tmp_path / "m.csv"
    manifest.write_text("photo,species,country\na.jpg,Daboia russelii,India\n")
    out = tmp_path / "p.toml"
    line = refused_here(capsys, "fit-prior", "--out", out)
    assert "give a manifest of training photos, or records with --occurrences" in line
    line = refused_here(capsys, "fit-prior", "--occurrences", records, "--out", tmp_path / "p.csv")
    assert (
        "p.csv: records, validation scores, range map and overrides need a prior in .toml" in line
    )
    line = refused_here(capsys, "fit-prior", "--occurrences", records, "--out", records)
    assert "o.csv" in line
    done = ophis("fit-prior", manifest, "--occurrences", records, "--out", out)
    assert done.returncode == 2
    assert f"ophis: {records}: no row is a record of a species" in done.stderr.splitlines()[-1]
    assert not out.exists()
