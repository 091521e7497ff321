import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import ophis
from ophis import InputError, Manifest, Scores, SpeciesList, read_manifest, read_scores
from ophis.errors import PhotoFailure
from ophis.images.test_time_augmentation import NO_TTA, tta_crops
from ophis.inference.batches import row_texts
from ophis.inference.bundles.bundle import Bundle, BundleWriter, read_bundle
from ophis.inference.scoring import score, scores_file
from ophis.inference.scoring.parts import PART_PHOTOS
from tests.support.made_bundle import write_made_bundle
from tests.support.memory import peak_mib

SPECIES = SpeciesList(("a", "b", "c"))


def table(folder, photos=10) -> Manifest:
    lines = [f"{n}.png,{SPECIES[n % 3]},kenya" for n in range(photos)]
    (folder / "m.csv").write_text("\n".join(["photo,species,country", *lines]))
    return read_manifest(folder / "m.csv")


class StoppedError(Exception):
    """Stop in the middle of scoring."""


class Work:
    """Classifier with batches of two photos; every fifth photo cannot be read."""

    def __init__(self, *, ood_score=True, stop_after=1000):
        self.ood_score, self.left = ood_score, stop_after
        self.photos = []  # of which batches were made

    def batches(self, manifest, **_):
        ids = manifest.table["photo_id"].to_list()
        for first in range(0, len(manifest), 2):
            if not self.left:
                raise StoppedError
            self.left -= 1
            self.photos += ids[first : first + 2]
            yield self.batch(manifest, range(first, min(first + 2, len(manifest))))

    def batch(self, manifest, rows) -> Scores:
        numbers = [int(name.removesuffix(".png")) for name in manifest.table["photo_id"]]
        kept = np.array([row for row in rows if numbers[row] % 5 != 4], np.int64)
        rng = np.random.default_rng(numbers[rows[0]])
        logits = rng.normal(size=(len(kept), 3)).astype(np.float32)
        photos = np.array([numbers[row] for row in kept], np.uint8)
        return Scores(
            logits=logits,
            species=SPECIES,
            truth=manifest.truth(SPECIES)[kept],
            failures=tuple(
                PhotoFailure(f"{numbers[row]}.png", "bad") for row in rows if row not in kept
            ),
            ood_score=logits[:, 0] if self.ood_score and len(kept) else None,
            sha256=np.repeat(photos[:, None], 32, axis=1),
            **row_texts(manifest, kept),
        )


@pytest.fixture
def write(monkeypatch):
    """Write scores in parts of four photos with a fake classifier."""

    def score_with(work, manifest, out, version="1") -> Scores:
        monkeypatch.setattr(scores_file, "Classifier", lambda *_, **__: work)
        bundle = Bundle(Path(), version, SPECIES, (), NO_TTA, None, None, None)
        return score(bundle, manifest, out=out, part_photos=4)

    return score_with


def parts_of(out) -> Path:
    return out.with_name(f"{out.name}.parts")


@pytest.mark.parametrize("ood_score", [True, False])
def test_resumed_run_gives_the_same_file(tmp_path, write, ood_score):
    manifest = table(tmp_path)
    whole = write(Work(ood_score=ood_score), manifest, tmp_path / "whole.npz")
    assert [f.photo_id for f in whole.failures] == ["4.png", "9.png"]
    assert whole.photo_ids == tuple(f"{n}.png" for n in range(10) if n % 5 != 4)
    assert (whole.ood_score is not None) == ood_score
    assert whole.sha256 is not None
    assert list(whole.sha256[:, 31]) == [n for n in range(10) if n % 5 != 4]
    for stop_after in range(5):
        out = tmp_path / f"{stop_after}.npz"
        with pytest.raises(StoppedError):
            write(Work(ood_score=ood_score, stop_after=stop_after), manifest, out)
        assert not out.exists()
        rest = Work(ood_score=ood_score)
        write(rest, manifest, out)
        done = stop_after // 2 * 4  # no photo of a finished part is scored again
        assert rest.photos == [f"{n}.png" for n in range(done, 10)]
        assert out.read_bytes() == (tmp_path / "whole.npz").read_bytes()
        assert not parts_of(out).exists()


def test_photo_replaced_between_stop_and_start_is_refused(tmp_path, write):
    manifest, out = table(tmp_path), tmp_path / "s.npz"
    with pytest.raises(StoppedError):
        write(Work(stop_after=3), manifest, out)
    (tmp_path / "2.png").write_bytes(b"another photo")
    with pytest.raises(InputError, match=r"photo '2\.png' has changed since .*part-000000\.npz"):
        write(Work(), manifest, out)
    (parts_of(out) / "part-000000.npz").unlink()
    work = Work()
    write(work, manifest, out)
    assert work.photos[0] == "0.png"


def test_missing_part_in_the_middle_is_scored_alone(tmp_path, write):
    manifest, out = table(tmp_path), tmp_path / "s.npz"
    write(Work(), manifest, tmp_path / "whole.npz")
    with pytest.raises(StoppedError):
        write(Work(stop_after=4), manifest, out)
    (parts_of(out) / "part-000000.npz").unlink()
    rest = Work()
    write(rest, manifest, out)
    assert rest.photos == [f"{n}.png" for n in (0, 1, 2, 3, 8, 9)]
    assert out.read_bytes() == (tmp_path / "whole.npz").read_bytes()


def test_half_written_file_is_not_a_part(tmp_path, write):
    manifest, out = table(tmp_path), tmp_path / "s.npz"
    write(Work(), manifest, tmp_path / "whole.npz")
    with pytest.raises(StoppedError):
        write(Work(stop_after=3), manifest, out)
    part = parts_of(out) / "part-000000.npz"
    (parts_of(out) / ".part-000001.npz.123").write_bytes(part.read_bytes()[:-3])
    (parts_of(out) / "logits").write_bytes(b"half")
    rest = Work()
    write(rest, manifest, out)
    assert rest.photos[0] == "4.png"
    assert out.read_bytes() == (tmp_path / "whole.npz").read_bytes()


@pytest.mark.parametrize("cut", [slice(-1), slice(0), slice(100, None)])
def test_damaged_part_is_refused_by_name(tmp_path, write, cut):
    manifest, out = table(tmp_path), tmp_path / "s.npz"
    with pytest.raises(StoppedError):
        write(Work(stop_after=2), manifest, out)
    part = parts_of(out) / "part-000000.npz"
    part.write_bytes(part.read_bytes()[cut])
    with pytest.raises(InputError, match=r"part-000000\.npz: not a scores file"):
        write(Work(), manifest, out)
    assert not out.exists()
    part.unlink()
    write(Work(), manifest, out)


def test_parts_of_another_bundle_or_manifest_are_refused_and_kept(tmp_path, write):
    manifest, out = table(tmp_path), tmp_path / "s.npz"
    with pytest.raises(StoppedError):
        write(Work(stop_after=3), manifest, out)
    with pytest.raises(InputError, match=r"s\.npz\.parts: holds parts with another bundle; finish"):
        write(Work(), manifest, out, version="2")
    with pytest.raises(InputError, match="with another manifest"):
        write(Work(), manifest.take(np.arange(9)), out)
    rest = Work()
    write(rest, manifest, out)
    assert rest.photos[0] == "4.png"


def test_parts_left_of_a_finished_file_are_not_used(tmp_path, write):
    manifest, out = table(tmp_path), tmp_path / "s.npz"
    with pytest.raises(StoppedError):
        write(Work(stop_after=3), manifest, out)
    (parts_of(out) / "parts.json").unlink()
    other = Work()
    write(other, manifest, out, version="2")
    assert other.photos[0] == "0.png"


def test_damaged_index_and_unwritable_folder_are_named(tmp_path, write):
    manifest, out = table(tmp_path), tmp_path / "s.npz"
    parts_of(out).mkdir()
    (parts_of(out) / "parts.json").write_text("{")
    (parts_of(out) / "part-000000.npz").write_text("work of an hour")
    with pytest.raises(InputError, match=r"parts\.json: .* remove .*s\.npz\.parts"):
        write(Work(), manifest, out)
    (tmp_path / "file").write_text("")
    with pytest.raises(InputError, match="cannot be written"):
        write(Work(), manifest, tmp_path / "file" / "s.npz")


@pytest.mark.skipif(sys.platform == "win32", reason="no such lock there")
def test_second_process_is_refused(tmp_path, write):
    manifest, out = table(tmp_path), tmp_path / "s.npz"

    class Meanwhile(Work):
        def batches(self, manifest, **_):
            with pytest.raises(InputError, match="another process is writing there"):
                write(Work(), manifest, out)
            return super().batches(manifest)

    write(Meanwhile(), manifest, out)


def test_folder_of_parts_that_is_moved_ends_the_call_and_is_not_made_again(tmp_path, write):
    manifest, out = table(tmp_path), tmp_path / "s.npz"

    class Mover(Work):
        def batches(self, manifest, **options):
            for number, batch in enumerate(super().batches(manifest, **options)):
                if number == 0:
                    parts_of(out).rename(tmp_path / "moved")
                yield batch

    with pytest.raises(InputError, match=r"s\.npz\.parts: was moved or removed"):
        write(Mover(), manifest, out)
    assert not parts_of(out).exists()
    assert not out.exists()


def test_photos_that_are_all_unreadable_make_an_empty_file(tmp_path, write):
    manifest = table(tmp_path, 10).take(np.array([4, 9]))
    scores = write(Work(), manifest, tmp_path / "s.npz")
    assert (len(scores), len(scores.failures)) == (0, 2)


def test_scores_are_written_without_holding_their_logits(tmp_path):
    before = """
import numpy as np
from ophis import Scores, SpeciesList, Manifest
import polars as pl
from pathlib import Path
from ophis.images.test_time_augmentation import NO_TTA
from ophis.inference.batches import row_texts
from ophis.inference.bundles.bundle import Bundle
from ophis.inference.scoring import score as function
from ophis.inference.scoring import scores_file as module
photos, species = 40_000, SpeciesList(tuple(f"s {n}" for n in range(1000)))
ids = pl.Series([f"{n}.jpg" for n in range(photos)])
names = dict.fromkeys(("photo_id", "photo", "observation"), ids)
manifest = Manifest(pl.DataFrame(names | dict(country=ids, species=[None] * photos),
    schema_overrides=dict(species=pl.String)), Path())
class Work:
    def __init__(self, *_, **__):
        pass
    def batches(self, manifest, **_):
        for first in range(0, photos, 1000):
            rows = np.arange(first, first + 1000)
            logits = np.random.default_rng(first).random((1000, 1000), np.float32)
            yield Scores(logits, species, truth=np.full(1000, -1), **row_texts(manifest, rows))
module.Classifier = Work
bundle = Bundle(Path(), "1", species, (), NO_TTA, None, None, None)
"""
    out = str(tmp_path / "s.npz")
    work = f"function(bundle, manifest, out={out!r}, part_photos=1000)"
    assert peak_mib(before, work) < 64 + 400 * 40_000 / 2**20
    assert read_scores(out).logits.nbytes == 160_000_000  # twice that


def write_photos(folder, photos) -> Manifest:
    """Write photos that take a while to read, and one that cannot be read."""
    rng = np.random.default_rng(0)
    lines = ["photo,species,country"]
    for number in range(photos):
        name = folder / f"{number}.png"
        if number < 7:
            pixels = rng.integers(0, 255, (60, 80, 3), dtype=np.uint8)
            Image.fromarray(pixels).resize((800, 600)).save(name, compress_level=1)
        else:
            name.write_bytes((folder / f"{number - 7}.png").read_bytes())
        lines.append(f"{number}.png,,kenya")
    (folder / "3.png").write_bytes(b"no photo")
    (folder / "m.csv").write_text("\n".join(lines))
    return read_manifest(folder / "m.csv")


@pytest.mark.skipif(sys.platform == "win32", reason="no such signal there")
def test_killed_process_is_resumed(tmp_path):
    """Two kills by SIGKILL; the file equals that of an uninterrupted run."""
    photos = 4 * PART_PHOTOS
    manifest = write_photos(tmp_path, photos)
    bundle = write_made_bundle(tmp_path / "bundle", SPECIES)
    out = tmp_path / "s.npz"

    def finished() -> int:
        return len(list(parts_of(out).glob("part-*.npz")))

    def start():
        words = [sys.executable, "-m", "ophis", "score", bundle, tmp_path / "m.csv", "--out", out]
        return subprocess.Popen(words, stderr=subprocess.PIPE, text=True)

    done = 0
    for _ in range(2):
        process = start()
        while process.poll() is None and finished() <= done:
            time.sleep(0.005)
        os.kill(process.pid, signal.SIGKILL)
        process.communicate()
        assert process.returncode == -signal.SIGKILL
        before, done = done, finished()
        assert before < done < 4
    process = start()
    _, errors = process.communicate()
    assert process.returncode == 1  # one photo cannot be read
    assert f"continuing: {parts_of(out)} holds {done * PART_PHOTOS} of {photos} photos" in errors
    assert "3.png" in errors
    whole = ophis.load(bundle).score(manifest)
    assert whole.write(tmp_path / "whole.npz").read_bytes() == out.read_bytes()
    assert len(whole) == photos - 1


def test_ensemble_with_tta_is_scored_as_in_memory(tmp_path):
    manifest = write_photos(tmp_path, 20)
    bundles = [
        write_made_bundle(tmp_path / name, SPECIES, seed=seed) for seed, name in enumerate("ab")
    ]
    both = tmp_path / "both"
    with BundleWriter(both) as writer:
        writer.write_members([read_bundle(bundle) for bundle in bundles], tta_crops("flip"))
        writer.write(species=SPECIES, calibration=None, prior=None, rule=None, card="")
    done, out = [], tmp_path / "s.npz"
    streamed = score(both, manifest, out=out, progress=done.append)
    assert sum(done) == len(manifest)
    whole = ophis.load(both).score(manifest)
    np.testing.assert_array_equal(streamed.logits, whole.logits)
    assert whole.write(tmp_path / "whole.npz").read_bytes() == out.read_bytes()
    with pytest.raises(RuntimeError, match="in the middle"):
        score(both, manifest, out=out, part_photos=4, progress=stop_at(10))
    with pytest.raises(InputError, match="another test-time augmentation"):
        score(both, manifest, out=out, part_photos=4, tta=())


def stop_at(photos):
    done = []

    def progress(number):
        done.append(number)
        if sum(done) >= photos:
            raise RuntimeError("in the middle")

    return progress
