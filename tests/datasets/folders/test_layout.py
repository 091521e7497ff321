"""Species and parts from the names and the depth of folders."""

from pathlib import Path

import pytest

from ophis import InputError, read_manifest
from ophis.datasets.folders.layout import is_part

ROOT = "snakes"


def made(folder: Path, *paths: str) -> Path:
    """Create the folders, each with an empty photo of its own name."""
    for number, path in enumerate(paths):
        place = folder / ROOT / path
        place.mkdir(parents=True, exist_ok=True)
        (place / f"{number}.jpg").touch()
    return folder / ROOT


def read(folder: Path, *paths: str) -> list[tuple[str, str]]:
    """Return species and part of each photo."""
    table = read_manifest(made(folder, *paths)).table.sort("photo")
    parts = table["subset"] if "subset" in table.columns else [""] * len(table)
    return list(zip(table["species"], parts, strict=True))


@pytest.mark.parametrize(
    "name",
    ["train", "Val", "TRAIN", "train_set", "training_data", "Test images", "valid", "train2017",
     "TestSet", "images_val", "01-train", "snake_train", "trainval", "private_test", "train_mini"],
)  # fmt: skip
def test_name_of_a_part(name):
    assert is_part(name)


@pytest.mark.parametrize("name", ["Naja", "Valida", "Testudo", "Trainer", "Naja test", "data", ""])
def test_other_name_is_no_part(name):
    assert not is_part(name)


@pytest.mark.parametrize(
    ("paths", "species", "said"),
    [
        (["Train/Naja", "Val/Naja"], [("Naja", "Train"), ("Naja", "Val")], "2 parts: Train, Val"),
        (["train_set/Boa", "test_set/Boa"], [("Boa", "test_set"), ("Boa", "train_set")], "2 parts"),
        (
            ["data/TRAIN/Boa", "data/valid/Boa"],
            [("Boa", "TRAIN"), ("Boa", "valid")],
            "over are the",
        ),
        (["Boa/train", "Boa/val"], [("Boa", "train"), ("Boa", "val")], "2 parts: train, val"),
        (["dataset/Naja", "dataset/Boa"], [("Boa", ""), ("Naja", "")], "folders above: dataset"),
        (["a/b/Naja", "a/b/Boa"], [("Boa", ""), ("Naja", "")], "folders above: a, b"),
        (["a/Naja", "b/Boa"], [("Naja", ""), ("Boa", "")], "folders above: a, b"),
        (
            ["Viperidae/Vipera_berus", "Elapidae/Naja_naja"],
            [("Naja_naja", ""), ("Vipera_berus", "")],
            "folders above: Elapidae, Viperidae",
        ),
        (["Vipera/berus", "Naja/naja"], [("Naja naja", ""), ("Vipera berus", "")], "and epithet"),
        (["Vipera/berus"], [("Vipera berus", "")], "and epithet"),
        (["Vipera/Vipera_berus"], [("Vipera_berus", "")], "folders above: Vipera"),
        (
            ["train/Viperidae/Vipera/berus", "test/Viperidae/Vipera/berus"],
            [("Vipera berus", "test"), ("Vipera berus", "train")],
            "2 parts: test, train",
        ),
        (["Boa/originals", "Naja/originals"], [("Boa", ""), ("Naja", "")], "of it: originals"),
        (["Boa", "Boa/2024-05", "Naja"], [("Boa", ""), ("Boa", ""), ("Naja", "")], "of it: 2024"),
        (["Naja naja/left", "Naja haje"], [("Naja haje", ""), ("Naja naja", "")], "of it: left"),
    ],
)
def test_layout_is_read_and_reported(tmp_path, caplog, paths, species, said):
    assert read(tmp_path, *paths) == species
    (line,) = caplog.messages
    assert line.startswith(f"{tmp_path / ROOT}: ")
    assert said in line


def test_folders_of_species_alone_need_no_line(tmp_path, caplog):
    assert read(tmp_path, "Naja", "black mamba") == [("Naja", ""), ("black mamba", "")]
    assert not caplog.messages


@pytest.mark.parametrize(
    ("paths", "words"),
    [
        (["", "Naja"], "snakes: photos lie directly in this folder beside folders of photos"),
        ([""], "snakes: photos lie directly in this folder, so their species is not known"),
        (["train/Naja", "test"], "snakes/test: photos lie directly in this folder"),
        (["train/Naja", "Boa/x"], "the folder 'train' seems to be a part of a dataset, but 'Boa'"),
        (["Boa", "Naja", "test"], "the folder 'test' seems to be a part of a dataset, but 'Boa'"),
        (["Vipera", "Vipera/berus"], "different depths, in 'Vipera' and in 'Vipera/berus'"),
        (["Naja", "Viperidae/Vipera berus"], "different depths, in 'Naja' and in 'Viperidae/"),
        (["Aus/front", "Bus/front"], "in 'Aus/front' either folder may be the species"),
        (["Naja/front", "Boa/front"], "/front' either folder may be the species"),
        (["Naja/naja", "Vipera/Vipera berus"], "either folder may be the species"),
        (["images"], "'images' is no name of a species"),
    ],
)  # fmt: skip
def test_layout_with_two_readings_is_refused(tmp_path, paths, words):
    with pytest.raises(InputError) as error:
        read(tmp_path, *paths)
    assert words in str(error.value)
    assert "\n" not in str(error.value)


def test_files_that_are_no_photos_are_counted(tmp_path, caplog):
    folder = made(tmp_path, "Naja", "Naja/__MACOSX", "Naja/thumbnails", "Naja/.git")
    (folder / "README.txt").touch()
    (folder / "Naja" / ".DS_Store").touch()
    (folder / "Naja" / "a.JFIF").touch()
    (folder / "Naja" / "b").write_bytes(b"\xff\xd8\xff\xe0")
    assert list(read_manifest(folder).table["photo"]) == ["Naja/0.jpg", "Naja/a.JFIF", "Naja/b"]
    (line,) = caplog.messages
    assert "5 passed over, no photos: 3 folders not searched, 1 .txt, 1 hidden" in line


def test_metadata_below_a_wrapper_is_read(tmp_path):
    folder = made(tmp_path, "data/photos")
    (folder / "data" / "metadata.csv").write_text("file_name,species\nphotos/0.jpg,Boa boa\n")
    table = read_manifest(folder).table.select("photo", "species")
    assert table.rows() == [("data/photos/0.jpg", "Boa boa")]


def test_metadata_of_a_species_is_refused(tmp_path):
    folder = made(tmp_path, "Naja", "Boa")
    (folder / "Boa" / "metadata.csv").write_text("file_name,species\n0.jpg,Boa boa\n")
    with pytest.raises(InputError, match=r"Boa/metadata\.csv: a metadata file belongs in"):
        read_manifest(folder)


def test_folders_over_100_deep_are_refused(tmp_path):
    assert len(read(tmp_path / "a", "a/" * 98 + "Boa")) == 1
    with pytest.raises(InputError, match="is more than 100 folders deep; move it further up"):
        read(tmp_path / "b", "a/" * 200 + "Boa")
