import hashlib
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ophis import InputError, Manifest, SpeciesList, read_manifest
from ophis.datasets.manifest import BOX, COLUMNS, is_repeated, join_groups
from ophis.geography.countries import UNKNOWN
from tests.support.memory import peak_mib
from tests.support.paths import SHARED


def made(rows: list[tuple[str, str, str]], folder: Path = Path()) -> Manifest:
    """A manifest of (species, country, observation)."""
    names = [f"{number}.jpg" for number in range(len(rows))]
    species, country, observation = zip(*rows, strict=True)
    table = {"photo_id": names, "photo": names, "species": species, "country": country}
    return Manifest(pl.DataFrame(table | {"observation": observation}), folder)


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


@given(rows=ROWS, seed=st.integers(0, 99), share=st.floats(0.05, 0.95))
def test_every_species_stands_in_the_rest_and_on_both_sides_where_groups_do_not_mix(
    rows, seed, share
):
    rest, _ = made(rows).split(share, seed=seed)
    assert set(rest.table["species"]) == {species for species, _, _ in rows}
    pure = [(species, country, f"{species} {snake}") for species, country, snake in rows]
    _, held = made(pure).split(share, seed=seed)
    snakes = {snake: species for species, _, snake in pure}
    several = {species for species in snakes.values() if [*snakes.values()].count(species) > 1}
    assert set(held.table["species"]) == several


def test_one_photo_of_two_rows_stands_on_one_side():
    table = made([("a", "kenya", str(n)) for n in range(40)]).table
    twice = table.with_columns(photo=pl.Series([f"{n // 2}.jpg" for n in range(40)]))
    rest, held = Manifest(twice, Path()).split(0.5, seed=0)
    assert not set(rest.table["photo"]) & set(held.table["photo"])


def test_a_photo_without_a_species_or_a_group_is_refused():
    manifest = made([("a", "kenya", "1"), (None, "kenya", "2")])
    with pytest.raises(InputError, match="without a species"):
        manifest.split(0.5, seed=0)
    with pytest.raises(InputError, match="groups has 1 numbers for 2 photos"):
        manifest.split(0.5, seed=0, groups=np.zeros(1, np.int64))


@given(
    numbers=st.lists(st.tuples(st.integers(0, 30), st.integers(0, 30)), max_size=40),
)
def test_groups_are_joined_over_chains(numbers):
    one, other = np.array(numbers, np.int64).reshape(-1, 2).T
    joined = join_groups(one, None, other)
    reach = (one[:, None] == one) | (other[:, None] == other)
    for _ in range(6):  # 2 to the 6th steps: longer than any chain here
        reach = reach @ reach
    np.testing.assert_array_equal(joined[:, None] == joined, reach)


def test_a_chain_as_long_as_the_paper_s_table_is_joined():
    photos = np.random.default_rng(0).permutation(245_185)
    assert not join_groups(photos // 2, (photos + 1) // 2).any()


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
        for column in ("photo_id", "species", "country", "observation", "note"):
            assert list(after.table[column]) == list(before.table[column])
        # The digest tells the same rows from others, not where the table was written.
        assert read_manifest(after.write(place / f"m{suffix}")).sha256() == after.sha256()
        expected = [path.resolve() for path in before.paths()]
        assert [path.resolve() for path in after.paths()] == expected
        assert [path.name for path in place.iterdir() if path.is_file()] == [f"m{suffix}"]


def test_what_cannot_be_written_is_refused_and_leaves_nothing(tmp_path):
    manifest = made([("a", "kenya", "1")])
    with pytest.raises(InputError, match=r"m\.xlsx: .*\.csv or \.parquet"):
        manifest.write(tmp_path / "m.xlsx")
    (tmp_path / "folder.csv").mkdir()
    with pytest.raises(InputError, match=r"folder\.csv: cannot be written: .*; write elsewhere"):
        manifest.write(tmp_path / "folder.csv")
    assert [path.name for path in tmp_path.iterdir()] == ["folder.csv"]


@pytest.mark.parametrize("suffix", ["csv", "parquet"])
def test_an_interrupted_write_leaves_what_was_there(tmp_path, monkeypatch, suffix):
    path = made([("a", "kenya", "1")]).write(tmp_path / f"m.{suffix}")
    before = path.read_bytes()

    def half(table, file):
        Path(file).write_bytes(before[:5])
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(pl.DataFrame, f"write_{suffix}", half)
    with pytest.raises(InputError, match="No space left on device"):
        made([("b", "kenya", "1")]).write(path)
    assert path.read_bytes() == before
    assert list(tmp_path.iterdir()) == [path]


def test_a_table_that_is_no_manifest_is_refused():
    table = made([("a", "kenya", "1"), ("a", "kenya", "2")]).table
    with pytest.raises(InputError, match="column 'country' is missing"):
        Manifest(table.drop("country"), Path())
    with pytest.raises(InputError, match=r"'0\.jpg' stands twice"):
        Manifest(table.with_columns(photo_id=pl.lit("0.jpg")), Path())


def test_rows_are_taken_by_number_or_mask_in_the_order_asked():
    manifest = made([("a", "kenya", "1"), ("b", "kenya", "2"), ("c", "kenya", "3")])
    assert list(manifest.take(np.array([2, 0])).table["species"]) == ["c", "a"]
    assert list(manifest.take(np.array([True, False, True])).table["species"]) == ["a", "c"]
    assert len(manifest.take(np.array([], np.int64))) == 0


def test_a_species_that_the_list_does_not_hold_is_named_with_its_photo():
    with pytest.raises(InputError, match=r"photo 1\.jpg is of species 'boa'"):
        made([("a", "kenya", "1"), ("boa", "kenya", "2")]).truth(SpeciesList(("a",)))


def made_counts() -> pl.DataFrame:
    """245,185 photos of 783 species with a long tail, in four countries."""
    photos = np.maximum(12_201 / np.arange(1, 784) ** 0.73, 17).astype(np.int64)
    photos[0] += 245_185 - photos.sum()
    countries = ["united-states-of-america", "kenya", "UNKNOWN", "hong-kong-s.a.r."]
    table = {"scientific_name": [f"genus-species-{number}" for number in range(783)]}
    share = pl.DataFrame({"country": countries, "quarter": range(4)})
    return (
        pl.DataFrame({**table, "all": photos})
        .join(share, how="cross")
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
def test_a_table_of_the_papers_size_is_read_counted_split_and_written(tmp_path, counts):
    """245,185 rows of 783 species; how long it takes is in docs/data.md."""
    counts = counts()
    table = counts.select(pl.col("scientific_name", "country").repeat_by("images").explode())
    table = table.with_row_index("hashed_id").with_columns(continent=pl.lit("UNKNOWN"))
    table.sample(fraction=1, shuffle=True, seed=0).write_csv(tmp_path / "train.csv")
    manifest = read_manifest(tmp_path / "train.csv")
    assert (len(manifest), len(manifest.species_list())) == (245_185, 783)
    expected = counts.rename({"scientific_name": "species", "images": "photos"})
    assert sorted(manifest.counts().rows()) == sorted(expected.rows())
    rest, held = manifest.split(0.1, seed=0)
    assert len(rest) + len(held) == 245_185
    assert len(held) == pytest.approx(24_518, rel=0.01)
    assert held.species_list() == rest.species_list() == manifest.species_list()
    for suffix in ("csv", "parquet"):
        back = read_manifest(rest.write(tmp_path / f"rest.{suffix}"))
        assert back.sha256() == rest.sha256()


def boxed(*boxes: tuple[str, str, str, str]) -> Manifest:
    ids = [f"{n}.jpg" for n in range(len(boxes))]
    table = pl.DataFrame(
        {"photo_id": ids, "photo": ids, "observation": ids}
        | {"species": "boa", "country": UNKNOWN}
        | {name: [box[n] for box in boxes] for n, name in enumerate(BOX)}
    )
    return Manifest(table, Path())


def test_boxes_are_read_and_an_empty_one_is_none():
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
def test_a_box_that_is_none_is_refused_by_its_photo(box):
    with pytest.raises(InputError, match=r"photo 1\.jpg: box_left.* should be shares"):
        boxed(("0", "0", "1", "1"), box).boxes()


def test_paths_are_made_when_asked_for_and_say_where_each_photo_lies():
    manifest = made([("a", "kenya", "1"), ("b", "kenya", "2"), ("c", "kenya", "3")])
    paths = manifest.paths()
    expected = [manifest.folder / photo for photo in manifest.table["photo"]]
    assert list(paths) == expected == [paths[np.int64(n)] for n in range(3)]
    assert (paths[-1], list(paths[1:])) == (expected[-1], expected[1:])
    assert expected[1] in paths
    with pytest.raises(IndexError):
        paths[3]


@given(texts=st.lists(st.sampled_from(["a", "b", "c", "", "ä"]), max_size=5))
def test_a_text_that_stands_twice_is_found_also_among_equal_hashes(texts):
    series = pl.Series(texts, dtype=pl.String)
    twice = len(set(texts)) < len(texts)
    assert is_repeated(series) == twice
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(pl.Series, "hash", lambda self: pl.Series([7] * len(self), dtype=pl.UInt64))
        assert is_repeated(series) == twice


def test_the_digest_is_that_of_the_whole_table(monkeypatch):
    monkeypatch.setattr("ophis.datasets.manifest._ROWS_AT_A_TIME", 2)
    manifest = made([("a", "kenya", "1"), ('b "quoted", so', "kenya", "2"), ("c", "kenya", "3")])
    whole = manifest.table.select(COLUMNS).write_csv().encode()
    assert manifest.sha256() == hashlib.sha256(whole).hexdigest()


ALL_BUT_SPLIT = """
for path in manifest.paths():
    pass
manifest.truth(manifest.species_list())
manifest.counts()
manifest.sha256()
manifest.write(out)
"""


@pytest.mark.parametrize("suffix", ["csv", "parquet"])
def test_a_row_of_a_table_takes_few_bytes(tmp_path, suffix):
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
    before = f"from ophis import read_manifest\npath, out = {str(path)!r}, {str(out)!r}"
    read = "manifest = read_manifest(path)"
    for earlier, work, mib, row_bytes in (
        (before, read, 48, 300),
        (f"{before}\n{read}", ALL_BUT_SPLIT, 24, 100),
        (f"{before}\n{read}", "manifest.split(0.2, seed=0)", 24, 200),
    ):
        assert peak_mib(earlier, work) < mib + row_bytes * rows / 2**20, work
