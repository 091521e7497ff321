from pathlib import Path

import numpy as np
import pytest

from ophis import InputError, read_manifest
from ophis.geography.countries import UNKNOWN

HEADER = (
    "id,observed_on,quality_grade,image_url,place_country_name,latitude,scientific_name,taxon_id"
)
URL = "https://photos.example/photos/900/medium.jpg"


def write(folder: Path, *lines: str) -> Path:
    (folder / "observations.csv").write_text("\n".join(lines) + "\n")
    return folder / "observations.csv"


@pytest.fixture
def photos(tmp_path):
    folder = tmp_path / "photos"
    names = (
        "11.jpg", "11_2.PNG", "11-3.jpeg", "12/b.jpg", "12/a.webp", "12/notes.txt", ".13.jpg",
        "115.jpg", "13.txt", "x11.jpg",
    )  # fmt: skip
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).touch()
    return folder


def test_photos_are_found_by_observation_id(tmp_path, photos):
    table = write(
        tmp_path,
        HEADER,
        f"11,2024-05-01,research,{URL},Namibia,-20.1,Naja nigricincta,1",
        f"12,2024-05-02,needs_id,{URL},,,Serpentes,2",
        f"13,2024-05-03,casual,{URL},South Korea,,Gloydius ussuriensis,3",
        "14,2024-05-04,casual,,Kenya,,Boa boa,4",
    )
    manifest = read_manifest(table, photos=photos)
    columns = manifest.table.select("photo", "observation", "species", "country", "scientific_name")
    assert columns.rows() == [
        ("11-3.jpeg", "11", "Naja nigricincta", "namibia", "Naja nigricincta"),
        ("11.jpg", "11", "Naja nigricincta", "namibia", "Naja nigricincta"),
        ("11_2.PNG", "11", "Naja nigricincta", "namibia", "Naja nigricincta"),
        ("12/a.webp", "12", None, UNKNOWN, "Serpentes"),
        ("12/b.jpg", "12", None, UNKNOWN, "Serpentes"),
        ("13.jpg", "13", "Gloydius ussuriensis", "south-korea", "Gloydius ussuriensis"),
    ]
    assert manifest.missing_photos() == [photos / "13.jpg"]
    assert list(manifest.table["quality_grade"])[:4] == ["research"] * 3 + ["needs_id"]


def test_collected_manifest_reads_back(tmp_path, photos):
    table = write(tmp_path, HEADER, f"11,2024-05-01,research,{URL},Namibia,,Naja nigricincta,1")
    manifest = read_manifest(table, photos=photos)
    back = read_manifest(manifest.write(tmp_path / "back.csv"))
    assert list(back.paths()) == list(manifest.paths())
    for column in ("photo_id", "observation", "species", "country", "scientific_name"):
        assert list(back.table[column]) == list(manifest.table[column])


def test_observations_without_urls_keep_their_rows(tmp_path):
    table = write(tmp_path, "id,scientific_name,observed_on", "7,Boa boa,2024-05-01")
    manifest = read_manifest(table)
    assert list(manifest.paths()) == [tmp_path / "7.jpg"]
    assert list(manifest.table["country"]) == [UNKNOWN]


def test_column_photo_takes_precedence(tmp_path):
    table = write(
        tmp_path, f"{HEADER},photo", "7,,,,Kenya,,Boa boa,1,a/b.jpg", "7,,,,,,Boa boa,1,c.jpg"
    )
    manifest = read_manifest(table)
    assert list(manifest.table["photo"]) == ["a/b.jpg", "c.jpg"]
    assert list(manifest.table["observation"]) == ["7", "7"]


@pytest.mark.parametrize(
    ("row", "words", "more"),
    [
        (
            "x7,,,u,,,Boa boa,1",
            "1 row was passed over: id 'x7' should be a number",
            0,
        ),
        ("../7,,,u,,,Boa boa,1", "id '../7' should be a number (first: row 3)", 0),
        ("8,,,u,Atlantis,,Boa boa,1", "country 'Atlantis' of 1 row is not known (first: row 3)", 1),
        ("11,,,u,,,Boa boa,1", "photo '11-3.jpeg' is there twice (first: row 3)", 0),
    ],
)
def test_row_that_cannot_be_used_is_counted(tmp_path, photos, caplog, row, words, more):
    rows = (HEADER, f"11,,,{URL},,,Boa boa,1")
    number = len(read_manifest(write(tmp_path, *rows), photos=photos))
    assert len(read_manifest(write(tmp_path, *rows, row), photos=photos)) == number + more
    assert words in caplog.text


def test_export_without_photos_is_refused(tmp_path):
    with pytest.raises(InputError, match="no observation has a photo"):
        read_manifest(write(tmp_path, HEADER, "7,,,,,,Boa boa,1"))


def test_positions_and_their_accuracy_are_kept(tmp_path, photos):
    """An obscured position is moved within its cell of 0.2 degrees."""
    header = "id,scientific_name,taxon_id,latitude,longitude,positional_accuracy,geoprivacy"
    table = write(
        tmp_path,
        header,
        "11,Naja nigricincta,1,-20.1,16.2,8,",
        "12,Naja nigricincta,1,-20.3,16.4,8,obscured",
        "13,Naja nigricincta,1,,,,private",
        "14,Naja nigricincta,1,north,16.2,near,",
    )
    manifest = read_manifest(table, photos=photos)
    found = manifest.table.unique("observation", maintain_order=True)
    assert found.select("latitude", "longitude", "accuracy_m").rows() == [
        ("-20.1", "16.2", "8"), ("-20.3", "16.4", "30000"), ("", "", "30000"), ("", "", ""),
    ]  # fmt: skip
    assert np.isnan(manifest.positions()).any()
