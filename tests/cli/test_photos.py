"""Commands collect, split and sample."""

import json
import zipfile

import numpy as np
import pytest
from PIL import ExifTags, Image

from ophis import Scores, read_manifest, read_prior
from ophis.cli import main
from tests.support.commands import ophis, refused_here

JPEG = b"\xff\xd8\xff\xe0"  # signature


def test_files_of_collect_split_and_fit_prior_read_back(tmp_path, coloured):
    whole = tmp_path / "all.parquet"
    done = ophis("collect", coloured.folder / "manifest.csv", "--out", whole)
    assert done.stdout.splitlines()[0] == "36 photos, 3 species, 3 countries", done.stderr
    done = ophis(
        "split", whole, "--train", tmp_path / "t.csv", "--validation", tmp_path / "h.csv",
        "--fraction", "0.25", "--no-near-duplicates", "--follow-links",
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    parts = (read_manifest(tmp_path / f"{name}.csv", follow_links=True) for name in "th")
    train, validation = parts
    assert len(train) + len(validation) == 36
    assert sorted([*train.paths(), *validation.paths()]) == sorted(coloured.paths())
    assert all(path.is_file() for path in train.paths())
    done = ophis("fit-prior", tmp_path / "t.csv", "--out", tmp_path / "p.csv", "--follow-links")
    assert done.stdout.startswith("3 countries, 3 species"), done.stderr


@pytest.mark.usefixtures("in_base")
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


def test_sample_accepts_folder_as_option(tmp_path, capsys):
    with pytest.raises(SystemExit) as end:
        main(["sample", "--out", str(tmp_path / "sample"), "--count", "36"])
    assert not end.value.code
    assert len(read_manifest(capsys.readouterr().out.strip())) == 36


def collected(capsys: pytest.CaptureFixture[str], *arguments: object) -> tuple[list[str], str]:
    """Return the lines of stdout and the stderr of `ophis collect`, in this process."""
    with pytest.raises(SystemExit) as end:
        main(["collect", *map(str, arguments)])
    captured = capsys.readouterr()
    assert not end.value.code, captured.err
    return captured.out.splitlines(), captured.err


def test_positions_of_photos_are_written_on_request_only(tmp_path, capsys):
    exif = Image.Exif()
    tags = {1: "N", 2: (27.0, 43.0, 1.92), 3: "E", 4: (85.0, 19.0, 26.4)}
    exif[ExifTags.IFD.GPSInfo] = tags | {ExifTags.GPS.GPSHPositioningError: 35.5}
    Image.new("RGB", (40, 40)).save(tmp_path / "a.jpg", exif=exif)
    Image.new("RGB", (40, 40)).save(tmp_path / "b.jpg")
    rows = ["photo,species,latitude,longitude", "a.jpg,Boa,,", "b.jpg,Boa,,"]
    source = tmp_path / "m.csv"
    source.write_text("\n".join([*rows, "c.jpg,Boa,1.5,2.5"]) + "\n")
    out = tmp_path / "out.csv"
    lines, _ = collected(capsys, source, "--out", out)
    assert np.isnan(read_manifest(out).positions()[0]).all()
    assert "position" not in "".join(lines)
    lines, errors = collected(capsys, source, "--out", out, "--gps")
    assert "photos with a position of their own: 1" in lines
    expected = [[27.7172, 85.324], [np.nan, np.nan], [1.5, 2.5]]
    np.testing.assert_allclose(read_manifest(out).positions(), expected, atol=1e-4)
    assert read_manifest(out).table["accuracy_m"].to_list() == ["35.5", "", ""]
    assert "27.7" not in "".join(lines) + errors


def test_names_of_one_country_are_merged_and_reported(tmp_path, capsys):
    rows = [("boa", "bahamas"), ("boa", "Alemania"), ("adder", "the Bahamas"), ("adder", "Kenya")]
    lines = [f"{n}.jpg,{species},{country}" for n, (species, country) in enumerate(rows)]
    (tmp_path / "m.csv").write_text("\n".join(["photo,species,country", *lines]) + "\n")
    message = "one country, counted together: bahamas, the-bahamas"
    lines, _ = collected(capsys, tmp_path / "m.csv", "--out", tmp_path / "out.csv")
    assert lines[:2] == ["4 photos, 2 species, 4 countries", message]
    for name in ("p.csv", "p.toml"):
        with pytest.raises(SystemExit):
            main(["fit-prior", str(tmp_path / "out.csv"), "--out", str(tmp_path / name)])
        assert capsys.readouterr().out.splitlines()[1] == message
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
    assert capsys.readouterr().err == f"ophis: {tmp_path / 'p.csv'}: {message}\n"


def test_collect_reports_renames_and_merges_only_on_request(tmp_path, capsys):
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
        archive.writestr("o.csv", "7,Boa boa,p/1.jpg|p/2\n")
        archive.writestr("p/1.jpg", JPEG)
        archive.writestr("p/2", JPEG + b"2")
        archive.writestr("__MACOSX/p/._1.jpg", b"marks")
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


def test_collect_lists_pictures_that_are_not_read(tmp_path, capsys):
    photos = {
        "a.jfif": JPEG, "b": JPEG, "c.gif": b"GIF89a", "d.jpg": b"", "e.CR2": b"II*\x00",
        "f.jpg": b"<html>", "notes.txt": b"no photo",
    }  # fmt: skip
    (tmp_path / "snakes" / "Naja").mkdir(parents=True)
    for name, data in photos.items():
        (tmp_path / "snakes" / "Naja" / name).write_bytes(data)
    given = ["collect", str(tmp_path / "snakes"), "--out", str(tmp_path / "out.csv")]
    with pytest.raises(SystemExit) as end:
        main(given)
    assert end.value.code == 1
    out, err = capsys.readouterr()
    assert out.startswith("6 photos, 1 species")
    assert len(read_manifest(tmp_path / "out.csv")) == 6
    for words in (
        "snakes: 1 passed over, no photos: 1 .txt; the first is ",
        "c.gif: GIF, TIFF and BMP pictures are not read; send a JPEG",
        "d.jpg: the file is empty; copy it again",
        "e.CR2: GIF, TIFF and BMP pictures are not read; send a JPEG",
        "f.jpg: this is no photo; send a JPEG",
    ):
        assert err.count(words) == 1, err
    with pytest.raises(SystemExit):
        main([*given, "--json"])
    failures = json.loads(capsys.readouterr().out)["failures"]
    assert [failure["code"] for failure in failures] == [
        "other_format", "empty", "other_format", "not_a_photo",
    ]  # fmt: skip


def test_commands_report_species_in_several_ways(tmp_path, capsys):
    (tmp_path / "m.csv").write_text("photo,species\na.jpg,Naja naja\nb.jpg,naja-naja\nc.jpg,Boa\n")
    with pytest.raises(SystemExit):
        main(["fit-prior", str(tmp_path / "m.csv"), "--out", str(tmp_path / "p.csv")])
    err = capsys.readouterr().err
    assert "1 species are written in several ways, such as 'Naja naja' and 'naja-naja'; each" in err
