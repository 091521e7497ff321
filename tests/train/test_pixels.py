"""Training pixels: torchvision's resize against Pillow's."""

import io

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from ophis import PhotoError
from ophis.images.decode import read_photo
from ophis.images.preprocessing import Preprocessing, normalise, resize
from ophis.train.pixels import normalise_into, read_resized, resize_uint8

NOISE = np.random.default_rng(0).integers(0, 256, (75, 110, 3), np.uint8)


def largest_difference(a: np.ndarray, b: np.ndarray) -> int:
    assert a.shape == b.shape
    return int(np.abs(a.astype(int) - b).max())


@settings(max_examples=150)
@given(
    pixels=st.integers(32, 300),
    taller=st.integers(0, 400),
    wider=st.integers(0, 400),
    black_and_white=st.booleans(),
    seed=st.integers(0, 9),
)
def test_resized_pixels_differ_from_pillows_by_at_most_1_of_255(
    pixels, taller, wider, black_and_white, seed
):
    shape = (pixels + taller, pixels + wider, 3)
    stored = np.random.default_rng(seed).integers(0, 256, shape, np.uint8)
    if black_and_white:  # the largest contrast, where a rounding error is largest
        stored = np.where(stored > 127, np.uint8(255), np.uint8(0))
    expected = resize(Image.fromarray(stored), pixels)
    assert largest_difference(resize_uint8(stored, pixels), expected) <= 1


@pytest.mark.parametrize("size", [(768, 1024), (1536, 2048), (512, 30_000)])
def test_photo_sizes_differ_by_at_most_1_of_255(size):
    stored = np.random.default_rng(0).integers(0, 256, (*size, 3), np.uint8)
    expected = resize(Image.fromarray(stored), 512)
    assert largest_difference(resize_uint8(stored, 512), expected) <= 1


def test_enlarged_photos_have_pillows_pixels(tmp_path):
    Image.fromarray(NOISE).save(tmp_path / "a.jpg")
    expected = resize(read_photo(tmp_path / "a.jpg"), 132)
    np.testing.assert_array_equal(read_resized(tmp_path / "a.jpg", 132), expected)


@pytest.mark.parametrize("orientation", range(10))
@pytest.mark.parametrize("kind", ["JPEG", "PNG"])
def test_every_exif_orientation_is_applied(tmp_path, orientation, kind):
    exif = Image.Exif()
    exif[0x0112] = orientation
    path = tmp_path / "a.photo"
    Image.fromarray(NOISE).save(path, kind, exif=exif)
    expected = resize(read_photo(path), 48)
    assert largest_difference(read_resized(path, 48), expected) <= (kind == "JPEG")


def test_an_unreadable_photo_is_refused_by_name(tmp_path):
    with pytest.raises(PhotoError, match=r"none\.jpg: there is no such photo"):
        read_resized(tmp_path / "none.jpg", 48)
    buffer = io.BytesIO()
    Image.fromarray(NOISE).save(buffer, "JPEG")
    (tmp_path / "bad.jpg").write_bytes(buffer.getvalue()[:-200])
    with pytest.raises(PhotoError, match=r"bad\.jpg: damaged or cut short"):
        read_resized(tmp_path / "bad.jpg", 48)


def test_normalised_values_are_those_of_normalise_for_crops_and_mirrored_crops():
    preprocessing = Preprocessing(40, (0.485, 0.456, 0.406), (0.229, 0.224, 0.225))
    for part in (NOISE, NOISE[3:43, 5:45], NOISE[3:43, 5:45][:, ::-1]):
        out = np.empty(part.shape, np.float32)
        normalise_into(part, preprocessing, out)
        np.testing.assert_array_equal(out.transpose(2, 0, 1), normalise(part, preprocessing))


def test_the_resize_moves_logits_by_less_than_a_hundredth_of_their_std(imagenet17):
    """EfficientNet-Lite0 on six pictures with edges and noise, 640 x 480 to its input."""
    (network,) = imagenet17.networks
    preprocessing = network.member.preprocessing
    rng = np.random.default_rng(0)
    y, x = np.mgrid[0:480, 0:640]
    logits, changes = [], []
    for number in range(6):
        waves = np.stack([np.sin(x / (5 + number)), np.sin(y / 7), np.sin((x + y) / 11)], axis=-1)
        noise = rng.normal(0, 12, (480, 640, 3))
        stored = np.clip(127 + 90 * waves + noise, 0, 255).astype(np.uint8)
        pair = np.stack(
            [
                resize(Image.fromarray(stored), preprocessing.pixels),
                resize_uint8(stored, preprocessing.pixels),
            ]
        )
        found, _ = network.outputs(normalise(pair, preprocessing))
        logits.append(found[0])
        changes.append(np.abs(found[1] - found[0]).max())
    assert max(changes) < 0.01 * np.std(logits)
