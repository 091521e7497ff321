"""Damaged and forged packs are refused in one line and never read outside their shards."""

import json
import shutil

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ophis import InputError, read_manifest
from ophis.datasets.shards.metadata import MANIFEST_FILE, METADATA_FILE
from ophis.datasets.shards.pixels import read_packed
from ophis.datasets.shards.reader import MappedShards, Pack
from ophis.datasets.shards.writer import pack
from ophis.errors import PhotoError
from ophis.images.decode import read_photo
from ophis.images.preprocessing import Preprocessing
from ophis.inference.batches import joined_batches, score_batches

QUALITIES = {"raw": None, "jpeg": 95}


@pytest.fixture(scope="session", params=QUALITIES)
def made(request, coloured, tmp_path_factory):
    out = tmp_path_factory.mktemp("made") / request.param
    pack(coloured, out, pixels=32, quality=QUALITIES[request.param], shard_photos=10)
    return out


@pytest.fixture
def copy(made, tmp_path):
    return shutil.copytree(made, tmp_path / "pack")


def one_line(error):
    assert "\n" not in str(error.value)
    return str(error.value)


CHANGES = {
    "beyond": ({"offset": 512 * 10**6}, "begins at an offset where no photo"),
    "far": ({"offset": 2**62}, "begins at an offset where no photo"),
    "below": ({"offset": -512}, "begins at an offset where no photo"),
    "least": ({"offset": -(2**63)}, "begins at an offset where no photo"),
    "first": ({"offset": 0}, "begins at an offset where no photo"),
    "between": ({"offset": 513}, "begins at an offset where no photo"),
    "empty": ({"length": 0}, "a length that no photo"),
    "negative": ({"length": -5}, "a length that no photo"),
    "long": ({"length": 200 * 2**20}, "length that no photo|beyond the end"),
    "huge": ({"length": 2**63 - 1}, "a length that no photo"),
    "elsewhere": ({"shard": 2}, "index of another shard"),
    "shifted": ({"row": 7}, "is not at its row"),
    "unsigned": ({"sha256": "x" * 64}, "has no sha256"),
    "of nothing": ({"source_sha256": "ab"}, "has no sha256 of its file"),
}


@pytest.mark.parametrize("name", CHANGES)
def test_index_out_of_range_is_refused(copy, name):
    change, words = CHANGES[name]
    path = copy / "shard-00001.parquet"
    table = pl.read_parquet(path)
    for column, value in change.items():
        cells = table[column].to_list()
        cells[3] = value
        table = table.with_columns(pl.Series(column, cells, table.schema[column]))
    table.write_parquet(path)
    with pytest.raises(InputError, match=words) as error:
        read_manifest(copy)
    assert one_line(error).startswith(f"{path}: photo '13.png': ")


def test_photo_beyond_end_of_shard_is_refused(coloured, tmp_path):
    """The length is smaller than the shard, but too large at its offset."""
    pack(coloured, tmp_path, pixels=32, shard_photos=10)
    path, size = tmp_path / "shard-00001.parquet", (tmp_path / "shard-00001.tar").stat().st_size
    table = pl.read_parquet(path)
    lengths = table["length"].to_list()
    lengths[3] = size - table["offset"][3] + 1
    assert lengths[3] < size
    table.with_columns(length=pl.Series(lengths)).write_parquet(path)
    with pytest.raises(InputError, match="reaches beyond the end of the shard"):
        read_manifest(tmp_path)


@pytest.mark.parametrize(
    ("name", "change"),
    [
        ("an index of more rows", lambda t: pl.concat([t, t])),
        ("an index of fewer rows", lambda t: t.head(9)),
        ("an index of other columns", lambda t: t.drop("length")),
        ("an index whose offsets are words", lambda t: t.with_columns(offset=pl.lit("../../x"))),
    ],
)
def test_index_of_other_shape_is_refused(copy, name, change):
    path = copy / "shard-00001.parquet"
    change(pl.read_parquet(path)).write_parquet(path)
    with pytest.raises(InputError) as error:
        read_manifest(copy)
    assert one_line(error).startswith(f"{path}: ")


@pytest.mark.parametrize("damage", [b"", b"PAR1 and no more", b"PAR1" + bytes(900) + b"PAR1"])
def test_damaged_index_is_refused(copy, damage, capfd):
    path = copy / "shard-00002.parquet"
    path.write_bytes(damage)
    with pytest.raises(InputError) as error:
        read_manifest(copy)
    assert one_line(error).startswith(f"{path}: ")


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("pixels", 10**9), ("pixels", 31), ("pixels", "36"), ("pixels", True), ("quality", 0),
        ("quality", 9.5), ("shard_photos", 0), ("shard_photos", 10**9), ("photos", -1),
        ("photos", 10**12), ("pillow", None), ("format", 2), ("format", None),
    ],
)  # fmt: skip
def test_metadata_out_of_range_is_refused(copy, key, value):
    path = copy / METADATA_FILE
    path.write_text(json.dumps(json.loads(path.read_text()) | {key: value}))
    with pytest.raises(InputError) as error:
        read_manifest(copy)
    assert one_line(error).startswith(f"{path}: ")


@pytest.mark.parametrize("text", ["", "[]", "{", "[" * 100_000, '{"format": 1}', "\0"])
def test_unreadable_metadata_is_refused(copy, text):
    (copy / METADATA_FILE).write_text(text)
    with pytest.raises(InputError) as error:
        read_manifest(copy)
    assert one_line(error).startswith(f"{copy / METADATA_FILE}: ")


def test_manifest_of_other_pack_is_refused(copy):
    table = pl.read_parquet(copy / MANIFEST_FILE)
    table[::-1].write_parquet(copy / MANIFEST_FILE)
    with pytest.raises(InputError, match="is not the table of the shards"):
        read_manifest(copy)


def test_missing_shard_is_refused(copy):
    (copy / "shard-00001.tar").unlink()
    with pytest.raises(InputError, match=r"shard-00001\.tar: is missing; delete"):
        read_manifest(copy)


def test_truncated_shard_is_refused(copy):
    path = copy / "shard-00001.tar"
    path.write_bytes(path.read_bytes()[:3000])
    with pytest.raises(InputError, match=r"beyond the end|where no photo can begin"):
        read_manifest(copy)


def test_shard_truncated_while_open_is_refused(copy):
    """Access behind the end of a mapped file would kill the process (SIGBUS)."""
    photos = read_manifest(copy).photos()
    read_packed(photos[0], 32)
    path = copy / "shard-00000.tar"
    with path.open("r+b") as file:
        file.truncate(100)
    with pytest.raises(PhotoError, match=r"shard-00000\.tar: was changed"):
        read_packed(photos[9], 32)
    assert read_packed(photos[10], 32).shape == (32, 32, 3)


def test_shard_changed_after_it_was_read_is_refused(copy):
    photo = Pack(copy).photos([read_manifest(copy).table["photo_id"][3]])[0]
    read_packed(photo, 32)
    shard = copy / "shard-00000.tar"
    data = bytearray(shard.read_bytes())
    data[photo.pack.index["offset"][photo.position] + 500] ^= 1
    with shard.open("r+b") as file:  # in place: the map shows the change
        file.write(data)
    with pytest.raises(PhotoError, match=r"differs from what was packed; delete .* and pack again"):
        read_packed(photo, 32)


def test_member_of_other_name_is_refused(copy):
    """Names of tar members are compared, never used as paths."""
    path = copy / "shard-00001.tar"
    data = bytearray(path.read_bytes())
    start = Pack(copy).index["offset"][11] - 512
    data[start : start + 100] = b"../../etc/passwd".ljust(100, b"\0")
    path.write_bytes(data)
    with pytest.raises(PhotoError, match=r"shard-00001\.tar: photo '11\.png': differs"):
        read_photo(read_manifest(copy).photos()[11])


@settings(max_examples=25)
@given(where=st.floats(0, 1, exclude_max=True), bit=st.integers(0, 7), row=st.integers(0, 35))
def test_flipped_bit_is_refused(made, tmp_path_factory, where, bit, row):
    folder = tmp_path_factory.mktemp("flipped")
    copy = shutil.copytree(made, folder / "pack")
    cells = Pack(copy).index.row(row, named=True)
    path = copy / f"shard-{cells['shard']:05}.tar"
    data = bytearray(path.read_bytes())
    data[cells["offset"] + int(where * cells["length"])] ^= 1 << bit
    path.write_bytes(data)
    photos = read_manifest(copy).photos()
    with pytest.raises(PhotoError) as error:
        read_packed(photos[row], 32)
    assert one_line(error) == (
        f"{path}: photo '{row}.png': differs from what was packed; delete {path.stem}.parquet"
        " beside it and pack again, which writes this shard again"
    )
    read_packed(photos[(row + 1) % 36], 32)  # the others are intact
    shutil.rmtree(folder)


def test_damaged_photo_has_no_scores(copy):
    packed = read_manifest(copy)
    path = copy / "shard-00000.tar"
    data = bytearray(path.read_bytes())
    data[Pack(copy).index["offset"][5] + 200] ^= 1
    path.write_bytes(data)

    def forward(pixels):
        return pixels.mean(axis=(2, 3)), None

    batches = score_batches(
        forward,
        read_manifest(copy),
        species=packed.species_list(),
        preprocessing=Preprocessing(32, (0.5,) * 3, (0.5,) * 3),
    )
    scores = joined_batches(batches, packed.species_list())
    assert len(scores) == 35
    assert [failure.photo_id for failure in scores.failures] == ["5.png"]
    assert scores.photo_ids == tuple(f"{n}.png" for n in range(36) if n != 5)


def test_shard_is_written_again_after_index_is_deleted(copy, coloured):
    before = (copy / "shard-00001.tar").read_bytes()
    (copy / "shard-00001.tar").write_bytes(before[:-600] + b"x" + before[-599:])
    (copy / "shard-00001.parquet").unlink()
    quality = Pack(copy).metadata.quality
    pack(coloured, copy, pixels=32, quality=quality, shard_photos=10)
    assert (copy / "shard-00001.tar").read_bytes() == before


def test_view_outlives_its_cache_entry(tmp_path):
    """Views of a file stay readable after the cache drops it."""
    paths = [tmp_path / str(number) for number in range(5)]
    for number, path in enumerate(paths):
        path.write_bytes(bytes([number]) * 5000)
    maps = MappedShards(dict.fromkeys(paths, 5000), max_open=2)
    views = [np.frombuffer(maps.read(path), np.uint8) for path in paths]
    assert [int(view.sum()) for view in views] == [0, 5000, 10000, 15000, 20000]
    assert len(maps._open) == 2


def test_pack_is_thread_safe(made, coloured):
    from concurrent.futures import ThreadPoolExecutor

    packed = Pack(made)
    packed._shards._max_open = 1
    photos = packed.photos(packed.index["photo_id"])
    expected = [read_packed(photo, 32).copy() for photo in photos]
    order = np.random.default_rng(0).integers(0, 36, 2000)
    with ThreadPoolExecutor(8) as pool:
        found = list(pool.map(lambda row: read_packed(photos[row], 32).copy(), order))
    assert all(np.array_equal(a, expected[row]) for a, row in zip(found, order, strict=True))
