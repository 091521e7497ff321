import json
from pathlib import Path

import pytest

from ophis import InputError, read_manifest
from ophis.geography.countries import UNKNOWN


def touch(folder: Path, *names: str) -> None:
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).touch()


def test_metadata_file(tmp_path):
    touch(tmp_path, "train/1.jpg", "validation/2.jpg")
    text = "file_name,label,country,observation\ntrain/1.jpg,Boa boa,NA,7\nvalidation/2.jpg,,,8\n"
    (tmp_path / "metadata.csv").write_text(text)
    for source in (tmp_path, tmp_path / "metadata.csv"):
        manifest = read_manifest(source)
        table = manifest.table.select("photo", "species", "country", "observation")
        assert table.rows() == [
            ("train/1.jpg", "Boa boa", "na", "7"),
            ("validation/2.jpg", None, UNKNOWN, "8"),
        ]
        assert not manifest.missing_photos()
    assert list(read_manifest(tmp_path).table["subset"]) == ["train", "validation"]


def test_metadata_files_of_parts(tmp_path):
    touch(tmp_path, "train/a/1.jpg", "validation/1.jpg")
    (tmp_path / "train" / "metadata.csv").write_text("file_name,species,sex\na/1.jpg,Boa boa,f\n")
    row = {
        "country": "NA",
        "file_name": "1.jpg",
        "species": "Naja naja",
        "year": 2020,
        "sure": True,
    }
    (tmp_path / "validation" / "metadata.jsonl").write_text(f"\n{json.dumps(row)}\n")
    manifest = read_manifest(tmp_path)
    table = manifest.table.select("photo", "species", "country", "subset", "sex", "year", "sure")
    assert table.rows() == [
        ("train/a/1.jpg", "Boa boa", UNKNOWN, "train", "f", "", ""),
        ("validation/1.jpg", "Naja naja", "na", "validation", "", "2020", "true"),
    ]
    assert not manifest.missing_photos()


def test_parts_with_subfolders_of_species(tmp_path):
    touch(tmp_path, "train/Boa boa/1.jpg", "test/Naja naja/1.jpg", "test/Naja naja/2.jpg")
    table = read_manifest(tmp_path).table.select("photo", "species", "subset")
    assert table.rows() == [
        ("test/Naja naja/1.jpg", "Naja naja", "test"),
        ("test/Naja naja/2.jpg", "Naja naja", "test"),
        ("train/Boa boa/1.jpg", "Boa boa", "train"),
    ]
    alone = read_manifest(tmp_path / "train").table
    assert alone.select("photo", "species").rows() == [("Boa boa/1.jpg", "Boa boa")]


@pytest.mark.parametrize(
    ("name", "text", "words"),
    [
        (
            "metadata.csv",
            "photos,label\n1.jpg,Boa\n",
            "metadata.csv: column 'file_name' is missing",
        ),
        (
            "metadata.csv",
            "file_name,country\n1.jpg,KE\n",
            "metadata.csv: a column of species is missi",
        ),
        (
            "metadata.csv",
            "file_name,label\n1.jpg,3\n",
            "metadata.csv, row 2: species '3' is a number",
        ),
        (
            "metadata.csv",
            "file_name,label\n../1.jpg,Boa\n",
            "row 2: photo '../1.jpg' leaves the fol",
        ),
        ("metadata.jsonl", '{"file_name":', "metadata.jsonl, row 1: is not JSON"),
        ("metadata.jsonl", "\n[1]\n", "metadata.jsonl, row 2: should be one JSON object"),
        ("metadata.jsonl", "[" * 100_000, "metadata.jsonl, row 1: is not JSON"),
        ("metadata.jsonl", '{"file_name": ["a"]}', "row 1: 'file_name' is a list or an object"),
        ("metadata.jsonl", '{"file_name": "\\ud800"}', "row 1: 'file_name' has half a letter"),
        (
            "metadata.jsonl",
            '\n{"file_name": "/a.jpg", "label": "Boa"}',
            "jsonl, row 2: photo '/a.jpg'",
        ),
        ("metadata.jsonl", "\n", "metadata.jsonl: there is no row"),
    ],
)
def test_wrong_metadata_file_is_refused(tmp_path, name, text, words):
    for place in (tmp_path, tmp_path / "parts" / "train"):
        place.mkdir(parents=True, exist_ok=True)
        (place / name).write_text(text)
        with pytest.raises(InputError) as error:
            read_manifest(tmp_path / "parts" if place != tmp_path else place)
        assert words in str(error.value)
        assert "\n" not in str(error.value)


def test_two_metadata_files_are_refused(tmp_path):
    (tmp_path / "metadata.csv").touch()
    (tmp_path / "metadata.jsonl").touch()
    with pytest.raises(InputError, match=r"has metadata\.csv and metadata\.jsonl; keep one"):
        read_manifest(tmp_path)


def test_part_linked_from_outside_is_refused(tmp_path):
    touch(tmp_path, "elsewhere/Boa boa/1.jpg", "data/train/Boa boa/1.jpg")
    (tmp_path / "data" / "test").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(InputError, match="test: this link leaves"):
        read_manifest(tmp_path / "data")


@pytest.mark.parametrize("link", ["photos/b.jpg", "photos/sub"])
def test_photo_behind_link_to_outside_is_refused(tmp_path, link):
    touch(tmp_path, "outside/c.jpg", "photos/a.jpg")
    target = tmp_path / "outside"
    (tmp_path / link).symlink_to(target / "c.jpg" if link.endswith("jpg") else target)
    (tmp_path / "photos" / "same.jpg").symlink_to(tmp_path / "photos" / "a.jpg")
    name = "b.jpg" if link.endswith("jpg") else "sub/c.jpg"
    table = tmp_path / "m.csv"
    table.write_text("photo,species\na.jpg,Boa\nsame.jpg,Boa\nnone/d.jpg,Boa\n")
    assert len(read_manifest(table, photos=tmp_path / "photos")) == 3
    table.write_text(f"photo,species\na.jpg,Boa\nsame.jpg,Boa\n{name},Boa\n")
    with pytest.raises(InputError, match=rf"m\.csv, row 4: photo '{name}' .* link that leaves"):
        read_manifest(table, photos=tmp_path / "photos")
    # The folder of photos may be a link itself: a person chose it.
    (tmp_path / "chosen").symlink_to(tmp_path / "photos")
    table.write_text("photo,species\na.jpg,Boa\n")
    assert len(read_manifest(table, photos=tmp_path / "chosen")) == 1
