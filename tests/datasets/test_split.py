from pathlib import Path

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ophis import InputError, Manifest, read_manifest
from ophis.datasets.split import split
from ophis.geography.countries import UNKNOWN
from tests.support.made_manifest import made_manifest

ROWS = st.lists(
    st.tuples(
        st.sampled_from(["adder", "boa", "cobra"]),
        st.sampled_from(["kenya", UNKNOWN]),
        st.sampled_from([f"snake {number}" for number in range(30)]),
    ),
    min_size=1,
    max_size=60,
)


@given(
    rows=ROWS,
    seed=st.integers(0, 99),
    fraction=st.floats(0.05, 0.95),
    modulus=st.integers(1, 40),
)
def test_split_is_complete_disjoint_and_keeps_groups(rows, seed, fraction, modulus):
    manifest = made_manifest(rows)
    groups = np.arange(len(rows)) % modulus
    train, validation = split(manifest, fraction, seed=seed, groups=groups, near_duplicates=False)
    parts = [list(part.table["photo_id"]) for part in (train, validation)]
    assert sorted(parts[0] + parts[1]) == sorted(manifest.table["photo_id"])
    assert not set(train.table["observation"]) & set(validation.table["observation"])
    group_of = dict(zip(manifest.table["photo_id"], groups.tolist(), strict=True))
    assert not {group_of[p] for p in parts[0]} & {group_of[p] for p in parts[1]}
    again = split(manifest, fraction, seed=seed, groups=groups, near_duplicates=False)
    assert [list(part.table["photo_id"]) for part in again] == parts


def test_split_is_stratified_and_depends_on_seed():
    rows = [(s, "kenya", f"{s} {n}") for s, k in (("a", 10), ("b", 90)) for n in range(k)]
    manifest = made_manifest(rows)
    _, validation = split(manifest, 0.3, seed=0, near_duplicates=False)
    counts = dict(validation.counts().select("species", "photos").iter_rows())
    assert counts == {"a": 3, "b": 27}
    other = split(manifest, 0.3, seed=1, near_duplicates=False)[1]
    assert list(other.table["photo_id"]) != list(validation.table["photo_id"])


def test_species_of_one_group_is_in_training_part():
    manifest = made_manifest([("a", "kenya", "1"), ("a", "kenya", "2"), ("b", "kenya", "3")])
    train, validation = split(manifest, 0.01, seed=0, near_duplicates=False)
    assert set(train.table["species"]) == {"a", "b"}
    assert set(validation.table["species"]) == {"a"}


@given(rows=ROWS, seed=st.integers(0, 99), fraction=st.floats(0.05, 0.95))
def test_species_of_several_groups_is_in_both_parts(rows, seed, fraction):
    train, _ = split(made_manifest(rows), fraction, seed=seed, near_duplicates=False)
    assert set(train.table["species"]) == {species for species, _, _ in rows}
    pure = [(species, country, f"{species} {snake}") for species, country, snake in rows]
    _, validation = split(made_manifest(pure), fraction, seed=seed, near_duplicates=False)
    snakes = {snake: species for species, _, snake in pure}
    several = {species for species in snakes.values() if [*snakes.values()].count(species) > 1}
    assert set(validation.table["species"]) == several


def test_rows_of_one_photo_stay_together():
    table = made_manifest([("a", "kenya", str(n)) for n in range(40)]).table
    twice = table.with_columns(photo=pl.Series([f"{n // 2}.jpg" for n in range(40)]))
    train, validation = split(Manifest(twice, Path()), 0.5, seed=0, near_duplicates=False)
    assert not set(train.table["photo"]) & set(validation.table["photo"])


def test_split_refuses_missing_species_and_groups():
    manifest = made_manifest([("a", "kenya", "1"), (None, "kenya", "2")])
    with pytest.raises(InputError, match="without a species"):
        split(manifest, 0.5, seed=0, near_duplicates=False)
    with pytest.raises(InputError, match="groups has 1 numbers for 2 photos"):
        split(manifest, 0.5, seed=0, groups=np.zeros(1, np.int64), near_duplicates=False)


@pytest.mark.parametrize("fraction", [0, 1, -0.5, 2])
def test_split_refuses_fraction_out_of_range(fraction):
    with pytest.raises(InputError, match="between 0 and 1"):
        split(made_manifest([("a", "kenya", "1")]), fraction, seed=0, near_duplicates=False)


@pytest.mark.usefixtures("in_base")
def test_near_duplicates_stay_together_and_parts_are_written(coloured, tmp_path):
    names = tuple(f"copy {number}" for number in range(2))
    copies = [coloured.table.with_columns(photo_id=name + pl.col("photo_id")) for name in names]
    table = pl.concat(copies).with_columns(observation=pl.col("photo_id"))
    files = tmp_path / "train.csv", tmp_path / "validation.parquet"
    parts = split(Manifest(table, coloured.folder), 0.3, train=files[0], validation=files[1])
    assert [read_manifest(file).sha256() for file in files] == [
        read_manifest(part.write(tmp_path / "part.csv")).sha256() for part in parts
    ]
    train, validation = (set(part.table["photo"]) for part in parts)
    assert train
    assert validation
    assert not train & validation
