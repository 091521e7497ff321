import hashlib
import io
import shutil

import numpy as np
import polars as pl
import pytest
from PIL import Image

from ophis import read_manifest
from ophis.datasets.shards.pixels import _buffer, read_packed
from ophis.datasets.shards.reader import Pack
from ophis.datasets.shards.writer import pack
from ophis.errors import PhotoError
from ophis.images.decode import decode, read_photo


@pytest.fixture(scope="session")
def packed(coloured, tmp_path_factory):
    out = tmp_path_factory.mktemp("pixels") / "pack"
    pack(coloured, out, pixels=48)
    return read_manifest(out)


def test_simplejpeg_gives_the_pixels_of_pillow(packed):
    pytest.importorskip("simplejpeg", reason="simplejpeg is not installed")
    for photo in packed.photos():
        assert np.array_equal(read_packed(photo, 48), np.asarray(decode(photo.read_bytes())))


def test_pillow_decodes_without_simplejpeg(packed, monkeypatch):
    monkeypatch.setattr("ophis.datasets.shards.pixels.simplejpeg", lambda: None)
    for photo in packed.photos():
        assert np.array_equal(read_packed(photo, 48), np.asarray(read_photo(photo)))


def test_kept_pixels_are_not_overwritten(packed):
    """A buffer is used again only when no array and no view refers to it."""
    photos = [read_packed(photo, 48) for photo in packed.photos()]
    views = [read_packed(photo, 48)[3:40, ::-1][:, 2:] for photo in packed.photos()]
    for photo, pixels, view in zip(packed.photos(), photos, views, strict=True):
        expected = np.asarray(read_photo(photo))
        assert np.array_equal(pixels, expected)
        assert np.array_equal(view, expected[3:40, ::-1][:, 2:])


def test_unreferenced_buffer_is_used_again():
    place = _buffer(5000).ctypes.data
    kept = _buffer(5000)
    assert kept.ctypes.data == place
    assert _buffer(5000).ctypes.data != place
    assert _buffer(6000).size == 6000


def test_jpeg_of_other_size_is_refused(packed, tmp_path):
    """A forged index may hold a matching sha256."""
    out = shutil.copytree(packed.folder, tmp_path / "pack")
    shard, index = out / "shard-00000.tar", out / "shard-00000.parquet"
    table, data = pl.read_parquet(index), bytearray(shard.read_bytes())
    buffer = io.BytesIO()
    Image.new("RGB", (200, 40)).save(buffer, "JPEG")
    start, small = table["offset"][2], buffer.getvalue()
    assert len(small) < table["length"][2] + 512 * 4
    data[start : start + len(small)] = small
    shard.write_bytes(data)
    for column, value in (("length", len(small)), ("sha256", hashlib.sha256(small).hexdigest())):
        cells = table[column].to_list()
        cells[2] = value
        table = table.with_columns(pl.Series(column, cells))
    table.write_parquet(index)
    assert Pack(out).complete
    with pytest.raises(PhotoError, match=r"photo '2\.png': is not of 48 x 48 pixels"):
        read_packed(read_manifest(out).photos()[2], 48)


def test_raw_member_of_other_shape_is_refused(coloured, tmp_path):
    pack(coloured, tmp_path / "pack", pixels=48, quality=None)
    shard, index = tmp_path / "pack" / "shard-00000.tar", tmp_path / "pack" / "shard-00000.parquet"
    table, data = pl.read_parquet(index), bytearray(shard.read_bytes())
    start, length = table["offset"][2], table["length"][2]
    data[start + 20 : start + 30] = b"x" * 10
    shard.write_bytes(data)
    cells = table["sha256"].to_list()
    cells[2] = hashlib.sha256(data[start : start + length]).hexdigest()
    table.with_columns(sha256=pl.Series(cells)).write_parquet(index)
    with pytest.raises(PhotoError, match=r"photo '2\.png': is no array of 48 x 48 pixels"):
        read_packed(read_manifest(tmp_path / "pack").photos()[2], 48)
