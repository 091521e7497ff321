import os
from pathlib import Path

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ophis import InputError, SpeciesList, read_manifest
from ophis.geography.countries import UNKNOWN
from tests.support.species_names import is_species_name


def write(folder: Path, text: str, name: str = "m.csv") -> Path:
    (folder / name).write_text(text, encoding="utf-8", newline="")
    return folder / name


def test_plain_table(tmp_path):
    text = (
        "\ufeffphoto,species,country\r\na.jpg,Naja nivea,NA\r\nb.jpg,,\r\nsub/c.jpg,Boa, Kenya \r\n"
    )
    manifest = read_manifest(write(tmp_path, text))
    assert list(manifest.table["country"]) == ["na", UNKNOWN, "kenya"]
    assert list(manifest.table["species"]) == ["Naja nivea", None, "Boa"]
    assert list(manifest.table["observation"]) == ["a.jpg", "b.jpg", "sub/c.jpg"]
    assert manifest.paths()[2] == tmp_path / "sub" / "c.jpg"
    assert manifest.species_list() == SpeciesList(("Boa", "Naja nivea"))
    assert list(manifest.truth(manifest.species_list())) == [1, -1, 0]
    assert len(manifest.missing_photos()) == 3


def test_values_that_programs_write_for_none_are_no_species(tmp_path, caplog):
    text = "photo,species,country\na.jpg,Boa,Kenya\nb.jpg,NA,NA\nc.jpg,#N/A,#N/A\nd.jpg,nan,\n"
    manifest = read_manifest(write(tmp_path, text))
    assert list(manifest.table["species"]) == ["Boa", None, None, None]
    assert list(manifest.table["country"]) == ["kenya", "na", UNKNOWN, UNKNOWN]
    assert "row 3: species 'NA', of 3 rows, is no name and read as unknown" in caplog.text
    assert "row 3: country 'NA', of 1 row, is read as Namibia" in caplog.text


def test_namibia_among_codes_needs_no_line(tmp_path, caplog):
    read_manifest(write(tmp_path, "photo,species,country\na.jpg,Boa,KE\nb.jpg,Boa,NA\n"))
    assert caplog.text == ""


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"PK\3\4", "is a workbook or an archive; save the sheet as CSV"),
        (b"\xd0\xcf\x11\xe0\xa1\xb1", "is a workbook; save"),
        (b"PAR1\x15\x04", "is Parquet; give it the suffix"),
        (b"ARROW1\0\0", "is Arrow; write it as Parquet"),
        (b"\x1f\x8b\x08", "is compressed; unpack it"),
        (b'[{"photo": "a.jpg"}]', "is JSON; write one object a line"),
        (b"\xef\xbb\xbf<html>", "is a web page or XML"),
    ],
)
def test_file_of_another_kind_is_named(tmp_path, content, words):
    (tmp_path / "m.xlsx").write_bytes(content)
    with pytest.raises(InputError, match=f"m.xlsx: {words}"):
        read_manifest(tmp_path / "m.xlsx")


def test_unpacked_archive_is_refused(tmp_path):
    write(tmp_path, "<archive/>", "meta.xml")
    with pytest.raises(InputError, match=r"unpacked Darwin Core archive; name its \.zip"):
        read_manifest(tmp_path)


def test_group_column_gives_observations(tmp_path):
    text = "photo,species,group\na.jpg,Boa,7\nb.jpg,Boa,7\nc.jpg,Boa,8\n"
    manifest = read_manifest(write(tmp_path, text))
    assert list(manifest.table["observation"]) == ["7", "7", "8"]


def test_snakeclef_2020_table(tmp_path):
    (tmp_path / "photos").mkdir()
    text = (
        ",hashed_id,scientific_name,country,continent,hashed_id_2\n"
        "0,abc,naja-nivea,united-states-of-america,north-america,xyz\n"
        "1,def,boa-boa,UNKNOWN,UNKNOWN,uvw\n"
    )
    manifest = read_manifest(write(tmp_path, text), photos=tmp_path / "photos")
    assert list(manifest.paths()) == [
        tmp_path / "photos" / f"{name}.jpg" for name in ("abc", "def")
    ]
    assert list(manifest.table["photo_id"]) == ["abc", "def"]
    assert list(manifest.table["country"]) == ["united-states-of-america", UNKNOWN]
    assert list(manifest.table["hashed_id_2"]) == ["xyz", "uvw"]
    assert list(manifest.table["continent"]) == ["north-america", "UNKNOWN"]


def test_folder_with_subfolders_of_species(tmp_path):
    for name in ("Boa/1.jpg", "Boa/2024/2.PNG", "Naja naja/3.jpeg", "Boa/notes.txt", ".git/x.jpg"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_bytes(b"")
    manifest = read_manifest(tmp_path)
    pairs = list(manifest.table.select("photo", "species").iter_rows())
    assert pairs == [
        ("Boa/1.jpg", "Boa"),
        ("Boa/2024/2.PNG", "Boa"),
        ("Naja naja/3.jpeg", "Naja naja"),
    ]
    (tmp_path / "Vipera").mkdir()
    with pytest.raises(InputError, match=r"Vipera: there is no photo of this species"):
        read_manifest(tmp_path)


def test_link_to_outside_is_refused(tmp_path):
    (tmp_path / "kinds" / "Boa").mkdir(parents=True)
    (tmp_path / "secret.jpg").write_bytes(b"")
    (tmp_path / "kinds" / "Boa" / "1.jpg").symlink_to(tmp_path / "secret.jpg")
    with pytest.raises(InputError, match=r"1\.jpg: this link leaves"):
        read_manifest(tmp_path / "kinds")


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", ["m.csv"]),
        ("photo,species,country\n", ["no row below the header"]),
        ("photo,country\na.jpg,Kenya\n", ["column 'species' is missing"]),
        (
            "species,country\nBoa,Kenya\n",
            ["column 'photo' is missing", "found 'species', 'country'"],
        ),
        ("hashed_id,country\nx,Kenya\n", ["column 'scientific_name' is missing"]),
        (
            "photo,species\na.jpg,Boa\na.jpg,Boa\n",
            ["row 3", "'a.jpg' is there twice, first in row 2"],
        ),
        ("photo,species\na.jpg,Boa\n,Boa\n", ["row 3", "photo is empty"]),
        ("photo,species\na.jpg,Boa\n../b.jpg,Boa\n", ["row 3", "'../b.jpg' leaves the folder"]),
        ("photo,species\na/../../b.jpg,Boa\n", ["row 2", "leaves the folder"]),
        ("photo,species\n/etc/b.jpg,Boa\n", ["row 2", "leaves the folder"]),
        ("photo,species\nC:\\b.jpg,Boa\n", ["row 2", "leaves the folder"]),
        ("photo,species\n..\\b.jpg,Boa\n", ["row 2", "leaves the folder"]),
        ('photo,species\na.jpg,"Boa\n', ["row 2", "fix the quotes"]),
        ('photo,species\n\n"a\n.jpg",Boa\n', ["row 3", "line break"]),
        ("photo,species\na.jpg,Boa\n\n\nb\\c.jpg,Boa\n", ["row 5", "backslash"]),
        ("photo|species\na.jpg|Boa\n", ["put commas between the cells"]),
        ("photo,species,photo\na.jpg,Boa,b.jpg\n", ["'photo' is there twice"]),
        ("photo,species,country\na.jpg,Boa,Kenya\nb.jpg,Boa,Atlantis\n", ["row 3", "'Atlantis'"]),
        ("photo,species\na.jpg,Boa,Kenya,more\n", ["row 2: has 4 cells under 2 names"]),
    ],
)
def test_wrong_table_is_refused(tmp_path, text, words):
    with pytest.raises(InputError) as error:
        read_manifest(write(tmp_path, text))
    line = str(error.value)
    assert "m.csv" in line
    assert "\n" not in line
    for word in words:
        assert word in line


def test_other_files_are_refused(tmp_path):
    with pytest.raises(InputError, match=r"none\.csv: there is no such"):
        read_manifest(tmp_path / "none.csv")
    (tmp_path / "bytes.csv").write_bytes(b"photo,species\n\xff\xfe\x00,Boa\n")
    with pytest.raises(InputError, match=r"bytes\.csv"):
        read_manifest(tmp_path / "bytes.csv")
    (tmp_path / "text.parquet").write_text("text")
    with pytest.raises(InputError, match=r"text\.parquet: cannot be read as Parquet"):
        read_manifest(tmp_path / "text.parquet")
    (tmp_path / "empty").mkdir()
    with pytest.raises(InputError, match="has no metadata file and no subfolder"):
        read_manifest(tmp_path / "empty")


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("x,,kenya", ["row 2", "scientific_name is empty"]),
        (",boa,kenya", ["row 2", "hashed_id is empty"]),
        ("x,boa,kenya\nx,boa,kenya", ["row 3", "'x' is there twice, first in row 2"]),
        ("../x,boa,kenya", ["row 2", "leaves the folder"]),
        ("x,boa,kenja", ["row 2", "did you mean Kenya"]),
    ],
)
def test_wrong_snakeclef_2020_table_is_refused(tmp_path, text, words):
    path = write(tmp_path, f"hashed_id,scientific_name,country\n{text}\n")
    with pytest.raises(InputError) as error:
        read_manifest(path)
    assert all(word in str(error.value) for word in ["m.csv", *words])


def test_parquet_rows_are_counted_from_one(tmp_path):
    table = {"photo": ["a.jpg", "/b.jpg"], "species": ["Boa", None], "year": [2020, None]}
    pl.DataFrame(table).write_parquet(tmp_path / "m.parquet")
    with pytest.raises(InputError, match=r"m\.parquet, row 2: photo '/b\.jpg' leaves"):
        read_manifest(tmp_path / "m.parquet")


def test_column_folder_is_one_relative_path(tmp_path):
    for folders, words in (
        (("/etc", "/etc"), "relative path"),
        (("a", "b"), "one value in all"),
    ):
        rows = "".join(f"{number}.jpg,Boa,{name}\n" for number, name in enumerate(folders))
        path = write(tmp_path, f"photo,species,folder\n{rows}")
        with pytest.raises(InputError, match=rf"m\.csv: column 'folder' .*{words}"):
            read_manifest(path)
        assert read_manifest(path, photos=tmp_path).folder == tmp_path
    with pytest.raises(InputError, match=r"nowhere: there is no such folder of photos"):
        read_manifest(path, photos=tmp_path / "nowhere")


def test_hidden_files_are_skipped(tmp_path):
    for name in ("Boa/1.jpg", "Boa/.2.jpg", "Boa/.thumbs/3.jpg", "Boa/._1.jpg", "Boa/4.mp4"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    (tmp_path / "Boa" / "folder.jpg").mkdir()
    (tmp_path / "Boa" / "dead.gif").symlink_to(tmp_path / "gone.gif")
    (tmp_path / "Boa" / "same.TIF").symlink_to(tmp_path / "Boa" / "1.jpg")
    manifest = read_manifest(tmp_path)
    assert list(manifest.table["photo"]) == ["Boa/1.jpg", "Boa/dead.gif", "Boa/same.TIF"]
    assert manifest.missing_photos() == [tmp_path / "Boa" / "dead.gif"]


@pytest.mark.parametrize("link", ["Boa/1.jpg", "Boa/deep", "Naja"])
def test_links_to_outside_are_refused(tmp_path, link):
    (tmp_path / "outside").mkdir()
    (tmp_path / "outside" / "1.jpg").touch()
    (tmp_path / "kinds" / "Boa").mkdir(parents=True)
    (tmp_path / "kinds" / "Boa" / "2.jpg").touch()
    (tmp_path / "kinds" / link).symlink_to(tmp_path / "outside")
    with pytest.raises(InputError, match=rf"{link}: this link leaves"):
        read_manifest(tmp_path / "kinds")


@pytest.mark.parametrize(
    ("name", "words"),
    [
        (b"Boa/a\nb.jpg", "cannot be written to a table"),
        (b"Boa/\xff.jpg", "cannot be written to a table"),
        (b"Boa/a\\b.jpg", "has a backslash"),
        (b" Boa/1.jpg", "begins or ends with a space"),
    ],
)
def test_unwritable_file_name_is_refused(tmp_path, name, words):
    path = os.fsencode(tmp_path) + b"/" + name
    Path(os.fsdecode(path)).parent.mkdir()
    try:
        Path(os.fsdecode(path)).touch()
    except OSError:
        pytest.skip("this file system refuses such names itself")
    with pytest.raises(InputError, match=words) as error:
        read_manifest(tmp_path)
    str(error.value).encode()
    assert "\n" not in str(error.value)


NAME = st.text(st.characters(exclude_categories=["Cs", "Cc", "Zl", "Zp"], exclude_characters="/\\"),
               min_size=1, max_size=12)  # fmt: skip
NAME = NAME.filter(lambda text: is_species_name(f"x{text}."))


@settings(max_examples=30)
@given(kinds=st.dictionaries(NAME, st.lists(NAME, min_size=1, max_size=3), min_size=1, max_size=3))
def test_folder_reads_writes_and_reads_back(tmp_path_factory, kinds):
    folder = tmp_path_factory.mktemp("kinds")
    made = set()
    for kind, names in kinds.items():
        for name in names:
            below = folder / f"kind {kind}."
            below.mkdir(exist_ok=True)
            (below / f"x{name}.jpg").touch()
            made.add(below / f"x{name}.jpg")
    manifest = read_manifest(folder)
    assert set(manifest.paths()) == made
    for suffix in ("csv", "parquet"):
        back = read_manifest(manifest.write(folder.parent / f"{folder.name}.{suffix}"))
        assert not back.missing_photos()
        assert list(back.table["species"]) == list(manifest.table["species"])
