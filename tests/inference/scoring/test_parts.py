"""Scores in parts: every photo exactly once, or an error that names the part."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from ophis import InputError, SpeciesList
from ophis.errors import PhotoFailure
from ophis.images.test_time_augmentation import NO_TTA
from ophis.inference.bundles.bundle import Bundle
from ophis.inference.scoring.parts import ScoreParts
from ophis.scores.scores import Scores

SPECIES = SpeciesList(("Made blue", "Made green", "Made red"))

ENGINE = "onnxruntime"


@pytest.fixture
def bundle(tmp_path):
    return Bundle(tmp_path, "0123456789ab", SPECIES, (), NO_TTA, None, None, None)


@pytest.fixture
def parts(bundle, coloured, tmp_path):
    """36 photos in 4 parts: 10, 10, 10 and 6."""
    with opened(tmp_path / "s.npz", coloured, bundle=bundle) as parts:
        yield parts


def opened(out, manifest, *, tta=NO_TTA, engine=ENGINE, photos=10, bundle):
    return ScoreParts.open(out, manifest, bundle=bundle, tta=tta, engine=engine, photos=photos)


def photos_of(parts, number):
    return parts.manifest.take(parts.rows(number))


def scored(manifest, failed=()):
    """Return scores of a manifest with some unread photos."""
    rows = [photo for photo in manifest.table["photo_id"] if photo not in failed]
    return Scores(
        logits=np.array([[float(Path(photo).stem), 0, 1] for photo in rows]),
        species=SPECIES,
        photo_ids=tuple(rows),
        truth=np.zeros(len(rows), np.int64),
        countries=("",) * len(rows),
        observations=tuple(rows),
        failures=tuple(PhotoFailure(photo, "made") for photo in failed),
    )


def test_parts_in_any_order_join_to_scores_of_manifest(parts, coloured):
    ids = coloured.table["photo_id"].to_list()
    failed = [ids[12], ids[30], ids[35]]
    assert len(parts) == 4
    for number in (2, 0, 3, 1):
        assert number in parts.missing()
        here = [photo for photo in photos_of(parts, number).table["photo_id"] if photo in failed]
        scored(photos_of(parts, number), here).write(parts.path(number))
    assert parts.missing() == []
    joined = parts.joined(SPECIES)
    assert list(joined.photo_ids) == [photo for photo in ids if photo not in failed]
    assert [failure.photo_id for failure in joined.failures] == failed
    np.testing.assert_array_equal(joined.logits, scored(coloured, failed).logits)


@pytest.mark.parametrize("fault", ["lost", "twice", "swapped", "other part", "damaged", "gone"])
def test_join_rejects_missing_and_repeated_photos(parts, fault):
    for number in range(4):
        scored(photos_of(parts, number)).write(parts.path(number))
    whole = scored(photos_of(parts, 1))
    first = whole.photo_ids[0]
    wrong = {
        "lost": whole.take(np.arange(9)),
        "twice": replace(whole, failures=(PhotoFailure(first, "made"),)),
        "swapped": whole.take(np.arange(10)[::-1]),
        "other part": scored(photos_of(parts, 2)),
    }
    if fault in wrong:
        wrong[fault].write(parts.path(1))
    elif fault == "damaged":
        parts.path(1).write_bytes(parts.path(1).read_bytes()[:100])
    else:
        parts.path(1).unlink()
    with pytest.raises(InputError, match=r"part-000001\.npz"):
        parts.joined(SPECIES)


def test_parts_are_resumed_and_not_mixed_with_other_settings(bundle, coloured, tmp_path):
    out = tmp_path / "s.npz"
    with opened(out, coloured, bundle=bundle) as parts:
        scored(photos_of(parts, 1)).write(parts.path(1))
    with opened(out, coloured, bundle=bundle) as again:
        assert again.missing() == [0, 2, 3]
    changes = {
        "bundle": {"bundle": replace(bundle, version="other")},
        "test-time augmentation": {"tta": (replace(NO_TTA[0], mirrored=True),)},
        "engine": {"engine": "openvino"},
        "photos": {"photos": 12},
    }
    for name, change in changes.items():
        with (
            pytest.raises(InputError, match=f"holds parts with another {name}; finish them"),
            opened(out, coloured, **({"bundle": bundle} | change)),
        ):
            pass
    with (
        pytest.raises(InputError, match="holds parts with another manifest; finish them"),
        opened(out, coloured.take(np.arange(30)), bundle=bundle),
    ):
        pass
    (parts.folder / "parts.json").write_text("{")
    with (
        pytest.raises(InputError, match=r"parts\.json: cannot be read as JSON"),
        opened(out, coloured, bundle=bundle),
    ):
        pass
