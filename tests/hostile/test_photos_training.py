"""Bad photos in a training run: listed before the first step, refused or skipped."""

import csv
import subprocess
import sys
from pathlib import Path

import numpy as np
import polars as pl
import pytest
import torch

from ophis import InputError, Manifest, Recipe, read_manifest, read_scores
from ophis.cli import main
from ophis.datasets.shards.writer import pack
from ophis.errors import BadPhotosError
from ophis.train import fit, photo_check
from ophis.train.checkpoint import load_checkpoint
from tests.support.hostile_photos import picture, saved
from tests.support.training_process import TORCHRUN


@pytest.fixture
def parts(coloured, full_size, tmp_path) -> tuple[Manifest, Manifest, set[str]]:
    """Training and validation photos, a twentieth of them bad in both, and the names of those."""
    photos = 1000 if full_size else 60
    bad = set(np.random.default_rng(0).permutation(photos)[: photos // 20].tolist()) | {photos - 1}
    whole = [path.read_bytes() for path in coloured.paths()]
    species = coloured.table["species"].to_list()
    damaged = [b"", b"no photo", whole[0][:200], saved(picture(), "GIF"), None]
    for number in range(photos):
        good = whole[number % 36] + b"%d" % number  # no two files are equal
        data = damaged[number % len(damaged)] if number in bad else good
        if data is not None:
            (tmp_path / f"{number}.png").write_bytes(data)
    lines = [f"{n}.png,{species[n % 36]},kenya" for n in range(photos)]
    (tmp_path / "all.csv").write_text("\n".join(["photo,species,country", *lines]))
    rows = read_manifest(tmp_path / "all.csv")
    validation = np.arange(photos) >= photos * 2 // 3
    return rows.take(~validation), rows.take(validation), {f"{number}.png" for number in bad}


def without(manifest: Manifest, bad: set[str]) -> Manifest:
    return manifest.take(np.array([photo not in bad for photo in manifest.table["photo_id"]]))


def test_bad_photos_are_listed_before_the_first_step(parts, small, tmp_path, figure):
    train, validation, bad = parts
    out = tmp_path / "run"
    with pytest.raises(BadPhotosError, match=f"{len(bad)} of .* photos cannot be used") as error:
        fit(small(), train=train, validation=validation, out=out)
    assert {failure.photo_id for failure in error.value.failures} == bad
    assert [path.name for path in out.iterdir()] == [photo_check.CHECKED]
    figure(f"{len(bad)} bad of {len(train) + len(validation)} listed, no step done")


def test_run_that_skips_bad_photos_equals_one_without_them(parts, small, tmp_path, figure):
    train, validation, bad = parts
    out = fit(small(), train=train, validation=validation, out=tmp_path / "run", skip_bad=True)
    with (out / photo_check.SKIPPED).open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert {row["photo_id"] for row in rows} == bad
    sizes = {part: sum(row["part"] == part for row in rows) for part in ("train", "validation")}
    assert sizes["train"] == len(bad & set(train.table["photo_id"])) > 0
    assert sizes["validation"] > 0
    good = {"train": without(train, bad), "validation": without(validation, bad)}
    other = fit(small(), **good, out=tmp_path / "other")
    skipped, other_run = (load_checkpoint(folder) for folder in (out, other))
    assert skipped
    assert other_run
    assert skipped.train_sha256 == other_run.train_sha256
    assert all(torch.equal(t, other_run.model[name]) for name, t in skipped.model.items())
    assert read_scores(out / "scores.npz").photo_ids == tuple(good["validation"].table["photo_id"])
    figure(f"{len(bad)} of {len(train) + len(validation)} skipped, all weights the same to the bit")


def test_skipped_photos_stay_out_when_the_run_resumes(parts, small, tmp_path):
    train, validation, bad = parts
    call = {"train": train, "validation": validation, "out": tmp_path / "run"}
    fit(small(), **call, skip_bad=True)
    before = (tmp_path / "run" / photo_check.SKIPPED).read_bytes()
    for path in [*train.paths(), *validation.paths()]:
        if path.name in bad:
            path.write_bytes(saved(picture(), "PNG") + path.name.encode())  # fixed since
    fit(small(), **call, skip_bad=True)
    assert (tmp_path / "run" / photo_check.SKIPPED).read_bytes() == before
    with pytest.raises(InputError, match="another training manifest"):
        fit(small(), **call)


def test_photos_are_checked_once_for_runs_that_share_the_file(halves, small, tmp_path, monkeypatch):
    train, validation = halves
    read = []
    read_bytes = photo_check.read_bytes
    monkeypatch.setattr(
        photo_check, "read_bytes", lambda photo: (read.append(photo), read_bytes(photo))[1]
    )
    monkeypatch.setattr(photo_check, "PHOTOS_BETWEEN_WRITES", 5)
    photos = {"train": train, "validation": validation, "checked": tmp_path / "checked.parquet"}
    for name in ("a", "b"):
        fit(small(steps=1), **photos, out=tmp_path / name)
    assert sorted(read) == sorted([*train.paths(), *validation.paths()])
    pl.read_parquet(photos["checked"]).with_columns(time=pl.col("time") + 1).write_parquet(
        photos["checked"]
    )
    fit(small(steps=1), **photos, out=tmp_path / "a")
    assert len(read) == 2 * 36  # all files were changed since
    photos["checked"].write_bytes(b"damaged")
    fit(small(steps=1), **photos, out=tmp_path / "a")
    assert len(read) == 3 * 36


def test_bad_photos_of_a_pack_are_listed_in_its_index(parts, small, tmp_path):
    train, validation, bad = parts
    packed = []
    for name, manifest in (("train", train), ("validation", validation)):
        pack(manifest, tmp_path / name, pixels=36)
        packed.append(read_manifest(tmp_path / name))
    call = {"train": packed[0], "validation": packed[1]}
    with pytest.raises(BadPhotosError) as error:
        fit(small(steps=1), **call, out=tmp_path / "run")
    assert {failure.photo_id for failure in error.value.failures} == bad
    assert all("could not be packed: " in failure.reason for failure in error.value.failures)
    fit(small(steps=1), **call, out=tmp_path / "run", skip_bad=True)


def test_species_with_bad_photos_only_is_refused(parts, small, tmp_path):
    train, validation, _ = parts
    for path, species in zip(train.paths(), train.table["species"], strict=True):
        if species == "Made red":
            path.write_bytes(b"")
    with pytest.raises(InputError, match="species 'Made red' has no training photo"):
        fit(small(), train=train, validation=validation, out=tmp_path / "run", skip_bad=True)


def test_missing_files_are_found_without_decoding(parts, small, tmp_path):
    train, validation, bad = parts
    gone = {path.name for m in (train, validation) for path in m.paths() if not path.exists()}
    assert gone < bad
    call = {"train": train, "validation": validation, "check_photos": False}
    with pytest.raises(BadPhotosError) as error:
        fit(small(), **call, out=tmp_path / "run")
    # Damaged files of equal content are in both parts.
    learned = {path.read_bytes() for path in train.paths() if path.exists()}
    there = [path for path in validation.paths() if path.exists()]
    equal = {path.name for path in there if path.read_bytes() in learned}
    assert {failure.photo_id for failure in error.value.failures} == gone | equal


def words_of(parts: tuple[Manifest, Manifest, set[str]], recipe: Recipe, folder: Path) -> list[str]:
    train, validation, _ = parts
    (folder / "recipe.toml").write_text(recipe.to_toml())
    train.write(folder / "train.csv")
    validation.write(folder / "validation.csv")
    words = ["train", folder / "recipe.toml", "--train", folder / "train.csv"]
    words += ["--validation", folder / "validation.csv", "--out", folder / "run", "--follow-links"]
    return list(map(str, words))


def test_command_lists_twenty_bad_photos_and_their_number(parts, small, tmp_path, capsys):
    with pytest.raises(SystemExit) as stop:
        main(words_of(parts, small(), tmp_path))
    assert stop.value.code == 2
    *lines, last = capsys.readouterr().err.splitlines()
    assert len(lines) == min(20, len(parts[2]))
    assert all(line.startswith(f"ophis: {tmp_path}") for line in lines)
    assert last.startswith(f"ophis: {len(parts[2])} of ")
    assert last.endswith("fix them, or train without them (--skip-bad)")


@pytest.mark.full
def test_two_processes_check_the_photos_together(parts, small, tmp_path):
    words = [*words_of(parts, small(), tmp_path), "--skip-bad"]
    start = [sys.executable, "-m", *TORCHRUN, "--nproc-per-node=2", "-m", "ophis"]
    subprocess.run([*start, *words], check=True, capture_output=True)
    alone = fit(small(), train=parts[0], validation=parts[1], out=tmp_path / "alone", skip_bad=True)
    names = [(tmp_path / run / photo_check.SKIPPED).read_bytes() for run in ("run", alone.name)]
    assert names[0] == names[1]
