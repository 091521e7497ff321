import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from ophis import InputError
from ophis.images.preprocessing import Preprocessing, normalise, preprocess, resize
from tests.support.photos import picture

HALF = Preprocessing(pixels=456, mean=(0.5, 0.5, 0.5), std=(0.5, 0.5, 0.5))


@given(
    mean=st.tuples(*[st.floats(0, 1)] * 3),
    std=st.tuples(*[st.floats(0.01, 10)] * 3),
)
def test_normalise_equals_float64_rounded_once(mean, std):
    pixels = np.arange(256, dtype=np.uint8).reshape(16, 16)[..., None].repeat(3, axis=-1)
    found = normalise(pixels, Preprocessing(16, mean, std))
    for channel in range(3):
        exact = (pixels[..., channel] / 255 - mean[channel]) / std[channel]
        np.testing.assert_array_equal(found[channel], exact.astype(np.float32))


def test_batches_and_single_photos_have_equal_values():
    pixels = np.random.default_rng(0).integers(0, 256, (3, 20, 20, 3), np.uint8)
    batch = normalise(pixels, HALF)
    assert batch.shape == (3, 3, 20, 20)
    for row in range(3):
        np.testing.assert_array_equal(batch[row], normalise(pixels[row], HALF))


def test_preprocess_resizes_to_456_and_normalises_to_minus_one_to_one():
    photo = picture(size=(640, 480))
    found = preprocess(photo, HALF)
    assert found.shape == (3, 456, 456)
    assert found.dtype == np.float32
    assert (found.min(), found.max()) >= (-1, -1)
    expected = np.asarray(photo.resize((456, 456), Image.Resampling.BILINEAR))
    np.testing.assert_array_equal(resize(photo, 456), expected)
    np.testing.assert_allclose(found.transpose(1, 2, 0), expected / 127.5 - 1, atol=1e-6)


def test_images_json_round_trips_with_its_constants(tmp_path):
    path = HALF.write(tmp_path / "images.json")
    assert Preprocessing.read(path) == HALF
    assert '"interpolation": "bilinear, antialiased"' in path.read_text()


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ("456", '"456"', "pixels = '456'"),
        ("456", "0", "pixels = 0"),
        ("bilinear", "bicubic", "only 'bilinear, antialiased' is known"),
        ('"mean"', '"means"', "mean = None"),
        ("0.5", "NaN", "mean"),
        ("{", "[", "cannot be read as JSON"),
    ],
)
def test_an_invalid_images_json_is_refused_by_file_and_key(tmp_path, old, new, words):
    path = HALF.write(tmp_path / "images.json")
    path.write_text(path.read_text().replace(old, new))
    with pytest.raises(InputError) as error:
        Preprocessing.read(path)
    assert "images.json" in str(error.value)
    assert words in str(error.value)
