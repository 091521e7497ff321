"""Links in folders of photos, and files that several rows share."""

import json
from pathlib import Path

import pytest

from ophis import InputError, read_manifest
from ophis.cli import main
from ophis.datasets.folders.links import report_same_content
from ophis.datasets.training_photos import UNREADABLE, content_digests


@pytest.fixture
def folder(tmp_path) -> Path:
    """Species in `snakes`, with links to photos and a folder in `elsewhere`."""
    for name in ("snakes/Boa/1.jpg", "elsewhere/2.jpg", "elsewhere/Naja/3.jpg"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_bytes(b"\xff\xd8\xff\xe0")
    (tmp_path / "snakes" / "Boa" / "2.jpg").symlink_to(tmp_path / "elsewhere" / "2.jpg")
    (tmp_path / "snakes" / "Naja").symlink_to(tmp_path / "elsewhere" / "Naja")
    return tmp_path / "snakes"


def test_links_are_followed_on_request(folder):
    with pytest.raises(InputError, match=r"this link leaves .*, or allow it by follow_links"):
        read_manifest(folder)
    manifest = read_manifest(folder, follow_links=True)
    assert list(manifest.table["photo"]) == ["Boa/1.jpg", "Boa/2.jpg", "Naja/3.jpg"]
    assert list(manifest.table["species"]) == ["Boa", "Boa", "Naja"]
    table = manifest.write(folder / "m.csv")
    with pytest.raises(InputError, match=r"m\.csv, row [34]: photo .* link that leaves the folder"):
        read_manifest(table)
    assert list(read_manifest(table, follow_links=True).paths()) == list(manifest.paths())


def test_loop_of_links_ends(folder, caplog):
    (folder / "Boa" / "again").symlink_to(folder)
    (folder / "Boa" / "own").symlink_to(folder / "Boa")
    (folder.parent / "elsewhere" / "Naja" / "back").symlink_to(folder.parent / "elsewhere")
    (folder / "Boa" / "dangling").symlink_to(folder / "nowhere")
    manifest = read_manifest(folder, follow_links=True)
    assert len(manifest) == 3
    assert "4 passed over, no photos: 3 folders not searched, 1 without a suffix" in caplog.text


def test_special_file_behind_a_link_is_refused(folder):
    (folder / "Boa" / "zero.jpg").symlink_to("/dev/zero")
    with pytest.raises(InputError, match=r"zero\.jpg: is no plain file"):
        read_manifest(folder, follow_links=True)


def test_commands_name_the_option(folder, capsys):
    given = ["collect", str(folder), "--out", str(folder.parent / "out" / "m.csv")]
    with pytest.raises(SystemExit) as end:
        main(given)
    assert end.value.code == 2
    assert "or allow it by --follow-links" in capsys.readouterr().err
    with pytest.raises(SystemExit) as end:
        main([*given, "--follow-links"])
    assert not end.value.code
    split = ["split", str(folder.parent / "out" / "m.csv"), "--out", str(folder.parent / "parts")]
    split += ["--no-near-duplicates"]
    for options, code in (([], 2), (["--follow-links"], 0)):
        with pytest.raises(SystemExit) as end:
            main([*split, *options])
        assert (end.value.code or 0) == code


@pytest.mark.parametrize(("value", "words"), [
    ("../elsewhere", "leads to '../elsewhere', out of the table's folder and of the current one"),
    ("out", "leads to 'out', out of"), ("x/../../elsewhere", "leads to"), ("..", "leads to '..'"),
    ("../" * 99 + "etc", "leads to"), ("/etc", "should be a relative path"),
    ("~", "should be a relative path"), ("../a\0b", "should be a relative path"),
    ("../" + "x" * 5_000_000, "leads to '../xxx"),
])  # fmt: skip
def test_column_folder_that_leads_out_is_refused(folder, monkeypatch, value, words):
    (folder / "out").symlink_to(folder.parent / "elsewhere")
    monkeypatch.chdir(folder)
    row = {"photo": "2.jpg", "species": "Boa", "country": "", "folder": value}
    (folder / "m.jsonl").write_text(json.dumps(row) + "\n")
    with pytest.raises(InputError, match=f"m.jsonl: column 'folder' .*{words}") as error:
        read_manifest(folder / "m.jsonl")
    assert "; correct it" in str(error.value) or "allow it by follow_links" in str(error.value)


def test_column_folder_leads_out_in_the_current_folder_or_on_request(folder, monkeypatch, capsys):
    photos = folder.parent / "elsewhere"
    (folder / "m.csv").write_text("photo,species,country,folder\n2.jpg,Boa,,../elsewhere\n")
    monkeypatch.chdir(folder.parent)
    assert read_manifest("snakes/m.csv").paths()[0].resolve() == photos / "2.jpg"
    monkeypatch.chdir(folder)
    assert read_manifest("m.csv", follow_links=True).paths()[0].resolve() == photos / "2.jpg"
    assert read_manifest("m.csv", photos=photos).paths()[0] == photos / "2.jpg"
    monkeypatch.chdir("/")
    with pytest.raises(
        InputError, match=r"leads to '\.\./elsewhere', out of the table's folder; give"
    ):
        read_manifest(folder / "m.csv")
    monkeypatch.chdir(folder)
    for options, code in (([], 2), (["--follow-links"], 0), (["--photos", str(photos)], 0)):
        with pytest.raises(SystemExit) as end:
            main(["fit-prior", "m.csv", "--out", "p.csv", *options])
        assert (end.value.code or 0) == code
    assert "give the folder by --photos, or for a table of your own" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("rows", "said"),
    [
        (["1,a.jpg,Boa", "2,a.jpg,Naja"], "row 3: photo 'a.jpg' is of 'Naja', but row 2 has it as"),
        (["1,a.jpg,Boa", "2,./a.jpg,Naja"], "row 3: photo './a.jpg' is of 'Naja', but row 2 has '"),
        (["1,a.jpg,Boa", "2,x//b.jpg,Boa", "3,x/./b.jpg,Naja"], "row 4: photo 'x/./b.jpg' is of"),
        (["1,a.jpg,Boa", "2,link.jpg,Naja"], "row 3: photo 'link.jpg' is of 'Naja', but row 2 has"),
        (["1,x/b.jpg,Boa", "2,y/b.jpg,Naja"], "row 3: photo 'y/b.jpg' is of 'Naja', but row 2 has"),
        (["1,a.jpg,Boa", "2,a.jpg,Boa", "3,b.jpg,Naja"], ""),
        (["1,a.jpg,Boa", "2,a.jpg,"], ""),
        (["1,a.jpg,Boa", "2,x/a.jpg,Naja"], ""),
    ],
)
def test_photo_of_two_species_is_reported(tmp_path, caplog, rows, said):
    (tmp_path / "x").mkdir()
    for name in ("a.jpg", "b.jpg", "x/a.jpg", "x/b.jpg"):
        (tmp_path / name).touch()
    (tmp_path / "link.jpg").symlink_to("a.jpg")
    (tmp_path / "y").symlink_to("x")
    (tmp_path / "m.csv").write_text("\n".join(["photo_id,photo,species", *rows]) + "\n")
    assert len(read_manifest(tmp_path / "m.csv")) == len(rows)
    assert len(caplog.messages) == bool(said)
    assert said in caplog.text


def test_linked_copy_of_a_species_is_reported(tmp_path, caplog):
    (tmp_path / "snakes" / "Boa").mkdir(parents=True)
    (tmp_path / "snakes" / "Boa" / "1.jpg").touch()
    (tmp_path / "snakes" / "Naja").symlink_to("Boa")
    read_manifest(tmp_path / "snakes")
    (line,) = caplog.messages
    assert "photo 'Naja/1.jpg' is of 'Naja', but" in line
    assert "has 'Boa/1.jpg' as 'Boa'" in line


def test_photos_of_equal_content_and_two_species_are_reported(tmp_path, caplog):
    rows = ["a.jpg,Boa", "gone.jpg,Boa", "lost.jpg,Naja", "b.jpg,Boa", "c.jpg,Naja", "d.jpg,Naja"]
    for name, data in (("a", b"1"), ("b", b"2"), ("c", b"1"), ("d", b"3")):
        (tmp_path / f"{name}.jpg").write_bytes(data)
    (tmp_path / "m.csv").write_text("\n".join(["photo,species", *rows]) + "\n")
    manifest = read_manifest(tmp_path / "m.csv")
    report_same_content(manifest, content_digests(manifest), unread=UNREADABLE)
    (line,) = caplog.messages
    assert line.startswith("photos 'a.jpg' of 'Boa' and 'c.jpg' of 'Naja' have the same content")
