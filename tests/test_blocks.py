import numpy as np
import pytest
from memory import peak_mib

from ophis import blocks
from ophis.blocks import mapped, row_blocks


@pytest.mark.parametrize(("rows", "block_bytes"), [(0, 8), (1, 1), (7, 24), (7, 1000), (8, 16)])
def test_blocks_are_all_rows_once_in_order(monkeypatch, rows, block_bytes):
    monkeypatch.setattr(blocks, "BLOCK_BYTES", block_bytes)
    array = np.arange(2 * rows, dtype=np.int32).reshape(rows, 2)
    parts = [array[part] for part in row_blocks(array)]
    np.testing.assert_array_equal(np.concatenate([array[:0], *parts]), array)
    assert all(0 < part.nbytes <= max(block_bytes, 8) for part in parts)


def test_a_mapped_array_is_read_from_its_file_and_cannot_be_changed(tmp_path):
    path = tmp_path / "numbers"
    path.write_bytes(b"head" + np.arange(6, dtype=np.float32).tobytes())
    array = mapped(path, np.float32, shape=(3, 2), offset=4)
    np.testing.assert_array_equal(array, np.arange(6).reshape(3, 2))
    with pytest.raises(ValueError, match="read-only"):
        array[0] = 1
    assert mapped(path, np.float32, shape=(0, 2)).shape == (0, 2)


def test_what_was_looked_at_of_a_mapped_array_leaves_memory(tmp_path):
    path = tmp_path / "large"
    np.ones((100_000, 250), np.float32).tofile(path)  # 95 MiB
    before = f"""
import numpy as np
from pathlib import Path
from ophis.blocks import mapped, row_blocks
array = mapped(Path({str(path)!r}), np.float32, shape=(100_000, 250))
"""
    by_blocks = "print(sum(array[rows].sum() for rows in row_blocks(array[10:])))"
    assert peak_mib(before, by_blocks) < 20
    assert peak_mib(before, "print(array.sum())") > 90  # so that the figure above says something
