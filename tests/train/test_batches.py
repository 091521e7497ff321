from dataclasses import replace

import numpy as np
import pytest
import torch
from PIL import Image, ImageEnhance

from ophis import InputError
from ophis.images.decode import read_photo
from ophis.images.preprocessing import normalise, resize
from ophis.train.batches import (
    Batches,
    MicroBatch,
    RngKey,
    augment,
    mix,
    mixup_coefficient,
    mixup_partners,
    photo_at,
    rng_at,
)
from ophis.train.pixels import read_resized

PLAIN = {
    "flip_probability": 0.0,
    "rotation_degrees": 0.0,
    "colour_jitter": 0.0,
}


def batches(recipe, manifest, **options):
    truth = manifest.truth(manifest.species_list())
    return Batches(recipe, manifest.paths(), truth, **({"workers": 2} | options))


def test_each_epoch_contains_each_photo_once():
    for epoch in range(3):
        positions = range(epoch * 50, (epoch + 1) * 50)
        assert sorted(photo_at(p, photos=50, seed=1) for p in positions) == list(range(50))
    orders = [[photo_at(p + e * 50, photos=50, seed=1) for p in range(50)] for e in (0, 1)]
    assert orders[0] != orders[1]


def test_batches_are_a_pure_function_of_seed_and_step(coloured, small):
    recipe = small(steps=6)
    whole = list(batches(recipe, coloured).micro_batches(0))
    later = list(batches(recipe, coloured, workers=1).micro_batches(4))
    assert [(p.step, p.number) for p in later] == [(4, 0), (4, 1), (5, 0), (5, 1)]
    for batch, again in zip(whole[8:], later, strict=True):
        assert torch.equal(batch.pixels, again.pixels)
        assert torch.equal(batch.truth, again.truth)
    other = next(batches(replace(recipe, seed=1), coloured).micro_batches(0))
    assert not torch.equal(other.pixels, whole[0].pixels)


def test_processes_divide_the_micro_batches_of_one(coloured, small):
    recipe = small(steps=2, micro_batch_photos=2)
    alone = list(batches(recipe, coloured).micro_batches(0))
    shared = [list(batches(recipe, coloured, rank=r, processes=2).micro_batches(0)) for r in (0, 1)]
    divided = sorted(shared[0] + shared[1], key=lambda batch: (batch.step, batch.number))
    for batch, again in zip(alone, divided, strict=True):
        assert (batch.step, batch.number) == (again.step, again.number)
        assert torch.equal(batch.pixels, again.pixels)


def test_unreadable_photo_is_named_in_the_error(tmp_path, coloured, small):
    (tmp_path / "bad.jpg").write_text("this is text")
    made = Batches(small(), [tmp_path / "bad.jpg"], np.array([0]), workers=1)
    with pytest.raises(InputError, match=r"bad\.jpg"):
        list(made.micro_batches(0))


def test_training_pixels_without_augmentation_equal_test_pixels(coloured, small):
    recipe = small(**PLAIN, resize_pixels=32)
    photo = read_photo(coloured.paths()[0])
    trained = normalise(augment(photo, recipe, rng_at(0, 1, 2)), recipe.preprocessing)
    from ophis.images.preprocessing import preprocess

    np.testing.assert_array_equal(trained, preprocess(photo, recipe.preprocessing))


def picture() -> Image.Image:
    return Image.fromarray(np.random.default_rng(0).integers(0, 256, (36, 36, 3), np.uint8))


def test_crops_reach_every_corner(small):
    recipe = small(**PLAIN)
    pixels = resize(picture(), 36)
    places = set()
    for number in range(300):
        crop = augment(picture(), recipe, rng_at(0, 1, number))
        place = next(
            (x, y)
            for x in range(5)
            for y in range(5)
            if np.array_equal(pixels[y : y + 32, x : x + 32], crop)
        )
        places.add(place)
    assert {(0, 0), (4, 0), (0, 4), (4, 4)} <= places


@pytest.mark.parametrize(
    "key",
    [
        {"least_area": 0.2},
        {"flip_probability": 1.0},
        {"rotation_degrees": 30.0},
        {"colour_jitter": 0.5},
    ],
)
def test_each_augmentation_changes_the_pixels(small, key):
    plain = augment(picture(), small(**PLAIN), rng_at(0, 1, 7))
    changed = augment(picture(), small(**(PLAIN | key)), rng_at(0, 1, 7))
    assert not np.array_equal(plain, changed)
    if "flip_probability" in key:  # same crop, mirrored: the other numbers are unchanged
        np.testing.assert_array_equal(plain, changed[:, ::-1])


def by_pillow_alone(photo, recipe, rng):
    """`augment` with Pillow for every operation."""
    turn, left, top, flip, area = rng.random(5)
    jitter = 1 + recipe.colour_jitter * rng.uniform(-1, 1, size=3)
    side, bilinear = recipe.resize_pixels, Image.Resampling.BILINEAR
    image = photo.resize((side, side), bilinear)
    if recipe.rotation_degrees:
        image = image.rotate((2 * turn - 1) * recipe.rotation_degrees, bilinear)
    fraction = recipe.least_area + area * (1 - recipe.least_area)
    window = round(recipe.crop_pixels * fraction**0.5)
    x, y = (int(part * (side - window + 1)) for part in (left, top))
    image = image.crop((x, y, x + window, y + window))
    image = image.resize((recipe.crop_pixels,) * 2, bilinear)
    if flip < recipe.flip_probability:
        image = image.transpose(Image.Transpose.FLIP_LEFT_RIGHT)
    if recipe.colour_jitter:
        image = ImageEnhance.Brightness(image).enhance(jitter[0])
        image = ImageEnhance.Contrast(image).enhance(jitter[1])
        image = ImageEnhance.Color(image).enhance(jitter[2])
    return np.asarray(image)


@pytest.mark.parametrize(
    "keys",
    [
        {},
        {"flip_probability": 0.5},
        {"least_area": 0.2},
        {"rotation_degrees": 30.0},
        {"colour_jitter": 0.5},
        {
            "flip_probability": 0.5,
            "least_area": 0.2,
            "rotation_degrees": 30.0,
            "colour_jitter": 0.5,
        },
    ],
)
@pytest.mark.parametrize("kind", ["JPEG", "PNG"])
def test_micro_batches_equal_augmentation_by_pillow_alone(tmp_path, small, keys, kind):
    recipe = small(**(PLAIN | keys), steps=3)
    rng, paths = np.random.default_rng(0), []
    for number in range(6):
        pixels = rng.integers(0, 256, (50 + 9 * number, 70, 3), np.uint8)
        exif = Image.Exif()
        exif[0x0112] = 1 + number
        paths.append(tmp_path / f"{number}.{kind.lower()}")
        Image.fromarray(pixels).save(paths[-1], kind, exif=exif)
    found = list(Batches(recipe, paths, np.arange(6), workers=2).micro_batches(0))
    for position in range(recipe.steps * recipe.batch_photos):
        number, place = divmod(position, recipe.micro_batch_photos)
        row = photo_at(position, photos=6, seed=recipe.seed)
        rng = rng_at(recipe.seed, RngKey.PIXELS, position)
        resized = Image.fromarray(read_resized(paths[row], recipe.resize_pixels))
        pixels = by_pillow_alone(resized, recipe, rng)
        expected = normalise(pixels, recipe.preprocessing)
        np.testing.assert_array_equal(found[number].pixels[place], expected)
        assert found[number].truth[place] == row


def test_micro_batches_are_channels_last(coloured, small):
    batch = next(batches(small(), coloured).micro_batches(0))
    assert batch.pixels.shape == (4, 3, 32, 32)
    assert batch.pixels.is_contiguous(memory_format=torch.channels_last)


def test_mixup_coefficient_has_the_published_distribution(small):
    recipe = small(mixup_alpha=0.1)
    coefficients = [mixup_coefficient(recipe, step) for step in range(4000)]
    # Beta(0.1, 0.1): mean 1/2, variance 1 / (4 (2 * 0.1 + 1)) = 0.2083.
    assert np.mean(coefficients) == pytest.approx(0.5, abs=0.03)
    assert np.var(coefficients) == pytest.approx(1 / 4.8, abs=0.01)
    assert mixup_coefficient(small(mixup_alpha=0.0), 0) == 1.0
    pixels = torch.arange(3.0)[:, None, None, None].expand(3, 3, 2, 2)
    mixed = mix(pixels, 0.75, torch.tensor([1, 2, 0]))
    assert mixed[:, 0, 0, 0].tolist() == [0.25, 1.25, 1.5]


def test_partners_are_a_permutation_of_the_micro_batch(small):
    batch = MicroBatch(3, 1, torch.zeros(4, 3, 2, 2), torch.zeros(4, dtype=torch.int64))
    partners = mixup_partners(small(), batch)
    assert sorted(partners.tolist()) == [0, 1, 2, 3]
    assert torch.equal(partners, mixup_partners(small(), batch))
