import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from PIL import Image

from ophis import InputError, PhotoError
from ophis.images.decode import MAX_PIXELS, MIN_SIDE, decode, read_bytes, read_photo
from ophis.images.preprocessing import Preprocessing, normalise, preprocess, resize
from ophis.images.usability import MIN_CONTRAST, unusable_reason
from tests.support.photos import encode, picture, png_header

HALF = Preprocessing(pixels=456, mean=(0.5, 0.5, 0.5), std=(0.5, 0.5, 0.5))


@pytest.mark.parametrize(
    ("kind", "mode", "options"),
    [
        ("PNG", "RGB", {}),
        ("PNG", "RGBA", {}),
        ("PNG", "P", {}),
        ("WEBP", "RGB", {"lossless": True}),
        ("WEBP", "RGBA", {"lossless": True}),
    ],
)
def test_lossless_photos_of_every_kind_have_the_pixels_that_were_stored(kind, mode, options):
    photo = picture()
    stored = photo.quantize(8) if mode == "P" else photo.convert(mode)
    np.testing.assert_array_equal(decode(encode(stored, kind, **options)), np.asarray(photo))


@pytest.mark.parametrize("mode", ["RGB", "CMYK", "L"])
@pytest.mark.parametrize("progressive", [False, True])
def test_jpegs_of_every_colour_space_come_out_as_rgb(mode, progressive):
    data = encode(picture().convert(mode), "JPEG", quality=95, progressive=progressive)
    expected = np.asarray(picture().convert("L").convert("RGB") if mode == "L" else picture())
    found = np.asarray(decode(data))
    assert found.shape == (48, 64, 3)
    assert np.abs(found.astype(int) - expected).mean() < 6


@pytest.mark.parametrize("mode", ["L", "1", "LA"])
def test_grey_and_bilevel_photos_are_spread_over_three_channels(mode):
    found = np.asarray(decode(encode(picture(mode), "PNG")))
    np.testing.assert_array_equal(found[..., 0], found[..., 2])
    np.testing.assert_array_equal(found, np.asarray(picture(mode).convert("RGB")))


def test_sixteen_bit_grey_is_scaled_and_not_clipped():
    values = np.linspace(0, 65535, 64 * 64).reshape(64, 64).astype(np.uint16)
    found = np.asarray(decode(encode(Image.fromarray(values), "PNG")))[..., 1]
    assert np.abs(found - values / 257).max() <= 0.5


def test_transparent_pixels_lie_over_white():
    clear = picture("RGBA")
    clear.putalpha(0)
    assert np.asarray(decode(encode(clear, "PNG"))).min() == 255
    palette = picture().quantize(8)
    data = encode(palette, "PNG", transparency=palette.getpixel((0, 0)))
    assert decode(data).getpixel((0, 0)) == (255, 255, 255)


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("kind", ["PNG", "WEBP"])
def test_every_exif_turn_comes_out_upright(kind, orientation):
    turns = {
        2: Image.Transpose.FLIP_LEFT_RIGHT,
        3: Image.Transpose.ROTATE_180,
        4: Image.Transpose.FLIP_TOP_BOTTOM,
        5: Image.Transpose.TRANSPOSE,
        6: Image.Transpose.ROTATE_90,  # stored turned left, to be turned right
        7: Image.Transpose.TRANSVERSE,
        8: Image.Transpose.ROTATE_270,
    }
    stored = picture().transpose(turns[orientation]) if orientation > 1 else picture()
    exif = Image.Exif()
    exif[0x0112] = orientation
    options = {"lossless": True} if kind == "WEBP" else {}
    data = encode(stored, kind, exif=exif, **options)
    np.testing.assert_array_equal(np.asarray(decode(data)), np.asarray(picture()))


@pytest.mark.parametrize("orientation", [0, 9, 255])
def test_an_exif_turn_that_does_not_exist_is_no_turn(orientation):
    exif = Image.Exif()
    exif[0x0112] = orientation
    found = decode(encode(picture(), "PNG", exif=exif))
    np.testing.assert_array_equal(np.asarray(found), np.asarray(picture()))


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b"", "empty"),
        (b"this is text", "this is no photo"),
        (b"%PDF-1.7 ...", "PDF"),
        (b"\x00\x00\x00\x18ftypavif\x00\x00", "AVIF photos are not read"),
        (encode(picture(), "GIF"), "GIF, TIFF and BMP pictures are not read"),
        (encode(picture(), "BMP"), "GIF, TIFF and BMP pictures are not read"),
        (encode(picture(size=(1, 1)), "PNG"), "1 x 1 pixels show nothing"),
        (encode(picture(size=(500, MIN_SIDE - 1)), "JPEG"), "show nothing"),
        (png_header(13370, 13370), "more than 80 million"),
        (png_header(65500, 65500), "a.jpg"),
        (png_header(640, 480), "damaged or cut short"),
    ],
)
def test_what_is_no_photo_is_refused_in_one_line_with_its_name(data, words):
    with pytest.raises(PhotoError) as refusal:
        decode(data, "a.jpg")
    assert str(refusal.value).startswith("a.jpg: ")
    assert words in str(refusal.value)
    assert "\n" not in str(refusal.value)


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP"])
def test_a_photo_cut_short_anywhere_is_refused(kind):
    noise = np.random.default_rng(0).integers(0, 256, (96, 96, 3), np.uint8)
    whole = encode(Image.fromarray(noise), kind)
    decode(whole)
    for share in (0.01, 0.1, 0.25, 0.5, 0.75, 0.9):
        with pytest.raises(PhotoError):
            decode(whole[: int(len(whole) * share)])


def test_the_largest_photo_is_decided_by_its_header_without_memory():
    import tracemalloc

    side = int(MAX_PIXELS**0.5) + 1
    data = png_header(side, side)
    tracemalloc.start()
    with pytest.raises(PhotoError, match="80 million"):
        decode(data)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 2**20


@settings(max_examples=200)
@given(st.binary(max_size=300), st.sampled_from(["JPEG", "PNG", "WEBP", ""]), st.integers(0, 400))
def test_any_bytes_are_a_photo_or_a_refusal_and_nothing_else(noise, kind, place):
    data = noise
    if kind:
        whole = encode(picture(), kind)
        data = whole[:place] + noise + whole[place + len(noise) :]
    try:
        photo = decode(data)
    except PhotoError as refusal:
        photo, line = None, str(refusal)
    else:
        line = ""
    assert "\n" not in line
    assert photo is None or photo.mode == "RGB"


def test_files_are_refused_by_name(tmp_path, monkeypatch):
    with pytest.raises(PhotoError, match=r"none\.jpg: there is no such photo"):
        read_photo(tmp_path / "none.jpg")
    with pytest.raises(PhotoError, match="this is a folder"):
        read_bytes(tmp_path)
    monkeypatch.setattr("ophis.images.decode.MAX_BYTES", 10)
    (tmp_path / "large.jpg").write_bytes(b"x" * 11)
    with pytest.raises(PhotoError, match=r"large\.jpg: larger than"):
        read_bytes(tmp_path / "large.jpg")


@given(
    mean=st.tuples(*[st.floats(0, 1)] * 3),
    std=st.tuples(*[st.floats(0.01, 10)] * 3),
)
def test_normalising_equals_the_formula_in_float64_rounded_once(mean, std):
    pixels = np.arange(256, dtype=np.uint8).reshape(16, 16)[..., None].repeat(3, axis=-1)
    found = normalise(pixels, Preprocessing(16, mean, std))
    for channel in range(3):
        exact = (pixels[..., channel] / 255 - mean[channel]) / std[channel]
        np.testing.assert_array_equal(found[channel], exact.astype(np.float32))


def test_batches_and_single_photos_have_the_same_numbers():
    pixels = np.random.default_rng(0).integers(0, 256, (3, 20, 20, 3), np.uint8)
    together = normalise(pixels, HALF)
    assert together.shape == (3, 3, 20, 20)
    for row in range(3):
        np.testing.assert_array_equal(together[row], normalise(pixels[row], HALF))


def test_the_official_preprocessing_is_pillows_bilinear_to_456_between_minus_one_and_one():
    photo = picture(size=(640, 480))
    found = preprocess(photo, HALF)
    assert found.shape == (3, 456, 456)
    assert found.dtype == np.float32
    assert (found.min(), found.max()) >= (-1, -1)
    expected = np.asarray(photo.resize((456, 456), Image.Resampling.BILINEAR))
    np.testing.assert_array_equal(resize(photo, 456), expected)
    np.testing.assert_allclose(found.transpose(1, 2, 0), expected / 127.5 - 1, atol=1e-6)


def test_images_json_reads_back_and_says_how(tmp_path):
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
def test_a_wrong_images_json_is_refused_by_file_and_key(tmp_path, old, new, words):
    path = HALF.write(tmp_path / "images.json")
    path.write_text(path.read_text().replace(old, new))
    with pytest.raises(InputError) as refusal:
        Preprocessing.read(path)
    assert "images.json" in str(refusal.value)
    assert words in str(refusal.value)


@given(
    seed=st.integers(0, 2**32 - 1),
    dark=st.integers(0, 255),
    light=st.integers(0, 255),
    share=st.floats(0.03, 0.97),
)
def test_a_photo_is_flat_where_numpys_percentiles_are_close(seed, dark, light, share):
    chance = np.random.default_rng(seed)
    grey = np.where(chance.random((64, 64)) < share, dark, light).astype(np.uint8)
    low, high = np.percentile(grey, (5, 95))
    assume(abs(high - low - MIN_CONTRAST) > 1e-6)  # a rounding is no difference
    photo = Image.fromarray(grey).convert("RGB")
    assert (unusable_reason(photo) == "flat") == (high - low < MIN_CONTRAST)
