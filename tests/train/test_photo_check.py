"""Photos of the training among the validation photos of a run, and the list that the run keeps."""

import shutil
from dataclasses import replace

import numpy as np
import polars as pl
import pytest

from ophis import InputError, Manifest, read_manifest, read_scores
from ophis.datasets.manifest import Manifest as Rows
from ophis.datasets.shards.writer import pack
from ophis.datasets.training_photos import (
    TRAINING_PHOTOS,
    content_digests,
    read_training_photos,
)
from ophis.errors import BadPhotosError
from ophis.train import fit
from ophis.train.photo_check import read_skipped


def listed(folder) -> list[int]:
    found = read_training_photos(folder)
    assert found is not None
    return found.tolist()


@pytest.fixture
def parts(halves, tmp_path) -> tuple[Manifest, Manifest]:
    """Training photos, and validation photos that hold copies of two of them under other names."""
    folder = tmp_path / "photos"
    shutil.copytree(halves[0].folder, folder)
    train, validation = (Rows(half.table, folder) for half in halves)
    names = ["copy-a.png", "copy-b.png"]
    for source, name in zip(train.paths()[3:5], names, strict=True):
        shutil.copy(source, folder / name)
    copies = train.table[3:5].with_columns(
        photo=pl.Series(names), photo_id=pl.Series(names), observation=pl.Series(names)
    )
    return train, Rows(pl.concat([validation.table, copies]), folder)


@pytest.mark.parametrize("check_photos", [True, False])
def test_copies_of_training_photos_are_refused(parts, small, tmp_path, check_photos):
    train, validation = parts
    call = {"train": train, "validation": validation, "check_photos": check_photos}
    with pytest.raises(BadPhotosError, match="2 of 38 photos cannot be used") as error:
        fit(small(steps=1), **call, out=tmp_path / "run")
    assert [failure.photo_id for failure in error.value.failures] == ["copy-a.png", "copy-b.png"]
    assert "a training photo has the same content" in str(error.value)
    assert not (tmp_path / "run" / TRAINING_PHOTOS).exists()


def test_copies_of_training_photos_are_left_out_on_request(parts, small, tmp_path):
    train, validation = parts
    call = {"train": train, "validation": validation, "skip_bad": True}
    out = fit(small(steps=1), **call, out=tmp_path / "run")
    assert set(read_skipped(out)["validation"]) == {"copy-a.png", "copy-b.png"}
    assert read_scores(out / "scores.npz").photo_ids == tuple(validation.table["photo_id"][:-2])
    assert listed(out) == sorted(content_digests(train).tolist())


def test_copies_among_packed_photos_are_refused(parts, small, tmp_path):
    train, validation = parts
    pack(train, tmp_path / "pack", pixels=36)
    packed = read_manifest(tmp_path / "pack")
    for photos in (validation, validation.take(np.arange(12, 14))):
        with pytest.raises(BadPhotosError, match="a training photo has the same content"):
            fit(small(steps=1), train=packed, validation=photos, out=tmp_path / "run")
    out = fit(
        small(steps=1), train=packed, validation=validation.take(np.arange(12)), out=tmp_path / "b"
    )
    assert listed(out) == sorted(content_digests(train).tolist())


def test_list_is_kept_when_the_run_resumes(parts, small, tmp_path):
    train, validation = parts[0], parts[1].take(np.arange(12))
    call = {"train": train, "validation": validation, "out": tmp_path / "run"}
    out = fit(small(steps=2), **call)
    before = (out / TRAINING_PHOTOS).read_bytes()
    first = listed(out)
    fit(small(steps=2), **call)
    assert (out / TRAINING_PHOTOS).read_bytes() == before
    # The network has learned from the photo as it was.
    changed = train.paths()[0]
    changed.write_bytes(changed.read_bytes() + b"changed")
    with pytest.raises(InputError, match="the files of 1 training photos have changed"):
        fit(small(steps=2), **call)
    assert listed(out) == first
    (out / TRAINING_PHOTOS).unlink()  # as in a run of an earlier version
    fit(small(steps=2), **call)
    assert listed(out) == sorted(content_digests(train).tolist())


def test_photos_of_a_run_that_never_began_are_forgotten(parts, small, tmp_path):
    train, validation = parts[0], parts[1].take(np.arange(12))
    out = tmp_path / "run"
    fit(small(steps=1), train=train, validation=validation, out=out)
    for path in out.glob("checkpoint*"):
        path.unlink()
    fit(small(steps=1), train=train.take(np.arange(9)), validation=train.take(np.arange(9, 24)),
        out=out)  # fmt: skip
    assert len(listed(out)) == 9


def test_photos_behind_the_weights_are_training_photos_too(parts, small, tmp_path):
    train, validation = parts[0], parts[1].take(np.arange(12))
    first = fit(small(steps=1), train=train, validation=validation, out=tmp_path / "first")
    recipe = replace(small(steps=1), weights="first")
    call = {"train": validation, "weights_folder": tmp_path}
    with pytest.raises(BadPhotosError, match="24 of 36 photos cannot be used"):
        fit(recipe, **call, validation=train, out=tmp_path / "second")
    other = Rows(validation.table, tmp_path / "other")
    other.folder.mkdir()
    for number, path in enumerate(validation.paths()):
        (other.folder / path.name).write_bytes(path.read_bytes() + b"%d" % number)
    second = fit(recipe, **call, validation=other, out=tmp_path / "second")
    assert len(listed(second)) == 36
    (first / TRAINING_PHOTOS).write_bytes(b"damaged")
    with pytest.raises(InputError, match="not a list of training photos"):
        fit(recipe, **call, validation=other, out=tmp_path / "third")
