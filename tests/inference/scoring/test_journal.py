import os
import signal
import subprocess
import sys
import time

import numpy as np
import pytest
from PIL import Image

import ophis
from ophis import InputError, Manifest, Scores, SpeciesList, read_manifest, read_scores
from ophis.errors import PhotoFailure
from ophis.images.test_time_augmentation import NO_TTA, tta_crops
from ophis.inference.batches import texts
from ophis.inference.bundles.bundle import BundleWriter, read_bundle
from ophis.inference.scoring.journal import journal_of, score_to
from tests.support.made_bundle import write_made_bundle
from tests.support.memory import peak_mib

SPECIES = SpeciesList(("a", "b", "c"))


def table(folder, photos=10) -> Manifest:
    lines = [f"{n}.png,{SPECIES[n % 3]},kenya" for n in range(photos)]
    (folder / "m.csv").write_text("\n".join(["photo,species,country", *lines]))
    return read_manifest(folder / "m.csv")


class StoppedError(Exception):
    """In the test's own work."""


class Work:
    """Scores of two photos at a time; every fifth photo cannot be read."""

    def __init__(self, manifest, *, ood_score=True, stop_after=1000):
        self.manifest, self.ood_score, self.left, self.started = manifest, ood_score, stop_after, []

    def __call__(self, start):
        self.started.append(start)
        for first in range(start, len(self.manifest), 2):
            if not self.left:
                raise StoppedError
            self.left -= 1
            yield self.part(range(first, min(first + 2, len(self.manifest))))

    def part(self, rows) -> Scores:
        kept = np.array([row for row in rows if row % 5 != 4], np.int64)
        logits = np.random.default_rng(rows[0]).normal(size=(len(kept), 3)).astype(np.float32)
        return Scores(
            logits=logits,
            species=SPECIES,
            truth=self.manifest.truth(SPECIES)[kept],
            failures=tuple(PhotoFailure(f"{n}.png", "bad") for n in rows if n % 5 == 4),
            ood_score=logits[:, 0] if self.ood_score and len(kept) else None,
            sha256=np.repeat(kept[:, None], 32, axis=1).astype(np.uint8),
            **texts(self.manifest, kept),
        )


def write(out, work, **facts) -> Scores:
    return score_to(
        out, work, manifest=work.manifest, species=SPECIES, facts={"bundle": "1"} | facts
    )


@pytest.mark.parametrize("ood_score", [True, False])
def test_what_was_stopped_anywhere_becomes_the_same_file(tmp_path, ood_score):
    manifest = table(tmp_path)
    whole = write(tmp_path / "whole.npz", Work(manifest, ood_score=ood_score))
    assert [f.photo_id for f in whole.failures] == ["4.png", "9.png"]
    assert whole.photo_ids == tuple(f"{n}.png" for n in range(10) if n % 5 != 4)
    assert (whole.ood_score is not None) == ood_score
    assert whole.sha256 is not None
    assert list(whole.sha256[:, 31]) == [n for n in range(10) if n % 5 != 4]
    for stop_after in range(5):
        out = tmp_path / f"{stop_after}.npz"
        with pytest.raises(StoppedError):
            write(out, Work(manifest, ood_score=ood_score, stop_after=stop_after))
        assert not out.exists()
        rest = Work(manifest, ood_score=ood_score)
        write(out, rest)
        assert rest.started == [2 * stop_after]  # no photo is scored twice
        assert out.read_bytes() == (tmp_path / "whole.npz").read_bytes()
        assert not journal_of(out).exists()


@pytest.mark.parametrize("name", ["logits", "ood_score", "sha256", "done.jsonl"])
def test_what_a_stop_left_half_written_is_done_again(tmp_path, name):
    manifest, out = table(tmp_path), tmp_path / "s.npz"
    write(tmp_path / "whole.npz", Work(manifest))
    with pytest.raises(StoppedError):
        write(out, Work(manifest, stop_after=3))
    file = journal_of(out) / name
    whole = file.read_bytes()
    for damaged in (whole[:-1], whole[:-3] + b"xyz", whole + b"more"):
        file.write_bytes(damaged)
        rest = Work(manifest, stop_after=0)
        with pytest.raises(StoppedError):
            write(out, rest)
        assert rest.started == [6 if damaged.endswith(b"more") else 4]
        again = Work(manifest, stop_after=1)
        with pytest.raises(StoppedError):
            write(out, again)
        if rest.started == [6]:
            break
        assert file.read_bytes() == whole
    write(out, Work(manifest))
    assert out.read_bytes() == (tmp_path / "whole.npz").read_bytes()


def test_scores_of_something_else_are_neither_mixed_nor_thrown_away(tmp_path):
    manifest, out = table(tmp_path), tmp_path / "s.npz"
    with pytest.raises(StoppedError):
        write(out, Work(manifest, stop_after=3))
    with pytest.raises(InputError, match=r"s\.npz\.partial: holds scores .* another bundle; end"):
        write(out, Work(manifest), bundle="2")
    with pytest.raises(InputError, match="begun with another manifest"):
        write(out, Work(manifest.take(np.arange(9))))
    rest = Work(manifest)
    write(out, rest)
    assert rest.started == [6]


def test_what_is_left_of_a_finished_file_is_not_taken_up(tmp_path):
    manifest, out = table(tmp_path), tmp_path / "s.npz"
    with pytest.raises(StoppedError):
        write(out, Work(manifest, stop_after=3))
    (journal_of(out) / "facts.json").unlink()
    other = Work(manifest)
    write(out, other, bundle="2")
    assert other.started == [0]


def test_facts_that_are_damaged_and_places_that_cannot_be_written_are_named(tmp_path):
    manifest, out = table(tmp_path), tmp_path / "s.npz"
    journal_of(out).mkdir()
    (journal_of(out) / "facts.json").write_text("{")
    with pytest.raises(InputError, match=r"facts\.json: is damaged: .* delete .*s\.npz\.partial"):
        write(out, Work(manifest))
    (tmp_path / "file").write_text("")
    with pytest.raises(InputError, match="cannot be written"):
        write(tmp_path / "file" / "s.npz", Work(manifest))


@pytest.mark.skipif(sys.platform == "win32", reason="no such lock there")
def test_two_processes_do_not_write_the_same_file(tmp_path):
    manifest, out = table(tmp_path), tmp_path / "s.npz"

    def meanwhile(start):
        with pytest.raises(InputError, match="another process is writing there"):
            write(out, Work(manifest))
        return Work(manifest)(start)

    score_to(out, meanwhile, manifest=manifest, species=SPECIES, facts={})


def test_photos_that_all_cannot_be_read_make_an_empty_file(tmp_path):
    manifest = table(tmp_path, 10).take(np.array([4, 9]))
    work = Work(manifest)
    work.part = lambda rows: Scores(
        np.zeros((0, 3), np.float32), SPECIES, (), np.zeros(0, np.int64), (), (),
        failures=tuple(PhotoFailure(manifest.table["photo_id"][n], "bad") for n in rows),
    )  # fmt: skip
    scores = write(tmp_path / "s.npz", work)
    assert (len(scores), len(scores.failures)) == (0, 2)


def test_scores_are_written_without_holding_their_logits(tmp_path):
    before = """
import numpy as np
from ophis import Scores, SpeciesList, Manifest
import polars as pl
from pathlib import Path
from ophis.inference.batches import texts
from ophis.inference.bundles.bundle import BundleWriter, read_bundle
from ophis.inference.scoring.journal import score_to
photos, species = 40_000, SpeciesList(tuple(f"s {n}" for n in range(1000)))
ids = pl.Series([f"{n}.jpg" for n in range(photos)])
names = dict.fromkeys(("photo_id", "photo", "observation"), ids)
manifest = Manifest(pl.DataFrame(names | dict(country=ids, species=[None] * photos),
    schema_overrides=dict(species=pl.String)), Path())
def batches(start):
    for first in range(start, photos, 1000):
        rows = np.arange(first, first + 1000)
        logits = np.random.default_rng(first).random((1000, 1000), np.float32)
        yield Scores(logits, species, truth=np.full(1000, -1), **texts(manifest, rows))
"""
    out = str(tmp_path / "s.npz")
    work = f"score_to({out!r}, batches, manifest=manifest, species=species, facts=dict())"
    assert peak_mib(before, work) < 64 + 400 * 40_000 / 2**20
    assert read_scores(out).logits.nbytes == 160_000_000  # twice that


def write_photos(folder, photos) -> Manifest:
    """Photos that take a while to read, and one that cannot be read."""
    chance = np.random.default_rng(0)
    lines = ["photo,species,country"]
    for number in range(photos):
        name = folder / f"{number}.png"
        if number < 7:
            pixels = chance.integers(0, 255, (60, 80, 3), dtype=np.uint8)
            Image.fromarray(pixels).resize((800, 600)).save(name, compress_level=1)
        else:
            name.write_bytes((folder / f"{number - 7}.png").read_bytes())
        lines.append(f"{number}.png,,kenya")
    (folder / "3.png").write_bytes(b"no photo")
    (folder / "m.csv").write_text("\n".join(lines))
    return read_manifest(folder / "m.csv")


@pytest.mark.skipif(sys.platform == "win32", reason="no such signal there")
def test_a_killed_process_loses_nothing(tmp_path):
    """kill -9 in the middle, twice; the file is that of a run that nobody stopped."""
    photos = 160
    manifest = write_photos(tmp_path, photos)
    bundle = write_made_bundle(tmp_path / "bundle", SPECIES)
    out, begun = tmp_path / "s.npz", journal_of(tmp_path / "s.npz") / "done.jsonl"

    def start():
        words = [sys.executable, "-m", "ophis", "score", bundle, tmp_path / "m.csv", "--out", out]
        return subprocess.Popen(words, stderr=subprocess.PIPE, text=True)

    done = 0
    for _ in range(2):
        process = start()
        while process.poll() is None and (
            not begun.exists() or begun.read_bytes().count(b"\n") <= done
        ):
            time.sleep(0.005)
        os.kill(process.pid, signal.SIGKILL)
        process.communicate()
        assert process.returncode == -signal.SIGKILL
        before, done = done, begun.read_bytes().count(b"\n")
        assert before < done < photos // 16
    process = start()
    _, told = process.communicate()
    assert process.returncode == 1  # one photo cannot be read
    assert "going on with what is in" in told
    assert "3.png" in told
    whole = ophis.load(bundle).score(manifest)
    assert whole.write(tmp_path / "whole.npz").read_bytes() == out.read_bytes()
    assert len(whole) == photos - 1


def test_several_networks_and_views_are_scored_as_in_memory(tmp_path):
    manifest = write_photos(tmp_path, 20)
    bundles = [
        write_made_bundle(tmp_path / name, SPECIES, seed=seed) for seed, name in enumerate("ab")
    ]
    with BundleWriter(tmp_path / "both") as writer:
        writer.write_members([read_bundle(bundle) for bundle in bundles], tta_crops("flip"))
        writer.write(species=SPECIES, calibration=None, prior=None, rule=None, card="")
    classifier = ophis.load(tmp_path / "both")
    done, out = [], tmp_path / "s.npz"
    streamed = classifier.score(manifest, out=out, progress=done.append)
    assert sum(done) == 2 * len(manifest)  # by each network
    whole = classifier.score(manifest)
    np.testing.assert_array_equal(streamed.logits, whole.logits)
    assert whole.write(tmp_path / "whole.npz").read_bytes() == out.read_bytes()
    with pytest.raises(RuntimeError, match="in the middle"):
        classifier.score(manifest, out=out, progress=stop_at(20))
    with pytest.raises(InputError, match="another test-time augmentation"):
        classifier.score(manifest, out=out, tta=NO_TTA)


def stop_at(photos):
    seen = []

    def progress(number):
        seen.append(number)
        if sum(seen) >= photos:
            raise RuntimeError("in the middle")

    return progress
