"""Digests of training photos, their file, and the refusal of training photos."""

import hashlib
import re

import numpy as np
import polars as pl
import pytest

from ophis import InputError, Manifest, read_manifest
from ophis.datasets.shards.writer import pack
from ophis.datasets.training_photos import (
    TRAINING_PHOTOS,
    UNREADABLE,
    content_digests,
    first_bytes,
    read_training_photos,
    require_unseen,
    training_rows,
    union,
    write_training_photos,
)
from ophis.files.npz import write_npz


def test_digests_are_of_the_files_also_of_packed_photos(coloured, tmp_path):
    expected = [
        int(hashlib.sha256(path.read_bytes()).hexdigest()[:16], 16) for path in coloured.paths()
    ]
    assert content_digests(coloured).tolist() == expected
    pack(coloured, tmp_path / "pack", pixels=32)
    assert content_digests(read_manifest(tmp_path / "pack")).tolist() == expected
    whole = b"".join(hashlib.sha256(path.read_bytes()).digest() for path in coloured.paths())
    rows = np.frombuffer(whole, np.uint8).reshape(-1, 32)
    assert first_bytes(rows).tolist() == expected
    assert first_bytes(rows[:0]).tolist() == []
    with pytest.raises(InputError, match="the scores hold no sha256"):
        first_bytes(None)


def test_unreadable_photos_equal_no_photo(coloured):
    gone = Manifest(coloured.table.with_columns(photo=pl.lit("gone.png")), coloured.folder)
    found = content_digests(gone)
    assert set(found.tolist()) == {UNREADABLE}
    assert not training_rows(found, found).any()
    require_unseen(tuple(gone.table["photo_id"]), found, found)


def test_overlap_is_refused_with_a_photo_and_the_number():
    line = (
        "validation: 2 of 3 photos are training photos too, by the content of their files, the"
        " first is 'b'; take them out"
    )
    digests, training = np.array([1, 2, 3], np.uint64), np.array([2, 3, 9], np.uint64)
    with pytest.raises(InputError, match=re.escape(line)):
        require_unseen(("a", "b", "c"), digests, training)
    require_unseen(("a",), digests[:1], training)
    require_unseen((), digests[:0], training)


def test_list_is_sorted_and_read_back(tmp_path):
    assert read_training_photos(tmp_path) is None
    lists = [np.array(part, np.uint64) for part in ([5, 2**64 - 1, UNREADABLE], [5, 1])]
    write_training_photos(tmp_path, union(lists))
    found = read_training_photos(tmp_path)
    assert found is not None
    assert found.tolist() == [1, 5, 2**64 - 1]
    before = (tmp_path / TRAINING_PHOTOS).read_bytes()
    write_training_photos(tmp_path, lists[0])
    write_training_photos(tmp_path, union(lists[::-1]))
    assert (tmp_path / TRAINING_PHOTOS).read_bytes() == before


def test_damaged_or_foreign_list_is_refused(tmp_path):
    path = write_training_photos(tmp_path, np.arange(1, 99, dtype=np.uint64))
    path.write_bytes(path.read_bytes()[:-7])
    with pytest.raises(InputError, match="not a list of training photos of ophis, or cut short"):
        read_training_photos(tmp_path)
    for name, array in (("logits", np.ones(3)), ("sha256_first_8_bytes", np.ones(3))):
        write_npz(path, {name: array}, stored=())
        with pytest.raises(InputError, match="not a list of training photos of ophis; copy"):
            read_training_photos(tmp_path)
