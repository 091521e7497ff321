import numpy as np
import pytest

from ophis.files import blocks
from ophis.files.blocks import for_each_block, mapped, row_blocks
from tests.support.memory import peak_mib


@pytest.mark.parametrize(("rows", "block_bytes"), [(0, 8), (1, 1), (7, 24), (7, 1000), (8, 16)])
def test_row_blocks_cover_all_rows_once_in_order(monkeypatch, rows, block_bytes):
    monkeypatch.setattr(blocks, "BLOCK_BYTES", block_bytes)
    array = np.arange(2 * rows, dtype=np.int32).reshape(rows, 2)
    parts = [array[part] for part in row_blocks(array)]
    np.testing.assert_array_equal(np.concatenate([array[:0], *parts]), array)
    assert all(0 < part.nbytes <= max(block_bytes, 8) for part in parts)


@pytest.mark.parametrize("rows", [0, 1, 50])
def test_for_each_block_covers_all_rows_once(monkeypatch, rows):
    monkeypatch.setattr(blocks, "BLOCK_BYTES", 16)
    array, seen = np.arange(2 * rows, dtype=np.int32).reshape(rows, 2), np.zeros(rows, int)

    def count(part):
        seen[part] += 1

    for_each_block(array, count)
    assert (seen == 1).all()


def test_for_each_block_raises_the_errors_of_its_threads():
    def refuse(_part):
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        for_each_block(np.zeros((2, 2)), refuse)


def test_a_mapped_array_is_read_only(tmp_path):
    path = tmp_path / "numbers"
    path.write_bytes(b"head" + np.arange(6, dtype=np.float32).tobytes())
    array = mapped(path, np.float32, shape=(3, 2), offset=4)
    np.testing.assert_array_equal(array, np.arange(6).reshape(3, 2))
    with pytest.raises(ValueError, match="read-only"):
        array[0] = 1
    assert mapped(path, np.float32, shape=(0, 2)).shape == (0, 2)


def test_pages_of_a_mapped_array_are_released(tmp_path):
    path = tmp_path / "large"
    np.ones((100_000, 250), np.float32).tofile(path)  # 95 MiB
    before = f"""
import numpy as np
from pathlib import Path
from ophis.files.blocks import mapped, row_blocks
array = mapped(Path({str(path)!r}), np.float32, shape=(100_000, 250))
"""
    by_blocks = "part = array[10:]; print(sum(part[rows].sum() for rows in row_blocks(part)))"
    assert peak_mib(before, by_blocks) < 20
    at_once = "part = array[10:]; for_each_block(part, lambda rows: part[rows].sum())"
    assert peak_mib(before.replace("row_blocks", "for_each_block"), at_once) < 20
    # Without blocks, as a control of the limits above.
    assert peak_mib(before, "print(array.sum())") > 90
