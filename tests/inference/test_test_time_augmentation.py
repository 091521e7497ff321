import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image, ImageOps

from ophis import InputError
from ophis.images.preprocessing import Preprocessing, preprocess
from ophis.inference.test_time_augmentation import (
    CLOSE,
    WHOLE,
    View,
    mean_of_views,
    read_views,
    shown,
    views,
    write_views,
)

HALF = Preprocessing(pixels=32, mean=(0.5, 0.5, 0.5), deviation=(0.5, 0.5, 0.5))


@pytest.fixture(scope="module")
def photo() -> Image.Image:
    return Image.effect_noise((160, 96), 80).convert("RGB")


def test_the_usual_sets_begin_with_the_whole_photo():
    assert views() == WHOLE == (View(),)
    assert len(views(crops=True)) == 5
    both = views(flip=True, crops=True)
    assert both[0] == View()
    assert [view.mirrored for view in both] == [False] * 5 + [True] * 5
    ends = {(view.left + view.share, view.top + view.share) for view in views(crops=True)[1:]}
    assert ends == {(CLOSE, CLOSE), (1.0, CLOSE), (CLOSE, 1.0), (1.0, 1.0)}


def test_the_whole_view_is_the_one_preprocessing(photo):
    np.testing.assert_array_equal(shown(photo, HALF)[0], preprocess(photo, HALF))


def test_a_mirrored_view_is_that_of_the_mirrored_photo(photo):
    found = shown(photo, HALF, views(flip=True, crops=True))
    mirrored = shown(ImageOps.mirror(photo), HALF, views(crops=True))
    # The whole, then the corners; left and right have changed places. Pillow rounds the weights of
    # its two ends alike, so the bytes are the same.
    for here, there in zip(range(5, 10), (0, 2, 1, 4, 3), strict=True):
        np.testing.assert_allclose(found[here], mirrored[there], atol=2 / 255 + 1e-6)


def test_a_window_shows_its_part_of_the_photo_alone(photo):
    window = View(left=0.5, top=0.25, share=0.5)
    found = shown(photo, HALF, (window,))[0]
    np.testing.assert_array_equal(found, preprocess(photo.crop((80, 24, 160, 72)), HALF))
    changed = photo.copy()
    changed.paste("red", (0, 0, 60, 96))
    np.testing.assert_array_equal(shown(changed, HALF, (window,))[0], found)


@given(st.integers(1, 4), st.integers(1, 5))
def test_the_mean_over_views_is_that_of_each_photo(photos, count):
    values = np.random.default_rng(0).normal(size=(photos * count, 3))
    found = mean_of_views(values, count)
    expected = [values[n * count : (n + 1) * count].mean(axis=0) for n in range(photos)]
    np.testing.assert_allclose(found, expected)


def test_views_are_written_down_and_read_back(tmp_path):
    for seen in (WHOLE, views(flip=True), views(flip=True, crops=True)):
        assert read_views(write_views(seen, tmp_path / "views.json")) == seen


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("[]", "names no view"),
        ("{", "not a list of views"),
        ('[{"zoom": 2}]', "not a list of views"),
        ("[" * 100_000, "not a list of views"),
        ('[{"left": 0.5}]', "leave the photo"),
        ('[{"share": 0}]', "leave the photo"),
        ('[{"top": NaN}]', "leave the photo"),
        ('[{"left": "a"}]', "not a list of views"),
        ('[{"mirrored": "no"}]', "true or false"),
    ],
)
def test_wrong_views_are_refused_by_file(tmp_path, text, words):
    path = tmp_path / "views.json"
    path.write_text(text)
    with pytest.raises(InputError) as refusal:
        read_views(path)
    assert str(path) in str(refusal.value)
    assert words in str(refusal.value)


def test_the_file_holds_what_a_browser_needs(tmp_path):
    written = json.loads(write_views(views(flip=True), tmp_path / "views.json").read_text())
    assert written[1] == {"left": 0.0, "top": 0.0, "share": 1.0, "mirrored": True}
