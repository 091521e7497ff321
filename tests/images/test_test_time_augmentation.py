import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image, ImageOps

from ophis import InputError
from ophis.images.preprocessing import Preprocessing, preprocess
from ophis.images.test_time_augmentation import (
    CORNER_FRACTION,
    NO_TTA,
    Crop,
    mean_over_crops,
    network_input,
    read_tta,
    tta_crops,
    write_tta,
)

HALF = Preprocessing(pixels=32, mean=(0.5, 0.5, 0.5), std=(0.5, 0.5, 0.5))


@pytest.fixture(scope="module")
def photo() -> Image.Image:
    return Image.effect_noise((160, 96), 80).convert("RGB")


def test_all_kinds_begin_with_the_whole_photo():
    assert tta_crops() == NO_TTA == (Crop(),)
    assert len(tta_crops("crops")) == 5
    both = tta_crops("flip", "crops")
    assert both[0] == Crop()
    assert [crop.mirrored for crop in both] == [False] * 5 + [True] * 5
    ends = {
        (crop.left + crop.fraction, crop.top + crop.fraction) for crop in tta_crops("crops")[1:]
    }
    assert ends == {
        (CORNER_FRACTION, CORNER_FRACTION),
        (1.0, CORNER_FRACTION),
        (CORNER_FRACTION, 1.0),
        (1.0, 1.0),
    }


def test_input_without_tta_equals_preprocess(photo):
    np.testing.assert_array_equal(network_input(photo, HALF)[0], preprocess(photo, HALF))


def test_mirrored_crop_equals_crop_of_mirrored_photo(photo):
    found = network_input(photo, HALF, tta_crops("flip", "crops"))
    mirrored = network_input(ImageOps.mirror(photo), HALF, tta_crops("crops"))
    # The whole, then the corners; left and right have changed places. Pillow rounds the weights of
    # its two ends alike, so the bytes are the same.
    for here, there in zip(range(5, 10), (0, 2, 1, 4, 3), strict=True):
        np.testing.assert_allclose(found[here], mirrored[there], atol=2 / 255 + 1e-6)


def test_crop_depends_on_its_window_only(photo):
    window = Crop(left=0.5, top=0.25, fraction=0.5)
    found = network_input(photo, HALF, (window,))[0]
    np.testing.assert_array_equal(found, preprocess(photo.crop((80, 24, 160, 72)), HALF))
    changed = photo.copy()
    changed.paste("red", (0, 0, 60, 96))
    np.testing.assert_array_equal(network_input(changed, HALF, (window,))[0], found)


@given(st.integers(1, 4), st.integers(1, 5))
def test_mean_over_crops_is_per_photo(photos, count):
    values = np.random.default_rng(0).normal(size=(photos * count, 3))
    found = mean_over_crops(values, count)
    expected = [values[n * count : (n + 1) * count].mean(axis=0) for n in range(photos)]
    np.testing.assert_allclose(found, expected)


def test_tta_file_round_trip(tmp_path):
    for tta in (NO_TTA, tta_crops("flip"), tta_crops("flip", "crops")):
        assert read_tta(write_tta(tta, tmp_path / "tta.json")) == tta


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("[]", "holds no crop"),
        ("{", "cannot be read as JSON"),
        (json.dumps([{}] * 101), "holds over 100 crops"),
        ('[{"zoom": 2}]', "not a list of crops"),
        ("[" * 100_000, "nested too deep"),
        ('[{"left": 0.5}]', "leave the photo"),
        ('[{"fraction": 0}]', "leave the photo"),
        ('[{"top": NaN}]', "leave the photo"),
        ('[{"left": "a"}]', "not a list of crops"),
        ('[{"mirrored": "no"}]', "true or false"),
    ],
)
def test_wrong_tta_file_is_refused_by_name(tmp_path, text, words):
    path = tmp_path / "tta.json"
    path.write_text(text)
    with pytest.raises(InputError) as error:
        read_tta(path)
    assert str(path) in str(error.value)
    assert words in str(error.value)


def test_tta_file_holds_the_keys_of_the_page(tmp_path):
    written = json.loads(write_tta(tta_crops("flip"), tmp_path / "tta.json").read_text())
    assert written[1] == {"left": 0.0, "top": 0.0, "fraction": 1.0, "mirrored": True}
