import io

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from ophis import Manifest, read_manifest
from ophis.datasets.near_duplicates import (
    MAX_BITS,
    near_duplicate_groups,
    near_groups,
    perceptual_hash,
)
from tests.support.paths import SHARED


def smooth(seed: int) -> Image.Image:
    """Return an image with large shapes, like a photo."""
    coarse = np.random.default_rng(seed).integers(0, 256, (6, 6, 3), np.uint8)
    return Image.fromarray(coarse).resize((240, 180), Image.Resampling.BICUBIC)


def distance(one: Image.Image, other: Image.Image) -> int:
    return int(np.bitwise_count(perceptual_hash(one) ^ perceptual_hash(other)).sum())


def as_jpeg(photo: Image.Image, quality: int) -> bytes:
    buffer = io.BytesIO()
    photo.save(buffer, "JPEG", quality=quality)
    return buffer.getvalue()


@pytest.mark.parametrize("seed", range(5))
def test_hash_is_stable_under_small_changes(seed):
    photo = smooth(seed)
    worse = Image.open(io.BytesIO(as_jpeg(photo, 30)))
    assert distance(photo, worse) <= MAX_BITS
    assert distance(photo, photo.resize((120, 90))) <= MAX_BITS
    assert distance(photo, photo.point(lambda value: value * 0.9)) <= MAX_BITS
    assert distance(photo, smooth(seed + 100)) > 3 * MAX_BITS


@settings(max_examples=25)
@given(seed=st.integers(0, 1000), flips=st.lists(st.integers(0, 12), min_size=1, max_size=12))
def test_near_groups_equals_brute_force(seed, flips):
    rng = np.random.default_rng(seed)
    hashes = rng.integers(0, 256, (12, 16), np.uint8)
    bits = np.unpackbits(hashes[: len(flips)], axis=1)
    for row, number in enumerate(flips):
        bits[row, rng.choice(128, number, replace=False)] ^= 1
    hashes = np.concatenate([hashes, np.packbits(bits, axis=1)])
    labels = near_groups(hashes)
    close = np.bitwise_count(hashes[:, None] ^ hashes[None]).sum(axis=2) <= MAX_BITS
    reach = close
    for _ in range(5):  # chains
        reach = reach @ close
    np.testing.assert_array_equal(labels[:, None] == labels[None], reach)


def test_equal_hashes_are_one_group():
    """Brute force would compare 10 billion pairs."""
    hashes = np.zeros((100_000, 16), np.uint8)
    hashes[0] = 255
    labels = near_groups(hashes)
    assert labels[0] != labels[1]
    assert (labels[1:] == labels[1]).all()


def test_no_photos_have_no_groups():
    assert near_groups(np.zeros((0, 16), np.uint8)).shape == (0,)


def test_groups_of_duplicates_and_unreadable_files(tmp_path):
    files = {
        "a.jpg": as_jpeg(smooth(1), 95),
        "a_again.jpg": as_jpeg(smooth(1), 60),
        "b.jpg": as_jpeg(smooth(2), 95),
        "text.jpg": b"text",
        "text_copy.jpg": b"text",
        "other_text.jpg": b"other",
    }
    for name, data in files.items():
        (tmp_path / name).write_bytes(data)
    names = [*files, "missing.jpg", "missing_too.jpg"]
    table = {"photo_id": names, "photo": names, "observation": names}
    manifest = Manifest(pl.DataFrame({**table, "species": "x", "country": "kenya"}), tmp_path)
    groups = near_duplicate_groups(manifest, workers=2)
    same = {(names[i], names[j]) for i in range(8) for j in range(i) if groups[i] == groups[j]}
    assert same == {("a_again.jpg", "a.jpg"), ("text_copy.jpg", "text.jpg")}


def test_recall_on_real_photos():
    if not (SHARED / "photos").is_dir():
        pytest.skip("the in-house photos are not here (shared/data/photos)")
    manifest = read_manifest(SHARED / "photos" / "manifest.csv")
    found, known = near_duplicate_groups(manifest), manifest.table["group"].to_numpy()
    pair = np.triu(np.ones((len(found), len(found)), bool), 1)
    same_found = (found[:, None] == found[None]) & pair
    same_known = (known[:, None] == known[None]) & pair
    both = (same_found & same_known).sum()
    assert both / same_known.sum() > 0.9
    assert both / same_found.sum() > 0.95
