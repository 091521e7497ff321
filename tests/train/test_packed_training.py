"""Training from packs: raw shards of the recipe's pixels give the same run as the folder."""

import json

import numpy as np
import pytest
import torch

from ophis import InputError, read_manifest, read_scores
from ophis.datasets.shards.writer import pack
from ophis.evaluation.run import FACTS
from ophis.images.decode import read_photo
from ophis.train import fit
from ophis.train.batches import Batches


@pytest.fixture(scope="module")
def packs(coloured, tmp_path_factory):
    """Raw halves, a JPEG half of the first."""
    folder = tmp_path_factory.mktemp("packs")
    parts = {"train": np.arange(24), "validation": np.arange(24, 36)}
    for name, rows in parts.items():
        pack(coloured.take(rows), folder / name, pixels=36, quality=None, shard_photos=7)
    pack(coloured.take(parts["train"]), folder / "jpeg", pixels=36, shard_photos=7)
    return {name: read_manifest(folder / name) for name in ("train", "validation", "jpeg")}


def losses(run):
    lines = map(json.loads, (run / "log.jsonl").read_text().splitlines())
    return [line["loss"] for line in lines if "loss" in line]


def test_raw_pack_gives_losses_and_scores_of_the_folder(halves, packs, small, tmp_path):
    recipe = small(test_pixels=36, flip_probability=0.5, mixup_alpha=0.1, rotation_degrees=5.0)
    train, validation = halves
    folder = fit(recipe, train=train, validation=validation, out=tmp_path / "folder")
    packed = fit(
        recipe,
        train=packs["train"],
        validation=packs["validation"],
        out=tmp_path / "packed",
    )
    assert len(losses(folder)) == recipe.steps
    assert losses(folder) == losses(packed)
    one, other = (read_scores(run / "scores.npz") for run in (folder, packed))
    assert np.array_equal(one.logits, other.logits)
    assert one.photo_ids == other.photo_ids


AUGMENTED = [
    {"flip_probability": 0.0},
    {"flip_probability": 1.0},
    {"rotation_degrees": 20.0, "colour_jitter": 0.3, "least_area": 0.4},
]


@pytest.mark.parametrize("change", AUGMENTED)
def test_raw_pack_gives_pixels_of_the_folder(halves, packs, small, change):
    recipe = small(**change)
    truth = halves[0].truth(halves[0].species_list())
    one, other = (
        list(Batches(recipe, photos, truth, workers=2).micro_batches(0))
        for photos in (halves[0].photos(), packs["train"].photos())
    )
    for a, b in zip(one, other, strict=True):
        assert torch.equal(a.pixels, b.pixels)
        assert torch.equal(a.truth, b.truth)


def test_jpeg_pack_is_another_run(halves, packs, small, tmp_path):
    fit(small(), train=packs["jpeg"], validation=halves[1], out=tmp_path)
    assert len(losses(tmp_path)) == 4
    about = json.loads((tmp_path / FACTS).read_text())
    assert about["train"]["pack"]["quality"] == 95
    assert "pack" not in about["validation"]
    with pytest.raises(InputError):
        fit(small(), train=halves[0], validation=halves[1], out=tmp_path)


def test_packed_photo_in_both_manifests_is_refused(packs, small, coloured, tmp_path):
    pack(coloured.take(np.arange(20, 30)), tmp_path / "pack", pixels=32)
    with pytest.raises(InputError, match="is in training and validation"):
        fit(
            small(),
            train=packs["train"],
            validation=read_manifest(tmp_path / "pack"),
            out=tmp_path / "run",
        )


def test_unfinished_pack_is_refused(packs, coloured, small, tmp_path):
    pack(coloured.take(np.arange(24)), tmp_path / "pack", pixels=36, shard_photos=7)
    (tmp_path / "pack" / "shard-00003.parquet").unlink()
    seen = read_manifest(tmp_path / "pack")
    assert len(seen) == 21
    assert read_photo(seen.photos()[20]).size == (36, 36)
    with pytest.raises(InputError, match="21 of 24 photos are packed so far"):
        fit(small(), train=seen, validation=packs["validation"], out=tmp_path / "run")


def test_photo_that_was_not_packed_is_named(coloured, packs, small, tmp_path):
    folder = tmp_path / "photos"
    folder.mkdir()
    for path in coloured.paths()[:24]:
        (folder / path.name).write_bytes(path.read_bytes())
    (folder / "3.png").write_bytes(b"no photo")
    table = coloured.take(np.arange(24)).table
    pack(type(coloured)(table, folder), tmp_path / "pack", pixels=36)
    with pytest.raises(InputError, match=r"photo '3\.png'"):
        fit(
            small(),
            train=read_manifest(tmp_path / "pack"),
            validation=packs["validation"],
            out=tmp_path / "run",
        )
