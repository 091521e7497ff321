from pathlib import Path

import pytest

from ophis import InputError, read_manifest
from ophis.datasets.split import split
from ophis.geography.countries import UNKNOWN

HEADER_2021 = "binomial,country,continent,genus,family,UUID,source,subset,class_id,image_path"
ROW_2021 = "Naja nivea,South Africa,Africa,Naja,Elapidae,f00,inaturalist,train,5"


def write(folder: Path, text: str) -> Path:
    (folder / "m.csv").write_bytes(text.encode())
    return folder / "m.csv"


def test_table_of_2021(tmp_path):
    path = "/Datasets/SnakeCLEF-2021/inaturalist/f00.jpg"
    manifest = read_manifest(write(tmp_path, f"{HEADER_2021}\n{ROW_2021},{path}\n"))
    assert list(manifest.paths()) == [tmp_path / "inaturalist" / "f00.jpg"]
    row = manifest.table.select("photo_id", "species", "country", "observation").row(0)
    assert row == ("f00", "Naja nivea", "south-africa", "f00")
    assert manifest.table.select("subset", "class_id", "family").row(0) == (
        "train",
        "5",
        "Elapidae",
    )


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (f"{HEADER_2021}\n{ROW_2021},/etc/f00.jpg\n", "row 2: photo '/etc/f00.jpg' leaves"),
        (
            f"{HEADER_2021}\n{ROW_2021},/Datasets/SnakeCLEF-2021/../f00.jpg\n",
            "row 2: photo '../f00.jpg' leaves",
        ),
        (f"{HEADER_2021}\n{ROW_2021},\n", "row 2: image_path is empty"),
        (
            f"{HEADER_2021}\n{ROW_2021},a.jpg\n{ROW_2021},b.jpg\n",
            "row 3: photo 'f00' is there",
        ),
        (
            "UUID,image_path,country\nf,a.jpg,Kenya\n",
            "column 'binomial' is missing; a SnakeCLEF 20",
        ),
        (
            "observation_id,image_path,code\n7,a.jpg,KE\n,b.jpg,KE\n",
            "row 3: observation_id is empty",
        ),
        ("observation_id,image_path,code\n7,a.jpg,QQ\n", "row 2: no country is called 'QQ'"),
        ("observation_id,image_path,code\n7,/a.jpg,KE\n", "row 2: photo '/a.jpg' leaves"),
        (
            "observation_id,image_path,code,country\n7,a.jpg,KE,Kenya\n",
            "has columns 'country' and 'code'; remove one",
        ),
    ],
)
def test_wrong_table_is_refused(tmp_path, text, words):
    with pytest.raises(InputError) as error:
        read_manifest(write(tmp_path, text))
    assert words in str(error.value)
    assert "\n" not in str(error.value)


def test_table_of_2022_keeps_observations_together(tmp_path):
    text = (
        "observation_id,endemic,binomial_name,code,image_path,class_id,subset\r\n"
        "HM 1954,TRUE,Naja nigricincta,NA,1990/a/1.jpg,7,train\n"
        "HM 1954,True,Naja nigricincta,NA,1990/a/2.jpg,7,train\r\n"
        "2001,FALSE,Vipera ammodytes,XK,1990/b/3.jpg,9,train\n"
        "2002,False,Vipera ammodytes,unknown,1990/b/4.jpg,9,train\n"
    )
    manifest = read_manifest(write(tmp_path, text))
    table = manifest.table
    assert list(table["observation"]) == ["HM 1954", "HM 1954", "2001", "2002"]
    assert list(table["country"]) == ["na", "na", "xk", UNKNOWN]
    assert list(table["endemic"]) == ["true", "true", "false", "false"]
    assert list(table["photo_id"]) == [f"1990/{name}.jpg" for name in ("a/1", "a/2", "b/3", "b/4")]
    assert list(table["species"].unique(maintain_order=True)) == [
        "Naja nigricincta",
        "Vipera ammodytes",
    ]
    one = manifest.take(table["species"].eq("Naja nigricincta").to_numpy())
    assert [len(part) for part in split(one, 0.5, near_duplicates=False)] == [2, 0]


def test_column_order_and_test_tables(tmp_path):
    text = (
        "class_id,subset,image_path,code,binomial_name,captive,endemic,observation_id\n"
        "3,val,1.jpg,ke,Boa boa,False,True,7\n"
    )
    manifest = read_manifest(write(tmp_path, text))
    assert manifest.table.select("photo", "species", "country", "observation").row(0) == (
        "1.jpg",
        "Boa boa",
        "ke",
        "7",
    )
    manifest = read_manifest(write(tmp_path, "observation_id,image_path\n7,1.jpg\n7,2.jpg\n"))
    assert list(manifest.table["species"]) == [None, None]
    assert list(manifest.table["country"]) == [UNKNOWN] * 2
    assert list(manifest.table["observation"]) == ["7", "7"]


@pytest.mark.parametrize("name", ["microtrain", "microval"])
def test_published_tables_of_2021(shared_2021, name):
    manifest = read_manifest(shared_2021 / f"snakeclef2021_{name}_5000.csv")
    assert len(manifest) == 5000
    assert manifest.table["photo"].str.contains(r"^(inaturalist|herpmapper|flickr)/\w+\.jpg$").all()
    assert manifest.table["country"].eq(UNKNOWN).sum() == 657
    assert not manifest.table["species"].has_nulls()
