import hashlib
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ophis import InputError, Manifest, SpeciesList, read_manifest
from ophis.datasets.manifest import BOX, COLUMNS, is_repeated
from ophis.datasets.sources import MISSING
from ophis.datasets.split import split
from ophis.geography.countries import UNKNOWN
from tests.support.made_manifest import made_manifest
from tests.support.memory import peak_mib
from tests.support.paths import SHARED
from tests.support.species_names import is_species_name

TEXT = st.text(st.characters(exclude_categories=["Cs", "Cc", "Zs", "Zl", "Zp"]), min_size=1).filter(
    lambda text: is_species_name(text) and text.lower() not in MISSING
)


@pytest.mark.parametrize("suffix", [".csv", ".parquet"])
@settings(max_examples=30)
@given(species=st.lists(TEXT, min_size=1, max_size=5), names=st.data())
def test_write_and_read_manifest(tmp_path_factory, suffix, species, names):
    folder = tmp_path_factory.mktemp("m")
    photo = [f'{number}, "a" é.jpg' for number in range(len(species))]
    table = {"photo_id": photo, "photo": photo, "species": species, "observation": photo}
    country = names.draw(st.lists(st.sampled_from(["na", UNKNOWN]), min_size=len(photo),
                                  max_size=len(photo)))  # fmt: skip
    before = Manifest(pl.DataFrame(table | {"country": country, "note": species}), folder)
    for place in (folder, folder / "sub", folder.parent / f"{folder.name}-beside"):
        after = read_manifest(before.write(place / f"m{suffix}"), follow_links=True)
        for column in ("photo_id", "species", "country", "observation", "note"):
            assert list(after.table[column]) == list(before.table[column])
        # The digest does not depend on the folder of the table.
        again = read_manifest(after.write(place / f"m{suffix}"), follow_links=True)
        assert again.sha256() == after.sha256()
        expected = [path.resolve() for path in before.paths()]
        assert [path.resolve() for path in after.paths()] == expected
        assert [path.name for path in place.iterdir() if path.is_file()] == [f"m{suffix}"]


def test_write_refuses_wrong_suffix_and_folder(tmp_path):
    manifest = made_manifest([("a", "kenya", "1")])
    with pytest.raises(InputError, match=r"m\.xlsx: .*\.csv or \.parquet"):
        manifest.write(tmp_path / "m.xlsx")
    (tmp_path / "folder.csv").mkdir()
    with pytest.raises(InputError, match=r"folder\.csv: is a folder; name a file"):
        manifest.write(tmp_path / "folder.csv")
    assert [path.name for path in tmp_path.iterdir()] == ["folder.csv"]


@pytest.mark.parametrize("suffix", ["csv", "parquet"])
def test_interrupted_write_keeps_the_old_file(tmp_path, monkeypatch, suffix):
    path = made_manifest([("a", "kenya", "1")]).write(tmp_path / f"m.{suffix}")
    before = path.read_bytes()

    def half(table, file):
        file.write(before[:5])
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(pl.DataFrame, f"write_{suffix}", half)
    with pytest.raises(InputError, match="No space left on device"):
        made_manifest([("b", "kenya", "1")]).write(path)
    assert path.read_bytes() == before
    assert list(tmp_path.iterdir()) == [path]


def test_manifest_refuses_wrong_table():
    table = made_manifest([("a", "kenya", "1"), ("a", "kenya", "2")]).table
    with pytest.raises(InputError, match="column 'country' is missing"):
        Manifest(table.drop("country"), Path())
    with pytest.raises(InputError, match=r"'0\.jpg' is listed twice"):
        Manifest(table.with_columns(photo_id=pl.lit("0.jpg")), Path())


def test_take_by_number_and_by_mask():
    manifest = made_manifest([("a", "kenya", "1"), ("b", "kenya", "2"), ("c", "kenya", "3")])
    assert list(manifest.take(np.array([2, 0])).table["species"]) == ["c", "a"]
    assert list(manifest.take(np.array([True, False, True])).table["species"]) == ["a", "c"]
    assert len(manifest.take(np.array([], np.int64))) == 0


def test_truth_refuses_species_outside_the_list():
    with pytest.raises(InputError, match=r"photo '1\.jpg' is of species 'boa'"):
        made_manifest([("a", "kenya", "1"), ("boa", "kenya", "2")]).truth(SpeciesList(("a",)))


def made_counts() -> pl.DataFrame:
    """Return counts of 245,185 photos of 783 species, long-tailed, in four countries."""
    photos = np.maximum(12_201 / np.arange(1, 784) ** 0.73, 17).astype(np.int64)
    photos[0] += 245_185 - photos.sum()
    countries = ["united-states-of-america", "kenya", "UNKNOWN", "hong-kong-s.a.r."]
    table = {"scientific_name": [f"genus-species-{number}" for number in range(783)]}
    quarters = pl.DataFrame({"country": countries, "quarter": range(4)})
    return (
        pl.DataFrame({**table, "all": photos})
        .join(quarters, how="cross")
        .select(
            "scientific_name", "country", images=(pl.col("all") + pl.col("quarter")).floordiv(4)
        )
    )


def known_counts() -> pl.DataFrame:
    table = SHARED / "snakeclef2020" / "images_per_species_and_country.csv"
    if not table.is_file():
        pytest.skip("the organisers' counts are not here (shared/data/snakeclef2020)")
    counts = pl.read_csv(table, infer_schema_length=None)
    return counts.with_columns(pl.col("country").replace("unknown", UNKNOWN))


@pytest.mark.parametrize("counts", [made_counts, known_counts])
def test_manifest_of_the_papers_size(tmp_path, counts):
    """245,185 rows of 783 species; timings are in docs/data.md."""
    counts = counts()
    table = counts.select(pl.col("scientific_name", "country").repeat_by("images").explode())
    table = table.with_row_index("hashed_id").with_columns(continent=pl.lit("UNKNOWN"))
    table.sample(fraction=1, shuffle=True, seed=0).write_csv(tmp_path / "train.csv")
    manifest = read_manifest(tmp_path / "train.csv")
    assert (len(manifest), len(manifest.species_list())) == (245_185, 783)
    expected = counts.rename({"scientific_name": "species", "images": "photos"})
    assert sorted(manifest.counts().rows()) == sorted(expected.rows())
    train, validation = split(manifest, 0.1, near_duplicates=False)
    assert len(train) + len(validation) == 245_185
    assert len(validation) == pytest.approx(24_518, rel=0.01)
    assert validation.species_list() == train.species_list() == manifest.species_list()
    for suffix in ("csv", "parquet"):
        back = read_manifest(train.write(tmp_path / f"train.{suffix}"))
        assert back.sha256() == train.sha256()


def boxed(*boxes: tuple[str, str, str, str]) -> Manifest:
    ids = [f"{n}.jpg" for n in range(len(boxes))]
    table = pl.DataFrame(
        {"photo_id": ids, "photo": ids, "observation": ids}
        | {"species": "boa", "country": UNKNOWN}
        | {name: [box[n] for box in boxes] for n, name in enumerate(BOX)}
    )
    return Manifest(table, Path())


def test_boxes_of_empty_cells_are_nan():
    manifest = boxed(("0.1", "0", " 0.5 ", "1"), ("", "", "", ""))
    np.testing.assert_array_equal(manifest.boxes(), [[0.1, 0, 0.5, 1], [np.nan] * 4])
    without = Manifest(manifest.table.drop("box_top"), Path())
    assert np.isnan(without.boxes()).all()


@pytest.mark.parametrize(
    "box",
    [
        ("0.5", "0", "0.1", "1"),
        ("0", "0", "1.2", "1"),
        ("-0.1", "0", "1", "1"),
        ("0", "0", "1", ""),
        ("a", "0", "1", "1"),
        ("10", "20", "300", "400"),  # pixels
        ("nan", "0", "1", "1"),
    ],
)
def test_boxes_refuses_invalid_box(box):
    with pytest.raises(InputError, match=r"photo '1\.jpg': box_left.* should be fractions"):
        boxed(("0", "0", "1", "1"), box).boxes()


def placed(*positions: tuple[str | None, str | None]) -> Manifest:
    ids = [f"{n}.jpg" for n in range(len(positions))]
    latitude, longitude = zip(*positions, strict=True)
    table = dict.fromkeys(COLUMNS, ids) | {"latitude": latitude, "longitude": longitude}
    return Manifest(pl.DataFrame(table), Path())


def test_positions_of_empty_cells_are_nan():
    manifest = placed(("27.71", " 85.32 "), ("", ""), (None, None))
    expected = [[27.71, 85.32], [np.nan, np.nan], [np.nan, np.nan]]
    np.testing.assert_array_equal(manifest.positions(), expected)
    without = Manifest(manifest.table.drop("latitude", "longitude"), Path())
    assert np.isnan(without.positions()).all()


@pytest.mark.parametrize(
    ("position", "message"),
    [
        (("91", "85"), "latitude should be from -90 to 90"),
        (("27,71", "85"), "latitude has a decimal comma"),
        (("27.71", ""), "has a latitude or a longitude only; give both or none"),
    ],
)
def test_positions_refuses_an_invalid_one_without_repeating_it(position, message):
    with pytest.raises(InputError, match=r"photo 1\.jpg: " + message) as error:
        placed(("27.71", "85.32"), position).positions()
    assert "27" not in str(error.value)


def test_paths_behave_like_a_list():
    manifest = made_manifest([("a", "kenya", "1"), ("b", "kenya", "2"), ("c", "kenya", "3")])
    paths = manifest.paths()
    expected = [manifest.folder / photo for photo in manifest.table["photo"]]
    assert list(paths) == expected == [paths[np.int64(n)] for n in range(3)]
    assert (paths[-1], list(paths[1:])) == (expected[-1], expected[1:])
    assert expected[1] in paths
    with pytest.raises(IndexError):
        paths[3]


@given(texts=st.lists(st.sampled_from(["a", "b", "c", "", "ä"]), max_size=5))
def test_is_repeated_with_equal_hashes(texts):
    series = pl.Series(texts, dtype=pl.String)
    twice = len(set(texts)) < len(texts)
    assert is_repeated(series) == twice
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(pl.Series, "hash", lambda self: pl.Series([7] * len(self), dtype=pl.UInt64))
        assert is_repeated(series) == twice


def test_sha256_is_that_of_the_whole_table(monkeypatch):
    monkeypatch.setattr("ophis.datasets.manifest._ROWS_AT_A_TIME", 2)
    manifest = made_manifest(
        [("a", "kenya", "1"), ('b "quoted", so', "kenya", "2"), ("c", "kenya", "3")]
    )
    whole = manifest.table.select(COLUMNS).write_csv().encode()
    assert manifest.sha256() == hashlib.sha256(whole).hexdigest()


IMPORTS = "from ophis import read_manifest; from ophis.datasets.split import split"
ALL_BUT_SPLIT = """
for path in manifest.paths():
    pass
manifest.truth(manifest.species_list())
manifest.counts()
manifest.sha256()
manifest.write(out)
"""


@pytest.mark.parametrize("suffix", ["csv", "parquet"])
def test_memory_per_row(tmp_path, suffix):
    """The bounds of docs/data.md, at a twentieth of its ten million rows."""
    rows = 500_000
    numbers = pl.Series(range(rows)).cast(pl.String).str.zfill(8)
    table = pl.DataFrame({"number": numbers}).select(
        photo="photos/" + pl.col("number").str.head(4) + "/" + pl.col("number") + ".jpg",
        species="Genus species" + pl.col("number").str.tail(2),
        country=pl.lit("Kenya"),
        observation=pl.col("number").str.head(7),
    )
    path, out = tmp_path / f"m.{suffix}", tmp_path / f"out.{suffix}"
    table.write_csv(path) if suffix == "csv" else table.write_parquet(path)
    before = f"{IMPORTS}\npath, out = {str(path)!r}, {str(out)!r}"
    read = "manifest = read_manifest(path)"
    for earlier, work, mib, row_bytes in (
        (before, read, 48, 300),
        (f"{before}\n{read}", ALL_BUT_SPLIT, 24, 100),
        (f"{before}\n{read}", "split(manifest, near_duplicates=False)", 24, 200),
    ):
        assert peak_mib(earlier, work) < mib + row_bytes * rows / 2**20, work
