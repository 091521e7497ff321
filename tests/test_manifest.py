from pathlib import Path

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ophis import InputError, Manifest, SpeciesList, read_manifest
from ophis.manifest import join_groups
from ophis.places import UNKNOWN


def made(rows: list[tuple[str, str, str]], folder: Path = Path()) -> Manifest:
    """A manifest of (species, country, observation)."""
    names = [f"{number}.jpg" for number in range(len(rows))]
    species, country, observation = zip(*rows, strict=True)
    table = {"photo_id": names, "photo": names, "species": species, "country": country}
    return Manifest(pl.DataFrame(table | {"observation": observation}), folder)


def write(folder: Path, text: str, name: str = "m.csv") -> Path:
    (folder / name).write_text(text, encoding="utf-8", newline="")
    return folder / name


ROWS = st.lists(
    st.tuples(
        st.sampled_from(["adder", "boa", "cobra"]),
        st.sampled_from(["kenya", UNKNOWN]),
        st.sampled_from([f"snake {number}" for number in range(30)]),
    ),
    min_size=1,
    max_size=60,
)


@given(rows=ROWS, seed=st.integers(0, 99), share=st.floats(0.05, 0.95), modulus=st.integers(1, 40))
def test_a_split_is_complete_disjoint_and_keeps_groups_whole(rows, seed, share, modulus):
    manifest = made(rows)
    groups = np.arange(len(rows)) % modulus
    rest, held = manifest.split(share, seed=seed, groups=groups)
    sides = [list(part.table["photo_id"]) for part in (rest, held)]
    assert sorted(sides[0] + sides[1]) == sorted(manifest.table["photo_id"])
    assert not set(rest.table["observation"]) & set(held.table["observation"])
    group_of = dict(zip(manifest.table["photo_id"], groups.tolist(), strict=True))
    assert not {group_of[p] for p in sides[0]} & {group_of[p] for p in sides[1]}
    again = manifest.split(share, seed=seed, groups=groups)
    assert [list(part.table["photo_id"]) for part in again] == sides


def test_a_split_is_stratified_and_its_seed_counts():
    manifest = made([(s, "kenya", f"{s} {n}") for s, k in (("a", 10), ("b", 90)) for n in range(k)])
    _, held = manifest.split(0.3, seed=0)
    counts = dict(held.counts().select("species", "photos").iter_rows())
    assert counts == {"a": 3, "b": 27}
    other = manifest.split(0.3, seed=1)[1]
    assert list(other.table["photo_id"]) != list(held.table["photo_id"])


def test_every_species_of_two_groups_stands_on_both_sides_and_one_of_one_group_in_the_rest():
    manifest = made([("a", "kenya", "1"), ("a", "kenya", "2"), ("b", "kenya", "3")])
    rest, held = manifest.split(0.01, seed=0)
    assert set(rest.table["species"]) == {"a", "b"}
    assert set(held.table["species"]) == {"a"}


def test_groups_are_joined_over_chains():
    joined = join_groups(np.array([0, 0, 1, 1, 2]), np.array([0, 1, 1, 2, 3]))
    assert len(set(joined[:4])) == 1
    assert joined[4] not in joined[:4]


@pytest.mark.parametrize("share", [0, 1, -0.5, 2])
def test_a_share_that_is_none_is_refused(share):
    with pytest.raises(InputError, match="between 0 and 1"):
        made([("a", "kenya", "1")]).split(share, seed=0)


TEXT = st.text(st.characters(exclude_categories=["Cs", "Cc", "Zs", "Zl", "Zp"]), min_size=1)


@pytest.mark.parametrize("suffix", [".csv", ".parquet"])
@settings(max_examples=30)
@given(species=st.lists(TEXT, min_size=1, max_size=5), names=st.data())
def test_a_written_manifest_reads_back(tmp_path_factory, suffix, species, names):
    folder = tmp_path_factory.mktemp("m")
    photo = [f'{number}, "a" é.jpg' for number in range(len(species))]
    table = {"photo_id": photo, "photo": photo, "species": species, "observation": photo}
    country = names.draw(st.lists(st.sampled_from(["na", UNKNOWN]), min_size=len(photo),
                                  max_size=len(photo)))  # fmt: skip
    before = Manifest(pl.DataFrame(table | {"country": country, "note": species}), folder)
    for place in (folder, folder / "sub", folder.parent / f"{folder.name}-beside"):
        after = read_manifest(before.write(place / f"m{suffix}"))
        assert after.sha256() != ""
        for column in ("photo_id", "species", "country", "observation", "note"):
            assert list(after.table[column]) == list(before.table[column])
        expected = [path.resolve() for path in before.paths()]
        assert [path.resolve() for path in after.paths()] == expected
        assert [path.name for path in place.iterdir() if path.is_file()] == [f"m{suffix}"]


def test_writing_to_another_suffix_is_refused(tmp_path):
    with pytest.raises(InputError, match=r"\.csv or \.parquet"):
        made([("a", "kenya", "1")]).write(tmp_path / "m.xlsx")


def test_a_plain_table_is_read_as_people_write_it(tmp_path):
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


def test_a_group_column_tells_which_photos_belong_together(tmp_path):
    text = "photo,species,group\na.jpg,Boa,7\nb.jpg,Boa,7\nc.jpg,Boa,8\n"
    manifest = read_manifest(write(tmp_path, text))
    assert list(manifest.table["observation"]) == ["7", "7", "8"]


def test_a_snakeclef_2020_table_is_read_with_its_second_id(tmp_path):
    (tmp_path / "photos").mkdir()
    text = (
        ",hashed_id,scientific_name,country,continent,hashed_id_2\n"
        "0,abc,naja-nivea,united-states-of-america,north-america,xyz\n"
        "1,def,boa-boa,UNKNOWN,UNKNOWN,uvw\n"
    )
    manifest = read_manifest(write(tmp_path, text), photos=tmp_path / "photos")
    assert manifest.paths() == [tmp_path / "photos" / f"{name}.jpg" for name in ("abc", "def")]
    assert list(manifest.table["photo_id"]) == ["abc", "def"]
    assert list(manifest.table["country"]) == ["united-states-of-america", UNKNOWN]
    assert list(manifest.table["hashed_id_2"]) == ["xyz", "uvw"]
    assert list(manifest.table["continent"]) == ["north-america", "UNKNOWN"]


def test_a_folder_has_one_subfolder_a_species(tmp_path):
    for name in ("Boa/1.jpg", "Boa/deep/2.PNG", "Naja naja/3.jpeg", "Boa/notes.txt", ".git/x.jpg"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_bytes(b"")
    manifest = read_manifest(tmp_path)
    pairs = list(manifest.table.select("photo", "species").iter_rows())
    assert pairs == [
        ("Boa/1.jpg", "Boa"),
        ("Boa/deep/2.PNG", "Boa"),
        ("Naja naja/3.jpeg", "Naja naja"),
    ]
    (tmp_path / "Vipera").mkdir()
    with pytest.raises(InputError, match=r"Vipera: there is no photo of this species"):
        read_manifest(tmp_path)


def test_a_link_that_leaves_the_folder_is_refused(tmp_path):
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
            ["row 3", "'a.jpg' stands twice, before in row 2"],
        ),
        ("photo,species\na.jpg,Boa\n,Boa\n", ["row 3", "photo is empty"]),
        ("photo,species\na.jpg,Boa\n../b.jpg,Boa\n", ["row 3", "'../b.jpg' leaves the folder"]),
        ("photo,species\na/../../b.jpg,Boa\n", ["row 2", "leaves the folder"]),
        ("photo,species\n/etc/b.jpg,Boa\n", ["row 2", "leaves the folder"]),
        ("photo,species\nC:\\b.jpg,Boa\n", ["row 2", "leaves the folder"]),
        ("photo,species\n..\\b.jpg,Boa\n", ["row 2", "leaves the folder"]),
        ('photo,species\na.jpg,"Boa\n', ["row 2", "mend the quotes"]),
        ('photo,species\n\n"a\n.jpg",Boa\n', ["row 3", "line break"]),
        ("photo,species\na.jpg,Boa\n\n\nb\\c.jpg,Boa\n", ["row 5", "backslash"]),
        ("photo;species\na.jpg;Boa\n", ["put commas between the cells"]),
        ("photo,species,photo\na.jpg,Boa,b.jpg\n", ["'photo' stands twice"]),
        ("photo,species,country\na.jpg,Boa,Kenya\nb.jpg,Boa,Atlantis\n", ["row 3", "'Atlantis'"]),
        ("photo,species\na.jpg,Boa,Kenya,more\n", ["row 2: has 4 cells under 2 names"]),
    ],
)
def test_a_wrong_table_is_refused_by_file_row_and_mend(tmp_path, text, words):
    with pytest.raises(InputError) as refusal:
        read_manifest(write(tmp_path, text))
    line = str(refusal.value)
    assert "m.csv" in line
    assert "\n" not in line
    for word in words:
        assert word in line


def test_other_files_are_refused_by_name(tmp_path):
    with pytest.raises(InputError, match=r"none\.csv: there is no such"):
        read_manifest(tmp_path / "none.csv")
    (tmp_path / "bytes.csv").write_bytes(b"photo,species\n\xff\xfe\x00,Boa\n")
    with pytest.raises(InputError, match=r"bytes\.csv"):
        read_manifest(tmp_path / "bytes.csv")
    (tmp_path / "text.parquet").write_text("text")
    with pytest.raises(InputError, match=r"text\.parquet: cannot be read as Parquet"):
        read_manifest(tmp_path / "text.parquet")
    (tmp_path / "empty").mkdir()
    with pytest.raises(InputError, match="needs a manifest file, or one subfolder"):
        read_manifest(tmp_path / "empty")


def test_a_species_that_the_list_does_not_hold_is_named_with_its_photo():
    with pytest.raises(InputError, match=r"photo 1\.jpg is of species 'boa'"):
        made([("a", "kenya", "1"), ("boa", "kenya", "2")]).truth(SpeciesList(("a",)))


def test_a_table_of_the_papers_size_is_read_counted_split_and_written(tmp_path):
    """245,185 rows of 783 species; how long it takes is in docs/data.md."""
    chance = np.random.default_rng(0)
    number = np.arange(245_185)
    species = np.minimum(chance.zipf(1.3, len(number)) - 1, 782)
    species[:783] = np.arange(783)
    countries = np.array(["united-states-of-america", "kenya", "UNKNOWN", "hong-kong-s.a.r."])
    table = pl.DataFrame(
        {
            "hashed_id": number.astype(str),
            "scientific_name": pl.Series(species).cast(pl.String),
            "country": countries[chance.integers(0, 4, len(number))],
            "continent": "UNKNOWN",
        }
    )
    table.write_csv(tmp_path / "train.csv")
    manifest = read_manifest(tmp_path / "train.csv")
    assert (len(manifest), len(manifest.species_list())) == (245_185, 783)
    assert manifest.counts()["photos"].sum() == 245_185
    rest, held = manifest.split(0.1, seed=0)
    assert len(held) == pytest.approx(24_518, rel=0.05)
    back = read_manifest(rest.write(tmp_path / "rest.parquet"))
    assert back.sha256() == rest.sha256()
