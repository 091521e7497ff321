import io
import zipfile

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays

from ophis import InputError
from ophis.files import npz
from ophis.files.npz import read_npz, write_npz


@pytest.fixture
def all_mapped(monkeypatch):
    monkeypatch.setattr(npz, "MAPPED_BYTES", 0)


def is_mapped(array) -> bool:
    while isinstance(array, np.ndarray):
        array = array.base
    return array is not None and not isinstance(array, bytes | bytearray)


VALUES = arrays(np.float32, array_shapes(max_dims=3), elements=st.floats(width=32))


@given(logits=VALUES, name=st.text("abc", min_size=1, max_size=70), few=st.integers(0, 3))
def test_arrays_round_trip_and_numpy_reads_them(tmp_path_factory, logits, name, few):
    path = tmp_path_factory.mktemp("n") / "a.npz"
    given_arrays = {
        "few": np.arange(few), "one": np.array(7), name + "-": logits, "t": logits.T
    }  # fmt: skip
    write_npz(path, given_arrays, stored=(name + "-", "t", "one"))
    with pytest.MonkeyPatch.context() as patch:
        for least in (0, 1 << 40):
            patch.setattr(npz, "MAPPED_BYTES", least)
            read = read_npz(path, what="file")
            assert is_mapped(read["t"]) == (least == 0)
            assert read["t"].ctypes.data % read["t"].itemsize == 0
            for key, array in given_arrays.items():
                np.testing.assert_array_equal(read[key], array)
                assert read[key].dtype == array.dtype
    with np.load(path) as file:
        np.testing.assert_array_equal(file["t"], logits.T)


def test_equal_arrays_give_equal_bytes(tmp_path):
    one, other = (
        write_npz(tmp_path / name, {"a": np.arange(9.0), "b": np.ones(3)}, stored=("a",))
        for name in ("one", "other")
    )
    assert one.read_bytes() == other.read_bytes()


@pytest.mark.parametrize("save", [np.savez, np.savez_compressed])
def test_archives_of_numpy_are_read(tmp_path, all_mapped, save):
    save(tmp_path / "a.npz", logits=np.arange(6.0).reshape(2, 3), f=np.asfortranarray(np.eye(3)))
    read = read_npz(tmp_path / "a.npz", what="file")
    np.testing.assert_array_equal(read["logits"], np.arange(6.0).reshape(2, 3))
    np.testing.assert_array_equal(read["f"], np.eye(3))


def test_damage_in_a_mapped_array_is_detected(tmp_path, all_mapped):
    path = write_npz(tmp_path / "a.npz", {"a": np.arange(64.0)}, stored=("a",))
    whole = path.read_bytes()
    start = whole.index(np.arange(64.0).tobytes())
    for place in (0, 100, 511):
        path.write_bytes(whole[: start + place] + b"\x55" + whole[start + place + 1 :])
        with pytest.raises(InputError, match=r"a\.npz: not a scores file of ophis.*Bad CRC"):
            read_npz(path, what="scores file")


def test_an_array_of_another_size_than_its_header_is_refused(tmp_path, all_mapped):
    header = io.BytesIO()
    np.lib.format.write_array_header_1_0(
        header, {"descr": "<f8", "fortran_order": False, "shape": (1000,)}
    )
    with zipfile.ZipFile(tmp_path / "a.npz", "w") as archive:
        archive.writestr("a.npy", header.getvalue() + bytes(8))
    with pytest.raises(InputError, match="cut short"):
        read_npz(tmp_path / "a.npz", what="file")


def test_pickles_and_other_files_are_refused(tmp_path, all_mapped):
    np.savez(tmp_path / "a.npz", a=np.array([{}], dtype=object))
    with pytest.raises(InputError, match="not a file of ophis"):
        read_npz(tmp_path / "a.npz", what="file")
    (tmp_path / "b.npz").write_bytes(b"text")
    with pytest.raises(InputError, match=r"b\.npz: not a file of ophis"):
        read_npz(tmp_path / "b.npz", what="file")
    with pytest.raises(InputError, match=r"c\.npz: there is no such file"):
        read_npz(tmp_path / "c.npz", what="file")
