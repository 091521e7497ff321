"""Bad photos among many: every row belongs to the photo that it names."""

import hashlib
import io

import numpy as np
import onnxruntime
import pytest
from PIL import Image

from ophis import Manifest, Scores, SpeciesList, load, read_manifest, read_scores
from ophis.datasets.shards.writer import pack
from ophis.inference.bundles.index import MODEL
from ophis.inference.scoring import score
from tests.support.hostile_photos import saved
from tests.support.made_bundle import PIXELS, write_made_bundle

SPECIES = SpeciesList(("Boa boa", "Naja naja", "Vipera berus"))
KINDS = ("cut short", "empty", "text", "GIF", "gone")


def photo(number: int) -> bytes:
    """Return noise by number, so that no two photos have the same answer."""
    pixels = np.random.default_rng(number).integers(0, 256, (36, 40, 3), np.uint8)
    return saved(Image.fromarray(pixels), "JPEG", quality=60)


def damaged(number: int, kind: str) -> bytes:
    whole = photo(number)
    gif = saved(Image.new("P", (40, 36), number % 256), "GIF")
    return {"cut short": whole[: len(whole) // 2], "empty": b"", "text": b"no photo", "GIF": gif}[
        kind
    ]


@pytest.fixture(scope="module")
def many(full_size, tmp_path_factory) -> tuple[Manifest, frozenset[str]]:
    """Manifest of 1,000 photos of which 50 are bad, or a tenth of both; ids of the bad ones."""
    folder = tmp_path_factory.mktemp("many")
    photos = 1000 if full_size else 100
    bad = np.random.default_rng(0).permutation(photos)[: photos // 20]
    lines = ["photo_id,photo,species,country,observation"]
    for number in range(photos):
        kind = KINDS[list(bad).index(number) % len(KINDS)] if number in bad else None
        if kind != "gone":
            data = damaged(number, kind) if kind else photo(number)
            (folder / f"{number}.jpg").write_bytes(data)
        lines.append(f"id {number},{number}.jpg,{SPECIES[number % 3]},kenya,of {number}")
    (folder / "manifest.csv").write_text("\n".join(lines) + "\n")
    return read_manifest(folder / "manifest.csv"), frozenset(f"id {number}" for number in bad)


@pytest.fixture(scope="module")
def bundle(tmp_path_factory):
    return write_made_bundle(tmp_path_factory.mktemp("made") / "bundle", SPECIES)


def require_own_rows(scores: Scores, manifest: Manifest, bad: frozenset[str]) -> None:
    """Check digest and labels of each row against the photo that it names."""
    rows = {row["photo_id"]: row for row in manifest.table.iter_rows(named=True)}
    assert {failure.photo_id for failure in scores.failures} == bad
    assert list(scores.photo_ids) == [name for name in rows if name not in bad]
    assert len(scores.failures) == len(bad)
    assert scores.sha256 is not None
    for row, name in enumerate(scores.photo_ids):
        number = int(name.removeprefix("id "))
        assert scores.sha256[row].tobytes() == hashlib.sha256(photo(number)).digest()
        assert scores.observations[row] == f"of {number}"
        assert SPECIES[int(scores.truth[row])] == rows[name]["species"] == SPECIES[number % 3]


def alone(bundle, data: bytes) -> np.ndarray:
    """Return the logits of one photo without ophis: [species]."""
    session = onnxruntime.InferenceSession(bundle / MODEL)
    pixels = np.asarray(
        Image.open(io.BytesIO(data)).resize((PIXELS, PIXELS), Image.Resampling.BILINEAR)
    )
    values = (pixels.astype(np.float64) / 255 - 0.5) / 0.5
    batch = values.transpose(2, 0, 1)[None].astype(np.float32)
    return np.asarray(session.run(None, {"pixels": batch})[0])[0]


@pytest.mark.parametrize("way", ["at once", "written in parts", "packed", "raw pixels"])
def test_each_row_belongs_to_the_photo_that_it_names(many, bundle, tmp_path, way, figure):
    manifest, bad = many
    read = manifest
    if way in ("packed", "raw pixels"):
        quality = None if way == "raw pixels" else 95
        pack(manifest, tmp_path / "pack", pixels=PIXELS, quality=quality, shard_photos=64)
        read = read_manifest(tmp_path / "pack")
    if way == "written in parts":
        score(bundle, read, workers=3, out=tmp_path / "scores.npz")
        scores = read_scores(tmp_path / "scores.npz")
    else:
        scores = load(bundle).score(read, workers=3)
    require_own_rows(scores, read, bad)
    if way != "packed":  # packed photos are encoded as JPEG once more
        for row, name in enumerate(scores.photo_ids):
            one = alone(bundle, photo(int(name.removeprefix("id "))))
            np.testing.assert_allclose(scores.logits[row], one, atol=1e-4)
    figure(f"{way}: {len(bad)} bad of {len(manifest)}, 0 substitutions, 0 shifted rows")
